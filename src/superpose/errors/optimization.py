"""Problems of optimisation: what is asked, in which form, and whether it can be answered."""

from __future__ import annotations

from superpose.errors.base import SuperposeError

__all__ = [
    "OptimizationError",
    "ProblemError",
    "ProblemFormatError",
    "ProblemInfeasibleError",
    "ProblemTooLargeError",
    "SolverStuckError",
]


class OptimizationError(SuperposeError):
    """A problem of optimisation cannot be stated, read or solved."""


class ProblemError(OptimizationError):
    """A quadratic problem, or how it is to be solved, is not well formed."""

    code = "optimization.problem"


class ProblemFormatError(OptimizationError):
    """A file is not a problem of a form that is known."""

    code = "optimization.format"


class ProblemInfeasibleError(OptimizationError):
    """No solution that meets all constraints was found, or there is none; the message says which."""

    code = "optimization.infeasible"


class ProblemTooLargeError(OptimizationError):
    """The problem has more variables, or longer encodings, than the method takes."""

    code = "optimization.too_large"


class SolverStuckError(OptimizationError):
    """A classical solver goes on long after its time is over, though it was told to end; it is not waited for."""

    code = "optimization.solver_stuck"
