"""Gradients of the probabilities of bit strings.

Probabilities are the Walsh-Hadamard transform of the expectations of all Z strings, which the tape measures, and weighs
in the adjoint, in one transform of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt

from superpose.circuits import Observable
from superpose.circuits.expansion import walsh_hadamard
from superpose.engine.arrays import Array, real_array
from superpose.engine.marginals import checked_qubits
from superpose.engine.program import CompiledProgram, compile_program
from superpose.errors import ShapeError, UnsupportedProgramError

__all__ = ["MAX_GRADIENT_QUBITS", "probabilities_and_grad"]

MAX_GRADIENT_QUBITS = 14
"""Gradients of the probabilities of so many qubits take ``2**14`` Z strings; twice as many would double all costs."""


def probabilities_and_grad(
    program: CompiledProgram,
    inputs: npt.ArrayLike | None,
    weights: npt.ArrayLike | None,
    grad_probabilities: npt.ArrayLike,
    qubits: Sequence[int] | None,
    initial_state: npt.ArrayLike | None = None,
) -> tuple[Array, Array, Array]:
    """Return probabilities and gradients; see `CompiledProgram.probabilities_and_grad`."""
    chosen = checked_qubits(qubits, program.n_qubits)
    if len(chosen) > MAX_GRADIENT_QUBITS:
        raise UnsupportedProgramError(
            f"Gradients of probabilities are given for at most {MAX_GRADIENT_QUBITS} qubits at a time, got "
            f"{len(chosen)}; name fewer in qubits=, or use a projector as an observable.",
            got=len(chosen),
            allowed=MAX_GRADIENT_QUBITS,
        )
    strings = _measuring_z_strings(program, chosen)
    size, batch = 1 << len(chosen), len(program.arrays(inputs, weights, initial_state=initial_state)[0])
    grad = real_array("grad_probabilities", grad_probabilities)
    if grad.shape != (batch, size):
        raise ShapeError(
            f"grad_probabilities must have shape ({batch}, {size}), got {grad.shape}.",
            got=list(grad.shape),
            allowed=[batch, size],
        )
    of_strings = walsh_hadamard(grad) / size
    values, grad_inputs, grad_weights = strings.value_and_grad(inputs, weights, of_strings, initial_state=initial_state)
    found = walsh_hadamard(values.astype(np.float64, copy=False)) / size
    return found.astype(program.dtype, copy=False), grad_inputs, grad_weights


@lru_cache(maxsize=16)
def _measuring_z_strings(program: CompiledProgram, chosen: tuple[int, ...]) -> CompiledProgram:
    """Return the program with all Z strings of some qubits as its observables."""
    strings = _z_strings(chosen, program.n_qubits)
    return compile_program(program.circuit, strings, inputs=program.input_names, dtype=program.dtype)


def _z_strings(chosen: tuple[int, ...], n_qubits: int) -> list[Observable]:
    """Return Z on every subset of the qubits, numbered as bit strings are: the first qubit the most significant bit."""
    out = []
    for letters in product("IZ", repeat=len(chosen)):
        string = ["I"] * n_qubits
        for qubit, letter in zip(chosen, letters, strict=True):
            string[qubit] = letter
        out.append(Observable("".join(string)))
    return out
