"""What an ordinary training job is expected to take of a processor, counted from spec and data without torch.

It counts as `superpose.learning.split_count` does (splits, variants, seeds, settings tried, steps), multiplies with
what one of each takes, and supposes that nothing stops early. See `superpose.learning.effort`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from superpose.learning.baseline_effort import BaselineCounts, baseline_works
from superpose.learning.effort import REST, EstimatedEffort, Work
from superpose.learning.encodings import ENCODINGS
from superpose.learning.evaluation_spec import FROM_SCRATCH
from superpose.learning.split_count import n_gates, n_steps, split_count
from superpose.learning.splitting import feature_table

if TYPE_CHECKING:
    from superpose.datasets import Split, Table
    from superpose.learning.spec import TrainingSpec

__all__ = [
    "TableCounts",
    "counts_of",
    "effort_or_reason",
    "fold_counts",
    "n_shifted",
    "recounted",
    "trial_effort_or_reason",
]

MOST_COMPILED_QUBITS: Final = 12
"""Beyond, steps run in torch (`superpose.learning.fused.choice.MOST_QUBITS`)."""

WHOLE_BATCHES: Final = 8
"""So many settings of a search have the spec's batches, later ones half of it (`experiment.fitting.settings_of`)."""

MOST_EXPLAINED: Final = 50
"""Test rows of an explanation sample (`superpose.explain.samples`); from 10 qubits on each further one halves them."""

SPSA_POINTS: Final = 32
"""Circuits of a row by SPSA on the engine: 16 directions."""

_TRAINING_S: Final = 6e-3
"""A training beside its epochs: the network is made, test rows are predicted, files are written."""

_EPOCH_S: Final = 3e-5
_COMPILED_STEP_S: Final = 1e-6
_COMPILED_ROW_S: Final = 2e-7
_AMPLITUDE_S: Final = 9e-11
"""A gate, per amplitude and row, forward and back, compiled (single precision)."""

_COLUMN_S: Final = 2.3e-10
"""A row's column and qubit in the first layer."""

_LOOK: Final = 0.3
"""A validation row over a training row: forward only."""

_TORCH_STEP_S: Final = 7.2e-4
"""A step of a circuit within torch."""

_TORCH_ROW_S: Final = 4e-7
_TORCH_AMPLITUDE_S: Final = 1.5e-10
_TWIN_STEP_S: Final = 4.2e-4
"""A step of the classical twin, which is torch's alone."""

_SHIFTED_S: Final = (5e-7, 3.2e-11)
"""A circuit without gradients, and of a gate and amplitude more."""

_MEASURED_STEP_S: Final = 1e-2
"""A step with measured circuits: a program, a journal, a checkpoint."""

_MEASURED_QUBIT_S: Final = (8e-6, 7e-9)
"""A measured circuit on the backend "local" per qubit, and of a shot and qubit more."""

_SPLIT_S: Final = 1.2e-2
_SPLIT_CELL_S: Final = 3e-7
"""A cell (row and column) of the data in each split: encoded for every variant."""

_CELL_S: Final = 2.2e-6
"""A cell, once: splits are looked through for leaks, the drift baseline is made."""

_COMPARED_S: Final = (2e-2, 5e-3, 7e-5)
"""A comparison of two variants, of a split more, of a test case more (resamples)."""

_MOST_CASES: Final = 2_000
"""From so many test cases on there are fewer resamples, in proportion."""

_GRADIENTS: Final = 64
"""Gradients along the way from a baseline to a row that is explained."""

_FIXED_S: Final = 0.2
"""A run of any size: model file, evaluation, events. Loading libraries, once a worker, is not in it."""

_TRIAL_S: Final = 0.03
"""A trial of a sweep of any size: files, events, and the step of the sweep that proposes it."""

_TRIAL_CELL_S: Final = 1.3e-6
"""A cell of the data in a trial, once: the table is read, and its folds are made."""

_CIRCUITS: Final = ("hybrid", FROM_SCRATCH, "no_entanglement", "frozen")
_NOT_COUNTED: Final = "No estimate: "


