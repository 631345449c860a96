"""Pauli twirling: noise of two-qubit gates made to average to Pauli errors."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt

from superpose.backends.mitigation.variants import asks_for_expectations, capabilities_of, drawn_seed, told, variant
from superpose.circuits import Backend, Capabilities, Circuit, Instruction, Operation, Program, ProgramResult, gate
from superpose.errors import UnsupportedProgramError

__all__ = ["PauliTwirling", "twirled"]

_PAULIS = {
    "id": np.eye(2),
    "x": np.array([[0, 1], [1, 0]]),
    "y": np.array([[0, -1j], [1j, 0]]),
    "z": np.diag([1, -1]),
}
_PAIRS = tuple((a, b) for a in _PAULIS for b in _PAULIS)


def twirled(circuit: Circuit, rng: np.random.Generator) -> Circuit:
    """Return the circuit with random Paulis before each two-qubit Clifford gate and those behind it that undo them.

    The same unitary up to its global phase. Gates that are no Clifford gates are left as they are.

    Raises:
        UnsupportedProgramError: The circuit does more than gates, barriers, delays and final measurements.

    Source: Wallman and Emerson 2016, arXiv 1512.01098.

    Cost: linear in the circuit.
    """
    body, finals = circuit.without_final_measurements()
    body.gate_calls()
    out = Circuit(circuit.n_qubits, circuit.name, n_bits=circuit.n_bits)
    for item in body.instructions:
        rows = _rows(item)
        if rows is None:
            out.extend([item])
            continue
        place = int(rng.integers(len(_PAIRS)))
        for before, qubit in zip(_PAIRS[place], item.qubits, strict=True):
            _add(out, before, qubit)
        out.extend([item])
        for behind, qubit in zip(rows[place], item.qubits, strict=True):
            _add(out, behind, qubit)
    return out.extend(finals)


class PauliTwirling:
    """A backend that runs several twirled variants of each circuit and takes the mean of their expectations.

    Errors that add up in amplitude (a gate turned too far, each time the same way) become errors that add up in
    probability; the mean error of deep circuits falls, and extrapolation fits better: put it inside
    `ZeroNoiseExtrapolation`.

    Args:
        backend: The noisy one.
        n_variants: How many variants share the program's shots.
        same_shots: Whether they share them, so that the whole costs as many as without; else each gets all.

    Raises:
        UnsupportedProgramError: Fewer than one variant.
    """

    def __init__(self, backend: Backend, n_variants: int = 16, *, same_shots: bool = True) -> None:
        if isinstance(n_variants, bool) or not isinstance(n_variants, int) or n_variants < 1:
            raise UnsupportedProgramError(f"n_variants must be a whole number of at least 1, got {n_variants!r}.")
        self._backend, self._n, self._same = backend, n_variants, same_shots

    @property
    def name(self) -> str:
        """The backend's name, with what is done to it."""
        return f"{self._backend.name}+twirling"

    @property
    def wrapped(self) -> tuple[Backend, ...]:
        """The backend that it corrects."""
        return (self._backend,)

    def capabilities(self) -> Capabilities:
        """What the backend can do, state vectors aside."""
        return capabilities_of(self._backend)

    def n_shots(self, program: Program) -> int:
        """Return how many shots each measurement setting of each batch entry takes in all."""
        return (program.shots or 0) * (1 if self._same else self._n)

    def run(self, program: Program) -> ProgramResult:
        """Run the variants of ``program`` and return the mean of their expectations.

        Raises:
            UnsupportedProgramError: It asks for no expectations, its circuit does more than gates, or there are fewer
                shots than variants.

        Cost: one run of the backend for each variant.
        """
        asks_for_expectations(program, "Pauli twirling")
        seed = drawn_seed(program)
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2**31,)))
        results = [
            self._backend.run(variant(program, twirled(program.circuit, rng), place, self._n, seed, share=self._same))
            for place in range(self._n)
        ]
        mean = np.mean([np.asarray(result.expectations) for result in results], axis=0)  # (batch, n_observables)
        facts = {"pauli_twirling": {"n_variants": self._n}}
        return replace(results[0], expectations=mean, provenance=told(program, results, self.name, seed, facts))


def _rows(item: Operation) -> tuple[tuple[str, str], ...] | None:
    """What undoes each pair of Paulis before an operation; None where it is not twirled."""
    if isinstance(item, Instruction) and len(item.qubits) == 2 and not item.angles:
        return _undone(item.gate)
    return None


@cache
def _undone(name: str) -> tuple[tuple[str, str], ...] | None:
    """For each pair of Paulis before a gate, the pair behind it that undoes them; None for what is no Clifford gate."""
    matrix = np.asarray(gate(name).matrix(), np.complex128)
    out = []
    for a, b in _PAIRS:
        moved = matrix @ np.kron(_PAULIS[a], _PAULIS[b]) @ matrix.conj().T
        found = next(
            (pair for pair in _PAIRS if _equal_up_to_phase(moved, np.kron(_PAULIS[pair[0]], _PAULIS[pair[1]]))), None
        )
        if found is None:
            return None
        out.append(found)
    return tuple(out)


def _equal_up_to_phase(a: npt.NDArray[np.complex128], b: npt.NDArray[np.complex128]) -> bool:
    return bool(abs(abs(np.trace(a.conj().T @ b)) - len(a)) < 1e-9)


def _add(circuit: Circuit, pauli: str, qubit: int) -> None:
    if pauli != "id":
        circuit.append(pauli, [qubit])
