"""The libraries of the extra "optimization", imported when they are first needed."""

from __future__ import annotations

import math
import warnings
from importlib import import_module
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from superpose.errors import ExtraMissingError

__all__ = ["MOST_WHOLE", "package", "solver_name", "whole_scale"]

MOST_DECIMALS: Final = 6
ROUNDING: Final = 4 * float(np.finfo(np.float64).eps)
MOST_WHOLE: Final = 2.0**40
"""Largest number that solvers for integers are given, which add many of them up."""


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


def whole_scale(numbers: npt.NDArray[np.float64]) -> float:
    """Return the power of ten by which numbers of 0 or more are multiplied, to be rounded down.

    The least that makes them whole, if they have six decimals or fewer; else the largest with which they can still be
    added up, so that nothing that is told differs by what rounding loses. Solvers for integers get ``floor(numbers *
    factor)``; bounds of these, over the factor, are bounds of the numbers.
    """
    largest = float(np.max(numbers, initial=0.0))
    for decimals in range(MOST_DECIMALS + 1):
        scaled = numbers * 10.0**decimals
        if largest * 10.0**decimals <= MOST_WHOLE and np.all(np.abs(scaled - np.rint(scaled)) <= ROUNDING * scaled):
            return 10.0**decimals
    return 10.0 ** math.floor(math.log10(MOST_WHOLE / largest))
