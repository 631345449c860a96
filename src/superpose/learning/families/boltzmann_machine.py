"""The quantum Boltzmann machine as a classifier: thermal states of a Hamiltonian whose coefficients depend on a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.model_selection import StratifiedShuffleSplit
from threadpoolctl import threadpool_limits

from superpose.datasets import grouped_splits
from superpose.errors import DatasetTooSmallError, SpecError
from superpose.learning.families.labelled_rows import LabelledRows
from superpose.learning.families.plain import PlainClassifier
from superpose.learning.folds import Fold

if TYPE_CHECKING:
    from superpose.learning.quantum_block import QuantumBlock
    from superpose.learning.training import TrainingWatch

__all__ = ["BoltzmannMachineClassifier", "hamiltonian_terms"]

Matrix = NDArray[np.float64]

REGULARIZATIONS = (0.1, 0.03, 0.01, 0.003)
"""Values that held-back rows choose among, the strongest first."""

_TUNING_ROWS = 300
"""Rows that the choice is made on."""

_TUNING_SPLITS = 2
"""How often some of them are held back."""

_HELD = 0.3
"""The share of them that is."""

_AT_ONCE = 1 << 23
"""So many numbers of rows' Hamiltonians are held at a time, 64 MB; some six times that with what they give."""

_FLOOR = 1e-12
"""Added to every class's weight, so that none has probability 0."""


@cache
def hamiltonian_terms(n_qubits: int, entangle: bool) -> Matrix:
    """Z and X of every qubit, and ZZ of every pair if ``entangle``: real ``(n_terms, 2**n_qubits, 2**n_qubits)``."""
    pauli = {"I": np.eye(2), "X": np.array([[0.0, 1.0], [1.0, 0.0]]), "Z": np.diag([1.0, -1.0])}

    def term(places: Mapping[int, str]) -> Matrix:
        found = np.eye(1)
        for qubit in range(n_qubits):
            found = np.kron(found, pauli[places.get(qubit, "I")])
        return found

    pairs = [(i, j) for i in range(n_qubits) for j in range(i + 1, n_qubits)] if entangle else []
    singles = [term({qubit: letter}) for letter in "ZX" for qubit in range(n_qubits)]
    return np.array([*singles, *(term({i: "Z", j: "Z"}) for i, j in pairs)])


