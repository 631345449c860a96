"""What a training may ask of a backend at most, known before it begins. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from superpose.circuits import Circuit, Program
from superpose.learning.evaluation_spec import fixed_n_splits
from superpose.learning.measured.shifts import GradientCircuits, ParameterShifts, RandomDirections
from superpose.learning.quantum_block import QuantumBlock, build_block
from superpose.learning.spec import TrainingSpec

__all__ = ["BilledProgram", "bill"]

_QUANTUM_CONTROLS = ("no_entanglement", "frozen")
_MOST_COPIES = 2.6
"""Bound of circuits under the adaptive allocation over those under the fixed one: it repeats some, in fewer shots."""


@dataclass(frozen=True)
class BilledProgram:
    """Programs of one size: as many circuits and shots as one may have at most.

    Attributes:
        circuit: what they run.
        block: the layer's circuit and observables.
        n_rows: circuits, for each measurement setting.
        shots: of each circuit.
        n_programs: how many there are at most.
    """

    circuit: Circuit
    block: QuantumBlock
    n_rows: int
    shots: int
    n_programs: int

    def program(self, n_rows: int | None = None) -> Program:
        """One of them, or a part of one, with some values."""
        n = self.n_rows if n_rows is None else n_rows
        values = np.linspace(0.0, 1.0, n)  # all different, so that none is taken for another
        return Program(self.circuit, dict.fromkeys(self.circuit.parameters, values), self.block.observables, self.shots)


def bill(spec: TrainingSpec, *, n_train: int, n_validation: int, n_test: int) -> list[BilledProgram]:
    """The programs of a whole experiment on the spec's backend, if no training stops early and no run fails.

    Args:
        spec: with a backend.
        n_train, n_validation, n_test: rows of the largest split.
    """
    model, training, backend = spec.model, spec.training, spec.backend
    block = build_block(model.n_qubits, model.encoding.name, model.ansatz.name, model.ansatz.layers)
    circuits: GradientCircuits = (
        RandomDirections(block, inputs=True, weights=True, n_directions=backend.n_directions)
        if backend.gradient == "spsa"
        else ParameterShifts(block, inputs=True, weights=True)
    )
    controls = [name for name in spec.evaluation.controls if name in _QUANTUM_CONTROLS]
    n_trainings = (
        fixed_n_splits(spec.evaluation)
        * spec.evaluation.n_seeds
        * (1 + len(controls) + (spec.fine_tune.parent is not None))
    )
    batch, n_points = min(training.batch_size, n_train), circuits.n_points
    rows, shots = batch * (1 + n_points), backend.shots
    if backend.allocation == "adaptive":
        most = math.ceil(batch * (2 + _MOST_COPIES * n_points))
        rows, shots = most, math.ceil(shots * rows / most)
    n_steps = n_trainings * training.epochs * math.ceil(n_train / training.batch_size)
    found = [BilledProgram(circuits.circuit, block, rows, shots, n_steps)]
    if backend.evaluate == "backend":
        n_epochs = n_trainings * training.epochs
        found.append(BilledProgram(circuits.circuit, block, n_validation, backend.shots, n_epochs))
        found.append(BilledProgram(circuits.circuit, block, n_test, backend.shots, n_trainings))
    return found
