"""A calibrated processor, emulated on this machine's engine."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np

from superpose import __version__
from superpose.backends.admission import MAX_SHOTS
from superpose.backends.emulators.lowering import LoweredTemplate
from superpose.backends.emulators.noise import NoiseOfCalibration
from superpose.backends.emulators.placing import Placer
from superpose.backends.emulators.scheduling import scheduled
from superpose.backends.emulators.verbatim import VerbatimEmulator
from superpose.backends.fitting import require_fit
from superpose.backends.local import LocalBackend
from superpose.circuits import (
    Calibration,
    Capabilities,
    Circuit,
    Estimate,
    Pricing,
    Program,
    ProgramExecutable,
    ProgramResult,
    Template,
)
from superpose.engine.dynamic.choice import MAX_DENSITY_QUBITS
from superpose.errors import UnsupportedProgramError

__all__ = ["EmulatedBackend"]

KEPT = 256
MAX_READ_QUBITS = 12
"""Most qubits that a Pauli string of an exact expectation acts on: readout errors make ``2**n`` strings of it."""


class EmulatedBackend:
    """A processor as its calibration describes it, on this machine's noise engine. For any number of threads.

    A circuit is put in the processor's own gates on its own qubits (Qiskit's transpiler, seeded), scheduled as late as
    possible, and each gate, each wait and each readout errs as calibrated; see
    `superpose.backends.emulators.noise.NoiseOfCalibration`. Only the qubits in use are simulated: up to 12 as a density
    matrix, more by a trajectory for each shot. Expectations without shots are what estimates from shots come to with
    ever more shots, readout errors included.

    Placement and compiled circuits are kept for the last 256 templates, so that new values for the parameters cost the
    simulation alone.

    Args:
        name: What `superpose.run` takes.
        read: Reads the calibration, when it is first needed.

    >>> from datetime import UTC, datetime
    >>> from superpose.circuits import Circuit, GateCalibration, QubitCalibration
    >>> rows = tuple(GateCalibration(gate=gate, qubits=(0,), error=0.01) for gate in ("rz", "sx"))
    >>> one = Calibration(backend="mine", taken_at=datetime.now(UTC), qubits=(QubitCalibration(flip0=0.1),), gates=rows)
    >>> EmulatedBackend("mine", lambda: one).calibration().n_qubits
    1
    """

    def __init__(self, name: str, read: Callable[[], Calibration]) -> None:
        self._name, self._read = name, read
        self._lowered: OrderedDict[Any, LoweredTemplate] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """What `superpose.run` takes, "emulator:ibm_fez"."""
        return self._name

    @property
    def region(self) -> str:
        """The region "here": this machine."""
        return "here"

    def __repr__(self) -> str:
        return f"EmulatedBackend({self._name!r})"

    def calibration(self) -> Calibration:
        """Return the snapshot that is emulated.

        Raises:
            CalibrationError: It cannot be read.
        """
        return self._calibration

    @cached_property
    def _calibration(self) -> Calibration:
        return self._read()

    @cached_property
    def _placer(self) -> Placer:
        return Placer(self._calibration)

    @cached_property
    def _noise(self) -> NoiseOfCalibration:
        return NoiseOfCalibration(self._calibration)

    def capabilities(self) -> Capabilities:
        """Return what the emulator can do: as many qubits as the processor has and this machine can simulate."""
        found, here = self._calibration, LocalBackend().capabilities()
        return Capabilities(
            max_qubits=min(found.n_qubits, here.max_qubits or found.n_qubits),
            max_shots=MAX_SHOTS,
            exact=True,
            simulator=True,
            mid_circuit=True,
            reset=True,
            feed_forward=True,
            parametric=True,
            native_gates=found.native_gates,
            connectivity=found.connectivity,
            pricing=Pricing(as_of=found.taken_at.date(), source="this machine"),
        )

    def lowered(self, template: Template) -> LoweredTemplate:
        """Return a template on the processor: which qubits, in which gates, how long, with which noise.

        Equal ones are placed once, as long as they are among the last 256. Values and precision do not matter.

        Raises:
            ToolkitMissingError, UnsupportedProgramError: See `run`.
        """
        key = template.circuit.digest, template.observables
        with self._lock:
            found = self._lowered.get(key)
            if found is not None:
                self._lowered.move_to_end(key)
                return found
        found = LoweredTemplate(template.circuit, template.observables, self._placer, self._noise)
        with self._lock:
            found = self._lowered.setdefault(key, found)
            if len(self._lowered) > KEPT:
                self._lowered.popitem(last=False)
        return found

    def transpiled(self, circuit: Circuit) -> Circuit:
        """Return the circuit over all qubits of the processor, in native gates, with the waiting written in as delays.

        Raises:
            ToolkitMissingError, UnsupportedProgramError: See `run`.
        """
        if circuit.n_bits:
            operations = self.lowered(Template(circuit)).settings[0].placed.operations
        else:
            operations = scheduled(self._placer.place(circuit).instructions, self._noise.duration_ns).operations
        return Circuit(self._calibration.n_qubits, circuit.name, n_bits=circuit.n_bits).extend(operations)

    def verbatim(self) -> VerbatimEmulator:
        """Return the processor without its compiler: it runs what `transpiled` gives as it is."""
        return self._verbatim

    @cached_property
    def _verbatim(self) -> VerbatimEmulator:
        return VerbatimEmulator(self._name, self._noise, self.capabilities())

    def compile(self, template: Template) -> ProgramExecutable:
        """Return ``template`` placed and ready to run; equal templates are placed once.

        Raises:
            ToolkitMissingError, UnsupportedProgramError: See `run`.
        """
        _ = self.lowered(template)
        return ProgramExecutable(template, self)

    def estimate(self, program: Program) -> Estimate:
        """Return what a run gives: the probability that a shot is free of errors, from gates, waiting and readout.

        It is free and begins at once; how long this machine takes is not told. ``notes`` say how long a shot takes on
        the processor, its two-qubit gates and qubits.

        Raises:
            ToolkitMissingError, UnsupportedProgramError: See `run`.
        """
        require_fit(program, self.capabilities(), self._name)
        lowered = self.lowered(Template(program.circuit, program.observables))
        notes = {
            "calibration": self._calibration.epoch,
            "shot_ns": lowered.duration_ns,
            "two_qubit_gates": max((one.placed.n_two_qubit_gates for one in lowered.settings), default=0),
            "qubits": [list(one.placed.qubits) for one in lowered.settings],
        }
        return Estimate(fidelity=lowered.fidelity, price_usd=0.0, wait_s=0.0, notes=notes)

    def run(self, program: Program) -> ProgramResult:
        """Run ``program``; see `Program` for what comes back.

        Raises:
            UnsupportedProgramError: It asks for state vectors, starts from a state or has noise of its own; or it asks
                for exact expectations where a density matrix does not fit (12 qubits).
            StateTooLargeError: It needs more memory than there is.
            ToolkitMissingError: Qiskit, whose transpiler places circuits, is not installed.

        Cost: the first time of a template some 0.1 s to place and compile it, then a noisy simulation of the qubits in
        use for each batch entry and measurement setting: some milliseconds for 5 qubits.
        """
        require_fit(program, self.capabilities(), self._name)
        started_at, started = datetime.now(UTC), time.perf_counter()
        lowered = self.lowered(Template(program.circuit, program.observables))
        rows, shots, seed = program.param_matrix(), program.shots, program.seed
        if shots is not None and seed is None:
            seed = int(np.random.default_rng().integers(2**63 - 1))
        parts: dict[str, Any]
        if shots is None:
            self._require_density(program, lowered)
            parts = {"expectations": lowered.exact(rows)}
        elif program.observables:
            parts = {"expectations": lowered.estimated(rows, shots, seed or 0, program.dtype)}
        else:
            parts = {"counts": lowered.counts(rows, shots, seed or 0, program.dtype)}
        provenance: dict[str, Any] = {
            "backend": self._name,
            "version": __version__,
            "dtype": program.dtype,
            "shots": shots,
            "seed": seed,
            "started_at": started_at.isoformat(),
            "elapsed_s": time.perf_counter() - started,
            "program_digest": program.digest,
            "calibration": self._calibration.epoch,
            "qubits": [list(setting.placed.qubits) for setting in lowered.settings],
            "fidelity": lowered.fidelity,
        }
        if program.observables:
            provenance["measured_bases"] = lowered.bases
        return ProgramResult(**parts, provenance=provenance)

    def _require_density(self, program: Program, lowered: LoweredTemplate) -> None:
        most = max((len(setting.placed.qubits) for setting in lowered.settings), default=1)
        widest = max((len(p) - p.count("I") for o in program.observables for p, _ in o.terms), default=0)
        if most > MAX_DENSITY_QUBITS or widest > MAX_READ_QUBITS:
            raise UnsupportedProgramError(
                f"{self._name} gives exact expectations of circuits on at most {MAX_DENSITY_QUBITS} of its qubits, "
                f"this one takes {most}; give shots.",
                backend=self._name,
                allowed=MAX_DENSITY_QUBITS,
                got=most,
            )
