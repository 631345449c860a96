"""Gram matrices of quantum kernels: states of all rows in batches from the engine, overlaps by matrix products."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from superpose.circuits import Circuit, Observable
from superpose.engine import CompiledProgram, PlacedStates, compile_program
from superpose.errors import ParameterUnboundError, RequestError, ShapeError
from superpose.learning.quantum_block import QuantumBlock

__all__ = ["bloch_vectors", "gram_matrix", "projected_gram_matrix"]

Dtype = Literal["float32", "float64"]

_MEMORY_BYTES = 512 * 2**20
_AT_ONCE = 1 << 13
"""So many numbers of a matrix are worked on at a time; then they stay in the cache nearby."""
_PLACES_AT_ONCE, _FEW_ROWS = 512, 1024
"""So many amplitudes of all states, or more, are multiplied at a time up to so many rows: they come from the cache."""
_COPIES = 3
"""States of a block, counted with the engine's own copies while they are computed."""


class FeatureStates:
    """A circuit whose parameters are all inputs, compiled: rows to states, or to Bloch vectors."""

    def __init__(self, feature_map: Circuit | QuantumBlock, dtype: Dtype) -> None:
        self.block = feature_map if isinstance(feature_map, QuantumBlock) else None
        self.circuit = feature_map.circuit if isinstance(feature_map, QuantumBlock) else feature_map
        self.names = self.circuit.parameters if self.block is None else self.block.angle_names
        self.dtype: Dtype = dtype
        if self.block is not None and self.block.n_weights:
            raise ParameterUnboundError(
                f"A feature map has inputs only, this block has the weights {list(self.block.weight_names)[:10]}; "
                "bind them in its circuit first.",
                unknown=list(self.block.weight_names),
            )

    @property
    def n_inputs(self) -> int:
        """Columns of the rows."""
        return len(self.names) if self.block is None else self.block.n_inputs

    @cached_property
    def _program(self) -> CompiledProgram:
        return compile_program(self.circuit, (), inputs=self.names, dtype=self.dtype)

    @cached_property
    def _bloch_program(self) -> CompiledProgram:
        n_qubits = self.circuit.n_qubits
        paulis = [Observable("I" * q + pauli + "I" * (n_qubits - q - 1)) for q in range(n_qubits) for pauli in "XYZ"]
        return compile_program(self.circuit, paulis, inputs=self.names, dtype=self.dtype)

    def angles(self, rows: npt.ArrayLike, name: str) -> NDArray[np.float64]:
        """The circuit's angles ``(n_rows, n_angles)``.

        Raises:
            ShapeError: the rows have another shape, or hold NaN or infinity.
        """
        array = np.ascontiguousarray(rows, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != self.n_inputs or not np.isfinite(array).all():
            raise ShapeError(
                f"{name} must be finite numbers (n_rows, {self.n_inputs}), an input of the feature map per column; "
                f"got shape {array.shape}."
            )
        return array if self.block is None else self.block.feature_map.apply(array)

    def states(self, angles: NDArray[np.float64]) -> NDArray[Any]:
        """States ``(n_rows, 2**n_qubits)``, complex."""
        return self._program.state_vector(angles, np.empty(0))

    def placed(self, angles: NDArray[np.float64], batch: int) -> PlacedStates:
        """States for `fidelities`; those of calls with the same ``batch``, which none exceeds, belong together."""
        return self._program.placed_states(angles, np.empty(0), batch=batch)

    def bloch(self, angles: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bloch vectors ``(n_rows, n_qubits, 3)``."""
        found = self._bloch_program.expectation(angles, np.empty(0))
        return found.astype(np.float64, copy=False).reshape(len(angles), self.circuit.n_qubits, 3)

    def bloch_back(self, rows: NDArray[np.float64], grad: NDArray[np.float64]) -> NDArray[np.float64]:
        """The gradient by rows ``(n_rows, n_inputs)`` of a number, given that by Bloch vectors as ``bloch`` has them.

        ``grad`` is ``(n_rows, 3 * n_qubits)``: X, Y and Z of each qubit.
        """
        angles = self.angles(rows, "rows")
        _, state = self._bloch_program.forward(angles, np.empty(0))
        return self.inputs_back(rows, self._bloch_program.backward(state, grad)[0])

    def inputs_back(self, rows: NDArray[np.float64], grad_angles: NDArray[Any]) -> NDArray[np.float64]:
        """The gradient by rows, given that by the circuit's angles."""
        wide = np.asarray(grad_angles, dtype=np.float64)
        return wide if self.block is None else self.block.feature_map.vjp(rows, wide)

    def block_rows(self, memory_bytes: int) -> int:
        """How many rows' states one block has, so that two blocks fit into the memory."""
        item = 8 if self.dtype == "float32" else 16
        return max(1, memory_bytes // (2 * _COPIES * item << self.circuit.n_qubits))


def gram_matrix(
    feature_map: Circuit | QuantumBlock,
    rows: npt.ArrayLike,
    others: npt.ArrayLike | None = None,
    *,
    dtype: Dtype = "float64",
    memory_bytes: int = _MEMORY_BYTES,
) -> NDArray[np.float64]:
    """Fidelities ``|<phi(other)|phi(row)>|**2`` of the states that a circuit makes of rows: a quantum kernel.

    Args:
        feature_map: a circuit, of which every parameter is an input, in the order of ``circuit.parameters``; or a block
            without weights, such as `build_block` makes of an encoding, whose feature map is applied first.
        rows: ``(n_rows, n_inputs)``, radians.
        others: ``(n_others, n_inputs)``; None takes ``rows`` again: the matrix is then symmetric, its diagonal 1, and
            half of the work is spared.
        dtype: of the amplitudes, "float64" or "float32" (half the time, errors about 1e-6).
        memory_bytes: bound of the states held at once; the result comes on top of it.

    Returns:
        Float64 ``(n_rows, n_others)``, from 0 to 1; against ``rows`` themselves positive semidefinite but for rounding.

    Raises:
        ShapeError: rows have another number of columns, or hold NaN or infinity.
        ParameterUnboundError: the block has weights.
        RequestError: ``memory_bytes`` is below 1.
        StateTooLargeError: not even a single state fits into memory.
        UnsupportedProgramError: the circuit measures, or has noise.

    Cost: ``n_rows + n_others`` states, each ``2**n_qubits`` amplitudes per gate, then ``6 n_rows n_others 2**n_qubits``
        floating-point operations, half of them against ``rows`` themselves. Where the states do not fit into
        ``memory_bytes`` they are held in two blocks of ``memory_bytes / (96 * 2**n_qubits)`` rows (half the bytes in
        float32), and those of ``others`` are computed again for each block of ``rows``.
    Source: Havlicek et al. 2019, arXiv 1804.11326; Schuld and Killoran 2019, arXiv 1803.07128.

    >>> from superpose.circuits import Circuit, Parameter
    >>> gram_matrix(Circuit(1).ry(Parameter("x"), 0), [[0.0], [1.0]]).round(6).tolist()
    [[1.0, 0.770151], [0.770151, 1.0]]
    """
    if memory_bytes < 1:
        raise RequestError(f"memory_bytes must be at least 1, got {memory_bytes}", field="memory_bytes")
    source = FeatureStates(feature_map, dtype)
    left = source.angles(rows, "rows")
    right = left if others is None else source.angles(others, "others")
    step = source.block_rows(memory_bytes)
    batch = min(step, max(len(left), len(right)))
    out = np.empty((len(left), len(right)))
    for i in range(0, len(left), step):
        these = source.placed(left[i : i + step], batch)
        if others is None:
            fidelities(these, out=out[i : i + step, i : i + step])
        for j in range(i + step if others is None else 0, len(right), step):
            part = out[i : i + step, j : j + step]
            fidelities(these, source.placed(right[j : j + step], batch), out=part)
            if others is None:
                out[j : j + step, i : i + step] = part.T
    return out


def bloch_vectors(
    feature_map: Circuit | QuantumBlock, rows: npt.ArrayLike, *, dtype: Dtype = "float64"
) -> NDArray[np.float64]:
    """Expectations of X, Y and Z on every qubit of the states that a circuit makes of rows.

    They are the reduced density matrices of single qubits, ``rho_q = (1 + x_q X + y_q Y + z_q Z) / 2``.

    Args:
        feature_map, rows, dtype: see `gram_matrix`.

    Returns:
        Float64 ``(n_rows, n_qubits, 3)``, from -1 to 1.

    Raises:
        ShapeError, ParameterUnboundError, StateTooLargeError, UnsupportedProgramError: see `gram_matrix`.

    Cost: a state per row and 3 n_qubits expectations of it; states are not kept.

    >>> from superpose.circuits import Circuit, Parameter
    >>> bloch_vectors(Circuit(1).ry(Parameter("x"), 0), [[0.5]]).round(6).tolist()
    [[[0.479426, 0.0, 0.877583]]]
    """
    source = FeatureStates(feature_map, dtype)
    angles = source.angles(rows, "rows")
    if not len(angles):
        return np.empty((0, source.circuit.n_qubits, 3))
    step = source.block_rows(_MEMORY_BYTES)
    return np.concatenate([source.bloch(angles[i : i + step]) for i in range(0, len(angles), step)])


def projected_gram_matrix(
    feature_map: Circuit | QuantumBlock,
    rows: npt.ArrayLike,
    others: npt.ArrayLike | None = None,
    *,
    gamma: float = 1.0,
    dtype: Dtype = "float64",
) -> NDArray[np.float64]:
    """Projected quantum kernel: ``exp(-gamma sum_q ||rho_q(row) - rho_q(other)||**2)`` of single qubits' states.

    The norm is Frobenius': half the squared distance of the Bloch vectors.

    Args:
        feature_map, rows, others, dtype: see `gram_matrix`.
        gamma: inverse width, a finite number above 0.

    Returns:
        Float64 ``(n_rows, n_others)``, from 0 to 1; against ``rows`` themselves symmetric with diagonal 1.

    Raises:
        RequestError: gamma is no such number.
        ShapeError, ParameterUnboundError, StateTooLargeError, UnsupportedProgramError: see `gram_matrix`.

    Cost: that of `bloch_vectors`, and ``6 n_qubits n_rows n_others`` operations.
    Source: Huang et al. 2021, Nature Communications 12, 2631, eq. 9.

    >>> from superpose.circuits import Circuit, Parameter
    >>> projected_gram_matrix(Circuit(1).ry(Parameter("x"), 0), [[0.0], [1.0]]).round(6).tolist()
    [[1.0, 0.631488], [0.631488, 1.0]]
    """
    if not 0 < gamma < math.inf:
        raise RequestError(f"gamma must be a finite number above 0, got {gamma}", field="gamma")
    left = bloch_vectors(feature_map, rows, dtype=dtype)
    right = None if others is None else bloch_vectors(feature_map, others, dtype=dtype)
    return gaussian_gram(left, right, gamma / 2)


def gaussian_gram(rows: NDArray[np.float64], others: NDArray[np.float64] | None, gamma: float) -> NDArray[np.float64]:
    """``exp(-gamma ||row - other||**2)`` for arrays ``(n_rows, ...)``; None takes ``rows`` again."""
    return np.exp(-gamma * squared_distances(rows, others))


def squared_distances(rows: NDArray[np.float64], others: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """``||row - other||**2``, ``(n_rows, n_others)``; against the rows themselves symmetric with diagonal 0."""
    left = rows.reshape(len(rows), -1)
    right = left if others is None else others.reshape(len(others), -1)
    found = left @ right.T
    found *= -2.0
    found += (left**2).sum(axis=1)[:, None]
    found += (right**2).sum(axis=1)
    np.maximum(found, 0.0, out=found)
    if others is None:
        found += found.T.copy()
        found /= 2.0
        np.fill_diagonal(found, 0.0)
    return found


def overlaps(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.float64]:
    """Squared moduli of all products, float64 ``(n_left, n_right)``."""
    return _squared(left @ right.conj().T)


def fidelities(left: PlacedStates, right: PlacedStates | None = None, *, out: NDArray[np.float64]) -> None:
    """Write squared moduli of all inner products ``(n_left, n_right)`` of states, or of states with themselves.

    Three real matrix products make them, of states with themselves one and a half, instead of four and two. With
    ``a = x - y``, ``b = x + y`` of states ``x + iy``: ``2 Re = a b' + b a' + 4 y y'`` and ``2 Im = a b' - b a'``.

    Args:
        left, right: From `FeatureStates.placed`, with the same ``batch``; None takes ``left`` again.
        out: ``(n_left, n_right)``; of states with themselves symmetric with diagonal 1.
    """
    real = left.tiles.dtype
    n_products = 2 if right is None else 3
    ready = out.dtype == real and out.flags.c_contiguous
    products = [
        out if ready else np.empty(out.shape, real),
        *(np.empty(out.shape, real) for _ in range(n_products - 1)),
    ]
    _multiply(left, right, products)
    third, first = products[:2]
    step = max(1, _AT_ONCE // max(1, out.shape[1]))
    for i in range(0, len(out), step):
        some, a = out[i : i + step], first[i : i + step]
        b = first[:, i : i + step].T.copy() if right is None else products[2][i : i + step]
        np.multiply(third[i : i + step], 4.0, out=some)
        some += np.add(a, b, dtype=np.float64)
        some *= some
        parts = np.subtract(a, b, dtype=np.float64)
        parts *= parts
        some += parts
        np.minimum(some, 1.0, out=some)
    if right is None:
        np.fill_diagonal(out, 1.0)


def _multiply(left: PlacedStates, right: PlacedStates | None, products: list[NDArray[Any]]) -> None:
    """Write ``y y'``, ``a b'`` and, unless ``right`` is None, ``b a'`` of `fidelities`, by ranges of places."""
    n_places, real, n_rows = left.n_places, products[0].dtype, max(products[0].shape)
    many = max(_PLACES_AT_ONCE, 1 << ((1 << 17) // n_rows).bit_length())  # powers of 2, as n_places is
    step = min(n_places, many if n_rows <= _FEW_ROWS else n_places)
    room = [np.empty(3 * step * (side.batch + side.tiles.shape[3]), real) for side in (left, right) if side is not None]
    more = np.empty(products[0].shape if step < n_places else 0, real)
    for start in range(0, n_places, step):
        one = _gauss(left, start, start + step, room[0])
        two = one if right is None else _gauss(right, start, start + step, room[1])
        for product, i, j in zip(products, (2, 0, 1), (2, 1, 0), strict=False):
            # y y' of states with themselves is a SYRK in NumPy, so exactly symmetric
            np.matmul(one[i].T, two[j], out=more if start else product)
            if start:
                product += more


def _gauss(states: PlacedStates, first: int, last: int, room: NDArray[Any]) -> NDArray[Any]:
    """``x - y``, ``x + y`` and ``y`` over the root of 2, ``(3, last - first, batch)``."""
    found = states.parts(first, last, math.sqrt(0.5), room)
    np.add(found[0], found[2], out=found[1])
    found[0] -= found[2]
    return found


def _squared(products: NDArray[Any]) -> NDArray[np.float64]:
    found = products.real.astype(np.float64) ** 2
    found += products.imag.astype(np.float64) ** 2
    return np.minimum(found, 1.0, out=found)
