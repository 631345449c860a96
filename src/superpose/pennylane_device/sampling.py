"""Tapes with shots: the engine draws bits, PennyLane's measurements process them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import pennylane as qml
from pennylane.measurements import ClassicalShadowMP, MeasurementProcess, MeasurementValue, ShadowExpvalMP
from pennylane.ops import MidMeasure
from pennylane.tape import QuantumScript
from pennylane.wires import Wires

from superpose.pennylane_device.engine_runs import EngineRuns

__all__ = ["sampled"]


def sampled(tape: QuantumScript, labels: Sequence[Any], runs: EngineRuns, generator: np.random.Generator) -> Any:
    """Return what PennyLane expects of `Device.execute` for a tape with shots whose measurements go together."""
    if any(isinstance(asked, ClassicalShadowMP | ShadowExpvalMP) for asked in tape.measurements):
        return _shadows(tape, labels, runs, generator)
    run = runs.run(tape, labels, _turned(tape.measurements))
    bits = run.samples(tape.shots.total_shots, int(generator.integers(2**63 - 1)))  # (batch, shots, n_bits)
    middle = [item for item in tape.operations if isinstance(item, MidMeasure)]
    # the engine's label for what a measurement in the middle gave: qubits may be measured often
    names = {item.meas_uid: ("measured", place) for place, item in enumerate(middle)}
    order = Wires([*(names.values() if run.structure.n_measured else ()), *labels])
    rows = bits if tape.batch_size is not None else bits[0]
    kept = _postselected(rows, middle)
    measurements = [_renamed(asked, names) for asked in tape.measurements]
    found = []
    for lower, upper in tape.shots.bins():
        piece = rows[..., lower:upper, :]
        piece = piece if kept is None else piece[kept[lower:upper]]
        found.append(tuple(asked.process_samples(piece, order) for asked in measurements))
    shaped = tuple(one[0] if len(one) == 1 else one for one in found)
    return shaped if tape.shots.has_partitioned_shots else shaped[0]


def _turned(measurements: Sequence[MeasurementProcess]) -> list[Any]:
    """Return gates that turn every measured operator's basis to that of the bits, each qubit once."""
    operators = [asked.obs for asked in measurements if asked.obs is not None]
    words = [operator for operator in operators if operator.pauli_rep is not None and len(operator.pauli_rep) == 1]
    with qml.queuing.QueuingManager.stop_recording():
        gates = list(qml.pauli.diagonalize_qwc_pauli_words(words)[0]) if words else []
        for operator in operators:
            if not any(operator is word for word in words):
                gates += operator.diagonalizing_gates()
    return gates


def _postselected(rows: npt.NDArray[Any], middle: Sequence[Any]) -> npt.NDArray[np.bool_] | None:
    """Return which shots read as asked, or None where nothing is asked."""
    asked = [(place, item.postselect) for place, item in enumerate(middle) if item.postselect is not None]
    if not asked:
        return None
    kept: npt.NDArray[np.bool_] = np.all([rows[:, place] == value for place, value in asked], axis=0)
    return kept


def _renamed(asked: MeasurementProcess, names: Mapping[Any, Any]) -> MeasurementProcess:
    """A measurement of values read in the middle, by the engine's labels."""
    if asked.mv is None or not names:
        return asked
    out = copy(asked)
    values = asked.mv if isinstance(asked.mv, list | tuple) else [asked.mv]
    new = [
        MeasurementValue(
            [MidMeasure(Wires([names[one.meas_uid]]), meas_uid=one.meas_uid) for one in value.measurements],
            value.processing_fn,
        )
        for value in values
    ]
    out.mv = new if isinstance(asked.mv, list | tuple) else new[0]
    return out


def _shadows(tape: QuantumScript, labels: Sequence[Any], runs: EngineRuns, generator: np.random.Generator) -> Any:
    """Classical shadows measure each shot in another basis, which PennyLane draws from the state."""
    (state,) = runs.run(tape, labels).states()
    tensor = state.reshape((2,) * len(labels))
    found = []
    for shots in tape.shots:
        own = [
            asked.process_state_with_shots(tensor, Wires(labels), shots, rng=generator) for asked in tape.measurements
        ]
        found.append(own[0] if len(own) == 1 else tuple(own))
    return tuple(found) if tape.shots.has_partitioned_shots else found[0]
