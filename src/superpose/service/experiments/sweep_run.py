"""What workers do for a sweep: its steps, between which it holds no worker, and its trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from superpose.errors import SweepError
from superpose.service.experiments.study import importances, propose, should_prune
from superpose.service.experiments.sweep_effort import ChildEfforts
from superpose.service.experiments.sweep_spec import SweepSpec
from superpose.service.experiments.trials import Trial, children_of
from superpose.service.nouns import Job, JobKind
from superpose.service.statuses import JobStatus
from superpose.service.store.claims import NewJob
from superpose.service.work.admission import TRIED_SPLITS
from superpose.service.work.fine_tuning import carrying, parent_of_job
from superpose.service.work.remarks import remarks_on
from superpose.service.work.runs import Awaits, Outcome, RunContext

if TYPE_CHECKING:
    from superpose.learning.recipe import Recipe
    from superpose.learning.spec import TrainingSpec

__all__ = ["measure", "step"]


def step(job: Job, context: RunContext) -> Outcome:
    """Take a sweep one step on: begin the trials that are due, then the final training, then tell the end.

    What to begin follows from the store alone, and is begun in the transaction that lets go of the sweep: killed at any
    instant, a step is done again with the same outcome, or was done.

    Raises:
        SweepError: no trial was complete, or the final training did not succeed.
    """
    spec = SweepSpec.from_dict(job.payload)
    with context.database.read() as connection:
        trials, final, ended = children_of(connection, job.id)
    _report(spec, trials, final, context)
    if final is not None:
        return _end(spec, job, trials, final) if final.id in ended else Outcome({}, awaits=Awaits((), ended))
    due = _due(spec, job, trials)
    if due or not all(trial.ended for trial in trials):
        return Outcome({}, awaits=Awaits(_estimated(due, spec, job, context), ended))
    best = _best(spec, trials)
    if best is None:
        errors = [trial.error for trial in trials if trial.error]
        first = f" The first one's error: {errors[0].get('message')}" if errors else ""
        raise SweepError(
            f"None of the {len(trials)} trials of the sweep was complete, so there is none to train.{first}"
        )
    return Outcome({}, awaits=Awaits(_estimated([_final(spec, job, trials, best)], spec, job, context), ended))


def measure(job: Job, context: RunContext) -> Outcome:
    """Run a trial: measure its spec on the tuning folds, or cut it short where the pruner says so.

    Raises:
        Stopped: ``should_stop`` said so; a checkpoint is there.
        ResidencyError: the project's rules do not allow the spec's backend.
        SuperposeError: the spec cannot be trained.
    """
    from superpose.learning.trial import Objective, run_trial

    payload: Mapping[str, Any] = job.payload
    spec = SweepSpec.from_dict(payload["sweep"])
    params, number = payload["params"], int(payload["number"])
    trained = spec.spec_of(params)
    if trained.backend.name is not None:
        context.confinement.admitted(trained.backend.name)
    table = context.training_table()
    parent = parent_of_job(trained, job.project, context.database, context.artifacts)

    def recipe(spec: TrainingSpec) -> Recipe:
        return carrying(spec, parent, table) or context.recipe(spec)

    def prune(folds: list[float]) -> bool:
        with context.database.read() as connection:
            trials, _, _ = children_of(connection, str(job.parent_id))
        told = [trial.past() for trial in trials[: _known(spec, number)]]
        return should_prune(spec, told, folds, params)

    found = run_trial(
        trained,
        table,
        context.directory,
        objective=Objective(spec.metric, spec.n_folds),
        on_event=context.on_event,
        should_stop=context.should_stop,
        recipe=recipe,
        prune=prune,
    )
    return Outcome(
        {
            "state": "pruned" if found.pruned else "complete",
            "value": found.value,
            "folds": list(found.folds),
            "n_params": found.n_params,
            "n_epochs": found.n_epochs,
        }
    )


def _known(spec: SweepSpec, number: int) -> int:
    """How many of the first trials a trial's proposal and pruning may know; all of them have ended before it begins."""
    return max(0, number - spec.parallelism + 1)


def _due(spec: SweepSpec, job: Job, trials: list[Trial]) -> list[NewJob]:
    """The trials to begin now."""
    params = [dict(trial.params) for trial in trials]
    n_ended = next((place for place, trial in enumerate(trials) if not trial.ended), len(trials))
    found = []
    for number in range(len(trials), spec.n_trials):
        known = _known(spec, number)
        if known > n_ended:
            break
        told = [trial.past() for trial in trials[:known]]
        params.append(propose(spec, number, told, params[known:number]))
        payload = {"sweep": spec.to_dict(), "number": number, "params": params[number]}
        found.append(_child(job, JobKind.TRIAL, payload, model=None))
    return found