@dataclass(frozen=True)
class TableCounts:
    """What the estimate knows of the data, cut into splits.

    Attributes:
        n_rows: of the table.
        n_features: its feature columns.
        n_columns: columns after encoding, at most.
        n_classes: classes.
        n_rarest: rows of the rarest class.
        n_splits: splits.
        n_train, n_validation, n_test: rows of a split's parts, the mean over splits.
    """

    n_rows: int
    n_features: int
    n_columns: int
    n_classes: int
    n_rarest: int
    n_splits: int
    n_train: int
    n_validation: int
    n_test: int


def counts_of(spec: TrainingSpec, table: Table, splits: Sequence[Split]) -> TableCounts:
    """The counts of a table, cut as some of its splits are.

    Args:
        spec: says how many splits there are, and which columns are features.
        table: the data.
        splits: all of them, or the first ones of many that are alike.
    """
    from superpose.learning.admission import n_encoded_columns

    features = feature_table(spec, table)
    n_train, n_validation, n_test = (
        round(sum(len(getattr(split, part)) for split in splits) / len(splits))
        for part in ("train", "validation", "test")
    )
    return TableCounts(
        n_rows=table.n_rows,
        n_features=features.n_features,
        n_columns=n_encoded_columns(spec, features),
        n_classes=len(table.classes),
        n_rarest=int(table.target.value_counts().min()),
        n_splits=_n_splits(spec, table.n_rows, len(splits)),
        n_train=n_train,
        n_validation=n_validation,
        n_test=n_test,
    )


def fold_counts(spec: TrainingSpec, table: Table, folds: Sequence[Split]) -> TableCounts:
    """The counts of a table cut into the tuning folds of a sweep's trials."""
    return replace(counts_of(spec, table, folds), n_splits=len(folds))


def recounted(spec: TrainingSpec, counts: TableCounts, n_columns: int, n_given: int) -> TableCounts:
    """The counts for a spec of the same data and splits that differs in model, preprocessing or training.

    Args:
        spec: the other spec.
        counts: of the one.
        n_columns: columns after the other's encoding.
        n_given: splits that `counts_of` was given.

    Cost: no look at the data.
    """
    return replace(counts, n_columns=n_columns, n_splits=_n_splits(spec, counts.n_rows, n_given))


def _n_splits(spec: TrainingSpec, n_rows: int, n_given: int) -> int:
    """Splits of an experiment, of which some may be given; of those by site all are."""
    asked = split_count(spec, n_rows).n_splits
    return min(asked, n_given) if spec.split.kind == "site" else asked


def effort_or_reason(spec: TrainingSpec, counts: TableCounts) -> EstimatedEffort | str:
    """What `run_experiment` is expected to take with the spec's circuit, or why nobody says: one sentence.

    Subgroups, calibration and what a first job loads are not in it.
    """
    if (reason := _not_counted(spec)) is not None:
        return reason
    variants = ["hybrid", *([FROM_SCRATCH] if spec.fine_tune.parent is not None else []), *spec.evaluation.controls]
    n_units = counts.n_splits * spec.evaluation.n_seeds
    works = [work for variant in variants for work in _variant(spec, counts, variant, n_units)]
    if spec.privacy.attack == "shadow":
        works += [
            Work("shadow models", work.what, work.n, work.each_s)
            for work in _trainings(spec, counts, "hybrid", spec.privacy.shadow_models, spec.training.batch_size)
        ]
    n_others = len(variants) - 1
    if spec.evaluation.baseline != "none":
        n_others += 1
        works += baseline_works(
            spec.evaluation.baseline, _for_baseline(counts), spec.evaluation.tuning.trials or None, n_units
        )
    return EstimatedEffort((*works, *_rest(spec, counts, n_others)))


