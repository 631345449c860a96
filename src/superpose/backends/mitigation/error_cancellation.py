"""Probabilistic error cancellation: Paulis drawn so that, with signs, they undo the errors that a calibration tells."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from superpose.backends.mitigation.frames import FramedCircuit
from superpose.backends.mitigation.lowering import Processor
from superpose.backends.mitigation.readout import ReadoutCalibrations
from superpose.backends.mitigation.rows import Setting, parities, run_rows, shares, takes_shots
from superpose.backends.mitigation.variants import asks_for_expectations, capabilities_of, drawn_seed, told
from superpose.circuits import (
    Backend,
    CalibratedBackend,
    Calibration,
    Capabilities,
    Delay,
    Instruction,
    Program,
    ProgramResult,
)
from superpose.errors import UnsupportedProgramError

__all__ = ["ProbabilisticErrorCancellation"]

LEAST = 0.05
"""Errors that leave less than this of a Pauli string are not undone further."""
_COMMUTE = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]], np.float64)
"""1 where two Paulis commute, -1 else; by code: I, X, Z, Y."""


class _Undoing(NamedTuple):
    """What undoes the error behind an event: Paulis with signed weights that add up to 1."""

    number: int
    n_qubits: int
    weights: npt.NDArray[np.float64]  # (4**n_qubits,)


class ProbabilisticErrorCancellation:
    """A backend that undoes errors on average, by Paulis put in at random and counted with signs.

    The errors are those of the backend's calibration: depolarisation behind each gate of its average infidelity,
    relaxation while qubits wait. The Paulis ride on the frames that twirl the noise (see `FramedCircuit`): they cost
    no pulse, and all rows are one submission. Readout is measured and taken out as by `ReadoutMitigation`. Without bias
    as far as the calibration is right; the price is variance, ``overhead`` times the shots for the same error.

    Args:
        backend: The noisy one; it tells its calibration and runs circuits as they are.
        same_shots: Whether the program's shots are all; else ``overhead`` times as many are taken.
        max_rows: Most draws of a batch entry; the shots are shared evenly. Few shots to a draw are best.
        share: Of the shots, for measuring the readout where it is not known.

    Raises:
        UnsupportedProgramError: The backend does not tell its calibration or moves circuits, or settings out of range.

    Source: Temme, Bravyi, Gambetta 2017, arXiv 1612.02058; of Pauli noise: van den Berg, Minev, Kandala, Temme 2023,
        arXiv 2201.09866.
    """

    def __init__(self, backend: Backend, *, same_shots: bool = True, max_rows: int = 4096, share: float = 0.05) -> None:
        if not isinstance(backend, CalibratedBackend):
            raise UnsupportedProgramError(
                f"{backend.name} tells no calibration, so that its errors are not known; take CliffordNormalisation."
            )
        if not 0.0 < share < 1.0 or isinstance(max_rows, bool) or not isinstance(max_rows, int) or max_rows < 2:
            raise UnsupportedProgramError(
                f"share must be between 0 and 1 and max_rows at least 2, got {share!r} and {max_rows!r}."
            )
        self._backend, self._same, self._max_rows, self._share = backend, same_shots, max_rows, share
        self._calibrated: CalibratedBackend = backend
        self._processor = Processor(backend)
        self._readout = ReadoutCalibrations(self._processor)

    @property
    def name(self) -> str:
        """The backend's name, with what is done to it."""
        return f"{self._backend.name}+pec"

    @property
    def wrapped(self) -> tuple[Backend, ...]:
        """The backend that it corrects."""
        return (self._backend,)

    def capabilities(self) -> Capabilities:
        """What the backend can do, exact values and state vectors aside."""
        return replace(capabilities_of(self._backend), exact=False)

    def overhead(self, program: Program) -> float:
        """Return how many times the shots give the same error as without noise: the square of the weights' sum, of the
        worst measurement setting. Nothing is run."""
        settings, _ = Setting.all_of(program, self._processor)
        calibration = self._calibrated.calibration()
        return max((_gamma(_undoings(one.framed, calibration)) ** 2 for one in settings), default=1.0)

    def n_shots(self, program: Program) -> int:
        """Return how many shots each measurement setting of each batch entry takes at most, before anything is run."""
        mine, theirs, each = self._shares(program)
        return (mine + theirs) * each

    def run(self, program: Program) -> ProgramResult:
        """Run ``program`` with Paulis drawn for each row, and count them with their signs.

        Raises:
            UnsupportedProgramError: It asks for no expectations or has no shots, or its circuit does more than gates.

        Cost: a submission for each measurement setting, and one more for each set of qubits that is new.
        """
        asks_for_expectations(program, _WHAT)
        mine, theirs, each = self._shares(program)
        rng = np.random.default_rng(np.random.SeedSequence(seed := drawn_seed(program), spawn_key=(2**31,)))
        settings, constants = Setting.all_of(program, self._processor)
        found = np.tile(constants, (program.batch, 1))  # (batch, n_observables)
        results: list[ProgramResult] = []
        gammas = []
        for setting in settings:
            framed = setting.framed
            if not self._readout.known(framed):
                results += self._readout.measure(framed, theirs * program.batch, each, rng)
            undoings = _undoings(framed, self._calibrated.calibration())
            inserted, signs = _drawn(undoings, mine * program.batch, rng)
            base = framed.base(program.circuit.parameters, program.param_matrix())  # (batch, n_slots)
            frames = framed.frames(rng, mine * program.batch, inserted)
            angles = frames.angles(np.repeat(base, mine, axis=0))
            counts, ran = run_rows(self._processor, framed, angles, each, int(rng.integers(2**61)))
            read = parities(framed, setting.strings, counts, frames) * signs[:, None]  # (rows, n_strings)
            gammas.append(_gamma(undoings))
            mean = gammas[-1] * read.reshape(program.batch, mine, -1).mean(axis=1)  # (batch, n_strings)
            values = mean / self._readout.factors(framed, setting.strings)
            found += setting.expectations(np.clip(values, -1.0, 1.0))
            results += ran
        if not results:
            raise UnsupportedProgramError("All observables are constants: there is nothing to measure.")
        facts = {"error_cancellation": {"gammas": gammas, "rows": mine, "shots_of_a_row": each}}
        provenance = told(program, results, self.name, seed, facts) | {"shots": program.shots}
        return ProgramResult(expectations=found, provenance=provenance)

    def _shares(self, program: Program) -> tuple[int, int, int]:
        shots = takes_shots(program, _WHAT)
        wanted = shots if self._same else math.ceil(shots * self.overhead(program))
        return shares(wanted, self._share, self._max_rows)


