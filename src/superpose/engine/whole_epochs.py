"""Several epochs as one call: steps, the look at validation rows, the best weights, and when to stop."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from superpose.engine.arrays import Array, not_finite_error
from superpose.engine.epochs import EpochRunner, Rows
from superpose.engine.kernel_table import load_kernel
from superpose.engine.kernels import epoch_places as at

__all__ = ["EpochLoop", "Standing"]


@dataclass
class Standing:
    """Where training stands between two epochs; runs of epochs change it.

    Attributes:
        epoch: epochs done.
        n_steps: steps done, of all epochs.
        best_epoch, best_score: the epoch of the lowest score, which is the validation loss, or the training loss where
            there are no validation rows.
        history: training loss, validation loss and validation accuracy of the epochs of the last run, ``(n, 3)``; the
            last two mean nothing without validation rows.
        diverged: whether the loss of the epoch behind those was not finite.
    """

    epoch: int
    n_steps: int
    best_epoch: int
    best_score: float
    history: Array = field(default_factory=lambda: np.empty((0, 3)))
    diverged: bool = False


class EpochLoop:
    """Runs whole epochs of a runner whose steps are one call of compiled code. For one thread at a time.

    Args:
        runner: of the steps.
        training, validation: rows; without validation rows the training loss is the score.
        sizes: rows per step, and per part of a look at validation rows.
        best: what is trained, as it is after the best epoch; written in place.
        patience: epochs without a better one after which training ends.
    """

    def __init__(
        self,
        runner: EpochRunner,
        training: Rows,
        validation: Rows | None,
        sizes: tuple[int, int],
        best: Array,
        patience: int,
    ) -> None:
        self._training, self._validation, self._sizes = training, validation, sizes
        self._parts = runner.parts(len(training.classes), sizes[0], learn=True)
        n_looks = 0 if validation is None else len(validation.classes)
        self._looks = runner.parts(n_looks, sizes[1], learn=False) if validation is not None else []
        self._in_order = np.arange(n_looks)
        self._blocks = np.array([id(batch.block) for batch, *_ in (*self._parts, *self._looks)], np.int64)
        self._kernel = load_kernel("whole_epochs", runner.program.dtype)
        self._block: Any = np.zeros(at.EPOCH_ARGUMENTS, np.int64)
        self._score = np.zeros(1)
        state = runner.state
        self._kept = state.vector, best, runner
        for place, value in {
            at.N_ROWS: len(training.classes), at.N_VALIDATION: n_looks, at.N_PARTS: len(self._parts),
            at.N_LOOKS: len(self._looks), at.PARTS: id(self._blocks), at.STEPS: runner.kernel.address,
            at.STEPS_DOUBLE: runner.program.dtype == "float64", at.N_TRAINED: state.vector.size, at.PATIENCE: patience,
            at.SCORES_SO_FAR: id(self._score), at.EPOCHS_VECTOR: id(state.vector), at.BEST: id(best),
            at.EPOCHS_RESULTS: id(runner.results),
        }.items():  # fmt: skip
            self._block[place] = value

    @property
    def is_alone(self) -> bool:
        """Whether all of it is one call of compiled code; only then epochs can be run."""
        return not any(batch.is_shared for batch, *_ in (*self._parts, *self._looks))

    def run(self, orders: Array, standing: Standing) -> None:
        """Train epochs, at most as many as there are orders.

        Args:
            orders: int64 ``(n_epochs, n_rows)``, in which the training rows come.
            standing: between two epochs; changed, and true also where an error is raised.

        Raises:
            ShapeError: Angles, or gradients of expectations, became NaN or infinite.
        """
        block, history = self._block, np.empty((len(orders), 3))
        pace = self._parts[0][0].pace
        with_mates = pace is None or pace.choose()
        for batch, first, last in self._parts:
            batch.attend(alone=not with_mates)
            batch.begin(self._training, orders, self._sizes[0], 0)
            batch.set_steps(batch.whole_mode, first, last)
        if self._validation is not None:
            for batch, first, last in self._looks:
                batch.attend(alone=not with_mates)
                batch.begin(self._validation, self._in_order, self._sizes[1], 0)
                batch.set_steps(batch.whole_mode, first, last)
        block[at.N_EPOCHS], block[at.HISTORY], block[at.STEPS_TAKEN] = len(orders), id(history), standing.n_steps
        block[at.EPOCH], block[at.BEST_EPOCH], self._score[0] = standing.epoch, standing.best_epoch, standing.best_score
        began_s = time.perf_counter()
        status = self._kernel.call(0.0, id(block))
        if pace is not None and status == 0 and int(block[at.DONE]):
            n_rows = int(block[at.DONE]) * (len(self._training.classes) + len(self._in_order))
            pace.note((time.perf_counter() - began_s) / n_rows, with_mates=with_mates)
        standing.epoch, standing.best_epoch = int(block[at.EPOCH]), int(block[at.BEST_EPOCH])
        standing.n_steps, standing.best_score = int(block[at.STEPS_TAKEN]), float(self._score[0])
        standing.history, standing.diverged = history[: int(block[at.DONE])], status == at.NOT_FINITE
        if status and not standing.diverged:
            raise not_finite_error(status)
