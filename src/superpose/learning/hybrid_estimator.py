"""`HybridEstimator`: what `HybridClassifier` and `HybridRegressor` share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from superpose.circuits import Backend
from superpose.errors import SpecError
from superpose.learning.backend_spec import DEFAULT_SHOTS, MEASURED_GRADIENTS, BackendSpec
from superpose.learning.calibration.safeguards import Safeguards
from superpose.learning.estimator import TabularEstimator, check_validation_fraction, default_names, rows_at
from superpose.learning.measured.measurer import Measurer
from superpose.learning.measured.naming import resolved_backend
from superpose.learning.model_file import ModelFacts, ModelFile, write_model
from superpose.learning.network import HybridNetwork, NetworkShape, build_network, network_of_model, quantum_layer_of
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.quantum_layer import QuantumLayer
from superpose.learning.rows import ColumnKind, is_frame
from superpose.learning.spec import AnsatzSpec, EncodingSpec, ModelSpec, PreprocessingSpec, TrainingOptions
from superpose.learning.trained_model import DressedModel, ServedModel
from superpose.learning.training import Trainer, TrainingWatch

__all__ = ["HybridEstimator", "hyperparameters_of"]


@dataclass(eq=False, repr=False)
class HybridEstimator(TabularEstimator, ABC):
    """A dressed circuit with scikit-learn's conventions: hyperparameters, preprocessing, backend, model file.

    The hyperparameters and attributes are told where users meet them, in `HybridClassifier` and `HybridRegressor`.
    """

    n_qubits: int = 4
    encoding: str = "angle"
    ansatz: str = "strongly_entangling"
    layers: int = 2
    _: KW_ONLY
    max_angle: float = math.pi / 2
    epochs: int = 60
    batch_size: int = 32
    learning_rate: float = 0.02
    weight_decay: float = 0.1
    patience: int = 10
    validation_fraction: float = 0.15
    scaling: str = "standard"
    gradient_method: str | None = None
    backend: str | Backend | None = None
    shots: int = DEFAULT_SHOTS
    shot_allocation: str = "adaptive"
    random_state: int | np.random.RandomState | None = None

    @abstractmethod
    def to_trained_model(self) -> ServedModel:
        """The fitted model as plain values, without torch.

        Raises:
            NotFittedError: ``fit`` has not been called.
        """

    def save(self, path: Path | str, facts: ModelFacts | None = None, safeguards: Safeguards | None = None) -> str:
        """Write a model file, atomically, and return its digest; `superpose.load_model` reads it.

        Args:
            path: of the file.
            facts: about data, evaluation and provenance; by default how it was trained.
            safeguards: calibration, prediction sets and the like of a classifier, an interval of a regressor; novelty.
                By default those that it was fitted with.

        Raises:
            NotFittedError: ``fit`` has not been called.
            ValueError: the labels are neither texts, numbers nor truth values.
            TypeError: the network has no circuit.
        """
        if facts is None:
            measured = {} if self.measured_ is None else {"measured": self.measured_}
            backend = "local" if self.measured_ is None else self.measured_["backend"]
            parent = getattr(self, "fine_tuning_", None)
            begun = {} if parent is None else {"fine_tuned_from": parent}
            plan = getattr(self, "privacy_", None)
            private = {} if plan is None else {"privacy": plan}
            spec = self.spec_sections()
            facts = ModelFacts(provenance={"spec": spec, "backend": backend, **measured, **begun, **private})
        kept = getattr(self, "safeguards_", None) if safeguards is None else safeguards
        return write_model(Path(path), self.to_trained_model(), facts, kept)

    def spec_sections(self) -> dict[str, Any]:
        """The hyperparameters as the sections of a spec that they belong to."""
        sections = {"model": self._model_spec().to_dict(), "training": self._training_options().to_dict()}
        return sections if self.backend is None else {**sections, "backend": self._backend_spec().to_dict()}

    def __sklearn_is_fitted__(self) -> bool:
        """Whether ``fit`` has been called."""
        return hasattr(self, "network_")

    def _model_spec(self) -> ModelSpec:
        return ModelSpec(
            n_qubits=self.n_qubits,
            encoding=EncodingSpec(name=self.encoding),
            ansatz=AnsatzSpec(name=self.ansatz, layers=self.layers),
            max_angle=self.max_angle,
        )

    def _training_options(self) -> TrainingOptions:
        on_backend = self.backend is not None
        check_validation_fraction(self.validation_fraction)
        return TrainingOptions(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            patience=self.patience,
            gradient_method="adjoint" if on_backend else self.gradient_method or "adjoint",
        )

    def _backend_spec(self) -> BackendSpec:
        if self.backend is None:
            return BackendSpec()
        gradient = self.gradient_method or MEASURED_GRADIENTS[0]
        if gradient not in MEASURED_GRADIENTS:
            raise SpecError(
                f"must be one of {', '.join(MEASURED_GRADIENTS)} on a backend, which shows no states; got {gradient!r}",
                "gradient_method",
                allowed=list(MEASURED_GRADIENTS),
            )
        name = self.backend if isinstance(self.backend, str) else str(getattr(self.backend, "name", "unnamed"))
        return BackendSpec(name=name, shots=self.shots, gradient=gradient, allocation=self.shot_allocation)

    def _fit_preprocessor(self, rows: Any, kinds: list[ColumnKind], train: NDArray[np.integer]) -> NDArray[np.float64]:
        """Learn the preprocessing from the training rows; all rows encoded, float64 ``(n_rows, n_encoded)``."""
        frame_names = rows.columns if is_frame(rows) else getattr(self, "feature_names_in_", None)
        names = default_names(self.n_features_in_) if frame_names is None else [str(name) for name in frame_names]
        # Small data still has common categories; only those that occur once are left out here.
        scaling = PreprocessingSpec(scaling=self.scaling, min_category_rows=2)
        self.preprocessor_ = Preprocessor.fit(rows_at(rows, train), names, kinds, scaling)
        encoded: NDArray[np.float64] = self.preprocessor_.transform(rows)
        return encoded

    def _build(self, model: ModelSpec, options: TrainingOptions, n_outputs: int, variant: str, seed: int) -> None:
        """Put an untrained network in place."""
        shape = NetworkShape(self.preprocessor_.n_encoded, n_outputs)
        generator = torch.Generator().manual_seed(seed)
        self.network_ = build_network(model, shape, variant, generator, options.gradient_method)

    def _run(self, trainer: Trainer, measurer: Measurer | None, watch: TrainingWatch | None) -> None:
        """Train, and keep what training tells."""
        trainer.run(watch)
        if isinstance(self.network_.block, QuantumLayer):
            self.network_.block.measured_by(None)
        self.measured_ = None if measurer is None else measurer.facts()
        self.history_ = trainer.history
        self.n_iter_ = len(self.history_)

    def _predicting_measurer(
        self, backend: str | Backend | None, shots: int | None, n_rows: int, seed: int
    ) -> Measurer | None:
        """What measures rows to predict on a backend; None predicts here."""
        if backend is None:
            return None
        spec = BackendSpec(name="predicting", shots=self.shots if shots is None else shots, evaluate="backend")
        block = quantum_layer_of(self.network_).block
        measurer = Measurer(resolved_backend(backend), spec, block, n_rows=n_rows, seed=seed)
        measurer.begin_evaluation("predict")
        return measurer

    def _take_over(self, model: DressedModel, file: ModelFile) -> None:
        """Become the fitted estimator that a model file holds."""
        self._take_columns(model.preprocessor)
        self.network_ = network_of_model(model)
        self.measured_ = file.manifest["provenance"].get("measured")
        if "privacy" in file.manifest["provenance"]:
            self.privacy_ = file.manifest["provenance"]["privacy"]
        self.history_ = []
        self.n_iter_ = 0

    def _measurer(self, network: HybridNetwork, n_rows: int, seed: int) -> Measurer | None:
        """What measures the network's circuit on the backend, put into the network; None without a backend."""
        if self.backend is None:
            return None
        layer = quantum_layer_of(network)
        backend = resolved_backend(self.backend)
        measurer = Measurer(backend, self._backend_spec(), layer.block, n_rows=n_rows, seed=seed)
        layer.measured_by(measurer)
        return measurer


def hyperparameters_of(file: ModelFile) -> dict[str, Any]:
    """What a model file says about how its model was made, as arguments of the estimator."""
    spec = file.manifest["provenance"].get("spec", {})
    network = spec.get("model", {})
    found = {name: network[name] for name in ("n_qubits", "max_angle") if name in network}
    found |= {"encoding": network["encoding"]["name"], **_renamed(network["ansatz"])} if network else {}
    training = spec.get("training", {})
    shared = ("epochs", "batch_size", "learning_rate", "weight_decay", "patience")
    found |= {name: training[name] for name in shared if name in training}
    backend = spec.get("backend", {})
    if backend.get("name") is not None:
        found |= {"backend": backend["name"], "shots": backend["shots"], "shot_allocation": backend["allocation"]}
        found["gradient_method"] = backend["gradient"]
    if training.get("class_weights", "none") != "none":
        found["class_weight"] = training["class_weights"]
    return found


def _renamed(ansatz: Mapping[str, Any]) -> dict[str, Any]:
    return {"ansatz": ansatz["name"], "layers": ansatz["layers"]}