@dataclass(kw_only=True, eq=False, repr=False)
class BoltzmannMachineClassifier(PlainClassifier):
    """Class probabilities are those of measuring output qubits in the thermal state of a row's Hamiltonian.

    ``H(x) = sum_i a_i(x) Z_i + b_i(x) X_i + sum_ij c_ij(x) Z_i Z_j`` with coefficients linear in the columns, and
    ``P(k | x) = tr(P_k exp(-H(x))) / sum_k' tr(P_k' exp(-H(x)))``, where P_k projects the first
    ``ceil(log2 n_classes)`` qubits on the bits of k. The other qubits are hidden. Thermal states are computed exactly,
    not prepared: this is no circuit, and says what a machine could do at best. The separable twin has no Z_i Z_j.

    Trained by L-BFGS on cross entropy with exact gradients.

    Args:
        n_qubits: output and hidden qubits together.
        regularization: half of it times the squared coefficients' slopes is added to the cross entropy; None chooses
            one of 0.1, 0.03, 0.01, 0.003 by the accuracy on rows held back, the stronger of equals: noisy tables need
            the first, winding borders the last.
        max_iterations: of L-BFGS.
        max_rows: at most this many rows, a stratified sample of them, are learnt from.

    Attributes:
        coefficients_: ``(n_columns + 1, n_terms)``, the last row constant.
        terms_: as in `hamiltonian_terms`.
        regularization_: as given or chosen.
        n_iter_: iterations of L-BFGS.

    Other arguments and attributes: see `PlainClassifier` and `FamilyClassifier`.

    Cost: an eigendecomposition of a real matrix ``2**n_qubits`` wide per row and iteration, and in predictions per row;
        half a gigabyte of memory at most, however many rows.
    Source: Amin et al. 2018, arXiv 1601.02036, sec. V; coefficients linear in the row: Zoufal, Lucchi, Woerner 2021,
        arXiv 2006.06004.

    >>> from sklearn.datasets import load_iris
    >>> rows, labels = load_iris(return_X_y=True)
    >>> bool(BoltzmannMachineClassifier(random_state=0).fit(rows, labels).score(rows, labels) > 0.9)
    True
    """

    family: ClassVar[str] = "boltzmann_machine"

    n_qubits: int = 4
    regularization: float | None = None
    max_iterations: int = 100
    max_rows: int = 1000

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        self._check_whole("n_qubits", 1, 8)
        self._check_whole("max_iterations", 1, 10_000)
        self._check_whole("max_rows", 10, 20_000)
        given = self.regularization
        if given is not None and not (isinstance(given, int | float | np.number) and 0 <= given < np.inf):
            raise SpecError(f"must be a number from 0, or None to have it chosen, got {given!r}", "regularization")

    def _learn(self, data: LabelledRows, seed: int, watch: TrainingWatch | None) -> None:
        least = max(1, (len(self.classes_) - 1).bit_length())
        if self.n_qubits < least:
            raise SpecError(
                f"must be at least {least} for {len(self.classes_)} classes, got {self.n_qubits}", "n_qubits"
            )
        self.terms_ = hamiltonian_terms(self.n_qubits, not self.separable)
        data = data.sample(self.max_rows, seed)
        data = data._replace(rows=_with_constant(data.rows))
        wide, codes = data.rows, data.codes
        start = np.random.default_rng([seed, 0xB0]).normal(size=(wide.shape[1], len(self.terms_)))
        start *= 0.3 / np.sqrt(wide.shape[1])
        given = self.regularization
        with threadpool_limits(1):  # of small matrices, over which BLAS threads wait for each other
            self.regularization_ = self._chosen(data, start, seed) if given is None else float(given)
            self.coefficients_, self.n_iter_ = self._minimum(wide, codes, start, self.regularization_)

    def _minimum(
        self, wide: Matrix, codes: NDArray[np.integer], start: Matrix, regularization: float
    ) -> tuple[Matrix, int]:
        """Coefficients of least regularized cross entropy, and the iterations that finding them took."""

        def loss(flat: Matrix) -> tuple[float, Matrix]:
            coefficients = flat.reshape(start.shape)
            value, slopes = self._loss(wide @ coefficients, codes)
            grad = wide.T @ slopes
            value += 0.5 * regularization * float((coefficients[:-1] ** 2).sum())
            grad[:-1] += regularization * coefficients[:-1]
            return value, grad.ravel()

        options = {"maxiter": self.max_iterations}
        found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options)
        return found.x.reshape(start.shape), int(found.nit)

    def _chosen(self, data: LabelledRows, start: Matrix, seed: int) -> float:
        """The regularization of most right answers on held-back rows; the strongest where rows are too few to tell."""
        wide, codes, groups = data.sample(_TUNING_ROWS, seed)
        right = np.zeros(len(REGULARIZATIONS))
        for train, held in _held_back(codes, groups, seed):
            coefficients = start
            for place, regularization in enumerate(REGULARIZATIONS):  # each begins where the stronger one ended
                coefficients, _ = self._minimum(wide[train], codes[train], coefficients, regularization)
                weights = self._class_weights(*self._spectra(wide[held] @ coefficients))
                right[place] += (weights.argmax(axis=1) == codes[held]).sum()
        return REGULARIZATIONS[int(right.argmax())]  # the first, and strongest, where nothing could be held back

    def _projectors(self) -> Matrix:
        """Diagonals of the classes' projectors, ``(n_classes, 2**n_qubits)``."""
        n_outputs = max(1, (len(self.classes_) - 1).bit_length())
        dimension = self.terms_.shape[1]
        outputs = np.arange(dimension) // (dimension >> n_outputs)
        found: Matrix = (outputs == np.arange(len(self.classes_))[:, None]).astype(np.float64)
        return found

    def _spectra(self, coefficients: Matrix) -> tuple[Matrix, Matrix]:
        """Eigenvalues, the smallest 0, ``(n_rows, dim)``, and eigenvectors ``(n_rows, dim, dim)``."""
        terms = self.terms_
        hamiltonians = (coefficients @ terms.reshape(len(terms), -1)).reshape(-1, *terms.shape[1:])
        values, vectors = np.linalg.eigh(hamiltonians)
        return values - values[:, :1], vectors

    def _class_weights(self, values: Matrix, vectors: Matrix) -> Matrix:
        """``tr(P_k exp(-H))`` of every class, ``(n_rows, n_classes)``."""
        diagonal = (vectors**2 @ np.exp(-values)[:, :, None])[:, :, 0]  # (n_rows, dim)
        found: Matrix = diagonal @ self._projectors().T + _FLOOR
        return found

    def _loss(self, coefficients: Matrix, codes: NDArray[np.integer]) -> tuple[float, Matrix]:
        """Mean cross entropy, and its gradient by the terms' coefficients, ``(n_rows, n_terms)``."""
        losses, slopes, projectors = np.empty(len(codes)), np.empty_like(coefficients), self._projectors()
        for part in self._parts(len(codes)):
            values, vectors = self._spectra(coefficients[part])
            weights, labels = self._class_weights(values, vectors), codes[part]
            own, total = weights[np.arange(len(labels)), labels], weights.sum(axis=1)
            # minus the logarithm's derivative by exp(-H), a diagonal operator per row
            operator = projectors.sum(axis=0) / total[:, None] - projectors[labels] / own[:, None]  # (n_rows, dim)
            losses[part], slopes[part] = np.log(total / own), self._by_terms(operator, values, vectors)
        return float(losses.mean()), slopes / len(codes)

    def _parts(self, n_rows: int) -> Iterator[slice]:
        """Rows whose Hamiltonians are held at once."""
        step = max(1, _AT_ONCE // self.terms_[0].size)
        return (slice(i, i + step) for i in range(0, n_rows, step))

    def _scores(self, rows: Matrix) -> Matrix:
        found = np.empty((len(rows), len(self.classes_)))
        for part in self._parts(len(rows)):
            coefficients = _with_constant(rows[part]) @ self.coefficients_
            found[part] = np.log(self._class_weights(*self._spectra(coefficients)))
        return found

    def _scores_back(self, rows: Matrix, grad_scores: Matrix) -> Matrix:
        found = np.empty_like(rows)
        for part in self._parts(len(rows)):
            values, vectors = self._spectra(_with_constant(rows[part]) @ self.coefficients_)
            operator = (grad_scores[part] / self._class_weights(values, vectors)) @ self._projectors()  # (n_rows, dim)
            found[part] = self._by_terms(operator, values, vectors) @ self.coefficients_[:-1].T
        return found

    def _by_terms(self, operator: Matrix, values: Matrix, vectors: Matrix) -> Matrix:
        """The gradient by the terms' coefficients, given that by ``exp(-H)`` as a diagonal ``(n_rows, dim)``."""
        moved = vectors.transpose(0, 2, 1) @ (operator[:, :, None] * vectors)  # in the eigenbasis
        moved *= _divided_differences(values)
        grad = vectors @ moved @ vectors.transpose(0, 2, 1)  # by H, (n_rows, dim, dim)
        terms = self.terms_
        found: Matrix = grad.reshape(len(grad), -1) @ terms.reshape(len(terms), -1).T
        return found

    def _blocks(self) -> tuple[QuantumBlock, ...]:
        return ()

    @property
    def n_params_(self) -> int:
        """Learnt numbers that predictions depend on."""
        return int(self.coefficients_.size)

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        return {"n_iter": self.n_iter_, "regularization": self.regularization_}, {"coefficients": self.coefficients_}

    def _restore(self, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        self.terms_ = hamiltonian_terms(self.n_qubits, not self.separable)
        shape = self.preprocessor_.n_encoded + 1, len(self.terms_)
        if arrays["coefficients"].shape != shape:
            raise ValueError(f"coefficients must have the shape {shape}, got {arrays['coefficients'].shape}")
        self.coefficients_, self.n_iter_ = arrays["coefficients"], int(facts["n_iter"])
        # Files of before the choice have only the hyperparameter, which was a number then.
        self.regularization_ = float(facts.get("regularization", self.regularization or 0.0))


def _with_constant(rows: Matrix) -> Matrix:
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)


def _divided_differences(values: Matrix) -> Matrix:
    """``(exp(-a) - exp(-b)) / (a - b)`` for all pairs of eigenvalues, ``(n_rows, dim, dim)``; the slope where equal."""
    a, b = values[:, :, None], values[:, None, :]
    gap = a - b
    close = np.abs(gap) < 1e-6
    powers = np.exp(-values)
    difference = powers[:, :, None] - powers[:, None, :]
    return np.where(close, -np.exp(-(a + b) / 2), difference / np.where(close, 1.0, gap))


def _held_back(codes: NDArray[np.integer], groups: NDArray[np.integer] | None, seed: int) -> list[Fold]:
    """Rows to fit and rows to measure; none where there are too few to tell."""
    counts = np.unique_counts(codes).counts
    if counts.min() < 2 or _HELD * len(codes) < len(counts):
        return []
    if groups is None:
        return list(
            StratifiedShuffleSplit(_TUNING_SPLITS, test_size=_HELD, random_state=seed % 2**32).split(codes, codes)
        )
    shares = {"test_fraction": _HELD, "validation_fraction": 0.0}
    try:
        splits = grouped_splits(codes, groups, n_splits=_TUNING_SPLITS, seed=seed, **shares)
    except DatasetTooSmallError:
        return []
    return [(split.train, split.test) for split in splits]
