"""Training steps that never return to Python: a layer, a circuit, a linear layer, cross entropy and AdamW as one call.

Where the circuit is small, any number of steps is one call of compiled code, in which threads take tiles of rows where
that pays. Where it is large, a step is three short calls around two of the circuit. All give the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from superpose.engine.arrays import Array, not_finite_error
from superpose.engine.batches import Batch, Rows, give_back, take_batch
from superpose.engine.kernel_table import load_kernel
from superpose.engine.kernels import epoch_places as at
from superpose.engine.program import CompiledProgram

__all__ = ["AdamWState", "DressedArrays", "EpochRunner", "Losses", "Rows"]

SLOW_UPDATE_S = 1e-8
"""What a step takes for each update of a vector, on a slow machine and a single thread."""
_KINDS = {"tanh": at.TANH, "scale": at.SCALE, "none": at.NOTHING}


@dataclass(frozen=True, eq=False)
class DressedArrays:
    """A circuit between classical layers, as arrays of its precision that steps change in place.

    Attributes:
        program: the circuit; its inputs come from the entry.
        entry: "tanh" for ``max_angle * tanh(weight row + bias)``, "scale" for each column times each of some weights
            ``(n_inputs,)`` in the order of the inputs, columns varying fastest, "none" for rows that are the inputs.
        max_angle: of "tanh".
        entry_weight, entry_bias: ``(n_inputs, n_columns)`` and ``(n_inputs,)``; of "scale" the weight alone.
        weights: the circuit's.
        exit_weight, exit_bias: ``(n_classes, n_observables)`` and ``(n_classes,)``.
    """

    program: CompiledProgram
    entry: Literal["tanh", "scale", "none"]
    max_angle: float
    entry_weight: Array | None
    entry_bias: Array | None
    weights: Array
    exit_weight: Array
    exit_bias: Array

    @property
    def trained(self) -> tuple[Array | None, ...]:
        """The five arrays."""
        return self.entry_weight, self.entry_bias, self.weights, self.exit_weight, self.exit_bias


@dataclass(frozen=True, eq=False)
class AdamWState:
    """AdamW's vectors over all that is trained, changed in place; what is trained are views of ``vector``.

    Attributes:
        vector, grad, moment_1, moment_2: ``(n_trained,)``, of the circuit's precision.
        groups: where each group of numbers ends, its learning rate and its weight decay.
        factors: float64, of all learning rates, one for each step from the first on; later steps take them as they are.
    """

    vector: Array
    grad: Array
    moment_1: Array
    moment_2: Array
    groups: Sequence[tuple[int, float, float]]
    factors: Array = field(default_factory=lambda: np.empty(0))


class Losses(NamedTuple):
    """What some steps, or a look at some rows, gave."""

    total: float
    """Sum over the steps of the loss times the step's rows; NaN or infinite where training diverged."""
    mean: float
    """Over all rows, weighted by class."""
    accuracy: float
    """Share of rows whose class has the highest score."""


