"""The circuit as an expert writes it on whole batched states, once for JAX and PyTorch alike.

What such an expert knows of these circuits, and uses here:

* All that stands before the first entangling block acts on a product state, qubit by qubit, before the outer product.
* What is diagonal at the end does not reach Z, and a ring of CNOTs at the end only permutes the signs of Z.
* Four neighbouring rotations are one 16 x 16 matrix product; a ring is one gather; RZ, RZZ and CZ are one phase vector,
  and neighbouring phase vectors are multiplied before they meet the state.
* RY and H are real: with real and imaginary parts side by side (``pair``) their products cost half.
* Weights are shared by the batch: with few qubits, multiply the layers first (``collapse``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rivals.circuit import Case, chain_signs, ring_permutation, z_signs, zz_signs
from rivals.families import Block, blocks

__all__ = ["Form", "Library", "forms", "forward"]

_LOCAL = ("encode", "rotate", "hadamard")


@dataclass(frozen=True)
class Form:
    """One way to compute it: batch innermost ``(2**n, batch)`` or outermost, rotations taken ``group`` at a time."""

    innermost: bool
    group: int = 4
    pair: bool = False
    collapse: bool = False
    joined: bool = False

    def __str__(self) -> str:
        words = ["batch innermost" if self.innermost else "batch outermost", f"groups of {self.group}"]
        words += ["real pairs"] * self.pair + ["layers multiplied first"] * self.collapse
        return ", ".join(words + ["encoding joined to rotations"] * self.joined)


@dataclass(frozen=True)
class Library:
    """What differs between the libraries: their array module, constants, gathers with a proper adjoint, complex."""

    xp: Any
    constant: Callable[[NDArray[Any]], Any]
    gather: Callable[[NDArray[np.int64]], Callable[[Any, int], Any]]
    complex_of: Callable[[Any], Any]


def _reduced(case: Case) -> tuple[list[Block], list[Block], NDArray[np.float32]]:
    """Blocks on the product state, blocks on the whole state, and the signs ``(2**n, n)`` that are measured."""
    rest, signs = blocks(case), z_signs(case.n_qubits)
    while rest:
        last = rest.pop()
        if last.kind == "ring":
            signs = signs[np.argsort(ring_permutation(case.n_qubits, last.reach))]
        elif last.kind == "rotate" and last.axes.rstrip("z"):
            rest.append(replace(last, axes=last.axes.rstrip("z")))
            break
        elif last.kind == "hadamard" or (last.kind == "encode" and last.axes != "z"):
            rest.append(last)
            break
    n_local = next((place for place, block in enumerate(rest) if block.kind not in _LOCAL), len(rest))
    return rest[:n_local], rest[n_local:], signs


def _split(block: Block) -> list[Block]:
    """A rotation as one block for each axis."""
    if block.kind != "rotate":
        return [block]
    return [replace(block, axes=axis, first=block.first + place) for place, axis in enumerate(block.axes)]


def forms(case: Case) -> list[Form]:
    """The forms worth trying for a case, the usually fastest first, since building them all may take too long."""
    _, rest, _ = _reduced(case)
    encodes = any(block.kind == "encode" and block.axes == "y" for block in rest)
    wide = min(case.n_qubits, 6)
    pairs = [Form(False, 4, pair=True), Form(True, 4, pair=True)]
    if case.family == "iqp":  # all its matrices are real
        return pairs if case.n_qubits <= 4 else [*pairs, Form(True, wide, pair=True)]
    found = [Form(False, 4), pairs[0], Form(True, 4), pairs[1]]
    if encodes:
        return [found[0], Form(False, 2, joined=True), Form(False, 4, joined=True), *found[1:]]
    if case.n_qubits <= 6 and rest and case.batch >= 8:
        return [found[0], Form(True, wide, collapse=True), *found[1:]]
    return found


class _Pass:
    """One forward pass: what depends on the arguments and is used by several blocks."""

    def __init__(self, made: _Forward, inputs: Any, weights: Any) -> None:
        self.made, self.inputs, self.weights = made, inputs, weights
        self._known: dict[Any, Any] = {}

    def once(self, key: Any, compute: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]

    def matrices(self, block: Block) -> Any:
        """(layers, n_qubits, 2, 2), real for "y"."""
        last = block.first + len(block.axes)
        return self.once(
            (block.axes, block.first), lambda: _turn(self.made.xp, block.axes, self.weights[..., block.first : last])
        )

    def grouped(self, block: Block, first: int) -> Any:
        """(layers, 2**g, 2**g): the rotations of a group of qubits."""
        return self.once(
            (block.axes, block.first, first),
            lambda: _kron(self.matrices(block), range(first, min(first + self.made.form.group, self.made.n))),
        )

    def encoding(self) -> Any:
        """(batch, n_qubits, 2, 2) of RY."""
        return self.once("encoding", lambda: _turn(self.made.xp, "y", self.inputs[..., None]))


def _turn(xp: Any, axes: str, angles: Any) -> Any:
    """Matrices (..., 2, 2) of rotations about the axes in turn, angles (..., len(axes))."""
    middle = axes.index("y")
    half = angles[..., middle] / 2
    cos, sin = xp.cos(half), xp.sin(half)
    if axes == "y":
        return xp.stack([xp.stack([cos, -sin], -1), xp.stack([sin, cos], -1)], -2)
    if axes == "yzy":
        left, right = _turn(xp, "y", angles[..., 2:]), _turn(xp, "yz", angles[..., :2])
        return xp.stack(
            [
                (left[..., :, 0, None] * right[..., 0, None, :] + left[..., :, 1, None] * right[..., 1, None, :])[
                    ..., row, :
                ]
                for row in (0, 1)
            ],
            -2,
        )
    before = angles[..., 0] if middle else 0 * half
    after = angles[..., middle + 1] if middle + 1 < len(axes) else 0 * half
    a, b = xp.exp(-0.5j * (before + after)) * cos, xp.exp(0.5j * (before - after)) * sin
    return xp.stack([xp.stack([a, -b], -1), xp.stack([b.conj(), a.conj()], -1)], -2)


def _kron(matrices: Any, qubits: range) -> Any:
    """(..., n, 2, 2) -> (..., 2**g, 2**g)."""
    product = matrices[..., qubits[0], :, :]
    for qubit in qubits[1:]:
        size = 2 * product.shape[-1]
        turn = matrices[..., qubit, :, :]
        both = product[..., :, None, :, None] * turn[..., None, :, None, :]
        product = both.reshape((*both.shape[:-4], size, size))
    return product


class _Forward:
    """Expectations of one case in one form; everything that does not depend on the arguments is made once."""

    def __init__(self, case: Case, library: Library, form: Form) -> None:
        self.n, self.form, self.arrays, self.xp = case.n_qubits, form, library, library.xp
        self.local, rest, signs = _reduced(case)
        self.rest = [part for block in rest for part in (_split(block) if form.pair else [block])]
        self.signs = library.constant(signs)
        self.phases = {
            "couple": library.constant(zz_signs(case.n_qubits)),
            "rotate": library.constant(z_signs(case.n_qubits)),
        }
        self.chain = library.constant(chain_signs(case.n_qubits))
        self.gathers = {
            block.reach: library.gather(ring_permutation(case.n_qubits, block.reach))
            for block in self.rest
            if block.kind == "ring"
        }
        sizes = {min(form.group, case.n_qubits - first) for first in range(0, case.n_qubits, form.group)}
        flip = np.array([[1, 1], [1, -1]]) * np.sqrt(0.5)
        self.flips = {size: library.constant(_power(flip, size).astype(np.float32)) for size in sizes}

    def __call__(self, inputs: Any, weights: Any) -> Any:
        now = _Pass(self, inputs, weights)
        state = self._expand(self._product(now))
        if self.form.collapse:
            whole = self.arrays.complex_of(self.arrays.constant(np.eye(1 << self.n, dtype=np.float32)))
            state = self._steps(now, whole) @ state
        else:
            state = self._steps(now, state)
        real, imaginary = (state[0], state[1]) if self.form.pair else (state.real, state.imag)
        chances = real * real + imaginary * imaginary
        return (self.signs.T @ chances).T if self.form.innermost else chances @ self.signs

    def _product(self, now: _Pass) -> Any:
        """The qubits' own vectors (batch, n, 2) behind the local blocks."""
        xp, vectors = self.xp, None
        for block in self.local:
            if block.kind == "hadamard":
                if vectors is None:
                    half = 0 * now.inputs + np.sqrt(0.5).astype(np.float32)
                    vectors = xp.stack([half, half], -1)
                else:
                    low, high = vectors[..., 0], vectors[..., 1]
                    vectors = xp.stack([low + high, low - high], -1) * float(np.sqrt(0.5))
            elif block.kind == "encode" and block.axes == "y" and vectors is None:
                vectors = xp.stack([xp.cos(now.inputs / 2), xp.sin(now.inputs / 2)], -1)
            elif block.kind == "encode" and block.axes == "z":
                vectors = vectors * self._phase_pairs(now)
            else:
                turns = now.encoding() if block.kind == "encode" else now.matrices(block)[block.layer]
                vectors = turns[..., :, 0] * vectors[..., 0, None] + turns[..., :, 1] * vectors[..., 1, None]
        return vectors

    def _phase_pairs(self, now: _Pass) -> Any:
        """exp(-+ i x / 2): (batch, n, 2)."""
        half = now.inputs * 0.5
        return now.once("pairs", lambda: self.xp.stack([self.xp.exp(-1j * half), self.xp.exp(1j * half)], -1))

    def _outer(self, vectors: Any) -> Any:
        """(batch, n, 2) -> (2**n, batch) or (batch, 2**n)."""
        batch = vectors.shape[0]
        if self.form.innermost:
            columns = self.xp.moveaxis(vectors, 0, -1)  # (n, 2, batch)
            state = columns[0]
            for qubit in range(1, self.n):
                state = (state[:, None, :] * columns[qubit][None]).reshape(-1, batch)
            return state
        state = vectors[:, 0]
        for qubit in range(1, self.n):
            state = (state[:, :, None] * vectors[:, qubit][:, None, :]).reshape(batch, -1)
        return state

    def _expand(self, vectors: Any) -> Any:
        state = self._outer(vectors)
        whole = self.arrays.complex_of(state)
        return self.xp.stack([whole.real, whole.imag], 0) if self.form.pair else whole

    def _steps(self, now: _Pass, state: Any) -> Any:
        diagonal, place = None, 0
        while place < len(self.rest):
            block = self.rest[place]
            place += 1
            found = self._diagonal(now, block)
            if found is not None:
                diagonal = found if diagonal is None else diagonal * found
                continue
            if diagonal is not None:
                state, diagonal = self._multiply(state, diagonal), None
            joins = self.form.joined and block.kind == "encode" and self.rest[place].kind == "rotate"
            if joins:
                state = self._joined(now, state, self.rest[place])
                place += 1
            else:
                state = self._apply(now, state, block)
        return state if diagonal is None else self._multiply(state, diagonal)

    def _diagonal(self, now: _Pass, block: Block) -> Any:
        """A diagonal block as an array that broadcasts to the state's two axes; None for any other."""
        if block.kind == "signs":
            vector = self.chain
        elif block.kind == "couple" or (block.kind == "rotate" and block.axes == "z"):
            angles = now.weights if block.kind == "couple" else now.weights[..., block.first]  # (layers, n or n - 1)
            key = ("phases", block.kind, block.first)
            vector = now.once(key, lambda: self.xp.exp(-0.5j * (angles @ self.phases[block.kind].T)))[block.layer]
        elif block.kind == "encode" and block.axes == "z":
            return now.once("inputs' phases", lambda: self._outer(self._phase_pairs(now)))
        else:
            return None
        return vector[:, None] if self.form.innermost else vector[None]

    def _multiply(self, state: Any, diagonal: Any) -> Any:
        if not self.form.pair:
            return state * diagonal
        if not (self.xp.is_complex(diagonal) if hasattr(self.xp, "is_complex") else diagonal.dtype.kind == "c"):
            return state * diagonal
        real, imaginary = state[0], state[1]
        return self.xp.stack(
            [real * diagonal.real - imaginary * diagonal.imag, real * diagonal.imag + imaginary * diagonal.real], 0
        )

    def _apply(self, now: _Pass, state: Any, block: Block) -> Any:
        if block.kind == "ring":
            axis = (0 if self.form.innermost else 1) + self.form.pair
            return self.gathers[block.reach](state, axis)
        if block.kind == "encode":
            return self._encode(now, state)
        for first in range(0, self.n, self.form.group):
            size = min(self.form.group, self.n - first)
            matrix = self.flips[size] if block.kind == "hadamard" else now.grouped(block, first)[block.layer]
            if not self.form.pair:
                matrix = self.arrays.complex_of(matrix)
            state = self._product_with(matrix, state, first)
        return state

    def _product_with(self, matrix: Any, state: Any, first: int) -> Any:
        """A matrix on the group of qubits that begins with ``first``."""
        shape = state.shape
        left = 1 << first
        for size in shape[: len(shape) - (2 if self.form.innermost else 1)]:
            left *= size
        size = matrix.shape[-1]
        moved = state.reshape(left, size, -1)
        if moved.shape[-1] == 1:
            return (moved[..., 0] @ matrix.T).reshape(shape)
        return self.xp.einsum("ab,xby->xay", matrix, moved).reshape(shape)

    def _encode(self, now: _Pass, state: Any) -> Any:
        """RY(x), one qubit after the other, elementwise."""
        shape, batch = state.shape, now.inputs.shape[0]
        turns = now.once("halves", lambda: (self.xp.cos(now.inputs / 2), self.xp.sin(now.inputs / 2)))
        for qubit in range(self.n):
            cos, sin = turns[0][:, qubit], turns[1][:, qubit]
            if self.form.innermost:
                halves = state.reshape(-1, 2, (1 << (self.n - qubit - 1)), batch)  # (pair left, 2, right, batch)
                low, high = halves[:, 0], halves[:, 1]
                state = self.xp.stack([cos * low - sin * high, sin * low + cos * high], 1).reshape(shape)
            else:
                halves = state.reshape(-1, batch, 1 << qubit, 2, 1 << (self.n - qubit - 1))
                cos, sin = cos[:, None, None], sin[:, None, None]
                low, high = halves[:, :, :, 0], halves[:, :, :, 1]
                state = self.xp.stack([cos * low - sin * high, sin * low + cos * high], 3).reshape(shape)
        return state

    def _joined(self, now: _Pass, state: Any, block: Block) -> Any:
        """Encoding and rotation as one matrix per sample and group of qubits; batch outermost."""
        encode, rotate = now.encoding(), now.matrices(block)[block.layer]
        both = rotate[..., :, 0, None] * encode[..., 0, None, :] + rotate[..., :, 1, None] * encode[..., 1, None, :]
        shape, batch = state.shape, state.shape[0]
        for first in range(0, self.n, self.form.group):
            qubits = range(first, min(first + self.form.group, self.n))
            matrix = _kron(both, qubits)
            halves = state.reshape(batch, 1 << first, matrix.shape[-1], -1)
            state = self.xp.einsum("zab,zxby->zxay", matrix, halves).reshape(shape)
        return state


def _power(matrix: NDArray[np.float64], exponent: int) -> NDArray[np.float64]:
    product = np.ones((1, 1))
    for _ in range(exponent):
        product = np.kron(product, matrix)
    return product


def forward(case: Case, library: Library, form: Form) -> Callable[[Any, Any], Any]:
    """A function of inputs ``(batch, n)`` and weights to expectations ``(batch, n)``."""
    return _Forward(case, library, form)
