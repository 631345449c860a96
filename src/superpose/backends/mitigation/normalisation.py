"""Expectations divided by how far Clifford circuits with the same pulses have shrunk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from superpose.backends.mitigation.lowering import Processor
from superpose.backends.mitigation.references import references
from superpose.backends.mitigation.rows import Setting, parities, run_rows, shares, takes_shots
from superpose.backends.mitigation.variants import asks_for_expectations, capabilities_of, drawn_seed, told
from superpose.circuits import Backend, Capabilities, Program, ProgramResult
from superpose.errors import UnsupportedProgramError

__all__ = ["CliffordNormalisation"]

FAINT = 0.02
"""A factor below this is noise: what has shrunk so far cannot be told."""


class CliffordNormalisation:
    """A backend that divides each Pauli string by what is left of it in Clifford circuits with the same pulses.

    The circuit is placed once; all else are values of its turns about Z, so it is one submission for each measurement
    setting. Rows of the program, in random Pauli frames (which twirl the noise of gates, waits and readout), stand
    beside rows of references (see `references`), whose values are known to be 1 or -1 whatever the number of qubits.
    What these have shrunk to holds gates, waits and readout together.

    Args:
        backend: The noisy one; it runs circuits as they are (`VerbatimBackend`) or has all qubits joined.
        share: Of the shots, for references. They are best shared as errors of the two add up least: for expectations
            ``z`` whose strings shrink to ``f``, about ``sqrt((1 - f^2) z^2 / ((1 - f^2 z^2) d))`` to 1, where ``d`` is
            the share of references that say something about a string.
        max_rows: Most rows of a batch entry together; the shots are shared evenly.

    Raises:
        UnsupportedProgramError: Settings out of range, or a backend that moves circuits.

    Source: Urbanek et al. 2021, arXiv 2103.08591 (references with the circuit's own CX); frames: Wallman and Emerson
        2016, arXiv 1512.01098; van den Berg, Minev, Temme 2022, arXiv 2012.09738 (readout).

    >>> from superpose.backends import LocalBackend
    >>> CliffordNormalisation(LocalBackend()).name
    'local+normalised'
    """

    def __init__(self, backend: Backend, share: float = 0.25, max_rows: int = 256) -> None:
        if not 0.0 < share < 1.0:
            raise UnsupportedProgramError(f"share must be between 0 and 1, got {share!r}.")
        if isinstance(max_rows, bool) or not isinstance(max_rows, int) or max_rows < 2:
            raise UnsupportedProgramError(f"max_rows must be a whole number of at least 2, got {max_rows!r}.")
        self._backend, self._share, self._max_rows = backend, share, max_rows
        self._processor = Processor(backend)

    @property
    def name(self) -> str:
        """The backend's name, with what is done to it."""
        return f"{self._backend.name}+normalised"

    @property
    def wrapped(self) -> tuple[Backend, ...]:
        """The backend that it corrects."""
        return (self._backend,)

    def capabilities(self) -> Capabilities:
        """What the backend can do, exact values and state vectors aside."""
        return replace(capabilities_of(self._backend), exact=False)

    def n_shots(self, program: Program) -> int:
        """Return how many shots each measurement setting of each batch entry takes at most, references included."""
        mine, theirs, each = shares(takes_shots(program, _WHAT), self._share, self._max_rows)
        return (mine + theirs) * each

    def run(self, program: Program) -> ProgramResult:
        """Run ``program`` among its references and divide.

        Raises:
            UnsupportedProgramError: It asks for no expectations or has no shots, or its circuit does more than gates.

        Cost: one submission for each measurement setting, or as many as the backend's largest batch asks for.
        """
        asks_for_expectations(program, _WHAT)
        mine, theirs, each = shares(takes_shots(program, _WHAT), self._share, self._max_rows)
        seed = drawn_seed(program)
        settings, constants = Setting.all_of(program, self._processor)
        found = np.tile(constants, (program.batch, 1))  # (batch, n_observables)
        results: list[ProgramResult] = []
        factors = []
        for number, setting in enumerate(settings):
            own = np.random.SeedSequence(seed, spawn_key=(number,))
            values, factor, ran = self._run(setting, program, (mine, theirs, each), own)
            found += setting.expectations(values)
            factors.append(factor.tolist())
            results += ran
        facts = {"normalisation": {"rows": mine, "references": theirs, "shots_of_a_row": each, "factors": factors}}
        if not results:
            raise UnsupportedProgramError("All observables are constants: there is nothing to measure.")
        provenance = told(program, results, self.name, seed, facts) | {"shots": program.shots}
        return ProgramResult(expectations=found, provenance=provenance)

    def _run(
        self, setting: Setting, program: Program, numbers: tuple[int, int, int], seed: np.random.SeedSequence
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], list[ProgramResult]]:
        """The strings' values and factors, ``(batch, n_strings)``, and the runs."""
        (mine, theirs, each), framed = numbers, setting.framed
        rng = np.random.default_rng(seed)
        base = framed.base(program.circuit.parameters, program.param_matrix())  # (batch, n_slots)
        likes = [references(framed, one[None], setting.on_qubits, theirs, rng) for one in base]
        angles = np.concatenate(
            [np.concatenate([np.tile(one, (mine, 1)), like.angles()]) for one, like in zip(base, likes, strict=True)]
        )
        frames = framed.frames(rng, len(angles))
        counts, results = run_rows(self._processor, framed, frames.angles(angles), each, int(rng.integers(2**61)))
        signs = parities(framed, setting.strings, counts, frames)  # (rows, n_strings)
        values, factors, start = [], [], 0
        for like in likes:
            behind = start + mine
            end = behind + len(like.turns)
            factor = _factors(signs[behind:end], like.values, setting.strings)
            values.append(np.clip(signs[start:behind].mean(axis=0) / factor, -1.0, 1.0))
            factors.append(factor)
            start = end
        return np.array(values), np.array(factors), results


_WHAT = "Normalisation by Clifford circuits"


def _factors(
    signs: npt.NDArray[np.float64], values: npt.NDArray[np.int8], strings: tuple[tuple[int, ...], ...]
) -> npt.NDArray[np.float64]:
    """What is left of each string, ``(n_strings,)``.

    A string about which no reference says anything, or whose factor is lost in noise, gets the mean of those on as many
    qubits, or of all.
    """
    known = np.abs(values).sum(axis=0)  # (n_strings,)
    raw = (signs * values).sum(axis=0) / np.maximum(known, 1)
    good = (known > 0) & (raw > FAINT)
    out = np.where(good, raw, 1.0)
    sizes = np.array([len(string) for string in strings])
    for column in np.flatnonzero(~good):
        like = good & (sizes == sizes[column])
        like = like if like.any() else good
        if like.any():
            out[column] = raw[like].mean()
    return out
