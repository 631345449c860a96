"""A training job says what it is expected to take from its submission on, and whether that fits the time it has."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from superpose.errors import DatasetTargetError, NotFoundError, RequestError, SpecError
from superpose.learning.effort import REST, EstimatedEffort, Work
from superpose.service import Dataset, ModelVersion, Principal, Service, ServiceConfig
from superpose.service.store.tables import jobs
from superpose.service.work.remarks import MAY_NOT_END, NOT_ESTIMATED, remarks_on

from .conftest import SMALL_SPEC, ended, small_pictures, working

PICTURES = {"template": "pneumonia", "options": {"seeds": 1, "epochs": 1, "variants": []}}
EFFORT = EstimatedEffort((Work("hybrid", "steps", 90, 1.0), Work(REST, "runs", 1, 10.0)))


def with_(**sections: dict[str, Any]) -> dict[str, Any]:
    return {**SMALL_SPEC, **{name: {**SMALL_SPEC.get(name, {}), **own} for name, own in sections.items()}}


def expected(service: Service, admin: Principal, spec: dict[str, Any]) -> Any:
    job = service.jobs.submit(admin, "train", spec, dataset="trial")
    kept = service.jobs.get(admin, job.id).to_json()
    assert (kept["estimate"], kept["remarks"]) == (job.estimate, [])
    assert service.jobs.quote(admin, "train", spec, dataset="trial").estimate == job.estimate
    return job.estimate


def test_a_spec_s_job_keeps_its_estimate_which_grows_with_what_is_asked(
    service: Service, admin: Principal, dataset: Dataset
) -> None:
    plain = expected(service, admin, SMALL_SPEC)
    assert set(plain["parts"]) == {"hybrid", "frozen", "rest"} and min(plain["parts"].values()) > 0
    assert plain["cpu_s"] == pytest.approx(sum(plain["parts"].values()), rel=0.02)  # three figures each
    for more in (with_(training={"epochs": 300}), with_(evaluation={"n_seeds": 4}), with_(evaluation={"n_splits": 9})):
        assert expected(service, admin, more)["parts"]["hybrid"] > 1.2 * plain["parts"]["hybrid"]
    whole = expected(service, admin, with_(evaluation={"controls": ["classical_twin"], "baseline": "strongest"}))
    assert set(whole["parts"]) == {"hybrid", "classical_twin", "baseline", "rest"}


def test_the_same_submission_is_one_job_whatever_it_was_expected_to_take(
    service: Service, admin: Principal, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", idempotency_key="once")
    monkeypatch.setattr("superpose.learning.estimate._FIXED_S", 99.0)  # a later release knows more
    again = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", idempotency_key="once")
    other: Any = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial")
    assert again == first and other.estimate["cpu_s"] > 99 > first.estimate["cpu_s"]  # type: ignore[index, operator]


@pytest.mark.parametrize("kind", ["train", "train_template"])
def test_a_job_that_may_not_end_in_time_is_accepted_with_a_remark(
    service: Service, admin: Principal, dataset: Dataset, config: ServiceConfig, kind: str
) -> None:
    service.datasets.add(admin, name="films", content=small_pictures(), format="npz", target="class")
    payload, data = (PICTURES, "films") if kind == "train_template" else (SMALL_SPEC, "trial")
    job: Any = service.jobs.submit(admin, kind, payload, dataset=data, max_seconds=0.01)
    assert job.status == "queued"
    (remark,) = service.jobs.get(admin, job.id).to_json()["remarks"]  # type: ignore[misc]  # JSON
    assert remark["code"] == MAY_NOT_END
    assert remark["expected_cpu_s"] == job.estimate["cpu_s"] > remark["allowed_cpu_s"]
    assert remark["allowed_cpu_s"] == pytest.approx(0.01 * config.worker_threads)
    less = "seeds, epochs or variants" if kind == "train_template" else "epochs, splits, seeds, settings or controls"
    needed = math.ceil(job.estimate["cpu_s"] / config.worker_threads)
    assert f"raise max_seconds to {needed} or more, or ask for" in remark["message"]
    assert remark["message"].endswith(f"ask for fewer {less}.")
    quote = service.jobs.quote(admin, kind, payload, dataset=data, max_seconds=0.01)
    assert quote.to_json()["remarks"] == [remark]
    for enough in (None, 1e6):
        assert service.jobs.submit(admin, kind, payload, dataset=data, max_seconds=enough).remarks == ()


def test_a_remark_says_what_is_expected_allowed_and_to_be_done(config: ServiceConfig) -> None:
    two = replace(config, cpu_threads=2, threads_per_worker=2)
    assert remarks_on(EFFORT, max_seconds=50.0, config=two, less="epochs").remarks == ()  # 100 s of two processors
    (remark,) = remarks_on(EFFORT, max_seconds=49.0, config=two, less="epochs").remarks
    assert remark["message"] == (
        "This is expected to take 100 s of a processor if nothing stops early, but workers may hold it for 49 s with "
        "at most 2 processor(s), 98 s in all: it may fail with service.job_time before it ends. It is not refused for "
        "that; raise max_seconds to 50 or more, or ask for fewer epochs."
    )
    assert {name: remark[name] for name in ("expected_cpu_s", "allowed_cpu_s", "max_seconds", "processors")} == {
        "expected_cpu_s": 100.0,
        "allowed_cpu_s": 98.0,
        "max_seconds": 49.0,
        "processors": 2,
    }
    limited = replace(two, job_seconds=30.0)
    (remark,) = remarks_on(EFFORT, max_seconds=30.0, config=limited, less="epochs").remarks
    assert "the service's own limit is 30 s (job_seconds): ask its operator for more, or ask for" in remark["message"]
    assert remarks_on(EFFORT, max_seconds=None, config=two, less="epochs").remarks == ()
    long = EstimatedEffort((Work("hybrid", "steps", 1, 4.56e6),))
    (remark,) = remarks_on(long, max_seconds=1_209_600.0, config=two, less="epochs").remarks
    assert "take 4,560,000 s of a processor" in remark["message"]
    assert "for 1,209,600 s with at most 2 processor(s), 2,419,200 s in all" in remark["message"]


def test_the_service_s_own_limit_counts_where_the_job_says_nothing(
    config: ServiceConfig, service: Service, admin: Principal, dataset: Dataset
) -> None:
    with Service.open(replace(config, job_seconds=0.02), exclusive=False) as limited:
        (remark,) = limited.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial").remarks
    assert remark["max_seconds"] == 0.02


@pytest.mark.parametrize(
    ("sections", "why"),
    [
        ({"privacy": {"epsilon": 5.0}}, "privacy.epsilon"),
        ({"backend": {"name": "aer", "shots": 10}}, "trained on aer"),
    ],
)
def test_without_an_estimate_the_reason_stands_in_its_place(
    service: Service, admin: Principal, dataset: Dataset, sections: dict[str, Any], why: str
) -> None:
    job = service.jobs.submit(admin, "train", with_(**sections), dataset="trial", max_seconds=0.01)
    found: Any = service.jobs.get(admin, job.id).to_json()
    assert found["estimate"] is None
    assert [remark["code"] for remark in found["remarks"]] == [NOT_ESTIMATED]
    assert why in found["remarks"][0]["message"]


def test_a_fine_tuning_counts_the_same_model_from_scratch(
    service: Service, admin: Principal, model: ModelVersion
) -> None:
    spec = {name: value for name, value in SMALL_SPEC.items() if name != "model"}
    spec["fine_tune"] = {"parent": f"{model.model}:{model.version}"}
    found: Any = service.jobs.quote(admin, "train", spec, dataset="trial").estimate
    assert set(found["parts"]) == {"hybrid", "from_scratch", "frozen", "rest"}


def test_what_could_not_be_trained_is_not_estimated(
    service: Service, admin: Principal, stranger: Principal, dataset: Dataset
) -> None:
    def quote(who: Principal = admin, kind: str = "train", spec: Any = SMALL_SPEC, **named: Any) -> Any:
        return service.jobs.quote(who, kind, spec, **{"dataset": "trial", **named})

    numbers = b"a,y\n" + b"".join(b"%d,%d.5\n" % (i, i % 7) for i in range(40))
    service.datasets.add(admin, name="numbers", content=numbers, format="csv", target="y", target_kind="number")
    with pytest.raises(DatasetTargetError, match="holds numbers"):
        quote(dataset="numbers")
    with pytest.raises(SpecError, match=r"model\.n_qubitz"):
        quote(spec={"model": {"n_qubitz": 4}})
    with pytest.raises(NotFoundError):
        quote(stranger)
    with pytest.raises(RequestError, match=r"max_seconds must be a number above 0, at most \S+, got -1"):
        quote(max_seconds=-1)
    with pytest.raises(RequestError, match="of kind train, train_module, train_template; got program") as refused:
        quote(kind="program", spec={})
    assert refused.value.details["allowed"] == ["train", "train_module", "train_template"]
    assert not service.jobs.list(admin).items


def test_a_job_of_an_older_release_has_no_remarks(service: Service, admin: Principal, dataset: Dataset) -> None:
    job = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", max_seconds=0.01)
    with service.store.database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(remarks=None, estimate=None))
    found = service.jobs.get(admin, job.id).to_json()
    assert (found["estimate"], found["remarks"]) == (None, [])


def test_remarks_stay_while_the_job_runs_to_its_end(
    service: Service, admin: Principal, config: ServiceConfig, dataset: Dataset
) -> None:
    job = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", max_seconds=500)
    with working(config):
        done = ended(service, job)
    assert done.status == "succeeded", done.error
    assert done.estimate == job.estimate and done.remarks == job.remarks