def trial_effort_or_reason(spec: TrainingSpec, counts: TableCounts) -> EstimatedEffort | str:
    """What `run_trial` is expected to take if it is not pruned, or why nobody says: one sentence.

    Args:
        spec: the trial's; its controls, baseline and seeds are left out, as the trial leaves them out.
        counts: of its folds; see `fold_counts`.
    """
    if (reason := _not_counted(spec)) is not None:
        return reason
    n_cells = counts.n_rows * counts.n_features
    return EstimatedEffort(
        (
            *_variant(spec, counts, "hybrid", counts.n_splits),
            Work(REST, "splits", counts.n_splits, _SPLIT_S + _SPLIT_CELL_S * n_cells),
            Work(REST, "cells read", n_cells, _TRIAL_CELL_S),
            Work(REST, "runs", 1, _TRIAL_S),
        )
    )


def _not_counted(spec: TrainingSpec) -> str | None:
    """Why nobody says what a spec takes; None where it is estimated."""
    name = spec.backend.name
    if name not in (None, "local"):
        return f"{_NOT_COUNTED}circuits are trained on {name}, and what a step takes there was not measured."
    if spec.privacy.epsilon is not None:
        return f"{_NOT_COUNTED}private training (privacy.epsilon) searches for its noise, which was not measured."
    return None


def n_shifted(spec: TrainingSpec, *, weights: bool = True) -> int:
    """Shifted circuits of a row by parameter shift: two for each gate that turns by an input or a trained weight."""
    model = spec.model
    n_trained = (n_gates(spec) - 2 * model.n_qubits) if weights else 0
    repeats = model.ansatz.layers if ENCODINGS[model.encoding.name].repeats else 1
    return 2 * (n_trained + repeats * (model.n_qubits + _n_pairs(spec, "hybrid")))


def _variant(spec: TrainingSpec, counts: TableCounts, variant: str, n_units: int) -> Iterator[Work]:
    """All trainings of a variant: with every split, seed, and setting of a search."""
    n_settings, batch = max(1, spec.evaluation.tuning.trials), spec.training.batch_size
    n_whole = min(n_settings, WHOLE_BATCHES)
    yield from _trainings(spec, counts, variant, n_units * n_whole, batch)
    if n_settings > n_whole:
        yield from _trainings(spec, counts, variant, n_units * (n_settings - n_whole), max(1, round(batch / 2)))


def _trainings(spec: TrainingSpec, counts: TableCounts, variant: str, n: int, batch: int) -> Iterator[Work]:
    """So many trainings of a variant in batches of one size."""
    n_epochs = n * spec.training.epochs
    step_s, row_s, look_s = _step_and_row_s(spec, counts, variant)
    yield Work(variant, "trainings", n, _TRAINING_S)
    yield Work(variant, "epochs", n_epochs, _EPOCH_S)
    yield Work(variant, "steps", n * n_steps(spec, counts.n_train, batch), step_s)
    yield Work(variant, "rows trained", n_epochs * counts.n_train, row_s)
    yield Work(variant, "rows looked at", n_epochs * counts.n_validation, look_s)
    if variant in _CIRCUITS and spec.backend.name is not None:
        n_points = 2 * spec.backend.n_directions
        if spec.backend.gradient == "parameter-shift":
            n_points = n_shifted(spec, weights=variant != "frozen")
        n_circuits = n_epochs * counts.n_train * (1 + n_points)
        if spec.backend.evaluate == "backend":
            n_circuits += n_epochs * counts.n_validation + n * counts.n_test
        yield Work(variant, "circuits measured", n_circuits, _measured_s(spec, variant))
    elif variant in _CIRCUITS and spec.training.gradient_method != "adjoint":
        n_points = SPSA_POINTS if spec.training.gradient_method == "spsa" else n_shifted(spec)
        one_s = _SHIFTED_S[0] + _SHIFTED_S[1] * _n_amplitudes(spec, variant)
        yield Work(variant, "shifted circuits", n_epochs * counts.n_train * n_points, one_s)


