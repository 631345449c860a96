"""`HybridClassifier`: a hybrid quantum-classical classifier with scikit-learn's conventions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from superpose.circuits import Backend
from superpose.errors import ModelFormatError, SpecError
from superpose.learning.backend_spec import DEFAULT_SHOTS, MEASURED_GRADIENTS, BackendSpec
from superpose.learning.estimator import (
    EstimatorNotFittedError,
    EstimatorOneClassError,
    default_names,
    early_stopping_split,
    encoded_rows,
    rows_at,
    seed_of,
    validated_rows,
)
from superpose.learning.measured.measurer import Measurer
from superpose.learning.measured.naming import resolved_backend
from superpose.learning.model_file import ModelFacts, ModelFile, read_model, write_model
from superpose.learning.network import (
    HybridNetwork,
    NetworkShape,
    build_network,
    network_of_model,
    probabilities,
    quantum_layer_of,
    trained_model,
)
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.privacy.spec import PrivacySpec, admit_privacy
from superpose.learning.rows import is_frame
from superpose.learning.spec import (
    AnsatzSpec,
    EncodingSpec,
    ModelSpec,
    PreprocessingSpec,
    TrainingOptions,
    TrainingSpec,
)
from superpose.learning.trained_model import TrainedModel
from superpose.learning.training import Trainer, TrainingRows, TrainingWatch, class_weights_of

if TYPE_CHECKING:
    from superpose.learning.privacy.accounting import PrivacyPlan

__all__ = ["HybridClassifier", "load_model"]


class HybridClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Classifier with a quantum circuit between two linear layers, for two or more classes.

    Rows pass preprocessing (missing numbers filled, categories one-hot encoded, columns scaled), then
    ``Linear(n_columns -> n_qubits)``, ``max_angle * tanh``, the circuit's <Z_i>, ``Linear(n_qubits -> n_classes)``
    and softmax. Trained by AdamW on cross entropy; the weights of the epoch with the lowest validation loss are kept.

    A data frame may have category columns; an array must be numeric. Both may have missing values.

    Args:
        n_qubits: qubits of the circuit.
        encoding: "angle", "reuploading" or "iqp".
        ansatz: "strongly_entangling" or "hardware_efficient".
        layers: layers of the ansatz.
        max_angle: bound of the angles that enter the circuit, in radians.
        epochs: at most this many passes over the rows.
        batch_size: rows per step.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        patience: epochs without a better validation loss before training stops.
        validation_fraction: share of the rows that decide when to stop; 0, or a class with a single row, uses the
            training loss instead.
        class_weight: None, "balanced", or a mapping from label to weight.
        scaling: "standard", "robust", "minmax" or "none".
        gradient_method: on the engine "adjoint" (the default), "parameter-shift", "finite-difference" or "spsa"; see
            `QuantumLayer`. On a backend "parameter-shift" (the default) or "spsa".
        backend: where the circuit runs in training: None is this machine's engine, without shots; a name such as
            "emulator:ibm_fez", or any backend, measures it there, a program for each mini-batch. Validation and
            ``predict_proba`` stay with the engine unless asked otherwise.
        shots: on a backend: of each circuit, on average at most.
        shot_allocation: on a backend: "adaptive" begins with few shots and shares them among rows, "fixed" does not;
            see `superpose.learning.measured.allocation`.
        epsilon: for differentially private training, see `superpose.learning.privacy.spec.PrivacySpec`: all rows train,
            none stops it early. Rows and noise are drawn anew in each fit, whatever ``random_state`` is.
        delta: of private training.
        max_gradient_norm: of private training.
        random_state: seed; None takes one from NumPy's global generator.

    Attributes:
        classes_: labels, sorted.
        n_features_in_: columns seen by ``fit``.
        feature_names_in_: their names, if they had names that are all texts.
        n_iter_: epochs trained.
        history_: loss, validation loss and validation accuracy per epoch.
        network_: the trained `torch.nn.Module`.
        preprocessor_: the learnt preprocessing.
        privacy_: after private training: epsilon spent, noise, and what is covered.
        measured_: after training on a backend: where, how, and the shots, circuits and submissions that it took.

    >>> from sklearn.datasets import load_iris
    >>> rows, labels = load_iris(return_X_y=True)
    >>> bool(HybridClassifier(random_state=0).fit(rows, labels).score(rows, labels) > 0.9)
    True
    """

    def __init__(  # noqa: PLR0913  # scikit-learn's convention: every hyperparameter is an argument of __init__
        self,
        n_qubits: int = 4,
        encoding: str = "angle",
        ansatz: str = "strongly_entangling",
        layers: int = 2,
        *,
        max_angle: float = math.pi / 2,
        epochs: int = 60,
        batch_size: int = 32,
        learning_rate: float = 0.02,
        weight_decay: float = 0.1,
        patience: int = 10,
        validation_fraction: float = 0.15,
        class_weight: str | Mapping[Any, float] | None = None,
        scaling: str = "standard",
        gradient_method: str | None = None,
        backend: str | Backend | None = None,
        shots: int = DEFAULT_SHOTS,
        shot_allocation: str = "adaptive",
        epsilon: float | None = None,
        delta: float = 1e-5,
        max_gradient_norm: float = 1.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_qubits = n_qubits
        self.encoding = encoding
        self.ansatz = ansatz
        self.layers = layers
        self.max_angle = max_angle
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.scaling = scaling
        self.gradient_method = gradient_method
        self.backend = backend
        self.shots = shots
        self.shot_allocation = shot_allocation
        self.epsilon = epsilon
        self.delta = delta
        self.max_gradient_norm = max_gradient_norm
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, watch: TrainingWatch | None = None) -> Self:  # scikit-learn's names
        """Train on rows ``(n_rows, n_columns)`` and their labels ``(n_rows,)``.

        Args:
            X: numeric array, or data frame with number and category columns.
            y: labels.
            watch: what looks on, stops and keeps checkpoints; see `superpose.learning.TrainingWatch`.

        Raises:
            ValueError: the rows or labels cannot be used; also a `DatasetOneClassError` for labels of one class.
            SpecError: a hyperparameter is out of range.
        """
        model, options = self._model_spec(), self._training_options()
        rows, labels, kinds = validated_rows(self, X, y)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise EstimatorOneClassError(
                f"the labels have one class only, {self.classes_[0]!r}; a classifier needs at least two classes",
                classes=[str(self.classes_[0])],
            )
        seed = seed_of(self.random_state)
        private = self._admitted_privacy(len(codes))
        share = self.validation_fraction if private is None else 0.0
        train, validation = early_stopping_split(codes, share, seed)
        plan = _plan(private, len(train), options)
        frame_names = rows.columns if is_frame(rows) else getattr(self, "feature_names_in_", None)
        names = default_names(self.n_features_in_) if frame_names is None else [str(name) for name in frame_names]
        # Small data still has common categories; only those that occur once are left out here.
        scaling = PreprocessingSpec(scaling=self.scaling, min_category_rows=2)
        self.preprocessor_ = Preprocessor.fit(rows_at(rows, train), names, kinds, scaling)
        encoded = self.preprocessor_.transform(rows)
        shape = NetworkShape(self.preprocessor_.n_encoded, len(self.classes_))
        generator = torch.Generator().manual_seed(seed)
        self.network_ = build_network(model, shape, "hybrid", generator, options.gradient_method)
        measurer = self._measurer(self.network_, len(train), seed)
        trainer = Trainer(
            self.network_,
            TrainingRows.from_arrays(encoded[train], codes[train]),
            TrainingRows.from_arrays(encoded[validation], codes[validation]) if len(validation) else None,
            options,
            n_classes=len(self.classes_),
            generator=torch.Generator().manual_seed(seed + 1),
            class_weights=class_weights_of(self.class_weight, self.classes_, codes[train]),
            measurer=measurer,
            privacy=plan,
        )
        trainer.run(watch)
        quantum_layer_of(self.network_).measured_by(None)
        self.measured_ = None if measurer is None else measurer.facts()
        self.privacy_ = None if plan is None else plan.facts()
        self.history_ = trainer.history
        self.n_iter_ = len(self.history_)
        return self

    def predict_proba(
        self, X: Any, *, backend: str | Backend | None = None, shots: int | None = None, seed: int = 0
    ) -> NDArray[np.float64]:
        """Probability of each class, float64 ``(n_rows, n_classes)``, in the order of ``classes_``.

        Args:
            X: rows.
            backend: where the circuit runs; by default on this machine's engine, exactly, wherever the model was
                trained. On a backend all rows go as one program.
            shots: of each row's circuit, on a backend; by default those of the classifier.
            seed: of shots that are drawn here.

        Raises:
            NotFittedError: ``fit`` has not been called.
            ValueError: the array does not have the columns seen by ``fit``.
            FeatureMismatchError: the data frame, or the list of mappings from column name to value, does not.
        """
        self._check_fitted()
        encoded = encoded_rows(self, X)
        if backend is None:
            return probabilities(self.network_, encoded)
        spec = BackendSpec(name="predicting", shots=self.shots if shots is None else shots, evaluate="backend")
        block = quantum_layer_of(self.network_).block
        measurer = Measurer(resolved_backend(backend), spec, block, n_rows=len(encoded), seed=seed)
        measurer.begin_evaluation("predict")
        return probabilities(self.network_, encoded, measurer)

    def predict(
        self, X: Any, *, backend: str | Backend | None = None, shots: int | None = None, seed: int = 0
    ) -> NDArray[Any]:
        """Most probable label of each row; see `predict_proba`."""
        chosen = self.predict_proba(X, backend=backend, shots=shots, seed=seed).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[chosen]
        return labels

    def to_trained_model(self) -> TrainedModel:
        """The fitted model as plain values, without torch.

        Raises:
            NotFittedError: ``fit`` has not been called.
        """
        self._check_fitted()
        return trained_model(self.network_, self.preprocessor_, tuple(self.classes_.tolist()))

    def save(self, path: Path | str, facts: ModelFacts | None = None) -> str:
        """Write a model file, atomically, and return its digest; `superpose.load_model` reads it.

        Raises:
            NotFittedError: ``fit`` has not been called.
            ValueError: the labels are neither texts, numbers nor truth values.
        """
        if facts is None:
            measured = {} if self.measured_ is None else {"measured": self.measured_}
            backend = "local" if self.measured_ is None else self.measured_["backend"]
            facts = ModelFacts(provenance={"spec": self._spec_sections(), "backend": backend, **measured})
        return write_model(Path(path), self.to_trained_model(), facts)

    def _spec_sections(self) -> dict[str, Any]:
        """The hyperparameters as the sections of a spec that they belong to."""
        sections = {"model": self._model_spec().to_dict(), "training": self._training_options().to_dict()}
        return sections if self.backend is None else {**sections, "backend": self._backend_spec().to_dict()}

    def __sklearn_is_fitted__(self) -> bool:
        """Whether ``fit`` has been called."""
        return hasattr(self, "network_")

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn may expect: missing values are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise EstimatorNotFittedError(f"this {type(self).__name__} is not fitted; call fit first")

    def _model_spec(self) -> ModelSpec:
        return ModelSpec(
            n_qubits=self.n_qubits,
            encoding=EncodingSpec(name=self.encoding),
            ansatz=AnsatzSpec(name=self.ansatz, layers=self.layers),
            max_angle=self.max_angle,
        )

    def _training_options(self) -> TrainingOptions:
        on_backend = self.backend is not None
        if not 0 <= self.validation_fraction < 1:
            raise SpecError(f"must be from 0 to below 1, got {self.validation_fraction}", "validation_fraction")
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

    def _admitted_privacy(self, n_rows: int) -> PrivacySpec | None:
        """The privacy section of a spec; None without an epsilon."""
        if self.epsilon is None:
            return None
        spec = PrivacySpec(self.epsilon, self.delta, self.max_gradient_norm)
        sections = {**self._spec_sections(), "privacy": spec.to_dict()}
        if self.class_weight == "balanced":
            sections["training"] = {**sections["training"], "class_weights": "balanced"}
        admit_privacy(TrainingSpec.from_dict(sections), n_rows)
        return spec

    def _measurer(self, network: HybridNetwork, n_rows: int, seed: int) -> Measurer | None:
        """What measures the network's circuit on the backend, put into the network; None without a backend."""
        if self.backend is None:
            return None
        layer = quantum_layer_of(network)
        backend = resolved_backend(self.backend)
        measurer = Measurer(backend, self._backend_spec(), layer.block, n_rows=n_rows, seed=seed)
        layer.measured_by(measurer)
        return measurer


