"""Quantum kitchen sinks: many small circuits with random angles, and a linear model of what they give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from superpose.circuits import Circuit, parameters, z_all
from superpose.engine import CompiledProgram, compile_program
from superpose.errors import SpecError
from superpose.learning.families.kernel_classifier import BANDWIDTHS
from superpose.learning.families.kernel_machine import PENALTIES, Choice, choose, fit_machine
from superpose.learning.families.labelled_rows import LabelledRows
from superpose.learning.families.plain import PlainClassifier
from superpose.learning.quantum_block import QuantumBlock

if TYPE_CHECKING:
    from superpose.learning.training import TrainingWatch

__all__ = ["KitchenSinksClassifier", "sink_block"]

Matrix = NDArray[np.float64]

_TUNING_ROWS = 400
"""Rows that choices are made on."""

_RUNS = 100_000
"""Runs of the circuit that the engine is asked for at once: bounds memory."""


def sink_block(n_qubits: int, *, entangle: bool = True) -> QuantumBlock:
    """The circuit of one episode: RX(x_i) on each qubit, CX along the chain, <Z> of each qubit."""
    angles = parameters("x", n_qubits)
    circuit = Circuit(n_qubits, name="kitchen_sink")
    for qubit, angle in enumerate(angles):
        circuit.append("rx", [qubit], [angle])
    for qubit in range(n_qubits - 1 if entangle else 0):
        circuit.append("cx", [qubit, qubit + 1])
    return QuantumBlock(circuit, tuple(angle.name for angle in angles), n_qubits, "identity", z_all(n_qubits))


@dataclass(kw_only=True, eq=False, repr=False)
class KitchenSinksClassifier(PlainClassifier):
    """``episodes`` runs of one circuit, each with its own random map from columns to angles, then a linear model.

    Angles are ``bandwidth * column @ direction + offset``: directions normal with variance ``1 / n_columns``, offsets
    uniform in a full turn, both drawn once. The circuit: RX(angle) on each qubit, CX along the chain, <Z> of each.
    Where the source takes one shot per run, expectations are taken here: what many shots would give. The linear model
    is a support vector machine.

    Args:
        n_qubits: qubits of a circuit.
        episodes: runs per row; there are ``episodes * n_qubits`` features.
        bandwidth: None chooses one of 0.25, 0.5, 1, 2, 4 by cross-validation.
        C: the support vector machine's penalty; None chooses one of 0.1, 1, 10, 100 by cross-validation.
        folds: of that cross-validation, which sees at most 400 rows.
        max_rows: at most this many rows, a stratified sample of them, are learnt from.

    Other arguments and attributes: see `PlainClassifier` and `FamilyClassifier`.

    Cost: ``episodes`` runs of a circuit of ``n_qubits`` per row.
    Source: Wilson et al. 2018, arXiv 1806.08321.

    >>> from sklearn.datasets import load_iris
    >>> rows, labels = load_iris(return_X_y=True)
    >>> bool(KitchenSinksClassifier(random_state=0).fit(rows, labels).score(rows, labels) > 0.9)
    True
    """

    family: ClassVar[str] = "kitchen_sinks"

    n_qubits: int = 4
    episodes: int = 250
    bandwidth: float | None = None
    C: float | None = None
    folds: int = 5
    max_rows: int = 4000

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        for name, least, most in (("n_qubits", 1, 16), ("episodes", 1, 100_000), ("folds", 2, 100)):
            self._check_whole(name, least, most)
        self._check_whole("max_rows", 10, 20_000)
        for name in ("bandwidth", "C"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float | np.number) and 0 < value < np.inf):
                raise SpecError(f"must be a number above 0, or None to have it chosen, got {value!r}", name)

    def _learn(self, data: LabelledRows, seed: int, watch: TrainingWatch | None) -> None:
        data = data.sample(self.max_rows, seed)
        rows = data.rows
        self.block_ = sink_block(self.n_qubits, entangle=not self.separable)
        random = np.random.default_rng([seed, 0x51])
        self.directions_ = random.normal(size=(self.episodes * self.n_qubits, rows.shape[1])) / np.sqrt(rows.shape[1])
        self.offsets_ = random.uniform(-np.pi, np.pi, self.episodes * self.n_qubits)
        tuning = data.sample(_TUNING_ROWS, seed)
        penalties = PENALTIES if self.C is None else (float(self.C),)
        self.choice_: Choice[float] = choose(
            self._grams(tuning.rows),
            tuning.codes,
            len(self.classes_),
            penalties=penalties,
            folds=self.folds,
            seed=seed,
            groups=tuning.groups,
        )
        self.bandwidth_ = self.choice_.key
        features = self._features(rows, self.bandwidth_)
        machine = fit_machine(features @ features.T, data.codes, len(self.classes_), self.choice_.penalty)
        self.weights_ = features[machine.support].T @ machine.weights * self.choice_.temperature
        self.bias_ = machine.bias * self.choice_.temperature

    def _grams(self, rows: Matrix) -> Iterator[tuple[float, Matrix]]:
        for bandwidth in BANDWIDTHS if self.bandwidth is None else (float(self.bandwidth),):
            features = self._features(rows, bandwidth)
            yield bandwidth, features @ features.T

    def _features(self, rows: Matrix, bandwidth: float) -> Matrix:
        """Expectations of all episodes, of mean square about 1 per row: ``(n_rows, episodes * n_qubits)``."""
        program = self._program()
        found = np.empty((len(rows), len(self.offsets_)))
        step = max(1, _RUNS // self.episodes_)
        for i in range(0, len(rows), step):
            runs = self.runs(rows[i : i + step], bandwidth)
            found[i : i + step] = program.expectation(runs, np.empty(0)).reshape(-1, len(self.offsets_))
        found *= self.feature_scale
        return found

    def runs(self, rows: Matrix, bandwidth: float) -> Matrix:
        """The circuit's angles, in radians, of all episodes of encoded rows: ``(n_rows * episodes, n_qubits)``."""
        angles = bandwidth * (rows @ self.directions_.T) + self.offsets_
        return np.ascontiguousarray(angles.reshape(-1, self.block_.n_inputs))

    @property
    def episodes_(self) -> int:
        """Runs of the circuit per row."""
        return len(self.offsets_) // self.block_.n_inputs

    @property
    def feature_scale(self) -> float:
        """What expectations are multiplied by, so that their mean square is about 1 per row."""
        return float(np.sqrt(2.0 / len(self.offsets_)))

    def _program(self) -> CompiledProgram:
        block = self.block_
        return compile_program(block.circuit, block.observables, inputs=block.angle_names, dtype="float64")

    def _scores(self, rows: Matrix) -> Matrix:
        found: Matrix = self._features(rows, self.bandwidth_) @ self.weights_ + self.bias_
        return found

    def _scores_back(self, rows: Matrix, grad_scores: Matrix) -> Matrix:
        program = self._program()
        found = np.empty_like(rows)
        step = max(1, _RUNS // self.episodes_)
        for i in range(0, len(rows), step):
            _, state = program.forward(self.runs(rows[i : i + step], self.bandwidth_), np.empty(0))
            grad = (grad_scores[i : i + step] @ self.weights_.T) * self.feature_scale  # (n_rows, n_features)
            grad_runs, _ = program.backward(state, np.ascontiguousarray(grad.reshape(-1, self.block_.n_inputs)))
            found[i : i + step] = self.bandwidth_ * (grad_runs.reshape(grad.shape) @ self.directions_)
        return found

    def _blocks(self) -> tuple[QuantumBlock, ...]:
        return (self.block_,)

    @property
    def n_params_(self) -> int:
        """Learnt numbers that predictions depend on: weights and biases."""
        return int(self.weights_.size + self.bias_.size)

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        arrays = {
            "directions": self.directions_,
            "offsets": self.offsets_,
            "weights": self.weights_,
            "bias": self.bias_,
        }
        return {"bandwidth": self.bandwidth_}, arrays

    def _restore(self, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        names = ("directions", "offsets", "weights", "bias")
        n_features, n_classes = self.episodes * self.n_qubits, len(self.classes_)
        shapes = [(n_features, self.preprocessor_.n_encoded), (n_features,), (n_features, n_classes), (n_classes,)]
        if (found := [arrays[name].shape for name in names]) != shapes:
            raise ValueError(f"arrays must have the shapes {shapes}, got {found}")
        self.block_ = sink_block(self.n_qubits, entangle=not self.separable)
        self.bandwidth_ = float(facts["bandwidth"])
        self.directions_, self.offsets_, self.weights_, self.bias_ = (arrays[name] for name in names)
