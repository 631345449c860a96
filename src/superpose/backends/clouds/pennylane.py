"""PennyLane's devices as backends, each by its name: "pennylane:lightning.qubit"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from superpose.backends.clouds.answers import Run, package, present, seeded
from superpose.backends.fitting import require_fit
from superpose.backends.measured import MeasuredProgram
from superpose.circuits import BackendInfo, Capabilities, Circuit, Pricing, Program, ProgramResult
from superpose.errors import BackendUnknownError, ProviderError, ToolkitMissingError, UnsupportedProgramError

__all__ = ["PennyLaneBackend", "PennyLaneProvider"]


class _Simulator(NamedTuple):
    """What is known of a simulator among PennyLane's devices."""

    state_vectors: bool = True
    max_qubits: int = 30


_SIMULATORS: Mapping[str, _Simulator] = MappingProxyType(
    {
        "default.qubit": _Simulator(max_qubits=26),
        "default.mixed": _Simulator(state_vectors=False, max_qubits=12),
        "lightning.qubit": _Simulator(),
        "lightning.kokkos": _Simulator(),
        "lightning.gpu": _Simulator(),
        "reference.qubit": _Simulator(max_qubits=20),
    }
)
"""Devices that compute any circuit exactly; of others only shots are asked. A device does not say how many qubits it
takes, so these are bounds of ours, by the memory that states and density matrices take."""

_UNLISTED = frozenset(
    {
        "default.clifford",
        "default.gaussian",
        "default.qutrit",
        "default.qutrit.mixed",
        "default.tensor",
        "null.qubit",
        "superpose",
    }
)
"""Devices of PennyLane's own that run no or few circuits of qubits, and ours, which is the local backend."""

_FREE = Pricing(as_of=date(2026, 11, 26), source="this machine")
_INSTALL = "pennylane"


