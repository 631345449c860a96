"""Checks of what a dynamic program is made of and called with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from superpose.circuits import Circuit, Observable
from superpose.engine.arrays import Array, real_array
from superpose.engine.dynamic.choice import METHODS
from superpose.errors import ObservableError, ParameterUnboundError, ShapeError, UnsupportedProgramError

__all__ = ["Given", "check_definition", "checked"]


@dataclass(frozen=True, eq=False)
class Given:
    """Checked arrays of a call."""

    inputs: Array
    weights: Array
    initial: npt.NDArray[np.complex128] | None

    @property
    def batch(self) -> int:
        """Number of samples."""
        return len(self.inputs)

    def pieces(self, size: int) -> list[tuple[slice, Given]]:
        """Return the batch in pieces."""
        out = []
        for first in range(0, self.batch, size):
            part = slice(first, first + size)
            initial = self.initial if self.initial is None or len(self.initial) == 1 else self.initial[part]
            out.append((part, Given(self.inputs[part], self.weights, initial)))
        return out


def checked(
    sizes: tuple[int, int, int],
    inputs: npt.ArrayLike | None,
    weights: npt.ArrayLike | None,
    initial_state: npt.ArrayLike | None,
) -> Given:
    """Return the arrays of a call; ``sizes`` are numbers of qubits, inputs and weights.

    Raises:
        ShapeError: A shape does not fit, or something is not a finite number.
    """
    n_qubits, n_inputs, n_weights = sizes
    state = None if initial_state is None else np.atleast_2d(np.asarray(initial_state))
    if state is not None and (state.dtype.kind not in "iufc" or state.ndim != 2 or len(state[0]) != 1 << n_qubits):
        raise ShapeError(
            f"initial_state must be numbers of shape ([batch,] 2**{n_qubits}), got {state.shape}.",
            got=list(state.shape),
        )
    x = real_array("inputs", np.empty((1 if state is None else len(state), 0)) if inputs is None else inputs)
    w = real_array("weights", np.empty(0) if weights is None else weights)
    if w.shape != (n_weights,):
        raise ShapeError(
            f"weights must have shape ({n_weights},), one value per weight, got {w.shape}.",
            got=list(w.shape),
            allowed=[n_weights],
        )
    if x.ndim != 2 or x.shape[1] != n_inputs or not len(x):
        raise ShapeError(
            f"inputs must have shape (batch, {n_inputs}) with batch >= 1, got {x.shape}.",
            got=list(x.shape),
            allowed=["batch", n_inputs],
        )
    if state is not None and len(state) not in (1, len(x)):
        raise ShapeError(
            f"initial_state has {len(state)} states where inputs have {len(x)} samples; give one or one each.",
            got=len(state),
            allowed=[1, len(x)],
        )
    for what, array in (("inputs", x), ("weights", w), ("initial_state", state)):
        if array is not None and not np.isfinite(array).all():
            raise ShapeError(f"{what} must be finite, got NaN or infinity.", what=what, got="non-finite")
    return Given(x, w, None if state is None else state.astype(np.complex128))


def check_definition(
    circuit: Circuit, observables: tuple[Observable, ...], inputs: tuple[str, ...], dtype: str, method: str
) -> None:
    """Check what a program is made of.

    Raises:
        ObservableError, ParameterUnboundError, UnsupportedProgramError: See `superpose.engine.dynamic.compile_dynamic`.
    """
    if dtype not in ("float32", "float64"):
        raise UnsupportedProgramError(f"dtype must be 'float32' or 'float64', got {dtype!r}.", got=str(dtype)[:100])
    if method not in METHODS:
        raise UnsupportedProgramError(
            f"method must be one of {', '.join(METHODS)}, got {method!r}.", got=str(method)[:100], allowed=list(METHODS)
        )
    for place, observable in enumerate(observables):
        if observable.n_qubits != circuit.n_qubits:
            raise ObservableError(
                f"observables[{place}] acts on {observable.n_qubits} qubits, the circuit on {circuit.n_qubits}.",
                index=place,
            )
    unknown = [name for name in inputs if name not in circuit.parameters]
    if unknown or len(set(inputs)) != len(inputs):
        raise ParameterUnboundError(
            f"inputs must name distinct parameters of the circuit ({', '.join(circuit.parameters[:20])}), "
            f"got {', '.join(map(str, inputs[:20]))}.",
            unknown=unknown[:100],
        )
