"""The quantum metric learner: an embedding trained to carry the classes' states far apart, and the nearest class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from superpose.circuits import Circuit, Observable, parameters
from superpose.engine import CompiledProgram, compile_program
from superpose.errors import SpecError
from superpose.learning.families.kernel_machine import best_temperature
from superpose.learning.families.labelled_rows import LabelledRows
from superpose.learning.families.plain import PlainClassifier
from superpose.learning.quantum_block import QuantumBlock

if TYPE_CHECKING:
    from superpose.learning.training import TrainingWatch

__all__ = ["MetricLearnerClassifier", "embedding_block"]

Matrix = NDArray[np.float64]


def embedding_block(n_qubits: int, layers: int, *, entangle: bool = True) -> QuantumBlock:
    """``layers`` times RX(x_i) on each qubit, RZZ(w) around the ring and RY(w) on each; RX(x_i) at the end.

    Its observables are all Pauli strings but the identity: they say everything about a state.

    Source: Lloyd et al. 2020, arXiv 2001.03622, fig. 4.
    """
    ring = [(i, (i + 1) % n_qubits) for i in range(n_qubits if n_qubits > 2 else n_qubits - 1)] if entangle else []
    angles, weights = parameters("x", n_qubits), parameters("w", layers * (len(ring) + n_qubits))
    circuit = Circuit(n_qubits, name="metric_learner")
    left = iter(weights)
    for _ in range(layers):
        for qubit, angle in enumerate(angles):
            circuit.append("rx", [qubit], [angle])
        for pair in ring:
            circuit.append("rzz", list(pair), [next(left)])
        for qubit in range(n_qubits):
            circuit.append("ry", [qubit], [next(left)])
    for qubit, angle in enumerate(angles):
        circuit.append("rx", [qubit], [angle])
    strings = ["".join(letters) for letters in product("IXYZ", repeat=n_qubits)][1:]
    names = tuple(angle.name for angle in angles)
    return QuantumBlock(circuit, names, n_qubits, "identity", tuple(Observable(string) for string in strings))


@dataclass(kw_only=True, eq=False, repr=False)
class MetricLearnerClassifier(PlainClassifier):
    """A linear map to angles and an embedding circuit, trained to carry the mean states of the classes far apart.

    With rho_k the mean of the states of class k's rows, the mean of ``1 - tr((rho_k - rho_l)**2) / 2`` over pairs of
    classes is made small, by L-BFGS with exact gradients. A row goes to the class of the nearest mean state;
    probabilities are the softmax of minus the squared distances, with the factor that makes the training rows most
    likely. Distances come from the expectations of all ``4**n_qubits`` Pauli strings.

    Args:
        n_qubits: qubits, and width of the linear map.
        layers: of the embedding.
        regularization: half of it times the linear map's squared slopes is added to the loss.
        max_iterations: of L-BFGS.
        max_rows: at most this many rows, a stratified sample of them, are learnt from.

    Attributes:
        n_iter_: iterations of L-BFGS.

    Other arguments and attributes: see `PlainClassifier` and `FamilyClassifier`.

    Cost: ``4**n_qubits`` expectations and their gradients per row and iteration.
    Source: Lloyd et al. 2020, arXiv 2001.03622.

    >>> from sklearn.datasets import load_iris
    >>> rows, labels = load_iris(return_X_y=True)
    >>> bool(MetricLearnerClassifier(random_state=0).fit(rows, labels).score(rows, labels) > 0.9)
    True
    """

    family: ClassVar[str] = "metric_learner"

    n_qubits: int = 3
    layers: int = 2
    regularization: float = 0.003
    max_iterations: int = 60
    max_rows: int = 4000

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        for name, least, most in (("n_qubits", 1, 5), ("layers", 1, 100), ("max_iterations", 1, 10_000)):
            self._check_whole(name, least, most)
        self._check_whole("max_rows", 10, 20_000)
        if not (isinstance(self.regularization, int | float | np.number) and 0 <= self.regularization < np.inf):
            raise SpecError(f"must be a number from 0, got {self.regularization!r}", "regularization")

    def _learn(self, data: LabelledRows, seed: int, watch: TrainingWatch | None) -> None:
        rows, codes, _ = data.sample(self.max_rows, seed)  # nothing is held back: groups make no difference
        self.block_ = block = embedding_block(self.n_qubits, self.layers, entangle=not self.separable)
        program = _program(block)
        random = np.random.default_rng([seed, 0x3E])
        n_entry = rows.shape[1] * self.n_qubits
        entry = random.normal(size=n_entry) * (0.5 / np.sqrt(rows.shape[1]))
        start = np.concatenate([entry, random.uniform(-0.5, 0.5, self.n_qubits + block.n_weights)])

        def loss(flat: Matrix) -> tuple[float, Matrix]:
            slopes, offsets, weights = np.split(flat, [n_entry, n_entry + self.n_qubits])
            angles = rows @ slopes.reshape(rows.shape[1], -1) + offsets
            expectations, state = program.forward(angles, weights)
            value, grad = _overlap_of_classes(expectations, codes, len(self.classes_))
            grad_angles, grad_weights = program.backward(state, grad)
            grad_slopes = (rows.T @ grad_angles).ravel() + self.regularization * slopes
            value += 0.5 * self.regularization * float(slopes @ slopes)
            return value, np.concatenate([grad_slopes, grad_angles.sum(axis=0), grad_weights])

        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": self.max_iterations})
        slopes, self.offsets_, self.weights_ = np.split(found.x, [n_entry, n_entry + self.n_qubits])
        self.slopes_: Matrix = slopes.reshape(rows.shape[1], -1)
        self.n_iter_ = int(found.nit)
        expectations = self._expectations(rows)
        self.means_ = _means(expectations, codes, len(self.classes_))
        self.temperature_ = best_temperature(self._nearness(expectations), codes)

    def _expectations(self, rows: Matrix) -> Matrix:
        """Of all Pauli strings but the identity, ``(n_rows, 4**n_qubits - 1)``."""
        found: Matrix = _program(self.block_).expectation(rows @ self.slopes_ + self.offsets_, self.weights_)
        return found

    def _nearness(self, expectations: Matrix) -> Matrix:
        """Minus the squared distances to the classes' mean states, but for what all classes share."""
        found: Matrix = (2.0 * expectations @ self.means_.T - (self.means_**2).sum(axis=1)) / 2**self.block_.n_inputs
        return found

    def _scores(self, rows: Matrix) -> Matrix:
        return self._nearness(self._expectations(rows)) * self.temperature_

    def _scores_back(self, rows: Matrix, grad_scores: Matrix) -> Matrix:
        program = _program(self.block_)
        _, state = program.forward(rows @ self.slopes_ + self.offsets_, self.weights_)
        grad_angles, _ = program.backward(state, grad_scores @ self.exit_)
        found: Matrix = grad_angles @ self.slopes_.T
        return found

    @property
    def exit_(self) -> Matrix:
        """Derivatives of the scores by the expectations, ``(n_classes, 4**n_qubits - 1)``."""
        found: Matrix = self.means_ * (2.0 * self.temperature_ / 2**self.block_.n_inputs)
        return found

    def _blocks(self) -> tuple[QuantumBlock, ...]:
        return (self.block_,)

    @property
    def n_params_(self) -> int:
        """Learnt numbers that predictions depend on; the classes' mean states count too."""
        return int(self.slopes_.size + self.offsets_.size + self.weights_.size + self.means_.size)

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        arrays = {"slopes": self.slopes_, "offsets": self.offsets_, "weights": self.weights_, "means": self.means_}
        return {"temperature": self.temperature_, "n_iter": self.n_iter_}, arrays

    def _restore(self, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        self.block_ = block = embedding_block(self.n_qubits, self.layers, entangle=not self.separable)
        n_columns, n_classes = self.preprocessor_.n_encoded, len(self.classes_)
        shapes = [(n_columns, self.n_qubits), (self.n_qubits,), (block.n_weights,), (n_classes, block.n_outputs)]
        names = ("slopes", "offsets", "weights", "means")
        if (found := [arrays[name].shape for name in names]) != shapes:
            raise ValueError(f"arrays must have the shapes {shapes}, got {found}")
        self.slopes_, self.offsets_, self.weights_, self.means_ = (arrays[name] for name in names)
        self.temperature_, self.n_iter_ = float(facts["temperature"]), int(facts["n_iter"])


def _program(block: QuantumBlock) -> CompiledProgram:
    return compile_program(block.circuit, block.observables, inputs=block.angle_names, dtype="float64")


def _means(expectations: Matrix, codes: NDArray[np.integer], n_classes: int) -> Matrix:
    """Mean expectations of each class's rows, ``(n_classes, n_strings)``."""
    return np.array([expectations[codes == label].mean(axis=0) for label in range(n_classes)])


def _overlap_of_classes(expectations: Matrix, codes: NDArray[np.integer], n_classes: int) -> tuple[float, Matrix]:
    """Mean of ``1 - tr((rho_k - rho_l)**2) / 2`` over pairs of classes, and its gradient by the expectations."""
    means = _means(expectations, codes, n_classes)
    pairs = list(combinations(range(n_classes), 2))
    dimension = expectations.shape[1] + 1  # 4**n_qubits; its root is 2**n_qubits
    unit = 1.0 / (np.sqrt(dimension) * len(pairs))
    value, grad_means = 1.0, np.zeros_like(means)
    for k, other in pairs:
        gap = means[k] - means[other]
        value -= 0.5 * unit * float(gap @ gap)
        grad_means[k] -= unit * gap
        grad_means[other] += unit * gap
    sizes = np.bincount(codes, minlength=n_classes)
    return value, (grad_means / sizes[:, None])[codes]
