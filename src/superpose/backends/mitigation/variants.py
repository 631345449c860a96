"""What all mitigations do: run variants of a program with shares of its shots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from superpose.circuits import Backend, Capabilities, Circuit, Program, ProgramResult
from superpose.errors import UnsupportedProgramError

__all__ = ["MitigatedBackend", "asks_for_expectations", "capabilities_of", "drawn_seed", "told", "variant"]


@runtime_checkable
class MitigatedBackend(Backend, Protocol):
    """A backend that says what its mitigation takes before it runs."""

    def n_shots(self, program: Program) -> int:
        """Return how many shots each measurement setting of each batch entry takes at most."""
        ...


def asks_for_expectations(program: Program, what: str) -> None:
    """Check that a program asks for what can be mitigated.

    Raises:
        UnsupportedProgramError: It asks for counts or state vectors.
    """
    if not program.observables:
        raise UnsupportedProgramError(f"{what} corrects expectations; give observables, or run without it.")


def capabilities_of(backend: Backend) -> Capabilities:
    """What a mitigated backend can do: what the backend can, but no states."""
    return replace(backend.capabilities(), state_vectors=False)


def drawn_seed(program: Program) -> int:
    """The program's seed, or a new one."""
    return int(np.random.default_rng().integers(2**62)) if program.seed is None else program.seed


def variant(program: Program, circuit: Circuit, place: int, n_variants: int, seed: int, *, share: bool) -> Program:
    """The program with another circuit, a seed of its own and, where shots are shared, its share of them.

    Raises:
        UnsupportedProgramError: There are fewer shots than variants.
    """
    shots = program.shots
    if shots is not None and share:
        if shots < n_variants:
            raise UnsupportedProgramError(
                f"{shots} shots cannot be shared by {n_variants} circuits; give at least {n_variants}, or take "
                "same_shots=False."
            )
        shots = shots // n_variants + (place < shots % n_variants)
    own = int(np.random.SeedSequence(seed, spawn_key=(place,)).generate_state(1, np.uint64)[0] >> 2)
    return replace(program, circuit=circuit, shots=shots, seed=own)


def told(
    program: Program, results: list[ProgramResult], backend: str, seed: int, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Provenance of a mitigated result: the first run's, with what all runs took together."""
    first = dict(results[0].provenance)
    out = {**first, "backend": backend, "seed": seed, "program_digest": program.digest, "mitigation": dict(facts)}
    for name in ("elapsed_s", "cost_usd"):
        parts = [result.provenance.get(name) for result in results]
        if all(isinstance(part, int | float) for part in parts):
            out[name] = sum(parts)
    return out
