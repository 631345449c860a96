"""`HybridEstimator`: what `HybridClassifier` and `HybridRegressor` share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from superpose.circuits import Backend
from superpose.errors import ModelFormatError, SpecError
from superpose.learning.backend_spec import DEFAULT_SHOTS, MEASURED_GRADIENTS, BackendSpec
from superpose.learning.calibration.safeguards import Safeguards
from superpose.learning.estimator import (
    TabularEstimator,
    check_encoded,
    check_validation_fraction,
    default_names,
    plain_value,
    rows_at,
    with_labels,
)
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

    beside_spec: ClassVar[tuple[str, ...]] = ("scaling", "validation_fraction", "gradient_method")
    """Hyperparameters that no section of a spec holds, and that model files keep all the same."""

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
            facts: about data, evaluation and provenance; how it was trained is added where they do not say it.
            safeguards: calibration, prediction sets and the like of a classifier, an interval of a regressor; novelty.
                By default those that it was fitted with.

        Raises:
            NotFittedError: ``fit`` has not been called.
            ValueError: the labels are neither texts, numbers nor truth values.
            TypeError: the network has no circuit.
        """
        self._check_fitted()
        facts = facts or ModelFacts()
        backend = "local" if self.measured_ is None else self.measured_["backend"]
        own = {"spec": self.trained_spec_, "estimator": self.trained_params_, "backend": backend}
        told = {
            "measured": self.measured_,
            "fine_tuned_from": getattr(self, "fine_tuning_", None),
            "privacy": getattr(self, "privacy_", None),
        }
        own |= {name: value for name, value in told.items() if value is not None}
        facts = replace(facts, provenance={**own, **facts.provenance})
        kept = getattr(self, "safeguards_", None) if safeguards is None else safeguards
        return write_model(Path(path), self.to_trained_model(), facts, kept)

    def spec_sections(self) -> dict[str, Any]:
        """The hyperparameters as the sections of a spec that they belong to."""
        sections = {"model": self._model_spec().to_dict(), "training": self._training_options().to_dict()}
        return sections if self.backend is None else {**sections, "backend": self._backend_spec().to_dict()}

    def __sklearn_is_fitted__(self) -> bool:
        """Whether ``fit`` has been called."""
        return hasattr(self, "trained_spec_")

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
        check_encoded(self.preprocessor_)
        encoded: NDArray[np.float64] = self.preprocessor_.transform(rows)
        return encoded

    def _build(self, model: ModelSpec, options: TrainingOptions, n_outputs: int, variant: str, seed: int) -> None:
        """Put an untrained network in place."""
        for name in ("trained_spec_", "fine_tuning_", "model_digest_"):  # of the model that was here before
            self.__dict__.pop(name, None)
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

    def _note_hyperparameters(self) -> None:
        """The model is ready: keep what it was made with, whatever ``set_params`` says later."""
        self.trained_spec_ = self.spec_sections()
        self.trained_params_ = {name: plain_value(getattr(self, name)) for name in self.beside_spec}
        if isinstance(self.random_state, int | np.integer):  # a generator has moved on
            self.trained_params_["random_state"] = int(self.random_state)

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
        provenance = file.manifest["provenance"]
        self.measured_ = provenance.get("measured")
        for name, attribute in (("privacy", "privacy_"), ("fine_tuned_from", "fine_tuning_")):
            if name in provenance:
                setattr(self, attribute, provenance[name])
        self.history_ = []
        self.n_iter_ = 0
        self._note_hyperparameters()

    def _measurer(self, network: HybridNetwork, n_rows: int, seed: int) -> Measurer | None:
        """What measures the network's circuit on the backend, put into the network; None without a backend."""
        if self.backend is None:
            return None
        layer = quantum_layer_of(network)
        backend = resolved_backend(self.backend)
        measurer = Measurer(backend, self._backend_spec(), layer.block, n_rows=n_rows, seed=seed)
        layer.measured_by(measurer)
        return measurer


def hyperparameters_of(file: ModelFile, estimator: type[HybridEstimator]) -> dict[str, Any]:
    """What a model file says about how its model was made, as arguments of the estimator.

    Raises:
        ModelFormatError: it says it in a way that this release does not know.
    """
    try:
        found = _hyperparameters(file, estimator.beside_spec)
        weights = found.get("class_weight")
        if isinstance(weights, Mapping):
            found["class_weight"] = with_labels(weights, file.model.classes)
        made = estimator(**found)
        made.spec_sections()
    except (SpecError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ModelFormatError(
            f"the hyperparameters in the model file cannot be used: {type(error).__name__}: {str(error)[:200]}"
        ) from None
    return found


def _hyperparameters(file: ModelFile, beside_spec: tuple[str, ...]) -> dict[str, Any]:
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
    if "scaling" in spec.get("preprocessing", {}):
        found["scaling"] = spec["preprocessing"]["scaling"]
    stated = file.manifest["provenance"].get("estimator", {})
    return found | {name: stated[name] for name in (*beside_spec, "random_state") if name in stated}


def _renamed(ansatz: Mapping[str, Any]) -> dict[str, Any]:
    return {"ansatz": ansatz["name"], "layers": ansatz["layers"]}
