"""Google's processors as cirq-google's virtual engine emulates them, and Cirq's own simulators."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from superpose.backends.clouds.answers import Run, seeded
from superpose.backends.clouds.draws import all_measured, bits_of
from superpose.backends.emulators.google_snapshots import google_snapshots
from superpose.backends.fitting import require_fit
from superpose.backends.measured import MeasuredProgram
from superpose.circuits import (
    Backend,
    BackendInfo,
    Calibration,
    Capabilities,
    Circuit,
    GateCalibration,
    Pricing,
    Program,
    ProgramResult,
    QubitCalibration,
)
from superpose.errors import BackendUnknownError, ToolkitMissingError

__all__ = ["CirqSimulator", "GoogleProvider", "VirtualProcessor"]

SIMULATORS: Final = {"simulator": 22, "density_matrix": 11}
"""Cirq's own, and the largest circuit of each, in qubits."""
MAX_NOISY_QUBITS: Final = 10
"""Of a circuit on a virtual processor, which is simulated by density matrices."""
MAX_SHOTS: Final = 1_000_000
_FREE: Final = Pricing(as_of=date(2026, 11, 26), source="this machine")


class GoogleProvider:
    """ "google:rainbow", "google:weber", "google:willow_pink": Google's virtual engine with the calibrations that
    cirq-google ships; "google:simulator", "google:density_matrix": Cirq's simulators. Everything runs on this machine.
    """

    @property
    def name(self) -> str:
        """The name "google"."""
        return "google"

    def list(self) -> Sequence[BackendInfo]:
        """Return what the installed packages offer; a line with the reason where one is missing."""
        lines = []
        for name, n_qubits in SIMULATORS.items():
            note = "" if find_spec("cirq") else _missing("cirq-core", "cirq")
            lines.append(self._line(name, n_qubits, None, note))
        processors = google_snapshots()  # what cirq-google ships, without loading it
        if not processors:
            return [*lines, self._line("*", None, None, _missing("cirq-google", "google"))]
        return [
            *lines,
            *(
                self._line(name.removeprefix("google_"), MAX_NOISY_QUBITS, one.taken_at, "")
                for name, one in processors.items()
            ),
        ]

    def backend(self, name: str) -> Backend:
        """Return the backend of this name.

        Raises:
            BackendUnknownError: There is none.
            ToolkitMissingError: The package cirq-google or cirq-core is missing.
        """
        if name in SIMULATORS:
            if not find_spec("cirq"):
                raise ToolkitMissingError(_missing("cirq-core", "cirq"), toolkit="cirq")
            return CirqSimulator(name)
        processors = _processors()
        if not processors:
            raise ToolkitMissingError(_missing("cirq-google", "google"), toolkit="google")
        if name not in processors:
            allowed = [*SIMULATORS, *processors]
            raise BackendUnknownError(
                f"google has no backend {name!r}; it has {', '.join(allowed)}.", name=name, allowed=allowed
            )
        return VirtualProcessor(name)

    def _line(self, name: str, n_qubits: int | None, at: datetime | None, note: str) -> BackendInfo:
        return BackendInfo(
            name=f"{self.name}:{name}",
            provider=self.name,
            n_qubits=n_qubits,
            kind="simulator" if name in SIMULATORS else "emulator",
            status="unavailable" if note else "online",
            calibration_at=at,
            note=note,
            region="here",
        )


