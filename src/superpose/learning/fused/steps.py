"""`FusedSteps`: a trainer's steps as compiled code, on the arrays of its torch network and optimizer."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from superpose.engine import compile_program
from superpose.engine.epochs import AdamWState, DressedArrays, EpochRunner, Losses, Rows
from superpose.engine.whole_epochs import EpochLoop
from superpose.errors import TrainingDivergedError
from superpose.learning.fused.parts import FusedParts
from superpose.learning.network import EVALUATION_ROWS

if TYPE_CHECKING:
    from superpose.learning.spec import TrainingOptions
    from superpose.learning.training import TrainingRows

__all__ = ["FusedSteps"]

CALL_S = 0.05
"""One call takes about so long at most: then the trainer's watch is asked and checkpoints are looked after."""
_DTYPES: dict[torch.dtype, Any] = {torch.float32: "float32", torch.float64: "float64"}


class FusedSteps:
    """Steps and looks at validation rows; weights and moments change in place, where torch's tensors see them.

    Args:
        parts: of the network, whose trained parameters are views of ``vectors[0]``.
        vectors: what is trained, its gradient and AdamW's two moments, ``(n_trained,)`` each.
        groups: where each group of trained numbers ends, its learning rate and its weight decay.
        class_weights: ``(n_classes,)``, or None.
        n_classes: number of classes.
        label_smoothing: share of each row's label that all classes have alike.
        factors: float64, of the learning rates, one for each step from the first on; None for ones.
    """

    def __init__(
        self,
        parts: FusedParts,
        vectors: tuple[Tensor, Tensor, Tensor, Tensor],
        groups: Sequence[tuple[int, float, float]],
        class_weights: Tensor | None,
        n_classes: int,
        *,
        label_smoothing: float = 0.0,
        factors: NDArray[np.float64] | None = None,
    ) -> None:
        layer, parameters = parts.circuit, parts.parameters
        block = layer.block
        self._parts, self._dtype = parts, vectors[0].dtype
        program = compile_program(
            block.circuit, block.observables, inputs=block.angle_names, dtype=_DTYPES[self._dtype]
        )
        entry_weight, entry_bias, weights, exit_weight, exit_bias = (
            None if p is None else p.detach().numpy() for p in parameters
        )
        if weights is None or exit_weight is None or exit_bias is None:
            raise TypeError("a circuit's weights and the layer behind it are needed")
        arrays = DressedArrays(
            program, parts.entry, parts.max_angle, entry_weight, entry_bias, weights, exit_weight, exit_bias
        )
        gradients = [
            p.grad.numpy() if p is not None and p.requires_grad and p.grad is not None else None for p in parameters
        ]
        vector, grad, moment_1, moment_2 = vectors
        state = AdamWState(vector.numpy(), grad.numpy(), moment_1.numpy(), moment_2.numpy(), groups)
        if factors is not None:
            state = replace(state, factors=factors)
        shares = None if class_weights is None else class_weights.numpy()
        self._runner = EpochRunner(arrays, state, gradients, shares, n_classes, label_smoothing)
        self._data: dict[int, tuple[TrainingRows, Rows]] = {}
        self._step_s = 0.0

    def loop(
        self, training: TrainingRows, validation: TrainingRows | None, options: TrainingOptions, best: Tensor
    ) -> EpochLoop:
        """What runs whole epochs in one call; see `superpose.learning.fused.epochs.FusedEpochs`."""
        looks = None if validation is None else self._rows(validation)
        sizes = options.batch_size, EVALUATION_ROWS
        return EpochLoop(self._runner, self._rows(training), looks, sizes, best.numpy(), options.patience)

    def seconds_of(self, n_rows: int, size: int) -> float:
        """What steps over so many rows take, by the last ones; more than they take before one was timed."""
        return (self._step_s or self._runner.slow_step_s(size)) * -(-n_rows // size)

    def advance(
        self, data: TrainingRows, order: Tensor, step: int, size: int, n_steps: int, so_far: float
    ) -> tuple[int, Losses]:
        """Take steps of an epoch from ``step`` on: to its end, or as many as take a moment.

        Args:
            data: training rows.
            order: of the epoch.
            step: how many of its steps were taken.
            size: rows per step.
            n_steps: steps of all epochs so far.
            so_far: sum of the epoch's losses so far.

        Returns:
            How many steps were taken, and the losses with them.
        """
        last = -(-len(order) // size)
        if last - step > 1:
            last = min(last, step + (1 if self._step_s == 0.0 else max(1, int(CALL_S / self._step_s))))
        began = time.perf_counter()
        found = self._runner.train(self._rows(data), order.numpy(), (step, last), size, n_steps, so_far)
        self._step_s = max((time.perf_counter() - began) / (last - step), 1e-7)
        return last - step, found

    def sweep(self, data: TrainingRows, order: Tensor, size: int, n_steps: int) -> tuple[int, float]:
        """Take all steps over rows in an order, behind ``n_steps`` that were taken before.

        Returns:
            How many steps, and their mean loss by rows.

        Raises:
            TrainingDivergedError: the loss is no longer finite.
        """
        taken, total, wanted = 0, 0.0, -(-len(order) // size)
        while taken < wanted:
            some, losses = self.advance(data, order, taken, size, n_steps + taken, total)
            taken, total = taken + some, losses.total
            if not math.isfinite(losses.total):
                raise TrainingDivergedError("the training loss is no longer finite; lower the learning rate", epoch=1)
        return taken, total / max(1, len(order))

    def look(self, data: TrainingRows) -> Losses:
        """The loss and accuracy of rows."""
        return self._runner.look(self._rows(data), EVALUATION_ROWS)

    def rest(self) -> None:
        """Give working memory back for the next training of this circuit; further steps take some again."""
        self._runner.rest()

    def _rows(self, data: TrainingRows) -> Rows:
        """Rows as the steps take them: what nothing trains is applied once."""
        kept = self._data.get(id(data))
        if kept is None or kept[0] is not data:
            rows = data.rows.to(self._dtype)
            if self._parts.fixed is not None:
                with torch.no_grad():
                    rows = self._parts.fixed(rows)
            found: NDArray[Any] = np.ascontiguousarray(rows.numpy())
            kept = self._data[id(data)] = data, Rows(found, np.ascontiguousarray(data.classes.numpy()))
        return kept[1]