class EpochRunner:
    """Trains a circuit between classical layers. For one thread at a time.

    Args:
        arrays: what is trained, and what stays as it is: an array that is no view of ``state.vector``.
        state: of AdamW.
        gradients: for each of ``arrays.trained`` the view of ``state.grad`` that is its gradient, None where it is not
            trained.
        class_weights: ``(n_classes,)``, or None for ones.
        n_classes: number of classes.
        label_smoothing: share of each row's label that all classes have alike, 0 to 1.

    Attributes:
        program: the circuit.
        state: of AdamW.
        results: what the kernel sums up; see RESULTS of `superpose.engine.kernels.epoch_places`.
        kernel: of the steps.
    """

    def __init__(
        self,
        arrays: DressedArrays,
        state: AdamWState,
        gradients: Sequence[Array | None],
        class_weights: Array | None,
        n_classes: int,
        label_smoothing: float = 0.0,
    ) -> None:
        program = arrays.program
        real = self._real = np.dtype(program.dtype)
        self._arrays, self.state = arrays, state
        self._batches: dict[tuple[int, bool], Batch] = {}
        self.results = np.zeros(at.N_RESULTS)
        constants = np.zeros(at.N_CONSTANTS, real)
        constants[at.SMOOTHING] = label_smoothing
        constants[at.TENTH], constants[at.THOUSANDTH], constants[at.TINY] = 0.1, 0.001, 1e-8
        template: Any = np.zeros(at.ARGUMENTS, np.int64)
        trained = [np.empty(0, real) if array is None else array for array in arrays.trained]
        found = [
            np.empty(array.size, real) if grad is None else grad for array, grad in zip(trained, gradients, strict=True)
        ]
        shares = np.ones(n_classes) if class_weights is None else class_weights
        self._kept: dict[int, Array] = {
            at.CLASS_WEIGHTS: shares.astype(real), at.VECTOR: state.vector, at.GRAD: state.grad,
            at.MOMENT_1: state.moment_1, at.MOMENT_2: state.moment_2,
            at.GROUPS: np.array([group[0] for group in state.groups], np.int64),
            at.RATES: np.array([group[1:] for group in state.groups], np.float64),
            at.FACTORS: np.ascontiguousarray(state.factors, np.float64),
            at.CONSTANTS: constants, at.MAX_ANGLE: np.array([arrays.max_angle], real),
            at.RESULTS: self.results,
            **dict(zip(range(at.ENTRY_WEIGHT, at.EXIT_BIAS + 1), trained, strict=True)),
            **dict(zip(range(at.GRAD_ENTRY_WEIGHT, at.GRAD_EXIT_BIAS + 1), found, strict=True)),
        }  # fmt: skip
        for place, array in self._kept.items():
            template[place] = id(array)
        for place, number in (
            (at.ENTRY, _KINDS[arrays.entry]), (at.WIDTH, program.n_inputs), (at.N_OUTPUTS, program.n_observables),
            (at.N_CLASSES, n_classes), (at.N_WEIGHTS, program.n_weights), (at.N_GROUPS, len(state.groups)),
            (at.DOUBLE, program.dtype == "float64"), (at.N_FACTORS, len(state.factors)),
        ):  # fmt: skip
            template[place] = number
        self._template = template
        self.kernel = load_kernel("epochs", program.dtype)
        self.program = program

    def is_shared(self, size: int) -> bool:
        """Return whether several threads share the circuit in steps of so many rows."""
        return self._batch(size, learn=True).is_shared

    def slow_step_s(self, size: int) -> float:
        """Return what a step of so many rows takes at most, on a slow machine, in seconds."""
        return self.program.runner_for(size, gradients=True).updates(size) * SLOW_UPDATE_S

    def train(
        self, data: Rows, order: Array, steps: tuple[int, int], size: int, n_steps: int, so_far: float = 0.0
    ) -> Losses:
        """Take steps ``first .. last - 1`` of an epoch.

        Args:
            data: the rows.
            order: int64, the order in which they come.
            steps: first and last.
            size: rows per step; the last step of an epoch may have fewer.
            n_steps: steps taken before, of all epochs.
            so_far: sum of the epoch's losses before, to which those of these steps are added.

        Returns:
            Losses; ``total`` is not finite where a loss was not, and training must end.

        Raises:
            ShapeError: Angles, or gradients of expectations, became NaN or infinite.

        Cost: for 4 qubits, 6 layers and 32 rows some 10 us a step, on one thread.
        """
        self.results[:] = 0.0
        self.results[at.SUM] = so_far
        for batch, first, last in self.parts(len(order), size, learn=True, steps=steps):
            batch.begin(data, order, size, n_steps)
            if self._run(batch, first, last):
                break
            n_steps += last - first
        return self._losses(len(order))

    def look(self, data: Rows, size: int) -> Losses:
        """Take the loss of rows, ``size`` at a time, and learn nothing."""
        n_rows = len(data.classes)
        order = np.arange(n_rows)
        self.results[:] = 0.0
        for batch, first, last in self.parts(n_rows, size, learn=False):
            batch.begin(data, order, size, 0)
            self._run(batch, first, last)
        return self._losses(n_rows)

    def parts(
        self, n_rows: int, size: int, *, learn: bool, steps: tuple[int, int] | None = None
    ) -> list[tuple[Batch, int, int]]:
        """Return the batches, all but the last of one size, that steps of ``size`` rows take, and the steps of each."""
        first, last = steps or (0, -(-n_rows // size))
        whole = max(first, min(last, n_rows // size))
        found = [(self._batch(size, learn=learn), first, whole)] if first < whole else []
        if whole < last:
            found.append((self._batch(n_rows - whole * size, learn=learn), whole, last))
        return found

    def _batch(self, size: int, *, learn: bool) -> Batch:
        found = self._batches.get((size, learn))
        if found is None:
            found = self._batches[size, learn] = take_batch(self.program, self._template, size, learn=learn)
        return found

    def rest(self) -> None:
        """Give working memory back, when a training has ended; further steps take some again."""
        while self._batches:
            give_back(self._batches.popitem()[1])

    def _run(self, batch: Batch, first: int, last: int) -> int:
        if not batch.is_shared:
            batch.attend()
            return self._call(batch, batch.whole_mode, first, last)
        learn = at.LEARN if batch.learn else 0
        for step in range(first, last):
            self._call(batch, at.ENTER, step, step + 1)
            batch.run_forth()
            if status := self._call(batch, at.LOOK | learn, step, step + 1):
                return status
            if learn:
                batch.run_back()
                self._call(batch, at.LEAVE, step, step + 1)
        return 0

    def _call(self, batch: Batch, mode: int, first: int, last: int) -> int:
        batch.set_steps(mode, first, last)
        status = self.kernel.call(0.0, id(batch.block))
        if status and status != at.NOT_FINITE:
            raise not_finite_error(status)
        return status

    def _losses(self, n_rows: int) -> Losses:
        found = self.results
        mean = found[at.WEIGHTED_LOSS] / found[at.WEIGHT] if found[at.WEIGHT] else float("nan")
        return Losses(float(found[at.SUM]), float(mean), float(found[at.N_RIGHT] / n_rows))
