"""What is differentiated, and how exactly: the values that all gradient methods take."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from superpose.circuits import Circuit
from superpose.circuits.wording import shown
from superpose.engine.arrays import Array
from superpose.engine.memory import SMALL_BYTES, available_memory
from superpose.errors import StateTooLargeError, UnsupportedProgramError

__all__ = ["Evaluate", "GradientOptions", "GradientProblem", "check_points"]

Evaluate = Callable[[Circuit, Array], Array]
"""From a circuit and values ``(n_points, batch, n_params)`` of its parameters to expectations
``(n_points, batch, n_observables)``. Called once for all points, so that a backend gets them as one program."""

STEPS = {"float64": 1e-5, "float32": 5e-3, "shots": 0.25}
"""Steps of finite differences by the noise of expectations: near the cube root of it, for the best of both errors."""


def check_points(n_points: int, batch: int, n_params: int) -> None:
    """Refuse more shifted points than fit into memory, before they are made.

    Raises:
        StateTooLargeError: They do not fit.
    """
    needed = 3 * 8 * n_points * batch * n_params  # the points, and what a program and the engine make of them
    if needed > SMALL_BYTES and needed > (free := available_memory()):
        raise StateTooLargeError(
            f"{n_points} shifted points of {batch} batch entries and {n_params} angles need {needed >> 20} MiB of "
            f"memory, {free >> 20} MiB are free; use a smaller batch, or method 'adjoint' or 'spsa'.",
            needed_bytes=needed,
            available_bytes=free,
        )


@dataclass(frozen=True, eq=False, slots=True)
class GradientProblem:
    """Expectations as a function of a circuit's parameters, at some points.

    Attributes:
        circuit: Its parameters are what is differentiated with respect to.
        values: Float64 ``(batch, n_params)``, in the order of ``circuit.parameters``, in radians.
        evaluate: Gives expectations of this circuit and of others with the same qubits.
        adjoint: Gives the gradient ``(batch, n_observables, n_params)`` by the adjoint method, or None where the
            expectations come from shots, or from a machine that shows no states.
        noise: What expectations are uncertain by: "float64" or "float32" rounding, or "shots".
    """

    circuit: Circuit
    values: Array
    evaluate: Evaluate
    adjoint: Callable[[], Array] | None
    noise: str = "float64"


@dataclass(frozen=True, slots=True)
class GradientOptions:
    """Choices of the methods that have some.

    Attributes:
        step: Of finite differences and SPSA, in radians; None takes 1e-5 for exact expectations in float64, 5e-3 in
            float32 and 0.25 with shots.
        n_directions: How many random directions SPSA averages over; each costs two evaluations.
        seed: Of SPSA's directions.

    Raises:
        UnsupportedProgramError: A step that is not positive and finite, no direction, or a negative seed.
    """

    step: float | None = None
    n_directions: int = 16
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.step is not None and not 0 < self.step <= sys.float_info.max:
            raise UnsupportedProgramError(f"step must be a positive number of radians or None, got {shown(self.step)}.")
        if self.n_directions < 1:
            raise UnsupportedProgramError(f"n_directions must be at least 1, got {self.n_directions}.")
        if self.seed is not None and self.seed < 0:
            raise UnsupportedProgramError(f"seed must be 0 or more, or None, got {self.seed}.")

    def step_for(self, noise: str) -> float:
        """Return the step for expectations with this noise."""
        return STEPS[noise] if self.step is None else self.step
