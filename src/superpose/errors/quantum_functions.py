"""Quantum functions: their files, their inputs, and the Python that runs shut in."""

from __future__ import annotations

from superpose.errors.base import SuperposeError

__all__ = [
    "FunctionCodeError",
    "FunctionFileError",
    "FunctionInputError",
    "FunctionLimitError",
    "IsolationError",
    "QuantumFunctionError",
]


class QuantumFunctionError(SuperposeError):
    """A quantum function cannot be deployed or called so."""


class FunctionFileError(QuantumFunctionError):
    """A file defines no quantum function: no circuit, or a name in it has a value of another kind."""

    code = "quantum_function.file"


class FunctionInputError(QuantumFunctionError):
    """The input of a call does not fit the function's schema or its circuit's parameters."""

    code = "quantum_function.input"


class FunctionCodeError(QuantumFunctionError):
    """The function's own Python raised, or returned what cannot be used; the message has the line."""

    code = "quantum_function.code"


class FunctionLimitError(QuantumFunctionError):
    """The function's own Python took more time, processor time or memory than it may, or said more than it may."""

    code = "quantum_function.limit"


class IsolationError(QuantumFunctionError):
    """This machine cannot shut users' Python in, so none is run."""

    code = "quantum_function.isolation"
