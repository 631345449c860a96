"""What backends must do that tell something: a calibration, an estimate, a circuit as it would run, their queue."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from superpose.circuits import (
    CalibratedBackend,
    Calibration,
    Circuit,
    Estimate,
    EstimatingBackend,
    Instruction,
    Program,
    QueueState,
    QueueTellingBackend,
    TranspilingBackend,
)
from superpose.circuits.reference import state_vector
from superpose.testing.contracts import Trial, require

__all__ = ["check_calibration", "check_estimate", "check_queue", "check_transpiled"]


def check_calibration(backend: CalibratedBackend, trial: Trial) -> None:
    """A calibration is of this backend's qubits, gates and pairs, and survives its document."""
    found, able = backend.calibration(), backend.capabilities()
    require(isinstance(found, Calibration), "calibration() returns a Calibration")
    require(able.max_qubits is None or found.n_qubits >= able.max_qubits, "it has a row for each qubit")
    require(
        able.native_gates is None or able.native_gates <= found.native_gates | {"id", "rz"}, "native gates have rows"
    )
    require(able.connectivity is None or able.connectivity == found.connectivity, "it joins the pairs of capabilities")
    require(Calibration.from_json(found.to_json()) == found, "the calibration survives its JSON document")
    require(backend.calibration().epoch == found.epoch, "the same snapshot has the same epoch")


def check_estimate(backend: EstimatingBackend, trial: Trial) -> None:
    """An estimate is sane, costs nothing, and a longer program is not expected to be better or cheaper."""
    short, long = Circuit(2).h(0).cx(0, 1), Circuit(2).h(0)
    for _ in range(20):
        long.cx(0, 1).ry(0.3, 1)
    few, many = (backend.estimate(Program(one, shots=n)) for one, n in ((short, 100), (long, 1000)))
    for found in (few, many):
        require(isinstance(found, Estimate), "estimate() returns an Estimate")
        require(found.fidelity is None or 0.0 <= found.fidelity <= 1.0, "fidelity is in 0 .. 1")
        for name in ("price_usd", "wait_s", "run_s"):
            value = getattr(found, name)
            require(value is None or 0.0 <= value < math.inf, f"{name} is 0 or more")
    if few.fidelity is not None and many.fidelity is not None:
        require(many.fidelity <= few.fidelity, "more gates do not raise the fidelity")
    if few.price_usd is not None and many.price_usd is not None:
        require(many.price_usd >= few.price_usd, "more shots do not lower the price")


def check_transpiled(backend: TranspilingBackend, trial: Trial) -> None:
    """A transpiled circuit is in calibrated gates on the processor's qubits, and finds the same bits."""
    found = backend.calibration()
    circuit = Circuit(3, n_bits=3).h(0).cx(0, 1).t(1).cx(1, 2).ry(0.4, 2).rz(0.3, 2).cx(0, 2).rx(1.1, 2)
    for qubit in range(3):
        circuit.measure(qubit, 2 - qubit)
    there = backend.transpiled(circuit)
    require(there.n_qubits == found.n_qubits, "a transpiled circuit is over the processor's qubits")
    for item in there.instructions:
        if isinstance(item, Instruction):
            known = item.gate in ("id", "rz") or (item.gate, item.qubits) in found.by_gate
            require(known, f"transpiled, {item.gate} stands on qubits {item.qubits} that it is calibrated for")
    ours, theirs = (_bit_probabilities(one) for one in (circuit, there))
    require(bool(np.allclose(ours, theirs, atol=1e-9)), "a transpiled circuit finds the same bits as often")


def check_queue(backend: QueueTellingBackend, trial: Trial) -> None:
    """What is told about the queue is sane."""
    state = backend.queue()
    require(isinstance(state, QueueState), "queue() returns a QueueState")
    require(state.n_ahead >= 0 and (state.run_s is None or 0.0 <= state.run_s < math.inf), "the queue is no negative")
    require(state.at.tzinfo is not None, "the time of the queue's state has a zone")


def _bit_probabilities(circuit: Circuit) -> npt.NDArray[np.float64]:
    """How probable each value of the bits is, ``(2**n_bits,)``, of a circuit that measures at its end."""
    body, finals = circuit.without_final_measurements()
    used = sorted({qubit for item in (*body.instructions, *finals) for qubit in item.qubits})
    places = {qubit: place for place, qubit in enumerate(used)}
    small = Circuit(len(used))
    for call in body.gate_calls():
        small.append(call.gate, [places[qubit] for qubit in call.qubits], call.angles)
    squared = np.abs(state_vector(small)) ** 2
    states = np.arange(len(squared))
    index = np.zeros(len(squared), np.int64)
    for one in finals:
        index += ((states >> (len(used) - 1 - places[one.qubit])) & 1) << (circuit.n_bits - 1 - one.bit)
    out = np.zeros(1 << circuit.n_bits)
    np.add.at(out, index, squared)
    return out
