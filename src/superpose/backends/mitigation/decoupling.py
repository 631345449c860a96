"""Dynamical decoupling: waiting qubits are turned over and back, so that slow drifts of their frequency cancel."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from superpose.backends.emulators.scheduling import scheduled
from superpose.backends.measured import MeasuredProgram
from superpose.backends.mitigation.variants import capabilities_of, drawn_seed, told
from superpose.circuits import (
    Affine,
    Backend,
    Calibration,
    Capabilities,
    Circuit,
    Delay,
    Instruction,
    Measure,
    Operation,
    Program,
    ProgramResult,
    Reset,
    VerbatimBackend,
)
from superpose.errors import UnsupportedProgramError

__all__ = ["SEQUENCES", "DynamicalDecoupling"]

SEQUENCES: Mapping[str, str] = {"XX": "XX", "XY4": "XYXY"}
"""Pulses of each sequence; they come to nothing."""


class DynamicalDecoupling:
    """A backend that fills waiting with pulses which come to nothing.

    A wait of ``t`` becomes pulses evenly apart, half a distance before the first and behind the last; XX cancels what
    shifts a qubit's frequency slowly, XY4 errors of the pulses as well. It is a `VerbatimBackend`, so that other
    mitigations go around it: ``normalised:decoupling:NAME``.

    It pays where noise is slow against the wait: drifting frequencies, neighbours that shift each other's. Relaxation,
    and dephasing without memory, stay as they are and pulses add their own error, so emulators, which have only
    these, gain nothing.

    Args:
        backend: The noisy one, which tells its calibration and runs circuits as they are.
        sequence: A name of `SEQUENCES`.
        min_ns: Shortest wait that is filled, in nanoseconds; it must hold the pulses too.

    Raises:
        UnsupportedProgramError: An unknown sequence, or a backend that runs no circuit as it is.

    Source: Viola, Knill, Lloyd 1999, arXiv quant-ph/9809071; XY4: Maudsley 1986, J. Magn. Reson. 69, 488.
    """

    def __init__(self, backend: Backend, sequence: str = "XY4", min_ns: float = 0.0) -> None:
        if sequence not in SEQUENCES:
            raise UnsupportedProgramError(
                f"sequence must be one of {', '.join(SEQUENCES)}, got {sequence!r}.", allowed=list(SEQUENCES)
            )
        if not isinstance(backend, VerbatimBackend):
            raise UnsupportedProgramError(
                f"{backend.name} runs no circuit as it is (it has no verbatim()), so that pulses cannot be put into "
                "its waiting."
            )
        self._backend, self._pulses, self._min_ns = backend, SEQUENCES[sequence], min_ns

    @property
    def name(self) -> str:
        """The backend's name, with what is done to it."""
        return f"{self._backend.name}+decoupling"

    @property
    def wrapped(self) -> tuple[Backend, ...]:
        """The backend that it corrects."""
        return (self._backend,)

    def capabilities(self) -> Capabilities:
        """What the backend can do, exact values and state vectors aside."""
        return replace(capabilities_of(self._backend), exact=False)

    def calibration(self) -> Calibration:
        """Return the backend's latest snapshot."""
        return self._backend.calibration()

    def verbatim(self) -> Backend:
        """Return what runs circuits as they are; waiting that is in them stays."""
        return self._backend.verbatim()

    def n_shots(self, program: Program) -> int:
        """Return how many shots each measurement setting of each batch entry takes: the program's."""
        return program.shots or 0

    def transpiled(self, circuit: Circuit) -> Circuit:
        """Return the circuit over the processor's qubits, with the waiting written in and filled with pulses.

        Raises:
            UnsupportedProgramError: It cannot run there.
        """
        native, found = self._backend.transpiled(circuit), self.calibration()
        timed = scheduled(native.instructions, lambda item: _duration_ns(item, found))
        out = Circuit(native.n_qubits, circuit.name, n_bits=native.n_bits)
        for item in timed.operations:
            out.extend(self._filled(item, found) if isinstance(item, Delay) else [item])
        return out

    def run(self, program: Program) -> ProgramResult:
        """Run ``program`` with its waiting filled.

        Raises:
            UnsupportedProgramError: It has no shots or starts from a state of its own, or cannot run there.

        Cost: a run of the backend for each measurement setting.
        """
        measured, seed = MeasuredProgram(program), drawn_seed(program)
        if not measured.templates:
            raise UnsupportedProgramError("All observables are constants: there is nothing to measure.")
        columns = dict(zip(program.circuit.parameters, program.param_matrix().T, strict=True))
        by_setting, results = [], []
        for number, template in enumerate(measured.templates):
            native = self.transpiled(template)
            params = {name: columns[name] for name in native.parameters}
            counts: list[Mapping[str, int]] = []
            while len(counts) < program.batch:  # once, or for each entry where no parameter is left
                own = (seed + number * program.batch + len(counts)) % 2**62
                results.append(self.verbatim().run(Program(native, params, shots=program.shots, seed=own)))
                counts += results[-1].counts or ()
            by_setting.append(counts)
        counts = [counts[entry] for entry in range(program.batch) for counts in by_setting]
        facts = {"decoupling": {"pulses": self._pulses}}
        return measured.result(counts, told(program, results, self.name, seed, facts))

    def _filled(self, wait: Delay, calibration: Calibration) -> Iterator[Operation]:
        """A wait with pulses in it, as it is where they do not fit."""
        qubit = (wait.qubit,)
        name = next((one for one in ("x", "rx") if (one, qubit) in calibration.by_gate), None)
        pulse_ns = 0.0 if name is None else calibration.by_gate[name, qubit].duration_ns or 0.0
        apart_ns = wait.duration_ns / len(self._pulses) - pulse_ns
        if name is None or apart_ns <= 0.0 or wait.duration_ns < self._min_ns:
            yield wait
            return
        yield Delay(wait.qubit, apart_ns / 2)
        for place, letter in enumerate(self._pulses):
            if place:
                yield Delay(wait.qubit, apart_ns)
            if letter == "Y":  # X behind half a turn about Z
                yield Instruction("rz", qubit, (Affine.of(math.pi),))
            yield Instruction(name, qubit, () if name == "x" else (Affine.of(math.pi),))
        yield Delay(wait.qubit, apart_ns / 2)


def _duration_ns(item: Operation, calibration: Calibration) -> float:
    """How long an operation takes, as calibrated; 0 where nobody measured it."""
    if isinstance(item, Instruction):
        row = calibration.by_gate.get((item.gate, item.qubits))
        return (row.duration_ns or 0.0) if row is not None else 0.0
    if isinstance(item, Delay):
        return item.duration_ns
    if isinstance(item, Measure | Reset):
        return max((calibration.qubits[qubit].readout_ns or 0.0 for qubit in item.qubits), default=0.0)
    return 0.0
