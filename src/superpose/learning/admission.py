"""What a training run would need, worked out before any compute is spent; runs that cannot fit are refused here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from superpose.engine import memory_required
from superpose.engine.memory import available_memory
from superpose.errors import SpecError, StateTooLargeError
from superpose.learning.ansaetze import ANSAETZE
from superpose.learning.calibration.fitting import check_rows
from superpose.learning.calibration.spec import CalibrationSpec
from superpose.learning.privacy.spec import admit_privacy
from superpose.learning.split_count import n_shadow_steps, n_steps_per_split, n_variants, split_count
from superpose.learning.splitting import feature_table, groups_of, splits_of
from superpose.learning.subgroups import check_subgroups

if TYPE_CHECKING:
    from superpose.datasets import Table
    from superpose.learning.spec import TrainingSpec

__all__ = ["Plan", "admit", "class_weights", "n_categories", "n_encoded_columns", "positive_class"]

_MB = 10**6
_PREDICTED_ROWS = 4096
"""Rows of one engine call when a model is evaluated."""

_TRUTHS = {"true": ("true", "yes", "on"), "false": ("false", "no", "off")}
"""What YAML reads as truth values, which documents in JSON call by the first word."""


@dataclass(frozen=True)
class Plan:
    """What a run needs at most.

    Attributes:
        n_trainings: networks to train: splits times the hybrid model and its controls, times seeds and settings tried,
            and shadow models.
        n_steps: optimizer steps of all of them, if none stops early.
        n_weights: trained angles of the circuit.
        memory_bytes: states of the engine.
    """

    n_trainings: int
    n_steps: int
    n_weights: int
    memory_bytes: int


def admit(spec: TrainingSpec, table: Table | None = None, *, fine_tuned: bool = False) -> Plan:
    """Check a spec against this machine and, if given, against the data.

    Args:
        spec: what to train.
        table: the data it will be trained on.
        fine_tuned: whether what trains it begins from the spec's parent.

    Raises:
        StateTooLargeError: the circuit's states need more memory than the machine has free or the spec allows; its
            details say how many bytes are needed and allowed.
        SpecError: a class or column that the spec names is not one of the table's, a value is missing where the spec
            takes none, there are too few validation rows to calibrate by, or the run exceeds its own limits.
        DatasetEmptyError: the spec leaves no feature column.
        DatasetTargetError: the target holds numbers, not classes.
    """
    if table is not None:
        table.require_classes()
    if spec.fine_tune.parent is not None and not fine_tuned:
        raise SpecError(
            f"is {spec.fine_tune.parent}, but only training jobs and sweeps of the service begin from a parent; an "
            "exported module begins from the weights that it has. Leave fine_tune out",
            "fine_tune.parent",
        )
    memory_bytes = _admit_memory(spec)
    admit_privacy(spec, None if table is None else table.n_rows)
    n_rows = table.n_rows if table is not None else 0
    evaluation, n_splits = spec.evaluation, split_count(spec, n_rows).n_splits
    plan = Plan(
        n_trainings=n_splits * n_variants(spec) * evaluation.n_seeds * max(1, evaluation.tuning.trials)
        + (spec.privacy.shadow_models if spec.privacy.attack == "shadow" else 0),
        n_steps=n_splits * n_steps_per_split(spec, n_rows) + n_shadow_steps(spec, n_rows),
        n_weights=ANSAETZE[spec.model.ansatz.name].n_weights(spec.model.n_qubits, spec.model.ansatz.layers),
        memory_bytes=memory_bytes,
    )
    if table is not None:
        _admit_table(spec, table, plan)
    return plan


def _admit_memory(spec: TrainingSpec) -> int:
    n_qubits, batch = spec.model.n_qubits, spec.training.batch_size
    needed = max(
        memory_required(n_qubits, batch, dtype="float32", gradients=True),
        memory_required(n_qubits, _PREDICTED_ROWS, dtype="float64", gradients=False),
    )
    allowed, whose = available_memory(), "this machine has free"
    if spec.limits.memory_mb is not None and spec.limits.memory_mb * _MB < allowed:
        allowed, whose = spec.limits.memory_mb * _MB, "limits.memory_mb allows"
    if needed > allowed:
        raise StateTooLargeError(
            f"model.n_qubits: {n_qubits} qubits in batches of {batch} on the local engine needs {_size(needed)} "
            f"of memory, {whose} {_size(allowed)}; use fewer qubits"
            + (" or a smaller training.batch_size" if batch > 1 else ""),
            field="model.n_qubits",
            n_qubits=n_qubits,
            needed_bytes=needed,
            available_bytes=allowed,
        )
    return needed


def _admit_table(spec: TrainingSpec, table: Table, plan: Plan) -> None:
    check_subgroups(spec.evaluation.subgroups, table)
    positive_class(spec, table)
    class_weights(spec, table.classes)
    if spec.calibration != CalibrationSpec():
        held, known = splits_of(spec, table, at_most=1)[0].validation, groups_of(spec, table)
        check_rows(spec.calibration, len(held), None if known is None else known.members[held])
    table = feature_table(spec, table)
    _admit_gaps(spec, table)
    limits = spec.limits
    if limits.max_steps is not None and plan.n_steps > limits.max_steps:
        raise SpecError(
            f"{plan.n_trainings} trainings of up to {spec.training.epochs} epochs are {plan.n_steps} steps, more than "
            f"{limits.max_steps}; lower training.epochs or evaluation.n_splits, or raise the batch size",
            "limits.max_steps",
            n_steps=plan.n_steps,
        )
    columns = n_encoded_columns(spec, table)
    if columns > limits.max_encoded_columns:
        raise SpecError(
            f"the {len(table.columns)} columns may become {columns} after one-hot encoding, more than "
            f"{limits.max_encoded_columns}; drop columns or lower preprocessing.max_categories",
            "limits.max_encoded_columns",
            n_encoded_columns=columns,
        )


def n_categories(features: Table) -> dict[str, int]:
    """Different values of each column that holds no numbers. Cost: a pass over each."""
    return {c.name: int(features.features[c.name].nunique()) for c in features.columns if c.kind != "number"}


def n_encoded_columns(spec: TrainingSpec, features: Table, categories: Mapping[str, int] | None = None) -> int:
    """Columns that a table of features may become after one-hot encoding, at most; ``categories`` as counted before."""
    counted = n_categories(features) if categories is None else categories
    known = spec.preprocessing.max_categories
    columns = sum(1 if c.kind == "number" else min(known, counted[c.name]) for c in features.columns)
    if spec.preprocessing.missing == "indicator":
        columns += sum(1 for c in features.columns if c.n_missing)
    return columns


def _admit_gaps(spec: TrainingSpec, table: Table) -> None:
    gaps = {column.name: column.n_missing for column in table.columns if column.n_missing}
    if gaps and spec.preprocessing.missing == "refuse":
        shown = ", ".join(f"{name} ({count})" for name, count in list(gaps.items())[:5])
        raise SpecError(
            f"is 'refuse', but {len(gaps)} column(s) have missing values: {shown}; fill them, exclude the columns, or "
            "say 'impute' or 'indicator'",
            "preprocessing.missing",
            missing=gaps,
        )


def class_weights(spec: TrainingSpec, classes: Sequence[str]) -> dict[str, float] | None:
    """Weight of each class where the spec maps classes to weights, else None.

    Raises:
        SpecError: the mapping names a class that the table does not have.
    """
    given = spec.training.class_weights
    if isinstance(given, str):
        return None
    named = {name: _class_named(name, classes) for name in given}
    unknown = sorted(
        name for name, label in named.items() if label not in classes or (label != name and label in given)
    )
    if unknown:
        raise SpecError(
            f"weighs {unknown[0]!r}, which is not one of the data's classes, {', '.join(list(classes)[:20])}",
            "training.class_weights",
            allowed=list(classes)[:20],
        )
    weights = {named[name]: weight for name, weight in given.items()}
    return {label: weights.get(label, 1.0) for label in classes}


def _class_named(name: str, classes: Sequence[str]) -> str:
    """The class of this name, or the one whose name YAML reads as the truth value that this is; else the name."""
    same = [label for label in classes if label.lower() in _TRUTHS.get(name, ())]
    return same[0] if name not in classes and len(same) == 1 else name


def positive_class(spec: TrainingSpec, table: Table) -> int:
    """Index of the class that sensitivity and specificity speak of.

    Raises:
        SpecError: the spec names a class that the table does not have.
    """
    given = spec.evaluation.positive_class
    if given is None:
        return len(table.classes) - 1
    named = _class_named(given, table.classes)
    if named not in table.classes:
        raise SpecError(
            f"must be one of the data's classes, {', '.join(table.classes[:20])}; got {named!r}",
            "evaluation.positive_class",
            allowed=list(table.classes[:20]),
        )
    return table.classes.index(named)


def _size(n_bytes: int) -> str:
    """Bytes as people read them, in powers of 1000."""
    size = float(n_bytes)
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} EB"
