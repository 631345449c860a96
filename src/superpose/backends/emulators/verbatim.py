"""An emulated processor that takes circuits on its own qubits as they are."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from superpose import __version__
from superpose.backends.emulators.lowering import LoweredTemplate
from superpose.backends.emulators.noise import NoiseOfCalibration
from superpose.backends.fitting import require_fit
from superpose.circuits import Calibration, Capabilities, Circuit, Instruction, Program, ProgramResult, walk
from superpose.errors import UnsupportedProgramError

__all__ = ["VerbatimEmulator"]

KEPT = 64


class VerbatimEmulator:
    """The processor of an `EmulatedBackend` without its compiler. For any number of threads.

    Circuits are over all its qubits, in its native gates, and measure into bits of their own; those in use are
    simulated. Waiting is written in again, beside the delays that are there.

    Args:
        name: Of the emulator.
        noise: Of the processor.
        able: What the emulator can do.
    """

    def __init__(self, name: str, noise: NoiseOfCalibration, able: Capabilities) -> None:
        self._name, self._noise, self._able = name, noise, able
        self._lowered: OrderedDict[str, LoweredTemplate] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The emulator's name."""
        return self._name

    def __repr__(self) -> str:
        return f"VerbatimEmulator({self._name!r})"

    def capabilities(self) -> Capabilities:
        """What the emulator can do, on all the processor's qubits and for counts alone."""
        return replace(
            self._able,
            max_qubits=self._noise.calibration.n_qubits,
            exact=False,
            gates=self._noise.calibration.native_gates,
        )

    def run(self, program: Program) -> ProgramResult:
        """Run ``program`` as it is.

        Raises:
            UnsupportedProgramError: It asks for other than counts of its circuit's own bits, or a gate is not
                calibrated on its qubits.
            StateTooLargeError: The qubits in use need more memory than there is.

        Cost: see `EmulatedBackend.run`, without placing.
        """
        require_fit(program, self.capabilities(), self._name)
        circuit, shots = program.circuit, program.shots
        if shots is None or program.observables or not circuit.n_bits:
            raise UnsupportedProgramError(
                f"{self._name} runs circuits as they are for counts of the bits they measure into; give shots and "
                "measurements, and no observables."
            )
        started_at, started = datetime.now(UTC), time.perf_counter()
        lowered = self._lower(circuit)
        seed = int(np.random.default_rng().integers(2**63 - 1)) if program.seed is None else program.seed
        counts = lowered.counts(program.param_matrix(), shots, seed, program.dtype)
        provenance: dict[str, Any] = {
            "backend": self._name,
            "version": __version__,
            "dtype": program.dtype,
            "shots": shots,
            "seed": seed,
            "started_at": started_at.isoformat(),
            "elapsed_s": time.perf_counter() - started,
            "program_digest": program.digest,
            "calibration": self._noise.calibration.epoch,
            "qubits": [list(lowered.settings[0].placed.qubits)],
            "fidelity": lowered.fidelity,
        }
        return ProgramResult(counts=counts, provenance=provenance)

    def _lower(self, circuit: Circuit) -> LoweredTemplate:
        key = circuit.digest
        with self._lock:
            found = self._lowered.get(key)
            if found is not None:
                self._lowered.move_to_end(key)
                return found
        found = LoweredTemplate(circuit, (), AsItIs(self._noise.calibration), self._noise)
        with self._lock:
            found = self._lowered.setdefault(key, found)
            if len(self._lowered) > KEPT:
                self._lowered.popitem(last=False)
        return found


class AsItIs:
    """Leaves circuits on a processor's qubits where they are.

    Args:
        calibration: Of the processor.
    """

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration

    def place(self, circuit: Circuit) -> Circuit:
        """Return the circuit itself.

        Raises:
            UnsupportedProgramError: It is over another number of qubits, or a gate is not calibrated on its qubits.
        """
        found = self.calibration
        if circuit.n_qubits != found.n_qubits:
            raise UnsupportedProgramError(
                f"A circuit that runs as it is on {found.backend} is over its {found.n_qubits} qubits, got "
                f"{circuit.n_qubits}; transpiled() gives one.",
                allowed=found.n_qubits,
                got=circuit.n_qubits,
            )
        for item in walk(circuit.instructions):
            if isinstance(item, Instruction) and (item.gate, item.qubits) not in found.by_gate:
                raise UnsupportedProgramError(
                    f"{found.backend} has no {item.gate} on qubits {item.qubits}, and the circuit is to run as it is; "
                    "transpiled() gives one that can."
                )
        return circuit
