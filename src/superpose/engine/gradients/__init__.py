"""Gradients by any of several methods, and second derivatives.

`GRADIENT_METHODS` is the table of methods; each is one file. They take a `GradientProblem`, which knows nothing of how
expectations come about: by this engine, by a backend with shots, through noise.
"""

from __future__ import annotations

from superpose.engine.gradients.adjoint import adjoint_gradient
from superpose.engine.gradients.directional import directional_derivatives
from superpose.engine.gradients.fisher import fisher_metric
from superpose.engine.gradients.methods import GRADIENT_METHODS, gradient, program_gradient
from superpose.engine.gradients.parameter_shift import shift_rule
from superpose.engine.gradients.probabilities import probabilities_and_grad
from superpose.engine.gradients.problem import GradientOptions, GradientProblem

__all__ = [
    "GRADIENT_METHODS",
    "GradientOptions",
    "GradientProblem",
    "adjoint_gradient",
    "directional_derivatives",
    "fisher_metric",
    "gradient",
    "probabilities_and_grad",
    "program_gradient",
    "shift_rule",
]