class CirqSimulator:
    """Cirq's state-vector or density-matrix simulator.

    Args:
        own: "simulator" or "density_matrix".
    """

    def __init__(self, own: str) -> None:
        self._own = own

    @property
    def name(self) -> str:
        """The name, "google:simulator"."""
        return f"google:{self._own}"

    @property
    def region(self) -> str:
        """The region "here": this machine."""
        return "here"

    def capabilities(self) -> Capabilities:
        """Return what it can do."""
        return Capabilities(max_qubits=SIMULATORS[self._own], max_shots=MAX_SHOTS, simulator=True, pricing=_FREE)

    def run(self, program: Program) -> ProgramResult:
        """Run ``program``.

        Raises:
            UnsupportedProgramError: It cannot run here.
        """
        require_fit(program, self.capabilities(), self.name)
        import cirq

        from superpose.frontends.cirq import write

        seed = seeded(program).seed or 0
        kind = cirq.Simulator if self._own == "simulator" else cirq.DensityMatrixSimulator
        sampler = kind(seed=seed % 2**32)
        return _answered(
            self.name,
            program,
            seed,
            {"cirq": cirq.__version__},
            lambda one: sampler.run(write(all_measured(one)), repetitions=program.shots or 0),
        )


class VirtualProcessor:
    """A processor of Google's as `cirq_google.engine.create_default_noisy_quantum_virtual_machine` emulates it.

    Circuits are placed and routed by Cirq (`cirq.RouteCQC`) and compiled to the processor's gates; the engine checks
    them as the real one would. Google charges nothing for it; its real processors are not reached.

    Args:
        own: The processor's name, "willow_pink".
    """

    def __init__(self, own: str) -> None:
        self._own = own

    @property
    def name(self) -> str:
        """The name, "google:willow_pink"."""
        return f"google:{self._own}"

    @property
    def region(self) -> str:
        """The region "here": this machine."""
        return "here"

    def capabilities(self) -> Capabilities:
        """Return what it can do; the processor itself has more qubits, `calibration` tells them."""
        return Capabilities(max_qubits=MAX_NOISY_QUBITS, max_shots=MAX_SHOTS, simulator=True, pricing=_FREE)

    def calibration(self) -> Calibration:
        """Return the calibration that cirq-google ships, over all qubits of the processor, by row, then column.

        Any turn of one qubit stands under "rx", a two-qubit gate under "cz": with its error where cz was measured (on
        willow_pink), without where it was sqrt-iSWAP.
        """
        processor = self._engine(0).get_processor(self._own)
        return _calibration(self.name, processor.get_current_calibration())

    def run(self, program: Program) -> ProgramResult:
        """Run ``program``.

        Raises:
            UnsupportedProgramError: It cannot run here.

        Cost: a density matrix of ``4**n_qubits`` entries per circuit; compiling takes some 0.1 s per circuit.
        """
        require_fit(program, self.capabilities(), self.name)
        _, cirq_google = _toolkit()
        seed = seeded(program).seed or 0
        engine = self._engine(seed)
        device, sampler = engine.get_processor(self._own).get_device(), engine.get_sampler(self._own)
        return _answered(
            self.name,
            program,
            seed,
            {"cirq_google": cirq_google.__version__, "calibration": _taken_at(self._own).isoformat()},
            lambda one: sampler.run(_compiled(one, device), repetitions=program.shots or 0),
        )

    def _engine(self, seed: int) -> Any:
        cirq, cirq_google = _toolkit()
        return cirq_google.engine.create_default_noisy_quantum_virtual_machine(
            self._own, cirq.DensityMatrixSimulator, seed=seed % 2**32
        )


def _answered(name: str, program: Program, seed: int, facts: Mapping[str, Any], run: Any) -> ProgramResult:
    """A program's result from Cirq's results of its circuits."""
    measured, began = MeasuredProgram(program), Run(name)
    counts = [_counts(run(circuit), circuit) for circuit in measured.circuits]
    return measured.result(counts, began.provenance(program, seed=seed, n_circuits=len(counts), **facts))


def _counts(found: Any, circuit: Circuit) -> dict[str, int]:
    """Counts over a circuit's bits; each qubit was measured under the key of its number, ``c[0]``."""
    columns = [found.measurements[f"c[{qubit}]"][:, 0] for qubit in range(circuit.n_qubits)]
    rows = np.stack(columns, axis=1).tolist()  # (shots, n_qubits)
    return bits_of(circuit, Counter("".join(map(str, row)) for row in rows))


