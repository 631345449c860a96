"""Snapshots of IBM's processors: the files that qiskit-ibm-runtime ships for its fake backends, read without importing
it.

Source: ``qiskit_ibm_runtime/fake_provider/backends/*/{conf,props}_*.json``, configuration and properties as the
service answered on that day (Apache License 2.0).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from superpose.circuits import GATES, Calibration, GateCalibration, QubitCalibration
from superpose.errors import CalibrationError

__all__ = ["IbmSnapshot", "ibm_snapshots"]

PACKAGE = "qiskit_ibm_runtime"
_HEAD_BYTES = 400  # in which the time of nearly every file of properties stands
_N_QUBITS, _UPDATED = re.compile(r'"n_qubits":\s*(\d+)'), re.compile(r'"last_update_date":\s*"([^"]+)"')
_NS = {"ns": 1.0, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9}
_RENAMED = {"u1": "rz", "p": "rz", "u2": "sx", "u3": "x", "u": "x"}
"""Processors until 2020 were described by u1, u2 and u3, made of no, one and two pulses of a quarter turn between
virtual rotations: rz, sx and, with u3's error, x."""
_NATIVE_GATES = frozenset({"id", "rz", "sx", "x", "rx", "cx", "cz", "ecr", "rzz"})


@dataclass(frozen=True, slots=True)
class IbmSnapshot:
    """The files of one processor.

    Attributes:
        name: "ibm_" and the name of the processor.
        configuration, properties: The files.
    """

    name: str
    configuration: Path
    properties: Path

    @property
    def n_qubits(self) -> int:
        """Number of qubits; the file's head is read."""
        return int(_first(self.configuration, _N_QUBITS))

    @property
    def taken_at(self) -> datetime:
        """When the calibration was taken; the file's head is read."""
        return datetime.fromisoformat(_first(self.properties, _UPDATED))

    def calibration(self, backend: str) -> Calibration:
        """Return the calibration, with ``backend`` as whose it is.

        Gates that are not the processor's own (its ``basis_gates``), that are marked as not operational or have an
        error of 1, IBM's mark for a gate that could not be calibrated, are left out, as are pairs of a qubit without
        gates of its own.

        Raises:
            CalibrationError: The files are not of the known form.

        Cost: 10 ms for 156 qubits.
        """
        try:
            configuration = json.loads(self.configuration.read_text())
            properties = json.loads(self.properties.read_text())
            qubits = tuple(_qubit({row["name"]: row for row in rows}) for rows in properties["qubits"])
            own = {_RENAMED.get(name, name) for name in configuration["basis_gates"]} & _NATIVE_GATES
            rows = {(row.gate, row.qubits): row for row in _gates(properties["gates"], own)}
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(f"The snapshot of {self.name} is not of the known form: {error!r}.") from error
        turned = {qubits for name, qubits in rows if name == "sx"}
        kept = (row for row in rows.values() if all((qubit,) in turned for qubit in row.qubits))
        return Calibration(backend=backend, taken_at=self.taken_at, qubits=qubits, gates=tuple(kept))


def ibm_snapshots() -> Mapping[str, IbmSnapshot] | None:
    """Return the snapshots by name, or None where qiskit-ibm-runtime is not installed.

    Cost: a look into the package's folders, some milliseconds.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "fake_provider" / "backends"
    found = {}
    for place in sorted(folder.glob("*/")):
        name = place.name
        snapshot = IbmSnapshot(f"ibm_{name}", place / f"conf_{name}.json", place / f"props_{name}.json")
        if snapshot.configuration.is_file() and snapshot.properties.is_file():
            found[snapshot.name] = snapshot
    return found


def _first(path: Path, pattern: re.Pattern[str]) -> str:
    """The first match in a file, whose head alone is read where it stands there."""
    with path.open(encoding="utf-8") as file:
        match = pattern.search(file.read(_HEAD_BYTES))
    match = match or pattern.search(path.read_text(encoding="utf-8"))
    if match is None:
        raise CalibrationError(f"{path.name} says nothing about {pattern.pattern}.")
    return match[1]


def _qubit(rows: Mapping[str, Mapping[str, Any]]) -> QubitCalibration:
    t1, t2 = (_time_ns(rows.get(name)) for name in ("T1", "T2"))
    both = _value(rows.get("readout_error"))
    flip0, flip1 = (_value(rows.get(name)) for name in ("prob_meas1_prep0", "prob_meas0_prep1"))
    return QubitCalibration(
        t1_us=None if t1 is None else t1 / 1e3,
        t2_us=None if t2 is None else t2 / 1e3,
        flip0=both if flip0 is None or flip1 is None else flip0,
        flip1=both if flip0 is None or flip1 is None else flip1,
        readout_ns=_time_ns(rows.get("readout_length")),
    )


def _gates(rows: list[Any], own: set[str]) -> Iterator[GateCalibration]:
    for row in rows:
        name = _RENAMED.get(row["gate"], row["gate"])
        if name not in own or len(row["qubits"]) != GATES[name].n_qubits:
            continue
        stated = {entry["name"]: entry for entry in row["parameters"]}
        error = _value(stated.get("gate_error"))
        if _value(stated.get("operational")) == 0.0 or (error is not None and error >= 1.0):
            continue
        duration = _time_ns(stated.get("gate_length"))
        yield GateCalibration(gate=name, qubits=tuple(row["qubits"]), error=error, duration_ns=duration)


def _value(row: Mapping[str, Any] | None) -> float | None:
    return None if row is None or row.get("value") is None else float(row["value"])


def _time_ns(row: Mapping[str, Any] | None) -> float | None:
    value = _value(row)
    return None if row is None or value is None else value * _NS[row["unit"]]
