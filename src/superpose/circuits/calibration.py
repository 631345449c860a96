"""What was measured about a processor: relaxation times, readout errors, errors and durations of its gates."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from typing import Any

from superpose.circuits.gates import gate
from superpose.errors import CalibrationError

__all__ = ["Calibration", "GateCalibration", "QubitCalibration"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QubitCalibration:
    """What was measured about one qubit; None where the provider says nothing.

    Attributes:
        t1_us, t2_us: Relaxation and dephasing time, in microseconds.
        flip0, flip1: Probability to read 1 where it is 0, and 0 where it is 1.
        readout_ns: How long reading takes, in nanoseconds.
    """

    t1_us: float | None = None
    t2_us: float | None = None
    flip0: float | None = None
    flip1: float | None = None
    readout_ns: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCalibration:
    """What was measured about one gate on these qubits; None where the provider says nothing.

    Attributes:
        gate: A name of the gate table.
        qubits: In the gate's order.
        error: Average gate infidelity, in 0 .. 1.
        duration_ns: In nanoseconds.
    """

    gate: str
    qubits: tuple[int, ...]
    error: float | None = None
    duration_ns: float | None = None


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A snapshot of a processor. A later one of the same backend has another ``epoch``.

    Attributes:
        backend: Whose snapshot it is.
        taken_at: When it was taken, aware.
        qubits: By number.
        gates: In any order; each gate on each ordered tuple of qubits once. What is not here cannot be run as it is.

    Raises:
        CalibrationError: A time without zone, a number out of its range, a gate twice or on qubits that are not there.

    >>> now = datetime(2026, 1, 1, tzinfo=UTC)
    >>> pair = (QubitCalibration(t1_us=80.0), QubitCalibration())
    >>> found = Calibration(backend="x", taken_at=now, qubits=pair, gates=(GateCalibration(gate="cx", qubits=(0, 1)),))
    >>> found.connectivity, found.n_qubits, Calibration.from_json(found.to_json()) == found
    (frozenset({(0, 1)}), 2, True)
    """

    backend: str
    taken_at: datetime
    qubits: tuple[QubitCalibration, ...]
    gates: tuple[GateCalibration, ...] = ()

    def __post_init__(self) -> None:
        if self.taken_at.tzinfo is None:
            raise CalibrationError(f"The calibration of {self.backend} has a time without zone; give one in UTC.")
        object.__setattr__(self, "taken_at", self.taken_at.astimezone(UTC))
        for number, qubit in enumerate(self.qubits):
            for name in ("t1_us", "t2_us", "readout_ns"):
                _check(f"qubits[{number}].{name}", getattr(qubit, name), None)
            for name in ("flip0", "flip1"):
                _check(f"qubits[{number}].{name}", getattr(qubit, name), 1.0)
        seen = set[tuple[str, tuple[int, ...]]]()
        for row in self.gates:
            where = f"{row.gate} on {row.qubits}"
            if len(row.qubits) != gate(row.gate).n_qubits or len(set(row.qubits)) < len(row.qubits):
                raise CalibrationError(f"A calibrated {where}: it takes {gate(row.gate).n_qubits} different qubits.")
            if (row.gate, row.qubits) in seen or not all(0 <= qubit < self.n_qubits for qubit in row.qubits):
                raise CalibrationError(f"A calibrated {where}: it stands there twice, or such a qubit is not there.")
            seen.add((row.gate, row.qubits))
            _check(f"error of {where}", row.error, 1.0)
            _check(f"duration of {where}", row.duration_ns, None)

    @property
    def n_qubits(self) -> int:
        """Number of qubits of the processor."""
        return len(self.qubits)

    @cached_property
    def by_gate(self) -> Mapping[tuple[str, tuple[int, ...]], GateCalibration]:
        """The row of each gate on each tuple of qubits."""
        return {(row.gate, row.qubits): row for row in self.gates}

    @cached_property
    def native_gates(self) -> frozenset[str]:
        """Names of the gates that run as they are, somewhere on the processor."""
        return frozenset(row.gate for row in self.gates)

    @cached_property
    def connectivity(self) -> frozenset[tuple[int, int]]:
        """Ordered pairs of qubits that a two-qubit gate joins."""
        return frozenset((row.qubits[0], row.qubits[1]) for row in self.gates if len(row.qubits) == 2)

    @cached_property
    def epoch(self) -> str:
        """What tells this snapshot from others of the backend: its time and the first characters of its SHA-256."""
        digest = sha256(json.dumps(self.to_json(), sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        return f"{self.taken_at:%Y-%m-%dT%H:%M:%SZ}-{digest[:12]}"

    def to_json(self) -> dict[str, Any]:
        """Return the snapshot in JSON values; see `from_json`."""
        return {
            "backend": self.backend,
            "taken_at": self.taken_at.isoformat(),
            "qubits": [asdict(qubit) for qubit in self.qubits],
            "gates": [asdict(row) | {"qubits": list(row.qubits)} for row in self.gates],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Calibration:
        """Return the snapshot that `to_json` wrote.

        Raises:
            CalibrationError: It is none.
        """
        try:
            return cls(
                backend=str(document["backend"]),
                taken_at=datetime.fromisoformat(document["taken_at"]),
                qubits=tuple(QubitCalibration(**row) for row in _rows(document["qubits"])),
                gates=tuple(
                    GateCalibration(**{**row, "qubits": tuple(row["qubits"])}) for row in _rows(document["gates"])
                ),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CalibrationError(f"This is no calibration in JSON: {error!r}.") from None


def _rows(rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    return rows


def _check(what: str, value: float | None, largest: float | None) -> None:
    """Check that a measured number is in its range; NaN is not."""
    if value is not None and not (value >= 0.0 and (value <= largest if largest is not None else value < float("inf"))):
        allowed = f"0 .. {largest:g}" if largest is not None else "0 or more, and finite"
        raise CalibrationError(f"A calibration's {what} must be {allowed}, or None; got {value}.")