class PennyLaneProvider:
    """Offers every device that is installed for PennyLane.

    Args:
        options: Keyword arguments for ``qml.device``, by the device's name.
    """

    name = "pennylane"

    def __init__(self, options: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._options = {name: dict(given) for name, given in (options or {}).items()}

    def list(self) -> Sequence[BackendInfo]:
        """Return a line for each installed device that runs circuits of qubits; see `Provider`. None is loaded."""
        try:
            present("pennylane", "PennyLane", _INSTALL)
        except ToolkitMissingError as error:
            return [
                BackendInfo(
                    name="pennylane", provider=self.name, n_qubits=None, kind="simulator", status="unavailable",
                    note=str(error),
                )
            ]  # fmt: skip
        names = {point.name for point in entry_points(group="pennylane.plugins")}  # where PennyLane finds them too
        return [self._line(name) for name in sorted(names - _UNLISTED)]

    def backend(self, name: str) -> PennyLaneBackend:
        """Return the device of this name as a backend.

        Raises:
            BackendUnknownError: No such device is installed.
            ToolkitMissingError: PennyLane is not.
        """
        names = self._names()
        if name not in names:
            known = sorted(names)
            raise BackendUnknownError(
                f"PennyLane has no device {name!r} here; it has {', '.join(known)}. Others come with their packages.",
                name=name,
                allowed=known,
            )
        return PennyLaneBackend(name, self._options.get(name))

    def _names(self) -> set[str]:
        package("pennylane", "PennyLane", _INSTALL)
        return set(package("pennylane.devices.device_constructor", "PennyLane", _INSTALL).plugin_devices)

    def _line(self, name: str) -> BackendInfo:
        known = _SIMULATORS.get(name)
        return BackendInfo(
            name=f"pennylane:{name}",
            provider=self.name,
            n_qubits=known.max_qubits if known else None,
            kind="simulator" if known else "qpu",
            status="online",
            note="" if known else "PennyLane does not say what stands behind it; it is taken for a processor.",
            region="here" if known else None,
        )


class PennyLaneBackend:
    """Runs programs on one of PennyLane's devices; all circuits of a program go in one ``qml.execute``.

    Args:
        device: Name of the device.
        options: Keyword arguments for ``qml.device``.
    """

    def __init__(self, device: str, options: Mapping[str, Any] | None = None) -> None:
        self._device, self._options = device, dict(options or {})
        self._known = _SIMULATORS.get(device)

    @property
    def name(self) -> str:
        """The name with the provider's: "pennylane:lightning.qubit"."""
        return f"pennylane:{self._device}"

    @property
    def region(self) -> str | None:
        """The region "here", this machine, of the simulators that are known; None of other packages' devices."""
        return "here" if self._known else None

    @cached_property
    def _qml(self) -> Any:
        return package("pennylane", "PennyLane", _INSTALL)

    def capabilities(self) -> Capabilities:
        """Return what the device can do, as far as is known; others than the known simulators only count."""
        known = self._known
        return Capabilities(
            max_qubits=known.max_qubits if known else None,
            exact=known is not None,
            state_vectors=known is not None and known.state_vectors,
            simulator=known is not None,
            pricing=_FREE if known else None,
        )

    def run(self, program: Program) -> ProgramResult:
        """Run ``program``; see `Program` for what comes back.

        Raises:
            ToolkitMissingError: PennyLane is not installed.
            UnsupportedProgramError: It does not fit.
            ProviderError: The device could not run it.

        Cost: a tape for each batch entry and measurement setting; each distinct Pauli string is a measurement.
        """
        require_fit(program, self.capabilities(), self.name)
        program, run = seeded(program), Run(self.name)
        if program.shots is not None:
            measured = MeasuredProgram(program)
            return measured.result(self._counts(measured, program), self._told(run, program))
        circuits = self._bound(program)
        if not program.observables:
            found = np.array(self._execute([self._tape(one, [self._qml.state()]) for one in circuits], program))
            states: Any = found.astype(np.complex64 if program.dtype == "float32" else np.complex128)
            return ProgramResult(state_vectors=states, provenance=self._told(run, program))
        return ProgramResult(expectations=self._exact(circuits, program), provenance=self._told(run, program))

    def _told(self, run: Run, program: Program) -> dict[str, Any]:
        return run.provenance(program, pennylane=self._qml.__version__)

    def _bound(self, program: Program) -> list[Circuit]:
        body, _ = program.circuit.without_final_measurements()
        names = program.circuit.parameters
        rows = program.param_matrix().tolist()
        return [body.bind(dict(zip(names, row, strict=True))) if names else body for row in rows]

    def _exact(self, circuits: Sequence[Circuit], program: Program) -> npt.NDArray[np.float64]:
        """Expectations ``(batch, n_observables)`` from those of the distinct Pauli strings."""
        strings = sorted({pauli for one in program.observables for pauli, _ in one.terms if pauli.strip("I")})
        weights = np.zeros((len(strings), len(program.observables)))
        constants = np.zeros(len(program.observables))
        for column, observable in enumerate(program.observables):
            for pauli, coefficient in observable.terms:
                if pauli.strip("I"):
                    weights[strings.index(pauli), column] += coefficient
                else:
                    constants[column] += coefficient
        if not strings:
            return np.tile(constants, (program.batch, 1))
        asked = [self._qml.expval(self._operator(pauli)) for pauli in strings]
        found = self._execute([self._tape(one, asked) for one in circuits], program)
        means = np.array([np.atleast_1d(one) for one in found], dtype=np.float64)  # (batch, n_strings)
        return means @ weights + constants

    def _operator(self, pauli: str) -> Any:
        letters = {qubit: letter for qubit, letter in enumerate(pauli) if letter != "I"}
        return self._qml.pauli.PauliWord(letters).operation()

    def _counts(self, measured: MeasuredProgram, program: Program) -> list[Mapping[str, int]]:
        """Counts of each circuit in order over its bits, bit 0 leftmost."""
        tapes, sources = [], []
        for circuit in measured.circuits:
            body, final = circuit.without_final_measurements()
            if not all(item.is_exact for item in final):
                raise UnsupportedProgramError(
                    f"Backend {self.name!r} has no readout errors in circuits; leave them out."
                )
            tapes.append(self._tape(body, [self._qml.sample(wires=range(circuit.n_qubits))], measured.shots))
            sources.append({item.bit: item.qubit for item in final})
        out: list[Mapping[str, int]] = []
        for found, source, circuit in zip(self._execute(tapes, program), sources, measured.circuits, strict=True):
            qubits = np.asarray(found, dtype=np.uint8).reshape(-1, circuit.n_qubits)  # (shots, n_qubits)
            bits = np.full((len(qubits), circuit.n_bits), ord("0"), np.uint8)
            for bit, qubit in source.items():
                bits[:, bit] += qubits[:, qubit]
            out.append(Counter(row.tobytes().decode() for row in bits))
        return out

    def _tape(self, circuit: Circuit, measurements: Sequence[Any], shots: int | None = None) -> Any:
        """A tape of a circuit without parameters and measurements of its own."""
        from superpose.frontends.pennylane import write

        with self._qml.queuing.AnnotatedQueue() as queue:
            write(circuit)()
        operations = self._qml.tape.QuantumScript.from_queue(queue).operations
        return self._qml.tape.QuantumScript(operations, measurements, shots=shots)

    def _execute(self, tapes: Sequence[Any], program: Program) -> Sequence[Any]:
        if not tapes:
            return []
        qml, options = self._qml, dict(self._options)
        if program.seed is not None and self._known:
            options.setdefault("seed", program.seed % 2**32)
        if program.dtype == "float32" and self._device.startswith("lightning"):
            options.setdefault("c_dtype", np.complex64)
        try:
            device = qml.device(self._device, wires=program.n_qubits, **options)
            found: Sequence[Any] = qml.execute(tapes, device, diff_method=None)
        except Exception as error:  # of any package behind PennyLane
            raise ProviderError(
                f"PennyLane's device {self._device!r} could not run the program: {type(error).__name__}: {error}",
                provider="pennylane",
                provider_job_id=None,
                retryable=False,
            ) from error
        return found
