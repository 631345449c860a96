"""A trained hybrid model as plain values: preprocessing, circuit, arrays, classes. NumPy and the engine run it.

This is what a model file holds and a predictor serves; torch is not needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from superpose.circuits import Circuit, to_qasm
from superpose.engine import CompiledProgram, compile_program
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.quantum_block import QuantumBlock

__all__ = [
    "CHUNK_ROWS",
    "CIRCUIT_MEMBER",
    "CLASS_TYPES",
    "ClassLabel",
    "DressedModel",
    "ServedModel",
    "TrainedModel",
    "class_type_of",
    "dressed_parts",
]

ClassLabel = str | int | float | bool

CLASS_TYPES: dict[str, type[ClassLabel]] = {"text": str, "integer": int, "number": float, "truth": bool}
"""Types that class labels can have, by their name in a model file."""

CHUNK_ROWS = 4096
"""Rows of one engine call: bounds memory, large enough to fill the engine's tiles."""

_PREPROCESSING = "preprocessing."

CIRCUIT_MEMBER = "circuits/quantum.qasm"
"""Where a model file keeps the circuit."""


class ServedModel(Protocol):
    """What a model file holds and a predictor serves, of whatever kind."""

    kind: ClassVar[str]

    @property
    def preprocessor(self) -> Preprocessor:
        """From rows to encoded rows ``(n_rows, n_columns)``."""
        ...

    @property
    def classes(self) -> tuple[ClassLabel, ...]:
        """Labels, in the order of the probabilities."""
        ...

    @property
    def n_params(self) -> int:
        """Trained numbers."""
        ...

    @property
    def blocks(self) -> tuple[QuantumBlock, ...]:
        """Its circuits, each once."""
        ...

    @property
    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Its arrays, without those of the preprocessing."""
        ...

    def probabilities(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """Class probabilities ``(n_rows, n_classes)`` of encoded rows, in float64; safe for threads."""
        ...

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The model as a JSON description and arrays."""
        ...

    def to_members(self) -> dict[str, bytes]:
        """Further members of its file, by name."""
        ...


def class_type_of(classes: tuple[ClassLabel, ...]) -> str:
    """The type of all class labels: a key of `CLASS_TYPES`, or "mixed"."""
    types = {type(label) for label in classes}
    return next((name for name, kind in CLASS_TYPES.items() if types == {kind}), "mixed")


@dataclass(frozen=True, eq=False)
class DressedModel:
    """Encoded rows -> ``max_angle * tanh(entry)`` -> circuit's expectations -> ``exit``: what every such model shares.

    Attributes:
        preprocessor: from rows to encoded rows, ``(n_rows, n_columns)``.
        block: the circuit.
        arrays: float32 or float64 arrays "entry.weight" ``(n_inputs, n_columns)``, "entry.bias", "block.weights" in the
            order of ``block.weight_names``, "exit.weight" ``(n_outputs, n_observables)``, "exit.bias".
        max_angle: bound of the angles that enter the circuit, in radians.
    """

    preprocessor: Preprocessor
    block: QuantumBlock
    arrays: Mapping[str, NDArray[np.floating]]
    max_angle: float

    def _check_arrays(self, n_outputs: int) -> None:
        """Refuse arrays that do not fit.

        Raises:
            ValueError: names, shapes or values are not those of such a model.
        """
        n_inputs = self.block.n_inputs
        shapes = {
            "entry.weight": (n_inputs, self.preprocessor.n_encoded),
            "entry.bias": (n_inputs,),
            "block.weights": (self.block.n_weights,),
            "exit.weight": (n_outputs, self.block.n_outputs),
            "exit.bias": (n_outputs,),
        }
        got = {name: self.arrays[name].shape for name in shapes if name in self.arrays}
        if got != shapes or set(self.arrays) != set(shapes):
            raise ValueError(f"arrays must have the shapes {shapes}, got {got} and names {sorted(self.arrays)}")
        if not all(a.dtype.kind == "f" and np.isfinite(a).all() for a in self.arrays.values()):
            raise ValueError("arrays must hold finite floating-point numbers")
        if not math.isfinite(self.max_angle):
            raise ValueError(f"max_angle must be finite, got {self.max_angle}")

    @property
    def n_params(self) -> int:
        """Trained numbers of the network."""
        return sum(array.size for array in self.arrays.values())

    @property
    def blocks(self) -> tuple[QuantumBlock, ...]:
        """The one circuit."""
        return (self.block,)

    @cached_property
    def _program(self) -> CompiledProgram:
        block = self.block
        return compile_program(block.circuit, block.observables, inputs=block.angle_names, dtype="float64")

    @cached_property
    def _wide(self) -> tuple[NDArray[np.float64], ...]:
        """The arrays in float64, matrices transposed for rows on the left."""
        names = ("entry.weight", "entry.bias", "block.weights", "exit.weight", "exit.bias")
        return tuple(np.ascontiguousarray(self.arrays[name].T, dtype=np.float64) for name in names)

    def outputs(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the last layer gives ``(n_rows, n_outputs)`` for encoded rows ``(n_rows, n_columns)``, in float64."""
        _, _, weights, exit_, exit_bias = self._wide
        if not len(encoded):
            return np.empty((0, len(exit_bias)))
        if len(encoded) > CHUNK_ROWS:
            starts = range(0, len(encoded), CHUNK_ROWS)
            return np.concatenate([self.outputs(encoded[i : i + CHUNK_ROWS]) for i in starts])
        expectations = self._program.expectation(self.circuit_angles(encoded), weights)  # (n_rows, n_observables)
        found: NDArray[np.float64] = expectations @ exit_ + exit_bias  # (n_rows, n_outputs)
        return found

    def circuit_angles(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """What enters the circuit for encoded rows, in radians, ``(n_rows, n_angles)``."""
        entry, entry_bias = self._wide[:2]
        angles: NDArray[np.float64] = np.tanh(encoded @ entry + entry_bias) * self.max_angle  # (n_rows, n_inputs)
        return angles if self.block.feature_map_name == "identity" else self.block.feature_map.apply(angles)

    def _parts(self, layers: list[str]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Preprocessing and network, except for the circuit, as a JSON description and plain arrays."""
        preprocessing, arrays = self.preprocessor.to_parts()
        description = {
            "preprocessing": preprocessing,
            "network": {
                "layers": layers,
                "max_angle": self.max_angle,
                "n_columns": self.preprocessor.n_encoded,
                "n_params": self.n_params,
                "n_qubits": self.block.circuit.n_qubits,
                "circuit": self.block.to_dict(),
            },
        }
        plain = {name: np.ascontiguousarray(array) for name, array in self.arrays.items()}
        return description, plain | {_PREPROCESSING + name: array for name, array in arrays.items()}

    def to_members(self) -> dict[str, bytes]:
        """The circuit as OpenQASM 3."""
        return {CIRCUIT_MEMBER: to_qasm(self.block.circuit).encode()}


def dressed_parts(
    description: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], circuit: Circuit
) -> tuple[Preprocessor, QuantumBlock, Mapping[str, NDArray[Any]], float]:
    """The fields of a `DressedModel`, in order, from what its ``to_parts`` gave and the circuit.

    Raises:
        ValueError: the parts do not fit one another; also KeyError, TypeError and a CircuitError, by cause.
    """
    network = description["network"]
    block = QuantumBlock.from_parts(circuit, network["circuit"])
    own = {name: array for name, array in arrays.items() if not name.startswith(_PREPROCESSING)}
    learnt = {name.removeprefix(_PREPROCESSING): array for name, array in arrays.items() if name not in own}
    written = list(network["circuit"]["weight_names"])
    own["block.weights"] = own["block.weights"][[written.index(name) for name in block.weight_names]]
    preprocessor = Preprocessor.from_parts(description["preprocessing"], learnt)
    return preprocessor, block, own, float(network["max_angle"])