def _step_and_row_s(spec: TrainingSpec, counts: TableCounts, variant: str) -> tuple[float, float, float]:
    """Seconds of a step beside its rows, of a row in training, and of a validation row."""
    entry_s = _COLUMN_S * counts.n_columns * spec.model.n_qubits
    if variant not in _CIRCUITS:
        return _TWIN_STEP_S, _TORCH_ROW_S + entry_s, _LOOK * (_TORCH_ROW_S + entry_s)
    amplitudes = _n_amplitudes(spec, variant)
    compiled_s = _COMPILED_ROW_S + entry_s + _AMPLITUDE_S * amplitudes
    torch_s = _TORCH_ROW_S + entry_s + _TORCH_AMPLITUDE_S * amplitudes
    if spec.backend.name is not None:  # its circuits are counted one by one
        return _MEASURED_STEP_S, _TORCH_ROW_S + entry_s, _LOOK * torch_s
    if _is_compiled(spec, variant):
        return _COMPILED_STEP_S, compiled_s, _LOOK * compiled_s
    return _TORCH_STEP_S, torch_s, _LOOK * torch_s


def _is_compiled(spec: TrainingSpec, variant: str) -> bool:
    """Whether the steps of a circuit run as compiled code; see `superpose.learning.fused.choice`."""
    model = spec.model
    if variant == "hybrid" and spec.fine_tune.learning_rates:
        return False
    maps_inputs = ENCODINGS[model.encoding.name].feature_map_for(variant != "no_entanglement") != "identity"
    return spec.training.gradient_method == "adjoint" and not maps_inputs and model.n_qubits <= MOST_COMPILED_QUBITS


def _n_pairs(spec: TrainingSpec, variant: str) -> int:
    """Gates that turn by products of inputs."""
    mapped = ENCODINGS[spec.model.encoding.name].feature_map_for(variant != "no_entanglement") == "products"
    return math.comb(spec.model.n_qubits, 2) if mapped else 0


def _n_amplitudes(spec: TrainingSpec, variant: str) -> float:
    """Gates times amplitudes of one run of the circuit."""
    try:
        return (n_gates(spec) + _n_pairs(spec, variant)) * 2.0**spec.model.n_qubits
    except OverflowError:
        return math.inf


def _measured_s(spec: TrainingSpec, variant: str) -> float:
    """Seconds of a circuit and its shots on the backend "local"."""
    circuit_s, shot_s = _MEASURED_QUBIT_S
    own_s = spec.model.n_qubits * (circuit_s + shot_s * spec.backend.shots)
    return own_s + _SHIFTED_S[1] * _n_amplitudes(spec, variant)


def _for_baseline(counts: TableCounts) -> BaselineCounts:
    """Training and validation rows together."""
    n_rows = counts.n_train + counts.n_validation
    n_rarest = round(counts.n_rarest * n_rows / max(1, counts.n_rows))
    return BaselineCounts(n_rows, counts.n_columns, counts.n_classes, n_rarest)


def _rest(spec: TrainingSpec, counts: TableCounts, n_others: int) -> Iterator[Work]:
    """What belongs to no variant: data, comparisons, explanation sample, model file."""
    n_cells = counts.n_rows * counts.n_features
    once_s, split_s, case_s = _COMPARED_S
    yield Work(REST, "cells looked through", n_cells, _CELL_S)
    yield Work(REST, "splits", counts.n_splits, _SPLIT_S + _SPLIT_CELL_S * n_cells)
    each_s = once_s + split_s * counts.n_splits + case_s * min(_MOST_CASES, _n_cases(spec, counts))
    yield Work(REST, "comparisons", n_others, each_s)
    n_explained = max(1, min(counts.n_test, MOST_EXPLAINED >> max(0, spec.model.n_qubits - 10)))
    gradient_s = _COMPILED_ROW_S + _TORCH_AMPLITUDE_S * _n_amplitudes(spec, "hybrid")
    yield Work(REST, "rows explained", n_explained, _GRADIENTS * gradient_s)
    yield Work(REST, "runs", 1, _FIXED_S)


def _n_cases(spec: TrainingSpec, counts: TableCounts) -> int:
    """Rows that some split tests, each counted once."""
    if spec.split.kind in ("stratified", "grouped"):  # drawn anew by each split
        return round(counts.n_rows * (1.0 - (1.0 - counts.n_test / counts.n_rows) ** counts.n_splits))
    return min(counts.n_rows, counts.n_splits * counts.n_test)
