"""Sweeps: what is refused, what is proposed, and that neither crashes nor the order of ends change it."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superpose.datasets import builtin_table
from superpose.errors import (
    ConflictError,
    ForbiddenError,
    LeaseLostError,
    NotFoundError,
    SpecError,
)
from superpose.learning import TrainingSpec
from superpose.learning.splitting import splits_of
from superpose.learning.trial import tuning_folds
from superpose.service import JobKind, JobStatus, Principal, Role, Service, ServiceConfig
from superpose.service.experiments.study import PastTrial, importances, propose, should_prune
from superpose.service.experiments.sweep_spec import SweepSpec
from superpose.service.store.claims import NewJob
from superpose.trust import read_key_file

from .conftest import CSV, SMALL_SPEC, ended, wait_for, working
from .test_kill import Start, start, worker_pids  # noqa: F401  # start is a fixture

SWEEP: dict[str, Any] = {
    "spec": {**SMALL_SPEC, "training": {"epochs": 2, "batch_size": 32}},
    "space": {
        "model.n_qubits": {"int": [1, 3]},
        "training.learning_rate": {"float": [0.001, 0.5], "log": True},
        "model.ansatz.name": ["strongly_entangling", "hardware_efficient"],
    },
    "objective": {"metric": "brier", "folds": 2},
    "sampler": {"name": "random", "seed": 5},
    "n_trials": 5,
    "parallelism": 2,
}


def facts(service: Service, admin: Principal, name: str) -> list[tuple[Any, ...]]:
    """What must not depend on how a sweep went."""
    found = service.sweeps.get(admin, name)
    assert found.trials is not None
    return [(t.number, t.state, t.params, t.folds, t.value) for t in found.trials]


def test_a_sweep_measures_its_trials_and_trains_the_best_once(
    service: Service, admin: Principal, config: ServiceConfig, dataset: Any
) -> None:
    made = service.sweeps.submit(admin, SWEEP, dataset="trial", name="search", model="tuned")
    with working(config):
        done = ended(service, made.job)
    assert done.status == "succeeded", done.error
    sweep = service.sweeps.get(admin, "search")
    assert sweep.trials is not None and len(sweep.trials) == 5
    assert all(trial.state == "complete" and len(trial.folds) == 2 for trial in sweep.trials)
    best = min(sweep.trials, key=lambda t: (t.value, t.number))  # of the Brier score less is better
    document = sweep.to_json()
    assert document["best"] == {"number": best.number, "params": best.params, "value": best.value}
    model = service.models.get(admin, "tuned")
    assert model.latest == 1  # once
    version = model.versions[0]
    spec = SweepSpec.from_dict(SWEEP).spec_of(best.params)
    assert version.manifest["provenance"]["spec"] == spec.to_dict()
    assert version.manifest["provenance"]["sweep"]["trial"] == best.number
    assert document["model_version"] == 1
    assert service.models.list(admin).items == (model,)  # trials leave no versions
    trial_jobs = service.jobs.list(admin, parent=made.job.id).items
    assert sorted(job.kind for job in trial_jobs) == ["train", *["trial"] * 5]
    progress = [e.data for e in service.store.events(made.job.id) if e.kind == "progress"]
    assert progress[-1]["n_ended"] == 5
    assert (done.progress["stage"], done.progress["fraction"]) == ("trained the best", 1.0)
    graph = service.lineages.of_model(admin, "tuned").to_json()
    assert {"source": f"job:{made.job.id}", "target": f"job:{version.job_id}", "relation": "chose"} in graph["edges"]


@pytest.mark.slow
def test_trials_do_not_depend_on_workers_and_ends(
    tmp_path: Path,
    kernels: None,
    start: Start,  # noqa: F811
) -> None:
    """One worker in a thread, and two in processes of which one after the other is killed: equal, bit for bit."""
    sweep = {
        **SWEEP,
        "sampler": {"name": "tpe", "seed": 3},
        "pruner": {"name": "median", "startup_trials": 2, "warmup_folds": 0},
        "n_trials": 14,  # beyond TPE's random start
        "parallelism": 3,
    }
    found = []
    for place, n_workers in (("calm", 0), ("killed", 2)):
        config = ServiceConfig(data_dir=tmp_path / place, workers=n_workers, lease_s=1.5, max_attempts=50)
        with Service.open(config) as opened:
            admin = opened.authenticate(read_key_file(opened.admin_key_path))
            opened.datasets.add(admin, name="trial", content=CSV, format="csv", target="outcome")
            made = opened.sweeps.submit(admin, sweep, dataset="trial", name="s", model="tuned")
            if not n_workers:
                with working(config):
                    assert ended(opened, made.job).status == "succeeded"
                found.append(outcome(opened, admin))
        if n_workers:
            server = start(config)
            with Service.open(config, exclusive=False) as look:
                for n_done in (1, 4, 8, 12):
                    wait_for(lambda n=n_done, who=admin: n_ended(look, who) >= n)
                    for pid in list(worker_pids(config).values())[-2:]:
                        kill(pid)
                assert ended(look, made.job).status == "succeeded"
                found.append(outcome(look, admin))
                assert look.store.get(made.job.id).attempt > 1
            server.kill(signal.SIGTERM)
    assert found[0] == found[1]
    assert {state for _, state, *_ in found[0][0]} == {"complete", "pruned"}


def outcome(service: Service, admin: Principal) -> tuple[list[tuple[Any, ...]], str, bytes]:
    """Trials, and the model that came of them."""
    assert service.models.get(admin, "tuned").latest == 1
    version = service.models.version(admin, "tuned")
    return facts(service, admin, "s"), version.digest, service.models.content(version)


def n_ended(service: Service, admin: Principal) -> int:
    trials = service.sweeps.get(admin, "s").trials or ()
    return sum(trial.ended for trial in trials)


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:  # it was killed before
        return


def test_a_cancelled_sweep_takes_its_trials_along(service: Service, admin: Principal, dataset: Any) -> None:
    made = service.sweeps.submit(admin, SWEEP, dataset="trial", name="stopped")
    claim = service.store.claim("by hand")
    assert claim is not None and claim.job.id == made.job.id
    child = NewJob(project="default", kind=claim.job.kind, payload={"params": {}, "number": 0}, created_by="x")
    waiting = service.store.await_children(claim, [child, child], ())
    assert waiting.status is JobStatus.WAITING
    with pytest.raises(LeaseLostError):
        service.store.await_children(claim, [child], ())
    first = service.store.claim("by hand")
    assert first is not None and first.job.parent_id == made.job.id
    service.sweeps.cancel(admin, "stopped")
    assert service.store.get(made.job.id).status is JobStatus.CANCELLED
    assert service.store.get(first.job.id).status is JobStatus.CANCELLING
    others = [job for job in service.jobs.list(admin, parent=made.job.id).items if job.id != first.job.id]
    assert [job.status for job in others] == [JobStatus.CANCELLED]
    assert service.store.give_back(first).status is JobStatus.CANCELLED
    assert service.store.claim("by hand") is None


def test_a_sweep_begins_after_other_jobs_and_fails_with_them(
    service: Service, admin: Principal, config: ServiceConfig, dataset: Any
) -> None:
    short = {**SWEEP, "n_trials": 1, "parallelism": 1}
    first = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", model_name="before")
    sweep = service.sweeps.submit(admin, short, dataset="trial", name="then", after=[first.id])
    last = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", model_name="last", after=[sweep.job.id])
    assert sweep.job.after == (first.id,)
    with working(config):
        assert ended(service, last).status == "succeeded"
    done = [service.store.get(job.id) for job in (first, sweep.job, last)]
    for earlier, later in itertools.pairwise(done):
        assert earlier.finished_at is not None and later.started_at is not None
        assert later.started_at >= earlier.finished_at
    first = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", model_name="before")
    sweep = service.sweeps.submit(admin, short, dataset="trial", name="never", after=[first.id])
    service.jobs.cancel(admin, first.id)
    error = service.sweeps.get(admin, "never").job.error
    assert error and error["code"] == "service.job_dependency"


def test_a_waiting_job_is_woken_by_each_child_once(service: Service, admin: Principal, dataset: Any) -> None:
    made = service.sweeps.submit(admin, SWEEP, dataset="trial", name="woken")
    claim = service.store.claim("w")
    assert claim is not None
    child = NewJob(project="default", kind=claim.job.kind, payload={}, created_by="x")
    service.store.await_children(claim, [child, child], ())
    one, two = service.store.claim("w"), service.store.claim("w")
    assert one is not None and two is not None and service.store.claim("w") is None
    service.store.succeed(one, {})
    assert service.store.get(made.job.id).status is JobStatus.QUEUED
    again = service.store.claim("w")
    assert again is not None and again.job.id == made.job.id
    service.store.fail(two, "x", "y")  # while the parent runs: it must not wait for what has happened
    assert service.store.await_children(again, [], {one.job.id}).status is JobStatus.QUEUED
    last = service.store.claim("w")
    assert last is not None
    assert service.store.await_children(last, [], {one.job.id, two.job.id}).status is JobStatus.WAITING


def test_trials_that_cannot_be_trained_are_failures_and_all_of_them_fail_the_sweep(
    service: Service, admin: Principal, config: ServiceConfig, dataset: Any
) -> None:
    steps = {**SWEEP, "space": {"training.epochs": [1, 1000]}, "sampler": {"name": "grid"}, "n_trials": 2}
    steps["spec"] = {**SWEEP["spec"], "limits": {"max_steps": 60}}
    made = service.sweeps.submit(admin, steps, dataset="trial", name="half")
    with working(config):
        assert ended(service, made.job).status == "succeeded"
    trials = service.sweeps.get(admin, "half").trials or ()
    assert [trial.state for trial in trials] == ["complete", "failed"]
    assert trials[1].error and trials[1].error["code"] == "spec.invalid"
    both = {**steps, "space": {"training.epochs": [900, 1000]}}
    made = service.sweeps.submit(admin, both, dataset="trial", name="none")
    with working(config):
        done = ended(service, made.job)
    assert done.status == "failed"
    assert done.error and done.error["code"] == "service.sweep"
    assert "None of the 2 trials of the sweep was complete" in str(done.error["message"])


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"space": {}}, "space", "1 to 30 fields"),
        ({"space": {"model.wings": [1, 2]}}, "space.model.wings", "not a field of the training spec"),
        ({"space": {"model.n_qubit": [1, 2]}}, "space.model.n_qubit", "did you mean 'n_qubits' for 'n_qubit'? (fields"),
        ({"space": {"model.ansatx.name": ["x"]}}, "space.model.ansatx.name", "did you mean 'ansatz' for 'ansatx'?"),
        ({"space": {"evaluation.n_splits": [2, 3]}}, "space.evaluation.n_splits", "cannot be searched over"),
        ({"space": {"training.seed": [2, 3]}}, "space.training.seed", "which the folds are drawn by"),
        ({"space": {"model.n_qubits": {"int": [0, 3]}}}, "model.n_qubits", "0"),
        ({"space": {"model.n_qubits": {"int": [3, 2]}}}, "space.model.n_qubits", "above high"),
        ({"space": {"model.n_qubits": {"int": [1, 2.5]}}}, "space.model.n_qubits", "without fraction"),
        ({"space": {"model.n_qubits": [2, 2]}}, "space.model.n_qubits.choice", "twice"),
        ({"space": {"model.ansatz.name": ["none"]}}, "model.ansatz.name", "none"),
        (
            {"space": {"training.learning_rate": {"float": [0, 1], "log": True}}},
            "space.training.learning_rate.log",
            "0",
        ),
        ({"sampler": {"name": "annealing"}}, "sampler.name", "tpe, random, grid"),
        ({"sampler": {"name": "grid"}}, "space.training.learning_rate", "needs a step"),
        ({"objective": {"metric": "speed"}}, "objective.metric", "accuracy"),
        ({"objective": {"folds": 1}}, "objective.folds", "2 to 20"),
        ({"pruner": {"name": "hyperband"}}, "pruner.name", "median"),
        ({"n_trials": 0}, "n_trials", "1 to 1000"),
        ({"n_trails": 3}, "n_trails", "not a field of a sweep"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_by_field(change: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(SpecError) as refused:
        SweepSpec.from_dict({**SWEEP, **change})
    assert refused.value.field == field
    assert said in str(refused.value)


def test_names_roles_and_projects(service: Service, admin: Principal, stranger: Principal, dataset: Any) -> None:
    once = service.sweeps.submit(admin, SWEEP, dataset="trial", name="first", idempotency_key="k")
    assert service.sweeps.submit(admin, SWEEP, dataset="trial", name="first", idempotency_key="k").job.id == once.job.id
    with pytest.raises(ConflictError, match="Sweep 'first' exists"):
        service.sweeps.submit(admin, SWEEP, dataset="trial", name="first")
    with pytest.raises(NotFoundError):
        service.sweeps.get(stranger, "first")
    with pytest.raises(NotFoundError):
        service.sweeps.cancel(stranger, "first")
    _, secret = service.keys.create(admin, role=Role.VIEWER)
    with pytest.raises(ForbiddenError):
        service.sweeps.submit(service.authenticate(secret), SWEEP, dataset="trial")
    assert [sweep.name for sweep in service.sweeps.list(admin).items] == ["first"]
    assert service.sweeps.list(stranger).items == ()
    spec = SweepSpec.from_dict(SWEEP)
    assert SweepSpec.from_dict(spec.to_dict()) == spec


def test_a_grid_visits_every_point_once() -> None:
    spec = SweepSpec.from_dict(
        {"space": {"model.n_qubits": {"int": [2, 6], "step": 2}, "preprocessing.scaling": ["standard", "robust"]},
         "sampler": {"name": "grid"}}
    )  # fmt: skip
    points = [tuple(propose(spec, k, [], []).values()) for k in range(spec.n_trials)]
    assert points == [(n, s) for n in (2, 4, 6) for s in ("standard", "robust")]


def test_tpe_goes_where_values_are_good_and_gives_equal_answers_to_equal_questions() -> None:
    spec = SweepSpec.from_dict(
        {"space": {"training.learning_rate": {"float": [0.001, 1.0], "log": True}}, "sampler": {"seed": 1}}
    )

    def value(rate: float) -> float:
        return 1.0 - abs(np.log10(rate) + 1.0) / 3  # best at 0.1

    told: list[PastTrial] = []
    for number in range(40):
        params = propose(spec, number, told, [])
        assert params == propose(spec, number, told, [])
        told.append(PastTrial(params, "complete", (value(float(params["training.learning_rate"] or 0)),)))
    early, late = (np.mean([t.value for t in part]) for part in (told[:10], told[30:]))
    assert late > early + 0.1
    assert importances(spec, told) == {"training.learning_rate": pytest.approx(1.0)}
    assert importances(spec, told[:3]) == {}


def test_the_pruner_cuts_what_is_worse_than_the_median() -> None:
    spec = SweepSpec.from_dict({**SWEEP, "objective": {"metric": "accuracy", "folds": 3}, "pruner": {
        "name": "median", "startup_trials": 3, "warmup_folds": 1}})  # fmt: skip
    params = propose(spec, 0, [], [])
    told = [PastTrial(params, "complete", (v, v, v)) for v in (0.6, 0.7, 0.8)]
    assert should_prune(spec, told, [0.5, 0.5], params)
    assert not should_prune(spec, told, [0.75, 0.75], params)
    assert not should_prune(spec, told, [0.1], params)  # warming up
    assert not should_prune(spec, told[:2], [0.1, 0.1], params)  # too few to compare with
    assert not should_prune(SweepSpec.from_dict(SWEEP), told, [0.1, 0.1], params)


@pytest.mark.parametrize("by", [{}, {"kind": "grouped", "column": "mean radius"}, {"kind": "k_fold"}])
def test_tuning_folds_leave_the_first_test_rows_alone(by: dict[str, Any]) -> None:
    table = builtin_table("breast_cancer")
    spec = TrainingSpec.from_dict({"split": by, "evaluation": {"n_splits": 3}})
    test = set(splits_of(spec, table)[0].test.tolist())
    folds = tuning_folds(spec, table, 4)
    seen: list[int] = []
    for fold in folds:
        parts = [set(part.tolist()) for part in (fold.train, fold.validation, fold.test)]
        assert not test & set.union(*parts)
        assert sum(map(len, parts)) == len(set.union(*parts)) == table.n_rows - len(test)
        seen += fold.test.tolist()
    assert sorted(seen) == sorted(set(range(table.n_rows)) - test)  # each row is measured once


def test_trials_count_against_the_quota_of_jobs_and_one_always_has_a_place(
    service: Service, admin: Principal, config: ServiceConfig, dataset: Any
) -> None:
    made = service.sweeps.submit(admin, {**SWEEP, "n_trials": 2}, dataset="trial", name="narrow", model="tuned")
    child = NewJob(project="default", kind=JobKind.TRIAL, payload={"params": {}, "number": 0}, created_by="x")
    service.projects.set_quotas(admin, "default", {"jobs": 3})
    claim = service.store.claim("by hand")
    assert claim is not None
    service.store.await_children(claim, [child] * 4, ())
    assert service.quotas.usage(admin).used["jobs"] == 3  # the sweep and two trials
    service.sweeps.cancel(admin, "narrow")
    assert service.quotas.usage(admin).used["jobs"] == 0
    again = service.sweeps.submit(admin, {**SWEEP, "n_trials": 2}, dataset="trial", name="again", model="tuned")
    service.projects.set_quotas(admin, "default", {"jobs": 1})
    with working(config):
        assert ended(service, again.job).status == "succeeded"
    first, second, final = sorted(service.jobs.list(admin, parent=again.job.id).items, key=lambda job: job.created_at)
    assert first.finished_at is not None and second.finished_at is not None
    assert first.finished_at <= second.created_at and second.finished_at <= final.created_at  # never two at once
    assert made.job.id != again.job.id