def _child(job: Job, kind: JobKind, payload: Mapping[str, Any], *, model: str | None) -> NewJob:
    return NewJob(
        project=job.project,
        kind=kind,
        payload=payload,
        created_by=job.id,
        dataset_id=job.dataset_id,
        dataset=job.dataset,
        model=model,
        priority=job.priority,
    )


def _estimated(children: Sequence[NewJob], spec: SweepSpec, job: Job, context: RunContext) -> tuple[NewJob, ...]:
    """The children, each with what it is expected to take, as a job of its spec that a user submits has it.

    Of a sweep that nobody estimated (it begins from a module, or an older release has accepted it) nobody estimates
    them either, for the same reason.
    """
    from superpose.learning.splitting import splits_of
    from superpose.learning.trial import tuning_folds

    if not children or job.estimate is None:
        return tuple(replace(child, remarks=job.remarks) for child in children)
    table = context.training_table()
    folds, splits = tuning_folds(spec.base, table, spec.n_folds), splits_of(spec.base, table, at_most=TRIED_SPLITS)
    efforts = ChildEfforts(spec, table, folds, list(splits))
    found = []
    for child in children:
        payload: Mapping[str, Any] = child.payload
        if child.kind is JobKind.TRIAL:
            effort, less = efforts.trial_or_reason(payload["params"]), "epochs or folds"
        else:
            effort, less = efforts.final_or_reason(payload["sweep"]["params"]), "epochs, splits, seeds or controls"
        told = remarks_on(effort, max_seconds=context.config.job_seconds, config=context.config, less=less)
        found.append(replace(child, estimate=told.estimate, remarks=told.remarks))
    return tuple(found)


def _best(spec: SweepSpec, trials: list[Trial]) -> Trial | None:
    """The complete trial with the best value; of equal ones the first."""
    complete = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    sign = -1.0 if spec.higher_is_better else 1.0
    return min(complete, key=lambda trial: (sign * float(trial.value or 0.0), trial.number), default=None)


def _final(spec: SweepSpec, job: Job, trials: list[Trial], best: Trial) -> NewJob:
    """The training of the best trial's spec; its model file says that a sweep chose it, and on which rows."""
    chosen_by = {
        "digest": spec.digest,
        "trial": best.number,
        "n_trials": len(trials),
        "metric": spec.metric,
        "folds": spec.n_folds,
        "value": best.value,
        "params": dict(best.params),
        "untouched_splits": [0],
    }
    payload = {**spec.spec_of(best.params).to_dict(), "sweep": chosen_by}
    return _child(job, JobKind.TRAIN, payload, model=job.model)


def _end(spec: SweepSpec, job: Job, trials: list[Trial], final: Job) -> Outcome:
    if final.status is not JobStatus.SUCCEEDED:
        reason = f": {final.error['message']}" if final.error else "."  # a cancelled one has none
        raise SweepError(f"The final training, job {final.id}, is {final.status}{reason}", job=final.id)
    best = _best(spec, trials)
    if best is None:
        raise SweepError(f"The sweep {job.id} has no complete trial.")
    return Outcome(
        {
            "best": {"number": best.number, "params": dict(best.params), "value": best.value},
            "importances": importances(spec, [trial.past() for trial in trials]),
            "model": final.model,
            "model_version": final.model_version,
            "job": final.id,
            **_counts(trials),
        }
    )


def _counts(trials: list[Trial]) -> dict[str, int]:
    states = [trial.past().state for trial in trials if trial.ended]
    return {
        "n_complete": states.count("complete"),
        "n_pruned": states.count("pruned"),
        "n_failed": states.count("failed"),
    }


def _report(spec: SweepSpec, trials: list[Trial], final: Job | None, context: RunContext) -> None:
    best = _best(spec, trials)
    n_ended = sum(trial.ended for trial in trials)
    stage = f"trial {n_ended} of {spec.n_trials}" if final is None else "training the best"
    is_trained = final is not None and final.status is JobStatus.SUCCEEDED
    context.on_event(
        "progress",
        {
            "stage": "trained the best" if is_trained else stage,
            "n_trials": spec.n_trials,
            "n_ended": n_ended,
            **_counts(trials),
            "best": None if best is None else {"number": best.number, "value": best.value},
            "fraction": round((n_ended + is_trained) / (spec.n_trials + 1), 4),
        },
    )
