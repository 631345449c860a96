"""Running an experiment: its units one after the other, then what they say together, then the model file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from superpose.datasets import Split, Table
from superpose.learning.admission import admit
from superpose.learning.experiment.document import cases_of, evaluation_of
from superpose.learning.experiment.model import write_model_file
from superpose.learning.experiment.run import OnEvent, Run, UnitResults
from superpose.learning.experiment.seeds import over_seeds
from superpose.learning.experiment.shadowing import shadow_cost
from superpose.learning.experiment.split_data import SplitData
from superpose.learning.experiment.unit import Unit
from superpose.learning.recipe import CircuitRecipe, Recipe
from superpose.learning.spec import TrainingSpec
from superpose.learning.training import one_torch_thread

__all__ = ["ExperimentResult", "run_experiment", "train_on_splits"]


@dataclass(frozen=True)
class ExperimentResult:
    """What an experiment leaves.

    Attributes:
        evaluation: all models' figures over the splits, the comparisons and the verdict; JSON values.
        model_path: the model file of the registered model, the hybrid model of the first split.
        model_digest: its digest.
    """

    evaluation: dict[str, Any]
    model_path: Path
    model_digest: str


def run_experiment(  # noqa: PLR0913  # what to do, where, and who looks on
    spec: TrainingSpec,
    table: Table,
    directory: Path,
    *,
    on_event: OnEvent = lambda kind, data: None,
    should_stop: Callable[[], bool] = lambda: False,
    recipe: Recipe | None = None,
    provenance: Mapping[str, Any] | None = None,
    on_submit: Callable[[], None] = lambda: None,
    on_queued: Callable[[str], None] = lambda provider_job_id: None,
) -> ExperimentResult:
    """Train and judge as the spec says, durably.

    Args:
        spec: what to do.
        table: the data; features may have missing values and categories.
        directory: the run's own directory, made if absent; call again with the same arguments to continue in it.
        on_event: receives ("progress", {...}), ("metric", {...}) and ("log", {...}).
        should_stop: when it says yes, the run saves a checkpoint and raises `Stopped`.
        recipe: what networks are trained; by default those of the spec's circuit.
        provenance: what else the model file is to say of the model's making, such as the sweep that chose its spec.
        on_submit: called before a program is handed over to the spec's backend; what it raises prevents that and ends
            this call.
        on_queued: called with the provider's id of a program whose result a backend does not have yet, before a pause;
            what it raises ends this call, and the same call continues later.

    Raises:
        Stopped: on request; the same call continues.
        ProviderError: the spec's backend has failed for good; the same call continues.
        SpecError: the spec does not fit the data.
        StateTooLargeError: the circuit needs more memory than allowed.
        CheckpointError: the directory holds another run.
        DatasetTooSmallError: a class has too few rows to split.
        TrainingDivergedError: a loss is no longer finite.

    Cost: ``n_splits * n_seeds * max(1, trials) * (1 + number of controls)`` trainings of at most
    ``epochs`` passes over the training rows.
    """
    spec = spec.about(table.domain)
    admit(spec, table, fine_tuned=recipe is not None and recipe.fine_tuning is not None)
    directory.mkdir(parents=True, exist_ok=True)
    own = CircuitRecipe(spec)
    run = Run(spec, table, directory, on_event, should_stop, recipe or own, dict(provenance or {}))
    run.on_submit, run.on_queued = on_submit, on_queued
    run.claim_directory()
    _check_columns(run)
    # Small matrices gain nothing from BLAS threads, and beside other processes they lose a factor of ten.
    if spec.privacy.attack == "shadow":
        run.on_event("log", {"message": shadow_cost(run)})
    with contextlib.closing(own), one_torch_thread(), threadpool_limits(1):
        return _finish(run, _results(run))


def train_on_splits(  # noqa: PLR0913  # as run_experiment
    spec: TrainingSpec,
    table: Table,
    splits: list[Split],
    directory: Path,
    *,
    on_event: OnEvent = lambda kind, data: None,
    should_stop: Callable[[], bool] = lambda: False,
    go_on: Callable[[list[dict[str, Any]]], bool] = lambda done: True,
    recipe: Callable[[TrainingSpec], Recipe] = CircuitRecipe,
    on_queued: Callable[[str], None] = lambda provider_job_id: None,
) -> list[dict[str, Any]]:
    """Train the hybrid model alone, without controls or baseline, on splits of one's own; durable as `run_experiment`.

    Args:
        spec, table, directory, on_event, should_stop, on_queued: as for `run_experiment`.
        splits: which rows train, stop early, and measure.
        go_on: asked after each split with the results so far; False leaves out the rest.
        recipe: makes what trains the networks of a spec.

    Returns:
        For each split done: "metrics" on its test rows, "n_params", "n_epochs" and "best_epoch".

    Raises:
        Stopped, SpecError, StateTooLargeError, CheckpointError, TrainingDivergedError: as `run_experiment`.
    """
    made = recipe(spec)
    admit(spec, table, fine_tuned=made.fine_tuning is not None)
    directory.mkdir(parents=True, exist_ok=True)
    run = Run(spec, table, directory, on_event, should_stop, made, given_splits=splits, only=("hybrid",))
    run.on_queued = on_queued
    run.claim_directory()
    results: list[dict[str, Any]] = []
    with one_torch_thread(), threadpool_limits(1):
        for number in range(len(splits)):
            results.append(Unit(run, SplitData(run, number), "hybrid", number).result())
            if not go_on(results):
                break
    return results


def _check_columns(run: Run) -> None:
    """Make sure that every split has columns that the recipe can take."""
    for split in range(len(run.splits)):
        run.recipe.check_columns(SplitData(run, split).preprocessor.n_encoded)
        if run.recipe.fine_tuning is not None:
            run.recipe.check_columns(SplitData(run, split, anew=True).preprocessor.n_encoded)


def _results(run: Run) -> UnitResults:
    """Result of every unit, by split and variant; those that have one on disk are not done again."""
    rows: UnitResults = []
    for split in range(len(run.splits)):
        data = SplitData(run, split)
        anew = data if run.recipe.fine_tuning is None else SplitData(run, split, anew=True)
        row = {}
        for place, variant in enumerate(run.variants):
            done = (split * len(run.variants) + place) * run.n_seeds
            row[variant] = over_seeds(
                [
                    Unit(run, data if variant == "hybrid" else anew, variant, done + seed, seed).result()
                    for seed in range(run.n_seeds)
                ]
            )
        rows.append(row)
    return rows


def _finish(run: Run, rows: UnitResults) -> ExperimentResult:
    """Compare, and write the model file."""
    cases = cases_of(run, rows)
    evaluation = evaluation_of(run, rows, cases)
    path, digest = write_model_file(run, rows, evaluation)
    run.on_event("log", {"message": evaluation["verdict"], "verdict": True})
    return ExperimentResult(evaluation, path, digest)