@dataclass(frozen=True, eq=False)
class TrainedModel(DressedModel):
    """A `DressedModel` with a softmax behind it: class probabilities.

    Attributes:
        classes: labels, in the order of the probabilities.
    """

    kind: ClassVar[str] = "hybrid_classifier"

    classes: tuple[ClassLabel, ...]

    def __post_init__(self) -> None:
        n_classes = len(self.classes)
        self._check_arrays(n_classes)
        if n_classes < 2 or len(set(self.classes)) != n_classes or self.class_type not in CLASS_TYPES:
            raise ValueError(f"classes must be at least two different labels of one type, got {self.classes!r}")

    @property
    def class_type(self) -> str:
        """The type of all class labels: a key of `CLASS_TYPES`."""
        return class_type_of(self.classes)

    def probabilities(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """Class probabilities ``(n_rows, n_classes)`` of encoded rows ``(n_rows, n_columns)``, in float64."""
        scores = self.outputs(encoded)
        if len(scores):
            scores -= scores.max(axis=1, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=1, keepdims=True)
        return scores

    def probability_gradients(
        self, encoded: NDArray[np.float64], classes: NDArray[np.integer]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of each row one class's probability, ``(n_rows,)``, and its gradient, ``(n_rows, n_columns)``, in float64.

        Exact: the chain rule through both linear layers, with the circuit's adjoint gradient between them.

        Args:
            encoded: rows, ``(n_rows, n_columns)``, of any number; they are computed in parts.
            classes: index of each row's class, ``(n_rows,)``.

        Cost: some four forward passes.
        """
        if len(encoded) > CHUNK_ROWS:
            starts = range(0, len(encoded), CHUNK_ROWS)
            parts = [
                self.probability_gradients(encoded[i : i + CHUNK_ROWS], classes[i : i + CHUNK_ROWS]) for i in starts
            ]
            return np.concatenate([values for values, _ in parts]), np.concatenate([slopes for _, slopes in parts])
        entry, entry_bias, weights, exit_, exit_bias = self._wide
        bent = np.tanh(encoded @ entry + entry_bias)  # (n_rows, n_inputs)
        inputs = bent * self.max_angle
        expectations, tape_state = self._program.forward(self.block.feature_map.apply(inputs), weights)
        scores = expectations @ exit_ + exit_bias  # (n_rows, n_classes)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        values = shares[np.arange(len(shares)), classes]
        grad_scores = -values[:, None] * shares
        grad_scores[np.arange(len(shares)), classes] += values
        grad_angles, _ = self._program.backward(tape_state, grad_scores @ exit_.T)
        grad_inputs = self.block.feature_map.vjp(inputs, grad_angles)
        slopes: NDArray[np.float64] = (grad_inputs * self.max_angle * (1.0 - bent**2)) @ entry.T
        return values, slopes

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The model, except for its circuit, as a JSON description and plain arrays."""
        description, arrays = self._parts(["linear", "scaled_tanh", "circuit", "linear", "softmax"])
        return {**description, "classes": list(self.classes), "class_type": self.class_type}, arrays

    @classmethod
    def from_parts(cls, description: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], circuit: Circuit) -> Self:
        """The inverse of `to_parts`, given the circuit.

        Raises:
            ValueError: the parts do not fit one another; also KeyError, TypeError and a CircuitError, by cause.
        """
        kind = CLASS_TYPES[description["class_type"]]
        classes = tuple(kind(label) for label in description["classes"])
        return cls(*dressed_parts(description, arrays, circuit), classes=classes)
