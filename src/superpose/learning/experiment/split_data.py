"""The rows of one split, encoded as the models of that split see them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from superpose.datasets import Split
from superpose.learning.experiment.run import Run
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.training import TrainingRows

__all__ = ["SplitData"]


@dataclass
class SplitData:
    """The rows of one split, preprocessed on first use.

    ``anew`` learns the preprocessing from the training rows even where a fine-tuned model keeps that of its parent:
    what controls see, which have no parent. One that nothing was learnt for, as of pictures, they see too.
    """

    run: Run
    number: int
    anew: bool = False

    @property
    def split(self) -> Split:
        """Places of its rows."""
        return self.run.splits[self.number]

    def seed(self, number: int = 0) -> int:
        """A seed of everything random in this split; the same for all variants, which makes them pairs."""
        further = [number] if number else []
        return int(np.random.SeedSequence([self.run.spec.training.seed, self.number, *further]).generate_state(1)[0])

    @cached_property
    def preprocessor(self) -> Preprocessor:
        """Learnt from the training rows, or that of the parent."""
        fine_tuning = self.run.recipe.fine_tuning
        if fine_tuning is None:
            return self._preprocessor(self.split.train)
        kept = fine_tuning.controls_preprocessor if self.anew else fine_tuning.preprocessor
        return self._preprocessor(self.split.train) if kept is None else kept

    def _preprocessor(self, places: NDArray[np.int64]) -> Preprocessor:
        table = self.run.features
        names, kinds = [c.name for c in table.columns], [c.kind for c in table.columns]
        return Preprocessor.fit(table.features.iloc[places], names, kinds, self.run.spec.preprocessing)

    @cached_property
    def encoded(self) -> NDArray[np.float64]:
        """All rows of the table, ``(n_rows, n_columns)``."""
        return self.preprocessor.transform(self.run.features.features)

    @cached_property
    def encoded_for_baseline(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """All rows, preprocessed as learnt from training and validation rows, and the places of those."""
        places = np.sort(np.concatenate([self.split.train, self.split.validation]))
        return self._preprocessor(places).transform(self.run.features.features), places

    def rows(self, places: NDArray[np.int64]) -> TrainingRows:
        """Rows as the trainer takes them."""
        return TrainingRows.from_arrays(self.encoded[places], self.run.classes[places])
