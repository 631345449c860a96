"""Readout errors, measured on the qubits that are read and taken out."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from superpose.backends.mitigation.frames import FramedCircuit, Frames
from superpose.backends.mitigation.lowering import Processor
from superpose.backends.mitigation.rows import Setting, parities, run_rows, shares, takes_shots
from superpose.backends.mitigation.variants import asks_for_expectations, capabilities_of, drawn_seed, told
from superpose.circuits import Backend, Capabilities, Circuit, Program, ProgramResult
from superpose.errors import UnsupportedProgramError

__all__ = ["ReadoutCalibrations", "ReadoutMitigation"]

KEPT = 64
FAINT = 0.02


class ReadoutMitigation:
    """A backend that divides each Pauli string by what reading leaves of it.

    Bits are flipped at random before they are read (by frames, see `FramedCircuit`), and back afterwards, so that
    reading shrinks a string and does nothing else to it. By how much is measured on the same qubits in the same way,
    starting from 0, once for each calibration of the backend; correlated errors are in it. Gates are twirled on the
    way, and their noise stays.

    Args:
        backend: The noisy one; it runs circuits as they are (`VerbatimBackend`) or has all qubits joined.
        share: Of a program's shots, for measuring the readout where that is not known yet. Errors add up least with
            ``|z| sqrt((1 - a^2)/(1 - a^2 z^2))`` shots to each of the program's, for an expectation ``z`` of which
            reading leaves the share ``a``: 0.1 at 0.3 and 0.95.
        max_rows: Most frames of a batch entry; the shots are shared evenly.

    Raises:
        UnsupportedProgramError: Settings out of range, or a backend that moves circuits.

    Source: van den Berg, Minev, Temme 2022, arXiv 2012.09738.
    """

    def __init__(self, backend: Backend, share: float = 0.1, max_rows: int = 128) -> None:
        if not 0.0 < share < 1.0:
            raise UnsupportedProgramError(f"share must be between 0 and 1, got {share!r}.")
        if isinstance(max_rows, bool) or not isinstance(max_rows, int) or max_rows < 2:
            raise UnsupportedProgramError(f"max_rows must be a whole number of at least 2, got {max_rows!r}.")
        self._backend, self._share, self._max_rows = backend, share, max_rows
        self._processor = Processor(backend)
        self._known = ReadoutCalibrations(self._processor)

    @property
    def name(self) -> str:
        """The backend's name, with what is done to it."""
        return f"{self._backend.name}+readout"

    @property
    def wrapped(self) -> tuple[Backend, ...]:
        """The backend that it corrects."""
        return (self._backend,)

    def capabilities(self) -> Capabilities:
        """What the backend can do, exact values and state vectors aside."""
        return replace(capabilities_of(self._backend), exact=False)

    def n_shots(self, program: Program) -> int:
        """Return how many shots each measurement setting of each batch entry takes at most, its share of the
        calibration included."""
        mine, theirs, each = shares(takes_shots(program, _WHAT), self._share, self._max_rows)
        return (mine + theirs) * each

    def run(self, program: Program) -> ProgramResult:
        """Run ``program``, and the calibration where it is not known, and divide.

        Raises:
            UnsupportedProgramError: It asks for no expectations or has no shots, or its circuit does more than gates.

        Cost: a submission for each measurement setting, and one more for each set of qubits that is new.
        """
        asks_for_expectations(program, _WHAT)
        mine, theirs, each = shares(takes_shots(program, _WHAT), self._share, self._max_rows)
        rng = np.random.default_rng(np.random.SeedSequence(seed := drawn_seed(program), spawn_key=(2**31,)))
        settings, constants = Setting.all_of(program, self._processor)
        found = np.tile(constants, (program.batch, 1))  # (batch, n_observables)
        results: list[ProgramResult] = []
        factors, calibrated = [], 0
        for setting in settings:
            framed = setting.framed
            known = self._known.known(framed)
            if not known:
                results += self._known.measure(framed, theirs * program.batch, each, rng)
                calibrated += theirs * program.batch * each
            rows = mine + theirs if known else mine
            base = framed.base(program.circuit.parameters, program.param_matrix())  # (batch, n_slots)
            frames = framed.frames(rng, rows * program.batch)
            angles = frames.angles(np.repeat(base, rows, axis=0))
            counts, ran = run_rows(self._processor, framed, angles, each, int(rng.integers(2**61)))
            signs = parities(framed, setting.strings, counts, frames).reshape(program.batch, rows, -1)
            factor = self._known.factors(framed, setting.strings)  # (n_strings,)
            found += setting.expectations(np.clip(signs.mean(axis=1) / factor, -1.0, 1.0))
            factors.append(factor.tolist())
            results += ran
        if not results:
            raise UnsupportedProgramError("All observables are constants: there is nothing to measure.")
        facts = {"readout": {"factors": factors, "calibration_shots": calibrated}}
        provenance = told(program, results, self.name, seed, facts) | {"shots": program.shots}
        return ProgramResult(expectations=found, provenance=provenance)


_WHAT = "Mitigation of readout"


class ReadoutCalibrations:
    """What reading leaves of Pauli strings, measured once for each set of qubits and calibration of the backend.

    Kept for the last 64 sets. For any number of threads.

    Args:
        processor: The backend.
    """

    def __init__(self, processor: Processor) -> None:
        self._processor = processor
        self._kept: OrderedDict[tuple[object, ...], tuple[FramedCircuit, Sequence[Mapping[str, int]], Frames]]
        self._kept = OrderedDict()
        self._lock = threading.Lock()

    def known(self, framed: FramedCircuit) -> bool:
        """Whether the readout of a circuit's measurements was measured under the backend's present calibration."""
        with self._lock:
            return self._key(framed) in self._kept

    def measure(self, framed: FramedCircuit, n_rows: int, shots: int, rng: np.random.Generator) -> list[ProgramResult]:
        """Measure the readout of a circuit's measurements in rows of shots, and return the runs' results."""
        key = self._key(framed)
        empty = FramedCircuit(_reading(framed), framed.pulse)
        frames = empty.frames(rng, n_rows)
        angles = frames.angles(empty.base((), np.zeros((1, 0))))
        counts, results = run_rows(self._processor, empty, angles, shots, int(rng.integers(2**61)))
        with self._lock:
            self._kept[key] = empty, counts, frames
            self._kept.move_to_end(key)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return results

    def factors(self, framed: FramedCircuit, strings: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
        """Return what reading leaves of each string, ``(n_strings,)``; 1 where that is lost in noise."""
        with self._lock:
            empty, counts, frames = self._kept[self._key(framed)]
        found = parities(empty, strings, counts, frames).mean(axis=0)
        return np.where(found > FAINT, found, 1.0)

    def _key(self, framed: FramedCircuit) -> tuple[object, ...]:
        return self._processor.epoch(), *((framed.qubits[item.qubit], item.bit) for item in framed.finals)


def _reading(framed: FramedCircuit) -> Circuit:
    """A circuit's measurements alone."""
    template = framed.template
    out = Circuit(template.n_qubits, "readout", n_bits=template.n_bits)
    return out.extend(item.moved(framed.qubits) for item in framed.finals)
