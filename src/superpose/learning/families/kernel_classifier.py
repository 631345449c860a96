"""What classifiers by quantum kernels share: columns to inputs, the IQP circuit in registers, choice and fitting."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from superpose.circuits import Circuit, parameters, z_all
from superpose.errors import SpecError
from superpose.learning.encodings import ENCODINGS
from superpose.learning.families.kernel_machine import PENALTIES, Choice, choose, fit_machine
from superpose.learning.families.labelled_rows import LabelledRows
from superpose.learning.families.plain import PlainClassifier
from superpose.learning.quantum_block import QuantumBlock

if TYPE_CHECKING:
    from superpose.learning.training import TrainingWatch

__all__ = [
    "Entry",
    "KernelBody",
    "KernelClassifier",
    "KernelKey",
    "KernelParts",
    "columns_of",
    "input_scale",
    "iqp_block",
    "iqp_registers",
]

Matrix = NDArray[np.float64]

BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Bandwidths that cross-validation compares."""

_TUNING_ROWS = 400
"""Rows that choices are made on: enough to choose by, and choosing stays a matter of a second."""


def iqp_block(n_qubits: int, layers: int, *, entangle: bool = True) -> QuantumBlock:
    """The IQP feature map: ``layers`` times H on each qubit, RZ(x_i) on each, RZZ(x_i x_j) on each pair.

    Source: Havlicek et al. 2019, arXiv 1804.11326.
    """
    encoding = ENCODINGS["iqp"]
    angles = parameters("x", n_qubits * (n_qubits + 1) // 2 if entangle else n_qubits)
    circuit = Circuit(n_qubits, name="iqp_kernel")
    for _ in range(layers):
        encoding.apply(circuit, angles, entangle)
    names = tuple(angle.name for angle in angles)
    return QuantumBlock(circuit, names, n_qubits, encoding.feature_map_for(entangle), z_all(n_qubits))


def iqp_registers(n_inputs: int, max_qubits: int, layers: int, *, entangle: bool = True) -> tuple[QuantumBlock, ...]:
    """IQP feature maps of as equal a number of qubits as possible, at most ``max_qubits`` each, ``n_inputs`` in all."""
    n_registers = -(-n_inputs // max_qubits)
    sizes = [n_inputs // n_registers + (place < n_inputs % n_registers) for place in range(n_registers)]
    made = {size: iqp_block(size, layers, entangle=entangle) for size in set(sizes)}
    return tuple(made[size] for size in sizes)


def columns_of(registers: Sequence[QuantumBlock], inputs: Matrix) -> list[Matrix]:
    """Each register's inputs ``(n_rows, n_qubits)``."""
    ends = np.cumsum([block.n_inputs for block in registers])
    return np.split(inputs, ends[:-1], axis=1)


def input_scale(bandwidth: float, n_inputs: int) -> float:
    """Factor from inputs to angles, in radians."""
    return bandwidth / math.sqrt(n_inputs)


@dataclass(frozen=True, eq=False)
class Entry:
    """Encoded rows to inputs: ``(row - mean) @ directions``, on average of variance 1.

    Attributes:
        mean: ``(n_columns,)``.
        directions: ``(n_columns, n_inputs)``: the columns themselves, or their principal components.
    """

    mean: Matrix
    directions: Matrix

    @classmethod
    def fit(cls, rows: Matrix, most: int) -> Self:
        """The columns, or, where they are more than ``most``, so many principal components."""
        mean = rows.mean(axis=0)
        centred = rows - mean
        n_columns = rows.shape[1]
        if n_columns <= most:
            directions = np.eye(n_columns)
        else:
            values, vectors = np.linalg.eigh(centred.T @ centred)
            directions = vectors[:, np.argsort(values)[::-1][: min(most, max(1, len(rows) - 1))]]
            directions *= np.where(directions.sum(axis=0) < 0, -1.0, 1.0)
        spread = np.sqrt((centred @ directions).var(axis=0).mean())
        return cls(mean, directions / spread if spread > 0 else directions)

    def inputs(self, rows: Matrix) -> Matrix:
        """``(n_rows, n_inputs)``."""
        found: Matrix = (rows - self.mean) @ self.directions
        return found


class KernelKey(NamedTuple):
    """A kernel among those compared: bandwidth, and a Gaussian kernel's gamma where there is one."""

    bandwidth: float
    gamma: float = 0.0


class KernelParts(NamedTuple):
    """What a fit gives a body, references not yet scaled; see `KernelBody`."""

    entry: Entry
    registers: tuple[QuantumBlock, ...]
    references: Matrix
    weights: Matrix
    bias: Matrix

    def scaled(self, scale: float) -> dict[str, Any]:
        """The body's fields."""
        return {**self._asdict(), "scale": scale, "references": self.references * scale}


@dataclass(frozen=True, eq=False)
class KernelBody:
    """Inputs -> kernel with the support rows -> weighted sums.

    Attributes:
        entry: encoded rows to inputs.
        scale: factor from inputs to the circuits' inputs, in radians.
        registers: feature maps side by side; the kernel is that of the circuit of all of them.
        references: support rows as circuits' inputs, ``(n_support, n_inputs)``.
        weights: ``(n_support, n_classes)``.
        bias: ``(n_classes,)``.
    """

    entry: Entry
    scale: float
    registers: tuple[QuantumBlock, ...]
    references: Matrix
    weights: Matrix
    bias: Matrix

    def kernel(self, inputs: Matrix) -> Matrix:
        """Kernel of circuits' inputs ``(n_rows, n_inputs)`` with the references, ``(n_rows, n_support)``."""
        raise NotImplementedError

    def kernel_back(self, inputs: Matrix, grad_kernel: Matrix) -> Matrix:
        """The gradient by circuits' inputs ``(n_rows, n_inputs)`` of a number, given that by their kernel."""
        raise NotImplementedError

    def _options(self) -> dict[str, float]:
        """What the kernel has besides ``scale``."""
        return {}

    def inputs(self, encoded: Matrix) -> Matrix:
        """Encoded rows ``(n_rows, n_columns)`` as circuits' inputs ``(n_rows, n_inputs)``."""
        return self.entry.inputs(encoded) * self.scale

    def scores(self, encoded: Matrix) -> Matrix:
        """Scores ``(n_rows, n_classes)`` of encoded rows ``(n_rows, n_columns)``; their softmax are probabilities."""
        found: Matrix = self.kernel(self.inputs(encoded)) @ self.weights + self.bias
        return found

    def scores_back(self, encoded: Matrix, grad_scores: Matrix) -> Matrix:
        """The gradient by encoded rows ``(n_rows, n_columns)`` of a number, given that by scores."""
        grad = self.kernel_back(self.inputs(encoded), grad_scores @ self.weights.T)
        found: Matrix = (grad * self.scale) @ self.entry.directions.T
        return found

    def facts(self) -> dict[str, float]:
        """The learnt numbers that are no arrays."""
        return {"scale": self.scale}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Entry, references, weights and bias."""
        return {
            "mean": self.entry.mean,
            "directions": self.entry.directions,
            "references": self.references,
            "weights": self.weights,
            "bias": self.bias,
        }


@dataclass(kw_only=True, eq=False, repr=False)
class KernelClassifier(PlainClassifier):
    """Base of the classifiers by quantum kernels: a support vector machine on a Gram matrix of the engine.

    A column is a qubit's input; columns beyond ``max_columns`` are replaced by principal components. Qubits beyond
    ``max_qubits`` stand in further registers, between which no gates are: so any number of columns stays affordable,
    and the kernel is exactly that of the circuit of all qubits.

    Args:
        layers: how often the IQP feature map is applied.
        max_qubits: at most this many qubits per register.
        max_columns: at most this many inputs.
        bandwidth: an input's angle is ``bandwidth * column / sqrt(n_inputs)``, of columns whose mean variance is 1;
            None chooses one of 0.25, 0.5, 1, 2, 4 by cross-validation.
        C: the support vector machine's penalty; None chooses one of 0.1, 1, 10, 100 by cross-validation.
        folds: of that cross-validation, which sees at most 400 rows.
        max_rows: at most this many rows, a stratified sample of them, are learnt from: memory and time grow with their
            square.

    Attributes:
        choice_: bandwidth, penalty and temperature as chosen, with the accuracy that cross-validation saw.
        n_support_: rows that predictions are compared with.
    """

    body_class: ClassVar[type[KernelBody]]

    layers: int = 2
    max_qubits: int = 10
    max_columns: int = 64
    bandwidth: float | None = None
    C: float | None = None
    folds: int = 5
    max_rows: int = 4000

    @abstractmethod
    def _grams(self, registers: tuple[QuantumBlock, ...], inputs: Matrix) -> Iterator[tuple[KernelKey, Matrix]]:
        """The kernels that cross-validation compares, the plainest first, with their Gram matrices."""

    @abstractmethod
    def _gram(self, registers: tuple[QuantumBlock, ...], inputs: Matrix, key: KernelKey) -> Matrix:
        """Gram matrix of inputs ``(n_rows, n_inputs)``."""

    @abstractmethod
    def _body(self, key: KernelKey, parts: KernelParts) -> KernelBody:
        """The body of a kernel."""

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        for name, least, most in (
            ("layers", 1, 100),
            ("max_qubits", 1, 16),
            ("max_columns", 1, 1000),
            ("folds", 2, 100),
            ("max_rows", 10, 20_000),
        ):
            self._check_whole(name, least, most)
        for name in ("bandwidth", "C"):
            self._check_positive(name)

    def _check_positive(self, name: str) -> None:
        value = getattr(self, name)
        if value is not None and not (isinstance(value, int | float | np.number) and 0 < value < np.inf):
            raise SpecError(f"must be a number above 0, or None to have it chosen, got {value!r}", name)

    def _bandwidths(self) -> tuple[float, ...]:
        return BANDWIDTHS if self.bandwidth is None else (float(self.bandwidth),)

    def _penalties(self) -> tuple[float, ...]:
        return PENALTIES if self.C is None else (float(self.C),)

    def _learn(self, data: LabelledRows, seed: int, watch: TrainingWatch | None) -> None:
        n_classes = len(self.classes_)
        data = data.sample(self.max_rows, seed)
        entry = Entry.fit(data.rows, self.max_columns)
        inputs = entry.inputs(data.rows)
        registers = self._registers(inputs.shape[1])
        tuning = data._replace(rows=inputs).sample(_TUNING_ROWS, seed)
        choice: Choice[KernelKey] = choose(
            self._grams(registers, tuning.rows),
            tuning.codes,
            n_classes,
            penalties=self._penalties(),
            folds=self.folds,
            seed=seed,
            groups=tuning.groups,
        )
        machine = fit_machine(self._gram(registers, inputs, choice.key), data.codes, n_classes, choice.penalty)
        heat = choice.temperature
        weights, bias = machine.weights * heat, machine.bias * heat
        self.choice_ = choice
        self.body_ = self._body(choice.key, KernelParts(entry, registers, inputs[machine.support], weights, bias))
        self.n_support_ = len(machine.support)

    def _scores(self, rows: Matrix) -> Matrix:
        return self.body_.scores(rows)

    def _scores_back(self, rows: Matrix, grad_scores: Matrix) -> Matrix:
        return self.body_.scores_back(rows, grad_scores)

    def _blocks(self) -> tuple[QuantumBlock, ...]:
        return tuple(dict.fromkeys(self.body_.registers))

    def _registers(self, n_inputs: int) -> tuple[QuantumBlock, ...]:
        return iqp_registers(n_inputs, self.max_qubits, self.layers, entangle=not self.separable)

    @property
    def n_params_(self) -> int:
        """Learnt numbers that predictions depend on: weights and biases."""
        return self.body_.weights.size + self.body_.bias.size

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        return self.body_.facts(), self.body_.arrays()

    def _restore(self, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        entry = Entry(arrays["mean"], arrays["directions"])
        references, weights, bias = arrays["references"], arrays["weights"], arrays["bias"]
        n_columns, n_inputs = entry.directions.shape
        shapes = [
            (n_columns,),
            (len(references), n_inputs),
            (len(references), len(self.classes_)),
            (len(self.classes_),),
        ]
        found = [array.shape for array in (entry.mean, references, weights, bias)]
        if found != shapes or n_columns != self.preprocessor_.n_encoded:
            raise ValueError(f"arrays must have the shapes {shapes}, got {found}")
        numbers: dict[str, Any] = {name: float(value) for name, value in facts.items()}
        parts = KernelParts(entry, self._registers(n_inputs), references, weights, bias)
        self.body_ = self.body_class(**parts._asdict(), **numbers)
        self.n_support_ = len(references)