_WHAT = "Probabilistic error cancellation"


def _undoings(framed: FramedCircuit, calibration: Calibration) -> list[_Undoing]:
    """What undoes each error that the calibration tells."""
    out = []
    for number, event in enumerate(framed.events):
        left: npt.NDArray[np.float64]  # of each Pauli string behind the event
        if isinstance(event, Delay):
            row = calibration.qubits[framed.qubits[event.qubit]]
            t1 = row.t1_us * 1e3 if row.t1_us else math.inf
            t2 = min(row.t2_us * 1e3 if row.t2_us else math.inf, 2.0 * t1)
            across, along = math.exp(-event.duration_ns / t2), math.exp(-event.duration_ns / t1)
            left, n_qubits = np.array([1.0, across, along, across]), 1
        elif isinstance(event, int | Instruction):
            what = framed.slots[event] if isinstance(event, int) else event
            qubits = tuple(framed.qubits[place] for place in what.qubits)
            found = calibration.by_gate.get((what.gate, qubits))
            n_qubits = len(qubits)
            infidelity = (found.error or 0.0) if found is not None else 0.0
            left = np.full(4**n_qubits, 1.0 - infidelity * 2**n_qubits / (2**n_qubits - 1))
            left[0] = 1.0
        else:
            continue
        if left.min() < 1.0:
            signs = _COMMUTE if n_qubits == 1 else np.kron(_COMMUTE, _COMMUTE)
            out.append(_Undoing(number, n_qubits, signs @ (1.0 / np.maximum(left, LEAST)) / len(left)))
    return out


def _gamma(undoings: list[_Undoing]) -> float:
    """The sum of the absolute weights of all draws."""
    return math.prod(float(np.abs(one.weights).sum()) for one in undoings)


def _drawn(
    undoings: list[_Undoing], n_rows: int, rng: np.random.Generator
) -> tuple[dict[int, npt.NDArray[np.int8]], npt.NDArray[np.float64]]:
    """Paulis of each row behind each event, and the rows' signs, ``(n_rows,)``."""
    signs = np.ones(n_rows)
    inserted = {}
    for one in undoings:
        sizes = np.abs(one.weights)
        codes = rng.choice(len(sizes), n_rows, p=sizes / sizes.sum())
        signs *= np.sign(one.weights[codes])
        columns = [codes] if one.n_qubits == 1 else [codes >> 2, codes & 3]
        inserted[one.number] = np.stack(columns, axis=1).astype(np.int8)  # (n_rows, n_qubits)
    return inserted, signs
