"""The declarative training spec: what to train, how, and how to judge it, as JSON or YAML.

Every field has a default, so ``{}`` is a good spec::

    model: {n_qubits: 4, encoding: {name: angle}, ansatz: {name: strongly_entangling, layers: 2}}
    training: {epochs: 60, seed: 0}
    evaluation: {n_splits: 10, primary_metric: accuracy}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import yaml

from superpose.datasets.domains import MEDICAL
from superpose.engine.gradients import GRADIENT_METHODS
from superpose.errors import SpecError
from superpose.learning.ansaetze import ANSAETZE
from superpose.learning.backend_spec import BackendSpec
from superpose.learning.calibration.spec import CalibrationSpec
from superpose.learning.canonical import digest_json
from superpose.learning.card import CardSpec
from superpose.learning.encodings import ENCODINGS
from superpose.learning.evaluation_spec import CONTROLS, EvaluationSpec, TuningSpec, fixed_n_splits
from superpose.learning.fine_tuning.spec import FineTuneSpec
from superpose.learning.privacy.spec import PrivacySpec
from superpose.learning.spec_fields import (
    Section,
    choice,
    choice_or_weights,
    integer,
    names,
    number,
    section,
    text,
)

__all__ = [
    "CONTROLS",
    "SPLIT_KINDS",
    "AnsatzSpec",
    "BackendSpec",
    "CalibrationSpec",
    "CardSpec",
    "EncodingSpec",
    "EvaluationSpec",
    "FineTuneSpec",
    "LimitsSpec",
    "ModelSpec",
    "PreprocessingSpec",
    "PrivacySpec",
    "SplitSpec",
    "TrainingOptions",
    "TrainingSpec",
    "TuningSpec",
]

SPLIT_KINDS = ("stratified", "grouped", "time", "site", "k_fold")
"""The ways to part rows into train, validation and test."""

_MAX_YAML_CHARACTERS = 200_000
_YAML_STUMBLES = (RecursionError, ValueError, TypeError, AttributeError, LookupError, OverflowError)
"""What PyYAML raises besides its own errors: depth, the 31st of February, ``!!int x``, numbers of 5,000 digits."""


@dataclass(frozen=True)
class EncodingSpec(Section):
    """How inputs enter the circuit; ``name`` is a row of `superpose.learning.encodings.ENCODINGS`."""

    path: ClassVar[str] = "model.encoding"
    name: str = choice("angle", lambda: tuple(ENCODINGS))


@dataclass(frozen=True)
class AnsatzSpec(Section):
    """The trained part of the circuit; ``name`` is a row of `superpose.learning.ansaetze.ANSAETZE`."""

    path: ClassVar[str] = "model.ansatz"
    name: str = choice("strongly_entangling", lambda: tuple(ANSAETZE))
    layers: int = integer(2, 1, 1_000)


@dataclass(frozen=True)
class ModelSpec(Section):
    """The hybrid model: Linear(columns -> n_qubits), ``max_angle * tanh``, circuit, Linear(n_qubits -> classes).

    ``max_angle`` (radians) bounds the angles that enter the encoding.
    """

    path: ClassVar[str] = "model"
    n_qubits: int = integer(4, 1, 1_000)
    encoding: EncodingSpec = section(EncodingSpec)
    ansatz: AnsatzSpec = section(AnsatzSpec)
    max_angle: float = number(1.5707963267948966, 0.0, 6.283185307179586, above=True)


@dataclass(frozen=True)
class PreprocessingSpec(Section):
    """How columns become numbers.

    ``scaling``: "standard" (mean 0, deviation 1), "robust" (median 0, interquartile range 1), "minmax" (0 .. 1) or
    "none". ``imputation`` fills missing numbers ("median" or "mean"); missing categories take the most frequent one.
    A category that fewer than ``min_category_rows`` training rows have, or that is not among the ``max_categories``
    most frequent, is treated as unknown: it encodes as zeros, and its text does not enter the model file.
    ``missing``: "impute" fills missing values; "indicator" fills them and adds a column that is 1 where a value was
    missing, for each column with missing training values (a missing category becomes zeros then); "refuse" takes no
    missing value, neither in training nor in a prediction. ``exclude`` names columns that are no features.
    """

    path: ClassVar[str] = "preprocessing"
    scaling: str = choice("standard", lambda: ("standard", "robust", "minmax", "none"))
    imputation: str = choice("median", lambda: ("median", "mean"))
    missing: str = choice("impute", lambda: ("impute", "indicator", "refuse"))
    exclude: tuple[str, ...] = names()
    max_categories: int = integer(50, 1, 10_000)
    min_category_rows: int = integer(5, 1, 1_000_000)


@dataclass(frozen=True)
class TrainingOptions(Section):
    """The training loop: AdamW on cross entropy, stopped when validation loss has not improved for ``patience`` epochs.

    ``class_weights``: "balanced" weighs classes inversely to their frequency; a mapping such as ``{ill: 3}`` gives
    weights by class, 1 where none is given; "none" keeps predicted probabilities honest. The hybrid model, its
    controls and the baseline use the same weights. ``gradient_method``: how the circuit is differentiated; "adjoint" is
    exact and by far the fastest here, the others ("parameter-shift", "finite-difference", "spsa") show how a model
    would train where states cannot be seen.
    """

    path: ClassVar[str] = "training"
    epochs: int = integer(60, 1, 100_000)
    batch_size: int = integer(32, 1, 1_000_000)
    learning_rate: float = number(0.02, 0.0, 10.0, above=True)
    weight_decay: float = number(0.1, 0.0, 10.0)
    patience: int = integer(10, 1, 100_000)
    class_weights: str | Mapping[str, float] = choice_or_weights("none", ("none", "balanced"))
    gradient_method: str = choice("adjoint", lambda: tuple(GRADIENT_METHODS))
    seed: int = integer(0, 0, 2**32 - 1)


@dataclass(frozen=True)
class SplitSpec(Section):
    """How rows are parted into train, validation and test; all models of an experiment see the same parts.

    ``kind``: "stratified" parts rows at random, each class in proportion; "grouped" keeps rows with one value in
    ``column`` (a patient) together; "time" trains on the past and tests on what came after, by ``column`` (numbers, or
    dates in ISO 8601); "site" tests each split on one value of ``column`` (a hospital) of which no row was trained on;
    "k_fold" tests every row once, in ``evaluation.n_splits`` folds, and keeps groups together if ``column`` is given.
    The column is not a feature.
    """

    path: ClassVar[str] = "split"
    kind: str = choice("stratified", lambda: SPLIT_KINDS)
    column: str | None = text(None, 256)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.column is None and self.kind in ("grouped", "time", "site"):
            raise SpecError(f"is needed: the column to split by, for kind {self.kind!r}", self.field_path("column"))
        if self.column is not None and self.kind == "stratified":
            raise SpecError(
                f"is {self.column!r}, but a stratified split takes no column; say kind: grouped, time, site or k_fold",
                self.field_path("column"),
            )


@dataclass(frozen=True)
class LimitsSpec(Section):
    """What a run may use at most; None leaves it to the machine.

    ``memory_mb`` bounds the engine's states (megabytes of 10**6 bytes); ``max_encoded_columns`` the columns after
    one-hot encoding; ``max_steps`` the optimizer steps of the whole experiment, a bound on its time that is known
    beforehand.
    """

    path: ClassVar[str] = "limits"
    memory_mb: int | None = integer(None, 1, 10_000_000)
    max_encoded_columns: int = integer(10_000, 1, 1_000_000)
    max_steps: int | None = integer(None, 1, 1_000_000_000)


@dataclass(frozen=True)
class TrainingSpec(Section):
    """All of a training run; equal specs on equal data give equal models, bit for bit, on one installation.

    With ``privacy.epsilon`` they do not: noise that others can make again protects nobody.
    """

    model: ModelSpec = section(ModelSpec)
    preprocessing: PreprocessingSpec = section(PreprocessingSpec)
    training: TrainingOptions = section(TrainingOptions)
    split: SplitSpec = section(SplitSpec)
    evaluation: EvaluationSpec = section(EvaluationSpec)
    limits: LimitsSpec = section(LimitsSpec)
    backend: BackendSpec = section(BackendSpec)
    card: CardSpec = section(CardSpec)
    calibration: CalibrationSpec = section(CalibrationSpec)
    privacy: PrivacySpec = section(PrivacySpec)
    fine_tune: FineTuneSpec = section(FineTuneSpec)

    def __post_init__(self) -> None:
        super().__post_init__()
        rest, n_splits = self.evaluation.validation_fraction, fixed_n_splits(self.evaluation)
        if self.split.kind == "k_fold" and rest + 1 / n_splits > 0.9:
            raise SpecError(
                f"{rest} and a fold of {n_splits} for testing leave less than a tenth of the rows for training; lower "
                "it or use more folds",
                "evaluation.validation_fraction",
            )
        if self.card.no_subgroups is not None and self.evaluation.subgroups:
            raise SpecError(
                "says why there are no subgroups, but evaluation.subgroups names "
                f"{', '.join(self.evaluation.subgroups)}; leave one of them out",
                "card.no_subgroups",
            )
        if self.privacy.epsilon is not None and self.evaluation.tuning.trials > 1:
            raise SpecError(
                f"is {self.evaluation.tuning.trials}, but privacy.epsilon is a promise about one training, and each "
                "trial would break it a little more; leave one of them out",
                "evaluation.tuning.trials",
            )
        if self.backend.name is not None and self.evaluation.tuning.trials > 1:
            raise SpecError(
                f"is {self.evaluation.tuning.trials}, but circuits are trained on {self.backend.name}, where each "
                "training is paid for; leave tuning out, or the backend",
                "evaluation.tuning.trials",
            )

    @classmethod
    def from_yaml(cls, source: str) -> Self:
        """Read YAML (or JSON, which is YAML) text; an empty text is the default spec.

        Only plain values are built: tags that name Python objects are refused.

        Raises:
            SpecError: not YAML, or what `from_dict` refuses.
        """
        if len(source) > _MAX_YAML_CHARACTERS:
            raise SpecError(f"has {len(source)} characters, at most {_MAX_YAML_CHARACTERS} are read", "spec")
        if "&" in source and "*" in source:
            _refuse_aliases(source)
        try:
            data = yaml.safe_load(source)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            raise SpecError(f"is not YAML{place}: {getattr(error, 'problem', None) or error}", "spec") from None
        except _YAML_STUMBLES as error:
            raise SpecError(f"holds a value that YAML cannot say: {str(error)[:100]}", "spec") from None
        return cls.from_dict({} if data is None else data)

    @classmethod
    def from_json(cls, source: str | bytes) -> Self:
        """Read JSON text.

        Raises:
            SpecError: not JSON, or what `from_dict` refuses.
        """
        try:
            data = json.loads(source)
        except ValueError as error:
            raise SpecError(f"is not JSON: {error}", "spec") from None
        except RecursionError:
            raise SpecError("is not JSON that can be read: it is nested too deeply", "spec") from None
        return cls.from_dict(data)

    def about(self, domain: str) -> Self:
        """The same for data of a domain: on medical data it makes medical models, whatever ``card.domain`` says."""
        return replace(self, card=replace(self.card, domain=MEDICAL)) if domain == MEDICAL else self

    def to_dict(self) -> dict[str, Any]:
        """All fields, defaults included; `from_dict` reads it back to an equal spec.

        The sections ``backend``, ``card``, ``calibration``, ``privacy`` and ``fine_tune`` are there only where they say
        something, so that a spec without keeps the digest that it had before there were such sections.
        """
        values = super().to_dict()
        if self.backend.name is None:
            del values["backend"]
        if self.card == CardSpec():
            del values["card"]
        if self.calibration == CalibrationSpec():
            del values["calibration"]
        if self.privacy.epsilon is None and self.privacy.attack == "loss":
            del values["privacy"]
        if self.fine_tune.parent is None:
            del values["fine_tune"]
        return values

    @property
    def digest(self) -> str:
        """SHA-256 of the spec's canonical JSON, defaults included."""
        return digest_json(self.to_dict())


def _refuse_aliases(source: str) -> None:
    """Raise if the YAML uses anchors: they can make a short text build an exponentially large value."""
    try:
        aliases = any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(source))
    except (yaml.YAMLError, *_YAML_STUMBLES):
        return
    if aliases:
        raise SpecError("uses YAML anchors and aliases; write the values out", "spec")
