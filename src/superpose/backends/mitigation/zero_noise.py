"""Zero-noise extrapolation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from superpose.backends.mitigation.extrapolation import extrapolate
from superpose.backends.mitigation.folding import fold
from superpose.backends.mitigation.variants import asks_for_expectations, capabilities_of, drawn_seed, told, variant
from superpose.circuits import Backend, Capabilities, Program, ProgramResult

__all__ = ["ZeroNoiseExtrapolation"]


class ZeroNoiseExtrapolation:
    """A backend that runs circuits folded to several times their noise and tells what would be at none.

    Args:
        backend: The noisy one.
        factors: Odd numbers, by which circuits are folded; see `fold`.
        method: "linear", "quadratic", "richardson" or "exponential"; see `extrapolate`.
        same_shots: Whether the factors share the program's shots, so that the whole costs as many as without; else each
            gets all.

    Raises:
        UnsupportedProgramError: Even factors, or too few of them for the method.

    >>> from superpose.backends import LocalBackend
    >>> from superpose.circuits import Circuit, Observable
    >>> mitigated = ZeroNoiseExtrapolation(LocalBackend())
    >>> mitigated.n_shots(Program(Circuit(1).h(0), {}, [Observable("Z")], shots=300))
    300
    """

    def __init__(
        self,
        backend: Backend,
        factors: Sequence[int] = (1, 3, 5),
        method: str = "exponential",
        *,
        same_shots: bool = True,
    ) -> None:
        from superpose.circuits import Circuit

        for factor in factors:
            fold(Circuit(1), factor)
        extrapolate(factors, np.zeros(len(factors)), method)
        self._backend, self._factors, self._method, self._same = backend, tuple(factors), method, same_shots

    @property
    def name(self) -> str:
        """The backend's name, with what is done to it."""
        return f"{self._backend.name}+zne"

    @property
    def wrapped(self) -> tuple[Backend, ...]:
        """The backend that it corrects."""
        return (self._backend,)

    def capabilities(self) -> Capabilities:
        """What the backend can do, state vectors aside."""
        return capabilities_of(self._backend)

    def n_shots(self, program: Program) -> int:
        """Return how many shots each measurement setting of each batch entry takes in all."""
        return (program.shots or 0) * (1 if self._same else len(self._factors))

    def run(self, program: Program) -> ProgramResult:
        """Run ``program`` at every factor and extrapolate each expectation.

        Raises:
            UnsupportedProgramError: It asks for no expectations, its circuit does more than gates, or there are fewer
                shots than factors.

        Cost: the sum of the factors times the gates, one run of the backend for each factor.
        """
        asks_for_expectations(program, "Zero-noise extrapolation")
        seed, n = drawn_seed(program), len(self._factors)
        results = [
            self._backend.run(variant(program, fold(program.circuit, factor), place, n, seed, share=self._same))
            for place, factor in enumerate(self._factors)
        ]
        values = np.stack([np.asarray(result.expectations) for result in results])  # (n_factors, batch, n_observables)
        found = extrapolate(self._factors, values, self._method)
        facts = {"zero_noise": {"factors": list(self._factors), "method": self._method, "measured": values.tolist()}}
        return replace(results[0], expectations=found, provenance=told(program, results, self.name, seed, facts))