def _plan(private: PrivacySpec | None, n_rows: int, options: TrainingOptions) -> PrivacyPlan | None:
    if private is None:
        return None
    from superpose.learning.privacy.accounting import plan_privacy  # Opacus takes a second to load

    return plan_privacy(private, n_rows, options.batch_size, options.epochs)


def load_model(path: Path | str | bytes, expected_digest: str | None = None) -> HybridClassifier:
    """A fitted `HybridClassifier` from a model file; nothing in the file is executed or unpickled.

    Args:
        path: the file, or its bytes.
        expected_digest: from a registry; another digest is refused.

    Raises:
        ModelFileCorruptError: the bytes are not those of a whole model file, or not of the expected one.
        ModelFormatError: written in a format that this release does not know.
    """
    file = read_model(path, expected_digest)
    model, names = file.model, file.model.preprocessor.columns.names
    if not isinstance(model, TrainedModel):
        raise ModelFormatError(
            f"the model file holds a {model.kind!r}, which is no HybridClassifier; "
            "superpose.learning.Predictor.load serves it"
        )
    classifier = HybridClassifier(**_hyperparameters(file))
    classifier.classes_ = np.array(model.classes)
    classifier.n_features_in_ = len(names)
    if names != default_names(len(names)):
        classifier.feature_names_in_ = np.array(names, dtype=object)
    classifier.preprocessor_ = model.preprocessor
    classifier.network_ = network_of_model(model)
    classifier.measured_ = file.manifest["provenance"].get("measured")
    classifier.history_ = []
    classifier.n_iter_ = 0
    return classifier


def _hyperparameters(file: ModelFile) -> dict[str, Any]:
    """What a model file says about how its model was made, as arguments of `HybridClassifier`."""
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