def _compiled(circuit: Circuit, device: Any) -> Any:
    """The circuit on the processor's qubits, in its gates, each of our qubits measured under the key of its number."""
    cirq, _ = _toolkit()
    from superpose.frontends.cirq import write

    body, _ = circuit.without_final_measurements()
    ours = cirq.LineQubit.range(circuit.n_qubits)
    plain = cirq.optimize_for_target_gateset(
        write(Circuit(circuit.n_qubits).extend(body.instructions)), gateset=cirq.CZTargetGateset()
    )
    graph = device.metadata.nx_graph
    first, swapped = dict[Any, Any](), dict[Any, Any]()
    if any(len(one.qubits) == 2 for one in plain.all_operations()):
        routed, first, swapped = cirq.RouteCQC(graph).route_circuit(plain)
    else:
        first = dict(zip(ours, sorted(graph), strict=False))
        routed = plain.transform_qubits(first)
    places = {qubit: swapped.get(first[qubit], first[qubit]) for qubit in first}
    spare = iter(sorted(set(graph) - set(places.values())))
    gateset = device.metadata.compilation_target_gatesets[0]
    out = cirq.optimize_for_target_gateset(routed, gateset=gateset)
    ends = [cirq.measure(places[q] if q in places else next(spare), key=f"c[{k}]") for k, q in enumerate(ours)]
    return out + cirq.Circuit(cirq.Moment(ends))


@cache
def _toolkit() -> tuple[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # google.api_core's, of the next end of a Python version
        import cirq
        import cirq_google
    return cirq, cirq_google


def _processors() -> list[str]:
    """Processors that cirq-google emulates; empty where it is not installed."""
    if not find_spec("cirq_google"):
        return []
    _, cirq_google = _toolkit()
    return [str(name) for name in cirq_google.engine.list_virtual_processors()]


def _taken_at(own: str) -> datetime:
    """When a processor's calibration was taken."""
    _toolkit()
    from cirq_google.engine.virtual_engine_factory import MEDIAN_CALIBRATION_TIMESTAMPS

    return datetime.fromtimestamp(MEDIAN_CALIBRATION_TIMESTAMPS[own] / 1000.0, UTC)


def _calibration(name: str, found: Any) -> Calibration:
    """A calibration of Google's in our form; Pauli errors become average infidelities, d / (d + 1) of them."""
    turns = found["single_qubit_rb_pauli_error_per_gate"]
    places = sorted(key[0] for key in turns)
    numbers = {place: number for number, place in enumerate(places)}

    def value(metric: str, place: Any) -> float:
        return float(found[metric][(place,)][0])

    qubits = tuple(
        QubitCalibration(
            t1_us=value("single_qubit_idle_t1_micros", place),
            flip0=value("single_qubit_p00_error", place),
            flip1=value("single_qubit_p11_error", place),
        )
        for place in places
    )
    gates = [
        GateCalibration(
            gate="rx", qubits=(numbers[place],), error=value("single_qubit_rb_pauli_error_per_gate", place) * 2 / 3
        )
        for place in places
    ]
    cz, other = (f"two_qubit_parallel_{kind}_gate_xeb_pauli_error_per_cycle" for kind in ("cz", "sqrt_iswap"))
    for pair, values in found[cz if cz in found else other].items():
        error = min(1.0, float(values[0]) * 4 / 5) if cz in found else None
        first, second = (numbers[place] for place in pair)
        gates += [GateCalibration(gate="cz", qubits=both, error=error) for both in ((first, second), (second, first))]
    taken_at = datetime.fromtimestamp(found.timestamp / 1000.0, UTC)
    return Calibration(backend=name, taken_at=taken_at, qubits=qubits, gates=tuple(gates))


def _missing(package: str, extra: str) -> str:
    return f"The package {package} is missing; install superpose[{extra}]."
