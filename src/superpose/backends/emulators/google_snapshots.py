"""Snapshots of Google's processors: the calibrations that cirq-google ships, read without importing it.

Source: ``cirq_google/devices/calibrations/*_calibration.json``, whose times and whose durations of gates stand in
``cirq_google.engine.virtual_engine_factory`` and ``calibration_to_noise_properties`` (Apache License 2.0).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from superpose.circuits import Calibration, GateCalibration, QubitCalibration
from superpose.errors import CalibrationError

__all__ = ["GoogleSnapshot", "google_snapshots"]

PACKAGE = "cirq_google"
READOUT_NS, TURN_NS, PAIR_NS = 4000.0, 25.0, 32.0
_FILES = {
    "rainbow": ("rainbow_2021_11_16_calibration.json", 23, 1637058415838),
    "weber": ("weber_2021_11_03_calibration.json", 53, 1635923188204),
    "willow_pink": ("willow_pink_d7v1-2024_08_16_calibration.json", 105, 1723795877630),
}
"""File, number of qubits and time in milliseconds since 1970, by processor."""

_Metrics = Mapping[str, Mapping[tuple[str, ...], float]]


@dataclass(frozen=True, slots=True)
class GoogleSnapshot:
    """The file of one processor.

    Attributes:
        name: "google_" and the name of the processor.
        path: The file.
        n_qubits: Number of qubits.
        taken_at: When the calibration was taken.
    """

    name: str
    path: Path
    n_qubits: int
    taken_at: datetime

    def calibration(self, backend: str) -> Calibration:
        """Return the calibration, with ``backend`` as whose it is; qubits are numbered by row, then column.

        Any turn of one qubit is one pulse (rx) between virtual rotations (rz). Two-qubit gates stand under cz, with
        the error per cycle of cross-entropy benchmarking of simultaneous gates: on willow_pink as measured; on rainbow
        and weber, whose gate is sqrt-iSWAP, cz is two of those with a layer of turns between, and error and duration
        are the sums. T2 follows from T1 and the incoherent error of one-qubit gates, as cirq-google derives Tphi.
        Coherent errors (of the entangler's angles) are not kept: their size is in the gate's error.

        Raises:
            CalibrationError: The file is not of the known form.
        """
        try:
            metrics = _metrics(json.loads(self.path.read_text()))
            places = sorted(metrics["single_qubit_rb_pauli_error_per_gate"], key=lambda key: _place(key[0]))
            numbers = {key[0]: number for number, key in enumerate(places)}
            qubits = tuple(_qubit(metrics, key) for key in places)
            gates = tuple(_turns(metrics, numbers)) + tuple(_pairs(metrics, numbers))
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(f"The snapshot of {self.name} is not of the known form: {error!r}.") from error
        return Calibration(backend=backend, taken_at=self.taken_at, qubits=qubits, gates=gates)


def google_snapshots() -> Mapping[str, GoogleSnapshot] | None:
    """Return the snapshots by name, or None where cirq-google is not installed."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "devices" / "calibrations"
    found = {}
    for name, (file, n_qubits, milliseconds) in _FILES.items():
        if (folder / file).is_file():
            taken_at = datetime.fromtimestamp(milliseconds / 1e3, UTC)
            found[f"google_{name}"] = GoogleSnapshot(f"google_{name}", folder / file, n_qubits, taken_at)
    return found


def _metrics(document: Mapping[str, Any]) -> _Metrics:
    """Values by name of the metric and targets."""
    out: dict[str, dict[tuple[str, ...], float]] = {}
    for row in document["metrics"]["metrics"]:
        out.setdefault(row["name"], {})[tuple(row["targets"])] = float(row["values"][0]["doubleVal"])
    return out


def _place(target: str) -> tuple[int, int]:
    row, column = target.split("_")
    return int(row), int(column)


def _qubit(metrics: _Metrics, key: tuple[str, ...]) -> QubitCalibration:
    t1_ns = metrics["single_qubit_idle_t1_micros"][key] * 1e3
    pure = metrics["single_qubit_rb_incoherent_error_per_gate"][key] - TURN_NS / (3.0 * t1_ns)
    dephasing = 3.0 * pure / TURN_NS if pure > 0.0 else 0.0  # 1/Tphi
    return QubitCalibration(
        t1_us=t1_ns / 1e3,
        t2_us=1e-3 / (0.5 / t1_ns + dephasing),
        flip0=metrics["single_qubit_p00_error"][key],
        flip1=metrics["single_qubit_p11_error"][key],
        readout_ns=READOUT_NS,
    )


def _turns(metrics: _Metrics, numbers: Mapping[str, int]) -> Iterator[GateCalibration]:
    for (target,), error in metrics["single_qubit_rb_pauli_error_per_gate"].items():
        qubit = (numbers[target],)
        yield GateCalibration(gate="rx", qubits=qubit, error=error * 2 / 3, duration_ns=TURN_NS)
        yield GateCalibration(gate="rz", qubits=qubit, error=0.0, duration_ns=0.0)


def _pairs(metrics: _Metrics, numbers: Mapping[str, int]) -> Iterator[GateCalibration]:
    measured = metrics.get("two_qubit_parallel_cz_gate_xeb_pauli_error_per_cycle")
    rows, times = (measured, 1) if measured is not None else (
        metrics["two_qubit_parallel_sqrt_iswap_gate_xeb_pauli_error_per_cycle"], 2,
    )  # fmt: skip
    for targets, error in rows.items():
        average = min(1.0, error * 4 / 5 * times)  # of Pauli errors, d/(d + 1) are seen in the average infidelity
        first, second = (numbers[target] for target in targets)
        for pair in ((first, second), (second, first)):
            duration = PAIR_NS * times + TURN_NS * (times - 1)
            yield GateCalibration(gate="cz", qubits=pair, error=average, duration_ns=duration)
