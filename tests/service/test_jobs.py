"""Submissions: admitted before any compute is spent, idempotent, isolated; followed through events; cancelled."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from superpose.circuits import Circuit, Observable, Program, program_to_json
from superpose.errors import (
    CircuitFormatError,
    ConflictError,
    DatasetTooSmallError,
    ForbiddenError,
    NotFoundError,
    PayloadTooLargeError,
    RequestError,
    SpecError,
    StateTooLargeError,
    SuperposeError,
    TransitionError,
)
from superpose.service import Dataset, JobStatus, Part, Principal, Role, Service

from .conftest import SMALL_SPEC


def bell() -> dict[str, Any]:
    circuit = Circuit(2).h(0).cx(0, 1)
    return dict(program_to_json(Program(circuit, {}, observables=(Observable({"ZZ": 1.0}),))))


def test_a_training_job_is_queued_with_its_whole_spec(service: Service, admin: Principal, dataset: Dataset) -> None:
    job = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", model_name="outcome", priority=3)
    assert (job.status, job.dataset, job.model, job.priority) == (JobStatus.QUEUED, "trial", "outcome", 3)
    assert job.payload["model"]["encoding"] == {"name": "angle"}  # defaults are written out
    assert service.jobs.get(admin, job.id) == job
    assert service.jobs.submit(admin, "train", {}, dataset=dataset.id).model == "trial"
    assert set(job.to_json()) == {
        *("id", "kind", "status", "attempt", "priority", "dataset", "model", "model_version", "created_at"),
        *("started_at", "finished_at", "progress", "error", "result", "after", "not_before_at", "parent", "held"),
        *("estimate", "remarks"),
    }


def changed(**sections: dict[str, Any]) -> dict[str, Any]:
    return {name: {**SMALL_SPEC.get(name, {}), **fields} for name, fields in sections.items()}


@pytest.mark.parametrize(
    ("spec", "error", "match"),
    [
        (changed(model={"n_qubits": 40}), StateTooLargeError, "40 qubits"),
        (changed(model={"n_qubitz": 4}), SpecError, r"model\.n_qubitz"),
        (changed(training={"epochs": "many"}), SpecError, r"training\.epochs"),
        (changed(evaluation={"positive_class": "dead"}), SpecError, "positive_class"),
    ],
)
def test_what_cannot_succeed_is_refused_at_once(
    service: Service, admin: Principal, dataset: Dataset, spec: dict, error: type[SuperposeError], match: str
) -> None:
    with pytest.raises(error, match=match):
        service.jobs.submit(admin, "train", spec, dataset="trial")
    assert service.jobs.list(admin).items == ()


def test_a_table_that_cannot_be_split_is_refused_at_once(service: Service, admin: Principal) -> None:
    few = b"age,outcome\n" + b"1,ill\n" * 20 + b"2,well\n" * 2
    service.datasets.add(admin, name="few", content=few, format="csv", target="outcome")
    with pytest.raises(DatasetTooSmallError, match="well"):
        service.jobs.submit(admin, "train", SMALL_SPEC, dataset="few")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "bake"}, "kind"),
        ({"payload": [1]}, "payload"),
        ({"dataset": None}, "dataset"),
        ({"dataset": ""}, "dataset"),
        ({"priority": 11}, "priority"),
        ({"priority": True}, "priority"),
        ({"priority": 1.5}, "priority"),
        ({"model_name": "a/b"}, "model"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"idempotency_key": "x" * 201}, "idempotency_key"),
        ({"kind": "program", "payload": bell()}, "dataset"),
    ],
)
def test_malformed_submissions_name_the_field(
    service: Service, admin: Principal, dataset: Dataset, fields: dict, field: str
) -> None:
    given = {"kind": "train", "payload": SMALL_SPEC, "dataset": "trial", **fields}
    with pytest.raises(RequestError) as caught:
        service.jobs.submit(admin, given.pop("kind"), given.pop("payload"), **given)
    assert caught.value.details["field"] == field


def test_an_idempotency_key_gives_one_job_however_the_spec_is_written(
    service: Service, admin: Principal, dataset: Dataset
) -> None:
    first = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial", idempotency_key="k")
    spelt_out = dict(first.payload)
    assert service.jobs.submit(admin, "train", spelt_out, dataset=dataset.id, idempotency_key="k") == first
    with pytest.raises(ConflictError, match=first.id):
        service.jobs.submit(admin, "train", {}, dataset="trial", idempotency_key="k")


def test_programs_are_admitted_too(service: Service, admin: Principal) -> None:
    job = service.jobs.submit(admin, "program", bell())
    assert (job.kind, job.status, job.dataset, job.model) == ("program", "queued", None, None)
    with pytest.raises(CircuitFormatError):
        service.jobs.submit(admin, "program", {"circuit": 3})
    large = Program(Circuit(40).h(0), {}, observables=(Observable.z(0, 40),))
    with pytest.raises(StateTooLargeError, match="40"):
        service.jobs.submit(admin, "program", dict(program_to_json(large)))
    whole_state = Program(Circuit(22).h(0), {})  # fits into memory, but nobody could download it
    with pytest.raises(PayloadTooLargeError, match="instead of state vectors"):
        service.jobs.submit(admin, "program", dict(program_to_json(whole_state)))


def test_other_projects_see_no_jobs(service: Service, admin: Principal, stranger: Principal, dataset: Dataset) -> None:
    job = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial")
    for call in (service.jobs.get, service.jobs.cancel, service.jobs.events):
        with pytest.raises(NotFoundError, match=r"There is no job .* in this project"):
            call(stranger, job.id)
    assert service.jobs.list(stranger).items == ()
    with pytest.raises(NotFoundError, match="no data set"):
        service.jobs.submit(stranger, "train", SMALL_SPEC, dataset=dataset.id)


def test_viewers_follow_and_editors_act(service: Service, admin: Principal, dataset: Dataset) -> None:
    job = service.jobs.submit(admin, "train", SMALL_SPEC, dataset="trial")
    viewer, predictor = (Principal("key_x", "default", role) for role in (Role.VIEWER, Role.PREDICTOR))
    assert service.jobs.get(viewer, job.id) == job
    for call in (
        lambda: service.jobs.submit(viewer, "train", SMALL_SPEC, dataset="trial"),
        lambda: service.jobs.cancel(viewer, job.id),
        lambda: service.jobs.get(predictor, job.id),
        lambda: service.jobs.list(predictor),
    ):
        with pytest.raises(ForbiddenError):
            call()


def test_lists_are_newest_first_in_parts_and_filtered(service: Service, admin: Principal) -> None:
    ids = [service.jobs.submit(admin, "program", bell()).id for _ in range(5)]
    service.jobs.cancel(admin, ids[1])
    first = service.jobs.list(admin, Part(limit=3))
    rest = service.jobs.list(admin, Part(limit=3, cursor=first.next))
    assert [job.id for job in (*first.items, *rest.items)] == ids[::-1]
    assert rest.next is None
    assert [job.id for job in service.jobs.list(admin, status="cancelled").items] == [ids[1]]
    assert service.jobs.list(admin, kind="train").items == ()
    with pytest.raises(RequestError, match="status must be one of"):
        service.jobs.list(admin, status="done")


def test_cancelling_a_queued_job(service: Service, admin: Principal) -> None:
    job = service.jobs.submit(admin, "program", bell())
    cancelled = service.jobs.cancel(admin, job.id)
    assert cancelled.status == "cancelled" and cancelled.finished_at
    assert service.jobs.cancel(admin, job.id) == cancelled
    assert [event.kind for event in service.jobs.events(admin, job.id)] == ["queued", "cancelled"]
    failed = service.store.fail(_claim(service, service.jobs.submit(admin, "program", bell()).id), "x", "y")
    with pytest.raises(TransitionError, match="is failed; it cannot become cancelled"):
        service.jobs.cancel(admin, failed.id)


def _claim(service: Service, job_id: str):
    claim = service.store.claim("w")
    assert claim and claim.job.id == job_id
    return claim


def test_events_are_waited_for(service: Service, admin: Principal) -> None:
    job = service.jobs.submit(admin, "program", bell())

    async def follow() -> list[str]:
        claim = _claim(service, job.id)
        found = [event.kind for event in await service.jobs.wait_events(admin, job.id, 0)]
        assert not await service.jobs.wait_events(admin, job.id, 2, timeout_s=0.1)
        waiting = asyncio.create_task(service.jobs.wait_events(admin, job.id, 2, timeout_s=60))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(service.store.append, claim, "log", {"message": "hello"})
        news = await waiting
        assert (news[0].seq, news[0].data["message"]) == (3, "hello")
        ending = asyncio.create_task(service.jobs.wait(admin, job.id, timeout_s=60))
        await asyncio.to_thread(service.store.succeed, claim, {"x": 1})
        assert (await ending).result == {"x": 1}
        assert not await service.jobs.wait_events(admin, job.id, 4, timeout_s=60)  # ended: no need to wait
        return [*found, *(event.kind for event in service.jobs.events(admin, job.id, 2))]

    assert asyncio.run(follow()) == ["queued", "running", "log", "succeeded"]
