"""`HybridRegressor`: a hybrid quantum-classical regressor with scikit-learn's conventions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss

from superpose.circuits import Backend
from superpose.errors import ModelFormatError, SafeguardAbsentError, SpecError
from superpose.learning.calibration.fitting import check_interval_rows
from superpose.learning.calibration.intervals import NumberInterval
from superpose.learning.calibration.safeguards import Safeguards
from superpose.learning.estimator import (
    early_stopping_split,
    encoded_rows,
    group_members,
    seed_of,
    validated_rows,
)
from superpose.learning.hybrid_estimator import HybridEstimator, hyperparameters_of
from superpose.learning.measured.measurer import Measurer
from superpose.learning.model_file import read_model
from superpose.learning.network import VARIANTS, dressed_values, outputs
from superpose.learning.trained_regressor import TrainedRegressor
from superpose.learning.training import Trainer, TrainingRows, TrainingWatch

__all__ = ["REGRESSION_LOSSES", "VALIDATION_ROWS", "HybridRegressor"]

REGRESSION_LOSSES: Final = ("squared", "absolute")
"""What training makes small: the squared error, which leads to means, or the absolute one, which leads to medians."""

VALIDATION_ROWS: Final = ("random", "last")
"""Which rows decide when to stop."""


@dataclass(kw_only=True, eq=False, repr=False)
class HybridRegressor(RegressorMixin, HybridEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Regressor with a quantum circuit between two linear layers; it predicts one number per row.

    Rows pass preprocessing (missing numbers filled, categories one-hot encoded, columns scaled), then
    ``Linear(n_columns -> n_qubits)``, ``max_angle * tanh``, the circuit's <Z_i> and ``Linear(n_qubits -> 1)``, whose
    output is a number of standard deviations from the training rows' mean. Trained by AdamW; the weights of the epoch
    with the lowest validation loss are kept.

    A data frame may have category columns; an array must be numeric. Both may have missing values.

    Args:
        n_qubits: qubits of the circuit.
        encoding: "angle", "reuploading" (the rows enter before every layer) or "iqp".
        ansatz: "strongly_entangling" or "hardware_efficient".
        layers: layers of the ansatz.
        max_angle: bound of the angles that enter the circuit, in radians.
        epochs: at most this many passes over the rows.
        batch_size: rows per step.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        patience: epochs without a better validation loss before training stops.
        validation_fraction: share of the rows that decide when to stop; 0 uses the training loss instead.
        validation_rows: "random", or "last" for rows in order of time.
        loss: "squared" or "absolute".
        variant: "hybrid", or one of its controls: "classical_twin" (a classical block of as many parameters in the
            circuit's place), "no_entanglement", "frozen" (random circuit weights that are not trained).
        conformal: how often ``predict_intervals`` holds the true number, at least, 0.5 .. 0.999; None makes no
            intervals. Fitted on the validation rows, of which there must be enough.
        scaling: "standard", "robust", "minmax" or "none".
        gradient_method: as for `HybridClassifier`.
        backend: where the circuit runs in training, as for `HybridClassifier`.
        shots: on a backend: of each circuit, on average at most.
        shot_allocation: on a backend: "adaptive" or "fixed".
        random_state: seed; None takes one from NumPy's global generator.

    Attributes:
        n_features_in_: columns seen by ``fit``.
        feature_names_in_: their names, if they had names that are all texts.
        n_iter_: epochs trained.
        n_params_: numbers in the network.
        history_: loss and validation loss per epoch, of the scaled number.
        network_: the trained `torch.nn.Module`.
        preprocessor_: the learnt preprocessing.
        centre_, scale_: mean and standard deviation of the training rows' numbers.
        safeguards_: the interval that was fitted for ``conformal``.
        measured_: after training on a backend: where, how, and what it took.

    >>> from sklearn.datasets import load_diabetes
    >>> rows, numbers = load_diabetes(return_X_y=True)
    >>> bool(HybridRegressor(random_state=0).fit(rows, numbers).score(rows, numbers) > 0.4)
    True
    """

    beside_spec: ClassVar[tuple[str, ...]] = (*HybridEstimator.beside_spec, "validation_rows", "loss", "variant")

    validation_rows: str = "random"
    loss: str = "squared"
    variant: str = "hybrid"
    conformal: float | None = None

    def fit(  # scikit-learn's names
        self, X: Any, y: Any, *, groups: Any = None, watch: TrainingWatch | None = None
    ) -> Self:
        """Train on rows ``(n_rows, n_columns)`` and their numbers ``(n_rows,)``.

        Args:
            X: numeric array, or data frame with number and category columns.
            y: finite numbers.
            groups: which rows belong together, such as those of a patient: a number or a text for each, ``(n_rows,)``.
                Random validation rows are whole groups, and the interval counts groups, see
                `superpose.learning.calibration.ranks`. The last rows stay the last, whatever their groups.
            watch: what looks on, stops and keeps checkpoints; see `superpose.learning.TrainingWatch`.

        Raises:
            ValueError: the rows, numbers or groups cannot be used.
            SpecError: a hyperparameter is out of range, or validation has too few groups for ``conformal``.
        """
        model, options = self._model_spec(), self._training_options()
        self._check_words()
        rows, numbers, kinds = validated_rows(self, X, y, numbers=True)
        members = group_members(groups, len(numbers))
        seed = seed_of(self.random_state)
        train, validation = self._stopping_split(len(numbers), seed, members)
        held_members = None if members is None else members[validation]
        if self.conformal is not None:
            check_interval_rows(self.conformal, len(validation), held_members)
        self.centre_, self.scale_ = _centre_and_scale(numbers[train])
        encoded = self._fit_preprocessor(rows, kinds, train)
        self._build(model, options, 1, self.variant, seed)
        self.n_params_ = sum(p.numel() for p in self.network_.parameters())
        with np.errstate(over="ignore"):
            scaled = (numbers - self.centre_) / self.scale_
        if not np.isfinite(scaled).all():
            raise ValueError("y holds numbers too large to be scaled; give them in another unit")
        measurer = self._measurer(self.network_, len(train), seed)
        trainer = Trainer(
            self.network_,
            TrainingRows.of_numbers(encoded[train], scaled[train]),
            TrainingRows.of_numbers(encoded[validation], scaled[validation]) if len(validation) else None,
            options,
            n_classes=1,
            generator=torch.Generator().manual_seed(seed + 1),
            measurer=measurer,
            loss=_squared if self.loss == "squared" else _absolute,
            draws=False,
        )
        self._run(trainer, measurer, watch)
        self.safeguards_ = Safeguards()
        if self.conformal is not None:
            residuals = numbers[validation] - self._numbers(encoded[validation])
            told = {"n_rows": len(validation), "of": "residuals of the validation rows, which chose the epoch too"}
            interval = NumberInterval.from_residuals(float(self.conformal), residuals, held_members)
            self.safeguards_ = Safeguards(interval=interval, facts={"interval": told})
        self._note_hyperparameters()
        return self

    def predict(
        self, X: Any, *, backend: str | Backend | None = None, shots: int | None = None, seed: int = 0
    ) -> NDArray[np.float64]:
        """The number of each row, float64 ``(n_rows,)``.

        Args:
            X: rows.
            backend: where the circuit runs; by default on this machine's engine, exactly, wherever the model was
                trained. On a backend all rows go as one program.
            shots: of each row's circuit, on a backend; by default those of the regressor.
            seed: of shots that are drawn here.

        Raises:
            NotFittedError: ``fit`` has not been called.
            ValueError: the array, or data frame of numbers, does not have the columns seen by ``fit`` in their order.
            FeatureMismatchError: the frame with categories, or list of mappings by column, does not have them.
        """
        self._check_fitted()
        encoded = encoded_rows(self, X)
        measurer = self._predicting_measurer(backend, shots, len(encoded), seed)
        return self._numbers(encoded, measurer)

    def predict_intervals(self, X: Any) -> NDArray[np.float64]:
        """Lower and upper end of the interval around each row's number, float64 ``(n_rows, 2)``.

        For rows from where the training rows came from, it holds the true number with a probability of at least
        ``conformal``: split conformal prediction, see `superpose.learning.calibration.intervals`. The validation rows
        that it is fitted on chose the epoch too and are a little easier for that, the more so the fewer they are; and
        of rows in order of time (``validation_rows="last"``) nobody promises that later ones are like them.

        Args:
            X: rows.

        Raises:
            NotFittedError: ``fit`` has not been called.
            SafeguardAbsentError: the regressor was fitted without ``conformal``.
            ValueError, FeatureMismatchError: see `predict`.
        """
        self._check_fitted()
        if self.safeguards_.interval is None:
            raise SafeguardAbsentError(
                "This regressor has no intervals. Fit it with a coverage, such as conformal=0.9.", asked="interval"
            )
        return self.safeguards_.interval.around(self.predict(X))

    def _numbers(self, encoded: NDArray[np.float64], measurer: Measurer | None = None) -> NDArray[np.float64]:
        """The number of each encoded row, ``(n_rows,)``."""
        return outputs(self.network_, encoded, measurer)[:, 0] * self.scale_ + self.centre_

    def to_trained_model(self, target: str = "y") -> TrainedRegressor:
        """The fitted model as plain values, without torch.

        Args:
            target: what the number is called.

        Raises:
            NotFittedError: ``fit`` has not been called.
            TypeError: a classical twin has no circuit, and makes no model file.
        """
        self._check_fitted()
        block, arrays, max_angle = dressed_values(self.network_)
        return TrainedRegressor(
            self.preprocessor_, block, arrays, max_angle, target=target, centre=self.centre_, scale=self.scale_
        )

    @classmethod
    def load(cls, path: Path | str | bytes, expected_digest: str | None = None) -> Self:
        """A fitted regressor from a model file; nothing in the file is executed or unpickled.

        Args:
            path: the file, or its bytes.
            expected_digest: from a registry; another digest is refused.

        Raises:
            ModelFileCorruptError: the bytes are not those of a whole model file, or not of the expected one.
            ModelFormatError: written in a format that this release does not know, or no regressor's.
        """
        file = read_model(path, expected_digest)
        model = file.model
        if not isinstance(model, TrainedRegressor):
            raise ModelFormatError(
                f"the model file holds a {model.kind!r}, which is no HybridRegressor; "
                "superpose.learning.Predictor.load serves it"
            )
        found = cls(**hyperparameters_of(file, cls))
        found.centre_, found.scale_, found.n_params_ = model.centre, model.scale, model.n_params
        found.safeguards_ = file.safeguards
        found.conformal = None if file.safeguards.interval is None else file.safeguards.interval.coverage
        found._take_over(model, file)
        return found

    def _check_words(self) -> None:
        for field, allowed in (
            ("loss", REGRESSION_LOSSES),
            ("validation_rows", VALIDATION_ROWS),
            ("variant", VARIANTS),
        ):
            if getattr(self, field) not in allowed:
                said = f"must be one of {', '.join(allowed)}, got {getattr(self, field)!r}"
                raise SpecError(said, field, allowed=list(allowed))

    def _stopping_split(
        self, n_rows: int, seed: int, members: NDArray[np.integer] | None
    ) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
        """Places of training and validation rows; without validation where there are too few rows for both."""
        if members is not None and self.validation_rows == "random":
            return early_stopping_split(np.zeros(n_rows, dtype=np.int64), self.validation_fraction, seed, members)
        n_held = round(self.validation_fraction * n_rows)
        order: NDArray[np.integer] = np.arange(n_rows)
        if self.validation_rows == "random":
            order = np.random.default_rng(seed).permutation(n_rows)
        n_held = n_held if n_rows - n_held >= 2 else 0
        return np.sort(order[: n_rows - n_held]), np.sort(order[n_rows - n_held :])


def _centre_and_scale(numbers: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation, in any unit; the deviation of a constant is what rounding may make it."""
    largest = float(np.abs(numbers).max())
    unit = float(np.ldexp(1.0, int(np.frexp(largest)[1]) - 1))  # a power of 2, so that no digit changes
    inside = numbers / unit
    centre, spread = float(inside.mean()) * unit, float(inside.std()) * unit
    return centre, max(spread, 1e-12 * (largest or 1.0), float(np.finfo(np.float64).tiny))


def _squared(scores: Tensor, numbers: Tensor, weight: Tensor | None = None, reduction: str = "mean") -> Tensor:
    return mse_loss(scores, numbers, reduction=reduction)


def _absolute(scores: Tensor, numbers: Tensor, weight: Tensor | None = None, reduction: str = "mean") -> Tensor:
    return l1_loss(scores, numbers, reduction=reduction)
