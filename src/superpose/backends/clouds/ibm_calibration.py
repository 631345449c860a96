"""What IBM publishes of a processor as a `Calibration`."""

from __future__ import annotations

from typing import Any

from superpose.circuits import GATES, Calibration, GateCalibration, QubitCalibration

__all__ = ["NATIVE_NAMES", "calibration_of"]

NATIVE_NAMES = {name: name for name in ("cx", "cz", "ecr", "id", "rx", "rz", "rzz", "sx", "x")}
"""Names of our gates by IBM's."""

_TO_US = {"s": 1e6, "ms": 1e3, "us": 1.0, "µs": 1.0, "ns": 1e-3}
_TO_NS = {unit: factor * 1e3 for unit, factor in _TO_US.items()}


def calibration_of(name: str, properties: Any) -> Calibration:
    """Return the snapshot in IBM's ``BackendProperties``.

    Errors that IBM gives as 1 for what is switched off stay as they are; what it does not give is None.

    Source: qiskit-ibm-runtime 0.51, ``models/backend_properties.py``; error is the average gate infidelity.
    """
    qubits = tuple(_qubit({item.name: item for item in row}) for row in properties.qubits)
    gates = {}
    for row in properties.gates:
        if row.gate in NATIVE_NAMES and GATES[NATIVE_NAMES[row.gate]].n_qubits == len(row.qubits):
            given = {item.name: item for item in row.parameters}
            one = GateCalibration(
                gate=NATIVE_NAMES[row.gate],
                qubits=tuple(row.qubits),
                error=_share(given.get("gate_error")),
                duration_ns=_scaled(given.get("gate_length"), _TO_NS),
            )
            gates[one.gate, one.qubits] = one
    return Calibration(backend=name, taken_at=properties.last_update_date, qubits=qubits, gates=tuple(gates.values()))


def _qubit(given: dict[str, Any]) -> QubitCalibration:
    both = given.get("readout_error")
    return QubitCalibration(
        t1_us=_scaled(given.get("T1"), _TO_US),
        t2_us=_scaled(given.get("T2"), _TO_US),
        flip0=_share(given.get("prob_meas1_prep0", both)),
        flip1=_share(given.get("prob_meas0_prep1", both)),
        readout_ns=_scaled(given.get("readout_length"), _TO_NS),
    )


def _scaled(item: Any, factors: dict[str, float]) -> float | None:
    return float(item.value) * factors[item.unit] if item is not None and item.unit in factors else None


def _share(item: Any) -> float | None:
    return min(1.0, max(0.0, float(item.value))) if item is not None else None
