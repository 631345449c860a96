"""One trial of a sweep: the hybrid model of a spec, measured by cross-validation on rows that no final test sees.

The rows are those that the first split of the experiment trains and validates on; its test rows are left alone, so
that the figures of the model that a sweep ends with stay honest. Each fold's model is stopped early by validation rows
of its own, drawn from the rows outside the fold, and measured on the fold's rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.datasets import Split, Table, k_fold_splits, stratified_splits, time_splits
from superpose.errors import DatasetTooSmallError
from superpose.learning.experiment import train_on_splits
from superpose.learning.recipe import CircuitRecipe, Recipe
from superpose.learning.spec import TrainingSpec
from superpose.learning.splitting import split_keys, splits_of, times_of

__all__ = ["Objective", "TrialResult", "run_trial", "tuning_folds"]


@dataclass(frozen=True)
class Objective:
    """What a trial measures: a row of `METRICS`, on ``n_folds`` folds."""

    metric: str
    n_folds: int


@dataclass(frozen=True)
class TrialResult:
    """What a trial measured.

    Attributes:
        folds: the objective metric on each fold done, in order.
        pruned: whether it was cut short.
        n_params: trained numbers of the model.
        n_epochs: epochs of all its trainings.
    """

    folds: tuple[float, ...]
    pruned: bool
    n_params: int
    n_epochs: int

    @property
    def value(self) -> float:
        """Mean over the folds done."""
        return float(np.mean(self.folds))


def tuning_folds(spec: TrainingSpec, table: Table, n_folds: int) -> list[Split]:
    """Folds over the rows outside the first split's test rows.

    They depend on the table and on the spec's ``split``, ``evaluation`` and seed, not on what a sweep searches over.
    Groups stay whole; a site is measured in one fold, and validation rows are drawn from the other sites, as in the
    split itself; with a split by time each fold is measured on rows that come after those it trains on.

    Args:
        spec: how the rows are split.
        table: all rows.
        n_folds: number of folds, at least 2.

    Raises:
        SpecError: the column to split by is absent or unusable.
        DatasetTooSmallError: the rows cannot be split this way.
    """
    first = splits_of(spec, table, at_most=1)[0]
    pool = np.sort(np.concatenate([first.train, first.validation]))
    labels = table.target.to_numpy()[pool]
    keys = None if spec.split.column is None else split_keys(spec, table)[pool]
    try:
        found = _folds_of(spec, labels, keys, n_folds)
    except DatasetTooSmallError as error:
        raise DatasetTooSmallError(
            f"{n_folds} tuning folds cannot be made of the {len(pool)} rows outside the first split's test rows: "
            f"{error.message} Or use fewer folds (objective.folds of the sweep).",
            **error.details,
        ) from None
    return [Split(train=pool[s.train], validation=pool[s.validation], test=pool[s.test]) for s in found]


def _folds_of(spec: TrainingSpec, labels: NDArray[Any], keys: NDArray[Any] | None, n_folds: int) -> list[Split]:
    """Folds of rows with these labels and values of the column to split by."""
    evaluation, seed = spec.evaluation, spec.training.seed
    if spec.split.kind == "time" and keys is not None:
        return time_splits(
            labels,
            times_of(keys, spec.split.column or ""),
            n_splits=n_folds,
            test_fraction=evaluation.test_fraction,
            validation_fraction=evaluation.validation_fraction,
        )
    share = min(evaluation.validation_fraction, 0.5 * (1.0 - 1.0 / n_folds))
    if spec.split.kind != "site":
        return k_fold_splits(labels, n_splits=n_folds, validation_fraction=share, seed=seed, groups=keys)
    found = k_fold_splits(labels, n_splits=n_folds, validation_fraction=0.0, seed=seed, groups=keys)
    return [_with_validation(fold, labels, share * len(labels), (seed, number)) for number, fold in enumerate(found)]


def _with_validation(fold: Split, labels: NDArray[Any], n_rows: float, seed: tuple[int, int]) -> Split:
    """So many of a fold's training rows validate, by class: as a split by site has it, in which sites are only tested
    whole.
    """
    sown = int(np.random.SeedSequence(seed).generate_state(1)[0])
    share = min(0.9, n_rows / len(fold.train))
    (inner,) = stratified_splits(
        labels[fold.train], n_splits=1, test_fraction=share, validation_fraction=0.0, seed=sown
    )
    return Split(train=fold.train[inner.train], validation=fold.train[inner.test], test=fold.test)


def run_trial(  # noqa: PLR0913  # as run_experiment
    spec: TrainingSpec,
    table: Table,
    directory: Path,
    *,
    objective: Objective,
    on_event: Callable[[str, dict[str, Any]], None] = lambda kind, data: None,
    should_stop: Callable[[], bool] = lambda: False,
    recipe: Callable[[TrainingSpec], Recipe] = CircuitRecipe,
    prune: Callable[[list[float]], bool] = lambda folds: False,
) -> TrialResult:
    """Measure a spec on the tuning folds; call again with the same arguments to continue in the directory.

    Args:
        spec: what to train; its controls and baseline are left out.
        table: all rows.
        directory: the trial's own directory.
        objective: what is measured, on how many folds.
        on_event: as for `run_experiment`.
        should_stop: as for `run_experiment`.
        recipe: makes what trains the networks of a spec.
        prune: asked after each fold but the last with the values so far; True ends the trial.

    Raises:
        Stopped, SpecError, DatasetTooSmallError, StateTooLargeError, TrainingDivergedError: as `run_experiment`.

    Cost: ``n_folds`` trainings of at most ``epochs`` passes over their training rows.
    """
    metric, n_folds = objective.metric, objective.n_folds
    folds = tuning_folds(spec, table, n_folds)

    def values(done: list[dict[str, Any]]) -> list[float]:
        return [float(result["metrics"][metric]) for result in done]

    alone = replace(spec, evaluation=replace(spec.evaluation, controls=(), baseline="none"))
    results: list[Mapping[str, Any]] = list(
        train_on_splits(
            alone,
            table,
            folds,
            directory,
            on_event=on_event,
            should_stop=should_stop,
            recipe=recipe,
            go_on=lambda done: len(done) == n_folds or not prune(values(done)),
        )
    )
    return TrialResult(
        folds=tuple(float(result["metrics"][metric]) for result in results),
        pruned=len(results) < n_folds,
        n_params=int(results[0]["n_params"]),
        n_epochs=sum(int(result["n_epochs"]) for result in results),
    )
