"""Derivatives of a compiled program beyond the adjoint gradient: a part of `CompiledProgram` with a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

import numpy.typing as npt

from superpose.engine.arrays import Array

__all__ = ["Derivatives"]


class Derivatives:
    """What `CompiledProgram` has of `superpose.engine.gradients`."""

    __slots__ = ()

    def probabilities_and_grad(
        self,
        inputs: npt.ArrayLike | None,
        weights: npt.ArrayLike | None,
        grad_probabilities: npt.ArrayLike,
        *,
        qubits: Sequence[int] | None = None,
        initial_state: npt.ArrayLike | None = None,
    ) -> tuple[Array, Array, Array]:
        """Return probabilities and the gradients that flow back from them to inputs and weights.

        Args:
            inputs, weights, qubits, initial_state: See `probabilities`; at most 14 qubits at a time.
            grad_probabilities: ``(batch, 2**k)``, the gradient of some number with respect to the probabilities.

        Returns:
            Arrays ``(batch, 2**k)``, ``(batch, n_inputs)`` and ``(n_weights,)``.

        Raises:
            UnsupportedProgramError: More than 14 qubits.

        Cost: as `value_and_grad` of ``2**k`` diagonal observables; some 10 us for each of them the first time.
        """
        given = inputs, weights, grad_probabilities
        found: tuple[Array, Array, Array] = _gradients().probabilities_and_grad(self, *given, qubits, initial_state)
        return found

    def hessian_vector(
        self,
        inputs: npt.ArrayLike | None,
        weights: npt.ArrayLike | None,
        grad_expectations: npt.ArrayLike,
        vector: npt.ArrayLike,
        *,
        initial_state: npt.ArrayLike | None = None,
    ) -> Array:
        """Return the Hessian of ``sum(grad_expectations * expectations)`` over the weights, times a vector.

        Exact to rounding: see `superpose.engine.gradients.directional_derivatives`, which also takes directions of
        inputs.

        Args:
            inputs, weights, initial_state: See `expectation`.
            grad_expectations: ``(batch, n_observables)``.
            vector: ``(n_weights,)``.

        Returns:
            Array ``(n_weights,)``. Computed in float64, whatever the program's dtype.

        Cost: sixteen adjoint gradients in float64.

        >>> from superpose.circuits import Circuit, Observable, Parameter
        >>> from superpose.engine import compile_program
        >>> program = compile_program(Circuit(1).ry(Parameter("w"), 0), [Observable("Z")], dtype="float64")
        >>> program.hessian_vector(None, [0.5], [[1.0]], [2.0]).round(6).tolist()  # -2 cos(0.5)
        [-1.755165]
        """
        given = inputs, weights, grad_expectations
        found: Array = _gradients().directional_derivatives(self, given, None, vector, initial_state=initial_state)[2]
        return found

    def fisher_metric(
        self, inputs: npt.ArrayLike | None, weights: npt.ArrayLike | None, *, initial_state: npt.ArrayLike | None = None
    ) -> Array:
        """Return the quantum Fisher information matrix of the weights, exact.

        ``F_ij = 4 Re(<d_i psi|d_j psi> - <d_i psi|psi><psi|d_j psi>)``. The Fubini-Study metric tensor, which the
        quantum natural gradient divides by, is ``F / 4``.

        Args:
            inputs, weights, initial_state: See `expectation`.

        Returns:
            Array ``(batch, n_weights, n_weights)``, symmetric and positive semidefinite. Computed in float64.

        Raises:
            StateTooLargeError: One state per rotation does not fit into memory.

        Cost: a forward run per rotation that a weight enters, and ``n_weights**2 * 2**n_qubits`` multiplications.
        Source: Stokes, Izaac, Killoran and Carleo 2020, arXiv 1909.02108; Meyer 2021, arXiv 2103.15191.
        """
        found: Array = _gradients().fisher_metric(self, inputs, weights, initial_state=initial_state)
        return found


def _gradients() -> ModuleType:
    """Return the package, which imports programs and so cannot be imported with them."""
    return import_module("superpose.engine.gradients")
