"""What IonQ's characterizations say about a processor."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from superpose.circuits import Calibration, GateCalibration, QubitCalibration

__all__ = ["calibration_of"]


def calibration_of(name: str, found: Mapping[str, Any]) -> Calibration:
    """Return a characterization as a calibration: medians, the same for all qubits and all pairs.

    Raises:
        KeyError, TypeError, ValueError, CalibrationError: This is none.
    """
    n_qubits = int(found["qubits"])
    fidelity, timing = found.get("fidelity") or {}, found.get("timing") or {}

    def error(kind: str) -> float | None:
        row = fidelity.get(kind)
        return None if row is None else round(1.0 - float(row["median"]), 12)

    def nano(kind: str) -> float | None:
        return None if timing.get(kind) is None else float(timing[kind]) * 1e9

    def micro(kind: str) -> float | None:
        return None if timing.get(kind) is None else float(timing[kind]) * 1e6

    spam = error("spam")
    qubit = QubitCalibration(t1_us=micro("t1"), t2_us=micro("t2"), flip0=spam, flip1=spam, readout_ns=nano("readout"))
    pairs = found.get("connectivity") or [[a, b] for a in range(n_qubits) for b in range(a)]
    ordered = sorted({(int(a), int(b)) for a, b in pairs} | {(int(b), int(a)) for a, b in pairs})
    ones = [GateCalibration(gate="u", qubits=(q,), error=error("1q"), duration_ns=nano("1q")) for q in range(n_qubits)]
    twos = [GateCalibration(gate="rzz", qubits=pair, error=error("2q"), duration_ns=nano("2q")) for pair in ordered]
    return Calibration(
        backend=name,
        taken_at=datetime.fromisoformat(str(found["date"]).replace("Z", "+00:00")),
        qubits=(qubit,) * n_qubits,
        gates=(*ones, *twos),
    )
