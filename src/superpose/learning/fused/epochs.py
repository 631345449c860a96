"""`FusedEpochs`: as many whole epochs as take a moment in one call of compiled code, with nobody looking on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.engine.whole_epochs import Standing
from superpose.learning.fused import steps

if TYPE_CHECKING:
    from superpose.learning.spec import TrainingOptions
    from superpose.learning.training import TrainingRows

__all__ = ["FusedEpochs"]


class FusedEpochs:
    """Whole epochs of a trainer's steps.

    Args:
        fused: the steps.
        training, validation: rows.
        options: of the training.
        best: what is trained, as it is after the best epoch; written in place.
    """

    def __init__(
        self,
        fused: steps.FusedSteps,
        training: TrainingRows,
        validation: TrainingRows | None,
        options: TrainingOptions,
        best: Tensor,
    ) -> None:
        self._loop = fused.loop(training, validation, options, best)
        self._n_rows, self._epochs = len(training), options.epochs
        n_validation = 0 if validation is None else len(validation)
        # the first guess: a look at a row takes less than a step with it
        self._epoch_s = fused.seconds_of(self._n_rows + n_validation, options.batch_size)

    def at_once(self, epoch: int, seconds: float) -> int:
        """How many epochs behind so many take at most these seconds, and a moment; 0 where none should be run so."""
        if not self._loop.is_alone:
            return 0
        return min(self._epochs - epoch, int(min(seconds, steps.CALL_S) / self._epoch_s))

    def run(self, n_epochs: int, standing: Standing, generator: torch.Generator) -> None:
        """Train epochs, fewer where none is better for too long or training diverges.

        Args:
            n_epochs: at most so many.
            standing: between two epochs; changed, and true also where an error is raised.
            generator: draws the order of each epoch; ends as if it had drawn for those that were done alone.

        Raises:
            ShapeError: Angles, or gradients of expectations, became NaN or infinite.
        """
        began, before, first = time.perf_counter(), generator.get_state(), standing.epoch
        orders = torch.empty((n_epochs, self._n_rows), dtype=torch.int64)
        for order in orders:
            torch.randperm(self._n_rows, generator=generator, out=order)
        try:
            self._loop.run(orders.numpy(), standing)
        finally:
            n_done = standing.epoch - first
            if n_done < n_epochs:
                generator.set_state(before)
                for _ in range(n_done):
                    torch.randperm(self._n_rows, generator=generator)
        self._epoch_s = max((time.perf_counter() - began) / max(1, n_done), 1e-7)
