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
    """Return the factor by which numbers of 0 or more are rounded: 1 where they are whole, else 1000.

    A power of ten beyond where all are below 1, so that they stay apart, or where they would be too large to be added
    up. Solvers for integers get ``floor(numbers * factor)``; bounds of these, over the factor, are bounds of the
    numbers.
    """
    largest = float(np.max(numbers, initial=0.0))
    if largest <= MOST_WHOLE and np.all(np.abs(numbers - np.rint(numbers)) <= 1e-9):
        return 1.0
    if largest * 1000 > MOST_WHOLE:
        return 10.0 ** math.floor(math.log10(MOST_WHOLE / largest))
    return 1000.0 if largest >= 1 else 10.0 ** (3 - math.floor(math.log10(largest)))
