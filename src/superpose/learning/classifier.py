"""`HybridClassifier`: a hybrid quantum-classical classifier with scikit-learn's conventions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, clone

from superpose.circuits import Backend
from superpose.errors import ModelFormatError, SpecError
from superpose.learning.calibration.estimating import SafeguardedClassifier, asked_calibration, calibration_params
from superpose.learning.calibration.fitting import check_rows, fit_novelty
from superpose.learning.calibration.report import fit_safeguards
from superpose.learning.calibration.safeguards import Safeguards
from superpose.learning.class_weights import class_weights_of
from superpose.learning.estimator import (
    classes_of,
    early_stopping_split,
    encoded_rows,
    group_members,
    seed_of,
    validated_rows,
)
from superpose.learning.fine_tuning.parent import Parent, earlier_data
from superpose.learning.fine_tuning.plan import plan_fine_tuning
from superpose.learning.fine_tuning.spec import FineTuneSpec
from superpose.learning.hybrid_estimator import HybridEstimator, hyperparameters_of
from superpose.learning.model_file import read_model
from superpose.learning.network import probabilities, trained_model
from superpose.learning.privacy.spec import PrivacySpec, admit_privacy
from superpose.learning.spec import TrainingOptions, TrainingSpec
from superpose.learning.trained_model import TrainedModel
from superpose.learning.training import Trainer, TrainingRows, TrainingWatch

if TYPE_CHECKING:
    from superpose.learning.calibration.spec import CalibrationSpec
    from superpose.learning.privacy.accounting import PrivacyPlan

__all__ = ["HybridClassifier", "load_model"]


@dataclass(kw_only=True, eq=False, repr=False)
class HybridClassifier(ClassifierMixin, HybridEstimator, SafeguardedClassifier):  # type: ignore[misc]  # scikit-learn has no types
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
        validation_fraction: share of the rows that decide when to stop; 0, or a class in one row or group alone, uses
            the training loss instead.
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
        calibration: how probabilities are calibrated: None, "temperature", "isotonic" or "auto"; see
            `superpose.learning.calibration.spec`. This and the next two are fitted on the validation rows, of which
            there must be enough.
        conformal: how often ``predict_set`` holds the true class, at least, 0.5 .. 0.999; None makes no sets.
        abstain_below: ``abstains`` tells rows whose largest probability is below; None has no such rule.
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
        safeguards_: what was fitted for ``calibration``, ``conformal`` and ``abstain_below``, and the novelty score.
        privacy_: after private training: epsilon spent, noise, and what is covered.
        fine_tuning_: after ``fine_tune``: what was taken over from the parent.
        measured_: after training on a backend: where, how, and the shots, circuits and submissions that it took.

    >>> from sklearn.datasets import load_iris
    >>> rows, labels = load_iris(return_X_y=True)
    >>> bool(HybridClassifier(random_state=0).fit(rows, labels).score(rows, labels) > 0.9)
    True
    """

    beside_spec: ClassVar[tuple[str, ...]] = (
        *HybridEstimator.beside_spec,
        "class_weight",
        "epsilon",
        "delta",
        "max_gradient_norm",
    )

    class_weight: str | Mapping[Any, float] | None = None
    calibration: str | None = None
    conformal: float | None = None
    abstain_below: float | None = None
    epsilon: float | None = None
    delta: float = 1e-5
    max_gradient_norm: float = 1.0

    def fit(  # scikit-learn's names
        self, X: Any, y: Any, *, groups: Any = None, watch: TrainingWatch | None = None
    ) -> Self:
        """Train on rows ``(n_rows, n_columns)`` and their labels ``(n_rows,)``.

        Args:
            X: numeric array, or data frame with number and category columns.
            y: labels.
            groups: which rows belong together, such as those of a patient: a number or a text for each, ``(n_rows,)``.
                No group is in training and validation rows both; calibration, prediction sets and novelty count
                groups, see `superpose.learning.calibration.ranks`; of private training ``privacy_`` tells what the
                largest group spent.
            watch: what looks on, stops and keeps checkpoints; see `superpose.learning.TrainingWatch`.

        Raises:
            ValueError: the rows, labels or groups cannot be used; also a `DatasetOneClassError` for labels of one
                class.
            SpecError: a hyperparameter is out of range, or validation has too few groups for the safeguards.
        """
        return self._fit(X, y, watch, groups=groups)

    def fine_tune(  # noqa: PLR0913  # the fields of the section ``fine_tune``
        self,
        X: Any,
        y: Any,
        *,
        freeze: Sequence[str] = (),
        learning_rates: Mapping[str, float] | None = None,
        entry: str = "auto",
        head: str = "auto",
        groups: Any = None,
        watch: TrainingWatch | None = None,
        **changes: Any,
    ) -> HybridClassifier:
        """A new classifier that begins from this fitted one and learns from other rows; this one stays as it is.

        Args:
            X: rows, possibly with other columns.
            y: labels, possibly of other classes.
            freeze: blocks that are not trained, or one of them: "entry", "circuit", "head".
            learning_rates: by block, in place of ``learning_rate``.
            entry: "keep" takes preprocessing and entry layer as they are, for equal columns; "match" learns
                preprocessing anew and takes the weights of columns of the same name; "new" begins anew; "auto" is the
                first of these that fits.
            head: "keep" for equal classes, "new", or "auto".
            groups, watch: as for ``fit``.
            changes: hyperparameters that differ from this classifier's, such as ``epochs``; not those of the circuit.

        Raises:
            NotFittedError: ``fit`` has not been called.
            ValueError: the rows or labels cannot be used.
            SpecError: a hyperparameter is out of range, or columns, classes or circuit do not fit what is asked for.
        """
        self._check_fitted()
        name = "this model"
        frozen = (freeze,) if isinstance(freeze, str) else tuple(freeze)
        section = FineTuneSpec(parent=name, entry=entry, head=head, freeze=frozen, learning_rates=learning_rates)
        digest = getattr(self, "model_digest_", None)
        earlier = earlier_data(getattr(self, "fine_tuning_", None))
        parent = Parent(self.to_trained_model(), name, digest, self.trained_spec_["model"], earlier_data=earlier)
        child: HybridClassifier = clone(self).set_params(**changes)
        return child._fit(X, y, watch, parent, section, groups)

    def _fit(
        self,
        X: Any,
        y: Any,
        watch: TrainingWatch | None,
        parent: Parent | None = None,
        section: FineTuneSpec | None = None,
        groups: Any = None,
    ) -> Self:
        """Train, from random weights or from a parent."""
        model, options = self._model_spec(), self._training_options()
        rows, labels, kinds = validated_rows(self, X, y)
        self.classes_, codes = classes_of(labels)
        members = group_members(groups, len(codes))
        seed = seed_of(self.random_state)
        guarding = self._calibration_spec()
        if guarding is not None and self.epsilon is not None:
            raise SpecError(
                "cannot be had with epsilon: in private training all rows train, and none is held out to calibrate on; "
                "leave calibration, conformal and abstain_below out, or epsilon",
                "calibration",
            )
        private = self._admitted_privacy(len(codes))
        share = self.validation_fraction if private is None else 0.0
        train, validation = early_stopping_split(codes, share, seed, members)
        held_members = None if members is None else members[validation]
        if guarding is not None:
            check_rows(guarding, len(validation), held_members)
        plan = _plan(private, len(train), options)
        encoded = self._fit_preprocessor(rows, kinds, train)
        fine_tuning = None
        if parent is not None and section is not None:
            asked = TrainingSpec(model=model, fine_tune=section)
            columns = self.preprocessor_.columns
            fine_tuning = plan_fine_tuning(asked, parent, columns, self.classes_.tolist(), rows=rows)
            if fine_tuning.preprocessor is not None:
                # arrays are matched by position, so what is kept of the parent takes the order of these columns
                self.preprocessor_ = fine_tuning.preprocessor.in_order(columns.names)
                encoded = self.preprocessor_.transform(rows)
        self._build(model, options, len(self.classes_), "hybrid", seed)
        if fine_tuning is not None:
            fine_tuning.begin(self.network_, self.preprocessor_.encoded_names)
            self.fine_tuning_ = fine_tuning.to_dict()
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
            draws=False,
            rate_factors=None if fine_tuning is None else fine_tuning.rate_factors(self.network_, self.learning_rate),
        )
        self._run(trainer, measurer, watch)
        largest = 1 if members is None else int(np.bincount(members[train]).max())
        self.privacy_ = None if plan is None else plan.facts(largest)
        self.safeguards_ = Safeguards()
        if guarding is not None:
            held = encoded[validation]
            own = probabilities(self.network_, held)
            self.safeguards_ = fit_safeguards(
                guarding,
                probabilities=own,
                truth=codes[validation],
                novelty=fit_novelty(encoded[train], held, held_members),
                seed=seed,
                groups=held_members,
            )
        self._note_hyperparameters()
        return self

    def predict_proba(
        self, X: Any, *, backend: str | Backend | None = None, shots: int | None = None, seed: int = 0
    ) -> NDArray[np.float64]:
        """Probability of each class, float64 ``(n_rows, n_classes)``, in the order of ``classes_``, calibrated where
        the classifier is.

        Args:
            X: rows.
            backend: where the circuit runs; by default on this machine's engine, exactly, wherever the model was
                trained. On a backend all rows go as one program.
            shots: of each row's circuit, on a backend; by default those of the classifier.
            seed: of shots that are drawn here.

        Raises:
            NotFittedError: ``fit`` has not been called.
            ValueError: the array, or data frame of numbers, does not have the columns seen by ``fit`` in their order.
            FeatureMismatchError: the frame with categories, or list of mappings by column, does not have them.
        """
        self._check_fitted()
        encoded = encoded_rows(self, X)
        measurer = self._predicting_measurer(backend, shots, len(encoded), seed)
        return self.safeguards_.calibrated(probabilities(self.network_, encoded, measurer))

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

    def spec_sections(self) -> dict[str, Any]:
        """The hyperparameters as the sections of a spec that they belong to."""
        section = self._calibration_spec()
        guarding = {} if section is None else {"calibration": section.to_dict()}
        return {**super().spec_sections(), **guarding}

    def _calibration_spec(self) -> CalibrationSpec | None:
        return asked_calibration(self.calibration, self.conformal, self.abstain_below)

    def _admitted_privacy(self, n_rows: int) -> PrivacySpec | None:
        """The privacy section of a spec; None without an epsilon."""
        if self.epsilon is None:
            return None
        spec = PrivacySpec(self.epsilon, self.delta, self.max_gradient_norm)
        sections = {**self.spec_sections(), "privacy": spec.to_dict()}
        if self.class_weight == "balanced":
            sections["training"] = {**sections["training"], "class_weights": "balanced"}
        admit_privacy(TrainingSpec.from_dict(sections), n_rows)
        return spec


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
    model = file.model
    if not isinstance(model, TrainedModel):
        raise ModelFormatError(
            f"the model file holds a {model.kind!r}, which is no HybridClassifier; "
            "superpose.learning.Predictor.load serves it"
        )
    found = hyperparameters_of(file, HybridClassifier)
    section = file.manifest["provenance"].get("spec", {}).get("calibration", {})
    classifier = HybridClassifier(**found, **calibration_params(section))
    classifier.classes_ = np.array(model.classes)
    classifier.safeguards_ = file.safeguards
    classifier._take_over(model, file)
    classifier.model_digest_ = file.digest
    return classifier
