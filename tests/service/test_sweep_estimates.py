"""A sweep says what it is expected to take from its submission on: of trials that are known, and between bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from superpose.datasets import Table, builtin_table
from superpose.errors import ForbiddenError, NotFoundError, SpecError
from superpose.learning.effort import REST, EstimatedEffort, rounded
from superpose.learning.estimate import counts_of, effort_or_reason, fold_counts, trial_effort_or_reason
from superpose.learning.splitting import splits_of
from superpose.learning.trial import tuning_folds
from superpose.service import Dataset, Job, ModelVersion, Part, Principal, Service, ServiceConfig
from superpose.service.experiments.study import STARTUP_TRIALS, PastTrial, propose
from superpose.service.experiments.sweep_effort import (
    FINAL,
    MOST_COUNTED,
    TRIALS,
    ChildEfforts,
    Seconds,
    SweepEffort,
    sweep_effort_or_reason,
)
from superpose.service.experiments.sweep_spec import SweepSpec
from superpose.service.work.remarks import MAY_NOT_END, NOT_ESTIMATED, remarks_on, remarks_on_sweep

from .conftest import SMALL_SPEC, ended, wait_for, working

pytest.importorskip("optuna")

SWEEP: dict[str, Any] = {
    "spec": SMALL_SPEC,
    "space": {"model.n_qubits": {"int": [1, 3]}, "training.epochs": {"int": [1, 40]}},
    "objective": {"folds": 2},
    "sampler": {"name": "random", "seed": 7},
    "n_trials": 6,
}


@pytest.fixture(scope="module")
def table() -> Table:
    return builtin_table("iris")


def effort(document: Mapping[str, Any], table: Table) -> SweepEffort:
    spec = SweepSpec.from_dict(document)
    folds, splits = tuning_folds(spec.base, table, spec.n_folds), list(splits_of(spec.base, table, at_most=3))
    found = sweep_effort_or_reason(spec, table, folds, splits)
    assert isinstance(found, SweepEffort), found
    return found


def seconds(document: Mapping[str, Any], table: Table, params: Mapping[str, Any]) -> tuple[float, float]:
    """Of a trial with parameters, and of a final training, each by itself."""
    spec = SweepSpec.from_dict(document)
    trained = spec.spec_of(params)
    trial = trial_effort_or_reason(trained, fold_counts(trained, table, tuning_folds(spec.base, table, spec.n_folds)))
    whole = effort_or_reason(trained, counts_of(trained, table, splits_of(trained, table)))
    assert isinstance(trial, EstimatedEffort) and isinstance(whole, EstimatedEffort)
    return trial.cpu_s, whole.cpu_s


def with_(**changed: Any) -> dict[str, Any]:
    return {**SWEEP, **changed}


def test_a_random_search_is_the_sum_of_the_trials_that_it_will_make(table: Table) -> None:
    spec = SweepSpec.from_dict(SWEEP)
    params = [propose(spec, number, (), ()) for number in range(6)]
    trials, finals = zip(*(seconds(SWEEP, table, one) for one in params), strict=True)
    found = effort(SWEEP, table)
    assert found.trials == Seconds(*[pytest.approx(sum(trials))] * 3)  # type: ignore[list-item]
    assert found.final.expected == pytest.approx(sum(finals) / 6)
    assert (found.final.least, found.final.most) == pytest.approx((min(finals), max(finals)))
    assert found.trial_most_s == pytest.approx(max(trials))
    assert found.cpu_s == found.trials.expected + found.final.expected


def test_a_grid_is_the_sum_of_its_points(table: Table) -> None:
    grid = with_(space={"model.n_qubits": [1, 3], "training.epochs": [5, 50]}, sampler={"name": "grid"}, n_trials=4)
    points = [{"model.n_qubits": n, "training.epochs": epochs} for n in (1, 3) for epochs in (5, 50)]
    each = [seconds(grid, table, one)[0] for one in points]
    assert effort(grid, table).trials.expected == pytest.approx(sum(each))
    first = effort({**grid, "n_trials": 3}, table)
    assert first.n_trials == 3 and first.trials.expected == pytest.approx(sum(each[:3]))


@pytest.mark.parametrize("sampler", ["random", "tpe"])
@pytest.mark.parametrize("parallelism", [1, 3])
def test_the_trials_that_are_known_are_those_that_are_proposed_whatever_results_say(
    sampler: str, parallelism: int
) -> None:
    spec = SweepSpec.from_dict(with_(sampler={"name": sampler}, n_trials=20, parallelism=parallelism))
    past: list[PastTrial] = []
    for number in range(STARTUP_TRIALS if sampler == "tpe" else 20):
        known = max(0, number - parallelism + 1)
        params = propose(spec, number, past[:known], [one.params for one in past[known:number]])
        assert params == propose(spec, number, (), ())
        past.append(PastTrial(params, "complete", (0.1 * number, 0.2)))


def test_what_tpe_tries_later_lies_between_bounds_of_the_space(table: Table) -> None:
    ends = [(n, epochs) for n in (1, 3) for epochs in (1, 40)]
    each = [seconds(SWEEP, table, {"model.n_qubits": n, "training.epochs": epochs}) for n, epochs in ends]
    known = effort(with_(sampler={"name": "tpe"}, n_trials=STARTUP_TRIALS), table).trials
    assert known.least == known.most == pytest.approx(known.expected)
    found = effort(with_(sampler={"name": "tpe"}, n_trials=STARTUP_TRIALS + 5), table)
    assert found.trials.least == pytest.approx(known.expected + 5 * min(trial for trial, _ in each))
    assert found.trials.most == pytest.approx(known.expected + 5 * max(trial for trial, _ in each))
    assert found.trials.least < found.trials.expected < found.trials.most
    assert (found.final.least, found.final.most) == pytest.approx(
        (min(final for _, final in each), max(final for _, final in each))
    )
    assert found.trial_most_s == pytest.approx(max(trial for trial, _ in each))


def test_of_very_many_trials_some_stand_for_all(table: Table) -> None:
    counted, more = (effort(with_(n_trials=n), table) for n in (MOST_COUNTED, 2 * MOST_COUNTED))
    assert more.trials.expected == pytest.approx(2 * counted.trials.expected)
    assert more.final == counted.final


def test_trials_that_cannot_be_trained_count_for_nothing(table: Table) -> None:
    grid = with_(space={"model.n_qubits": [2, 60]}, sampler={"name": "grid"}, n_trials=2)
    assert effort(grid, table).trials.expected == pytest.approx(seconds(grid, table, {"model.n_qubits": 2})[0])
    spec = SweepSpec.from_dict({**grid, "space": {"model.n_qubits": [60]}})
    reason = sweep_effort_or_reason(
        spec, table, tuning_folds(spec.base, table, 2), list(splits_of(spec.base, table, at_most=3))
    )
    assert reason == "No estimate: of the trials that were counted, none can be trained."


def test_bounds_hold_what_is_expected_where_some_trials_cannot_be_trained(table: Table) -> None:
    space = {"model.n_qubits": [2, 60], "training.epochs": {"int": [9, 10]}}
    found = effort(with_(space=space, sampler={"name": "tpe", "seed": 1}, n_trials=60), table)
    assert found.trials.least < found.trials.expected < found.trials.most
    assert found.final.least <= found.final.expected <= found.final.most


def test_trials_grow_with_folds_and_not_with_what_only_the_final_training_does(table: Table) -> None:
    plain = effort(SWEEP, table)
    folds = effort(with_(objective={"folds": 6}), table)
    assert folds.trials.expected > 2 * plain.trials.expected and folds.final == plain.final
    whole = {**SMALL_SPEC, "evaluation": {"n_splits": 9, "controls": ["classical_twin"], "baseline": "strongest"}}
    final = effort(with_(spec=whole), table)
    assert final.final.expected > plain.final.expected
    assert final.trials.expected == pytest.approx(plain.trials.expected)
    searched = {**SMALL_SPEC, "evaluation": {**SMALL_SPEC["evaluation"], "tuning": {"trials": 3}}}
    assert effort(with_(spec=searched), table).trials.expected > plain.trials.expected


def test_a_trial_trains_as_often_as_was_counted(tmp_path: Any, table: Table) -> None:
    from superpose.learning.trial import Objective, run_trial

    spec = SweepSpec.from_dict(with_(spec={**SMALL_SPEC, "training": {"epochs": 3, "patience": 3}})).base
    done = run_trial(spec, table, tmp_path / "trial", objective=Objective("accuracy", 2))
    counted = trial_effort_or_reason(spec, fold_counts(spec, table, tuning_folds(spec, table, 2)))
    assert isinstance(counted, EstimatedEffort)
    assert counted.n_of("hybrid", "trainings") == len(done.folds) == 2
    assert counted.n_of("hybrid", "epochs") == done.n_epochs == 6


def test_a_sweep_s_job_keeps_its_estimate_to_its_end(
    service: Service, admin: Principal, config: ServiceConfig, dataset: Dataset
) -> None:
    small = with_(n_trials=2, space={"model.n_qubits": {"int": [1, 2]}})
    quote = service.sweeps.quote(admin, small, dataset="trial")
    assert not service.sweeps.list(admin).items
    made = service.sweeps.submit(admin, small, dataset="trial", name="s")
    assert made.job.estimate == quote.estimate and made.job.remarks == quote.remarks == ()
    expected: Any = made.job.estimate
    assert set(expected["parts"]) == {TRIALS, FINAL} and min(expected["parts"].values()) > 0
    assert expected["cpu_s"] == pytest.approx(sum(expected["parts"].values()), rel=0.02)  # three figures each
    with working(config):
        done = ended(service, made.job)
    assert done.status == "succeeded", done.error
    found = service.sweeps.get(admin, "s").to_json()
    assert (found["estimate"], found["remarks"]) == (expected, []) and done.estimate == expected


def test_a_sweep_whose_jobs_may_not_end_is_accepted_with_a_remark(
    config: ServiceConfig, service: Service, admin: Principal, dataset: Dataset
) -> None:
    with Service.open(replace(config, job_seconds=0.02), exclusive=False) as limited:
        made = limited.sweeps.submit(admin, SWEEP, dataset="trial", name="s")
        assert limited.sweeps.quote(admin, SWEEP, dataset="trial").remarks == made.job.remarks
    (remark,) = service.sweeps.get(admin, "s").to_json()["remarks"]  # type: ignore[misc]  # JSON
    expected: Any = made.job.estimate
    assert (remark["code"], remark["max_seconds"], made.job.status) == (MAY_NOT_END, 0.02, "queued")
    assert remark["expected_cpu_s"] == max(expected["trial_most_cpu_s"], expected["final_most_cpu_s"])


def test_a_remark_is_of_the_jobs_of_a_sweep_and_not_of_their_sum(config: ServiceConfig) -> None:
    found = SweepEffort(Seconds(900.0, 500.0, 2000.0), Seconds(70.0, 60.0, 90.0), trial_most_s=100.0, n_trials=20)
    one = replace(config, cpu_threads=2, threads_per_worker=1)
    for enough in (None, 100.0):
        assert remarks_on_sweep(found, replace(one, job_seconds=enough)).remarks == ()
    (remark,) = remarks_on_sweep(found, replace(one, job_seconds=95.0)).remarks
    assert str(remark["message"]).startswith(
        "Of this sweep, a trial up to 100 s of a processor are expected if nothing stops early, but workers may hold "
        "each of its jobs for 95 s (job_seconds) with at most 1 processor(s), 95 s in all: such a job may fail with "
        "service.job_time before it ends."
    )
    (remark,) = remarks_on_sweep(found, replace(one, job_seconds=40.0)).remarks
    assert "a trial up to 100 s and the final training up to 90 s of a processor" in str(remark["message"])
    two = replace(one, threads_per_worker=2, job_seconds=50.0)
    assert remarks_on_sweep(found, two).remarks == ()


def test_without_an_estimate_the_reason_stands_in_its_place(
    service: Service, admin: Principal, dataset: Dataset
) -> None:
    private = with_(spec={**SMALL_SPEC, "privacy": {"epsilon": 5.0}})
    made = service.sweeps.submit(admin, private, dataset="trial", name="s")
    assert made.job.estimate is None
    (remark,) = made.job.remarks
    assert remark["code"] == NOT_ESTIMATED and "privacy.epsilon" in str(remark["message"])


def test_a_sweep_from_a_parent_counts_its_control_in_the_final_training(
    service: Service, admin: Principal, model: ModelVersion
) -> None:
    spec = {name: value for name, value in SMALL_SPEC.items() if name != "model"}
    space = {"training.epochs": {"int": [2, 4]}}

    def final_s(**more: Any) -> float:
        found: Any = service.sweeps.quote(admin, with_(spec={**spec, **more}, space=space), dataset="trial").estimate
        return float(found["parts"][FINAL])

    assert final_s(fine_tune={"parent": f"{model.model}:{model.version}"}) > final_s() > 0


def test_what_could_not_be_submitted_is_not_estimated(
    service: Service, admin: Principal, stranger: Principal, dataset: Dataset
) -> None:
    with pytest.raises(NotFoundError):
        service.sweeps.quote(stranger, SWEEP, dataset="trial")
    with pytest.raises(SpecError, match=r"space\.model\.wings"):
        service.sweeps.quote(admin, with_(space={"model.wings": [1, 2]}), dataset="trial")
    viewer = replace(admin, role=type(admin.role).VIEWER)
    with pytest.raises(ForbiddenError):
        service.sweeps.quote(viewer, SWEEP, dataset="trial")


def test_columns_are_counted_anew_where_preprocessing_is_searched_over() -> None:
    colours = [f"c{k % 30}" for k in range(120)]
    many = Table.from_columns("many", {"colour": np.array(colours, object)}, "y", np.array(["n", "p"] * 60, object))
    few, wide = (
        effort(with_(space={"preprocessing.max_categories": [n]}, sampler={"name": "grid"}), many) for n in (2, 30)
    )
    assert 0 < few.cpu_s < wide.cpu_s


def test_bounds_of_a_very_large_space_are_those_of_the_trials_that_were_counted(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = with_(sampler={"name": "tpe"}, n_trials=STARTUP_TRIALS + 5)
    whole = effort(document, table)
    monkeypatch.setattr("superpose.service.experiments.sweep_effort.MOST_LOOKED_UP", 0)
    counted = effort(document, table)
    assert whole.trials.least <= counted.trials.least < counted.trials.expected
    assert counted.trials.expected < counted.trials.most <= whole.trials.most


def children(service: Service, admin: Principal, sweep: Job) -> dict[str, list[Job]]:
    """The jobs that a sweep has begun, by kind, oldest first."""
    found: dict[str, list[Job]] = {"trial": [], "train": []}
    for job in reversed(service.jobs.list(admin, Part(), parent=sweep.id).items):
        found[job.kind].append(job)
    return found


def test_each_trial_and_the_final_training_have_estimates_of_their_own(
    service: Service, admin: Principal, config: ServiceConfig, dataset: Dataset
) -> None:
    made = service.sweeps.submit(admin, with_(n_trials=3), dataset="trial", name="s")
    with working(config):
        done = ended(service, made.job)
    assert done.status == "succeeded", done.error
    found, own = children(service, admin, made.job), service.datasets.table(service.datasets.get(admin, "trial"))
    (final,) = found["train"]
    chosen: Any = final.payload["sweep"]
    for job in found["trial"]:
        params: Any = job.payload["params"]
        expected: Any = job.estimate
        assert expected["cpu_s"] == rounded(seconds(with_(n_trials=3), own, params)[0])
        assert set(expected["parts"]) == {"hybrid", REST} and job.remarks == ()
    parts: Any = made.job.estimate
    trials: list[Any] = [job.estimate for job in found["trial"]]
    assert len(trials) == 3 and sum(one["cpu_s"] for one in trials) == pytest.approx(parts["parts"][TRIALS], rel=0.02)
    spec = {name: value for name, value in final.payload.items() if name != "sweep"}
    assert (
        final.estimate == service.jobs.quote(admin, "train", spec, dataset="trial").estimate
    )  # as a user's job has it
    assert chosen["params"] in [job.payload["params"] for job in found["trial"]] and final.remarks == ()


def test_a_trial_that_may_not_end_or_cannot_be_trained_says_so(
    service: Service, admin: Principal, config: ServiceConfig, dataset: Dataset
) -> None:
    own = service.datasets.table(service.datasets.get(admin, "trial"))
    document = with_(
        space={"model.n_qubits": [2, 60]},  # of which the second fits into no memory
        sampler={"name": "grid"},
        n_trials=2,
    )
    spec = SweepSpec.from_dict(document)
    folds, splits = tuning_folds(spec.base, own, spec.n_folds), list(splits_of(spec.base, own, at_most=3))
    efforts = ChildEfforts(spec, own, folds, splits)
    trial, final = (part({"model.n_qubits": 2}) for part in (efforts.trial_or_reason, efforts.final_or_reason))
    assert isinstance(trial, EstimatedEffort) and isinstance(final, EstimatedEffort)
    assert (trial.cpu_s, final.cpu_s) == pytest.approx(seconds(document, own, {"model.n_qubits": 2}))
    told = remarks_on(trial, max_seconds=1e-4, config=replace(config, job_seconds=1e-4), less="epochs or folds")
    assert [remark["code"] for remark in told.remarks] == [MAY_NOT_END]
    assert "(job_seconds): ask its operator for more, or ask for fewer epochs or folds" in str(
        told.remarks[0]["message"]
    )
    made = service.sweeps.submit(admin, document, dataset="trial", name="s")
    with working(config):
        assert ended(service, made.job).status == "succeeded"
    first, second = children(service, admin, made.job)["trial"]
    assert first.estimate is not None and first.remarks == ()
    assert second.estimate is None and second.error is not None
    assert [(one["code"], one["message"]) for one in second.remarks] == [
        (NOT_ESTIMATED, "No estimate: nothing can be trained with these parameters.")
    ]


def test_trials_of_a_sweep_without_an_estimate_say_why_they_have_none(
    service: Service, admin: Principal, config: ServiceConfig, dataset: Dataset
) -> None:
    private = with_(
        spec={**SMALL_SPEC, "privacy": {"epsilon": 5.0}}, space={"model.n_qubits": {"int": [1, 2]}}, n_trials=1
    )
    made = service.sweeps.submit(admin, private, dataset="trial", name="s")
    with working(config):
        wait_for(lambda: children(service, admin, made.job)["trial"])
        service.sweeps.cancel(admin, "s")
        ended(service, made.job)
    for job in children(service, admin, made.job)["trial"]:
        assert job.estimate is None and job.remarks == made.job.remarks
        assert [remark["code"] for remark in job.remarks] == [NOT_ESTIMATED]
