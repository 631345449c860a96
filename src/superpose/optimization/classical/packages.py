"""The libraries of the extra "optimization", imported when they are first needed."""

from __future__ import annotations

import math
import warnings
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.errors import ExtraMissingError

__all__ = ["package", "solver_name", "whole_scale"]


def package(name: str) -> Any:
    """Return a module of OR-Tools or of D-Wave's samplers.

    Raises:
        ExtraMissingError: It is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SWIG's modules crash where their own warnings are turned into errors
            return import_module(name)
    except ImportError:
        top = "OR-Tools" if name.startswith("ortools") else "D-Wave's samplers"
        raise ExtraMissingError(
            f"This needs {top}: pip install 'superpose[optimization]'", extra="optimization"
        ) from None


def solver_name(part: str) -> str:
    """OR-Tools with its version and the part of it."""
    return f"OR-Tools {package('ortools').__version__} {part}"


def whole_scale(numbers: npt.NDArray[np.float64]) -> int:
    """Return the factor that makes all numbers whole: 1 where they are, else 1000, which rounds.

    Solvers for integers get ``floor(numbers * factor)``; bounds of these, over the factor, are bounds of the numbers.
    """
    return 1 if all(math.isclose(x, round(x), abs_tol=1e-9) for x in np.unique(numbers)) else 1000
