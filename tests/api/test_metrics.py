"""`/metrics` in Prometheus' text form, read by Prometheus' own parser."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from superpose.circuits import Circuit, Observable, Program, program_to_json

from .conftest import Api

PROGRAM = dict(program_to_json(Program(Circuit(2).h(0).cx(0, 1), observables=Observable("ZZ"))))


def samples(api: Api, key: str = "admin") -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and labels."""
    reply = api.call("GET", "/metrics", key=key)
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(reply.body.decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def request_count(found: dict[Any, float], **labels: str) -> float:
    return found.get(("superpose_requests_total", tuple(sorted(labels.items()))), 0.0)


def test_requests_are_counted_by_route_and_status_and_timed(api: Api) -> None:
    before = samples(api)
    for name in ("a", "b", "c"):
        assert api.call("GET", f"/v1/models/{name}").status == 404
    api.call("GET", "/v1/version")
    api.call("GET", "/no/such/route")
    api.call("GET", "/v1/version", key=None)
    api.call("PROPFIND", "/v1/version")
    after = samples(api)

    def more(**labels: str) -> float:
        return request_count(after, **labels) - request_count(before, **labels)

    assert more(method="GET", route="/v1/models/{name}", status="404") == 3
    assert more(method="GET", route="/v1/version", status="200") == 1
    assert more(method="GET", route="none", status="404") == 1
    assert more(method="GET", route="none", status="401") == 1  # refused in front of routing
    assert more(method="other", route="/v1/version", status="405") == 1
    timed = ("superpose_request_seconds_count", (("method", "GET"), ("route", "/v1/models/{name}")))
    assert after[timed] - before.get(timed, 0.0) == 3
    bucket = ("superpose_request_seconds_bucket", (("le", "+Inf"), ("method", "GET"), ("route", "/v1/models/{name}")))
    assert after[bucket] == after[timed]


def test_no_label_holds_what_a_caller_can_make_up(api: Api) -> None:
    for number in range(50):
        api.call("GET", f"/made/up/{number}")
        api.call("GET", f"/v1/jobs/job_{number}")
    found = samples(api)
    routes = {dict(labels)["route"] for name, labels in found if name == "superpose_requests_total"}
    assert not [
        route for route in routes if any(digit in route.replace("/v1", "").replace("/v2", "") for digit in "0123456789")
    ]


def test_a_key_is_needed_and_a_predictors_is_not_enough(api: Api) -> None:
    assert api.call("GET", "/metrics", key=None).status == 401
    assert api.call("GET", "/metrics", key=api.new_key(role="predictor")).code == "auth.forbidden"
    scoped = api.new_key(role="viewer", scopes=["metrics:read"])
    assert samples(api, scoped)
    assert api.call("GET", "/v1/jobs", key=scoped).status == 403


@pytest.mark.slow
def test_jobs_queue_attempts_batches_and_memory_are_told(start: Callable[..., Any], tmp_path: Any) -> None:
    with start(workers=1) as api:
        data = b"age,dose,outcome\n" + b"".join(
            b"%d,%d,%s\n" % (20 + i, i * 7 % 30, b"ill" if i * 7 % 30 > 14 else b"well") for i in range(60)
        )
        reply = api.call("POST", "/v1/datasets?name=d&target=outcome", data, {"Content-Type": "text/csv"})
        assert reply.status == 201, reply.body
        ran = api.call("POST", "/v1/programs?wait_s=60", PROGRAM)
        assert ran.status == 200, ran.body
        spec = {
            "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
            "training": {"epochs": 1},
            "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"},
        }
        job = api.call("POST", "/v1/jobs", {"kind": "train", "dataset": "d", "model": "m", "spec": spec}).json
        events = api.call("GET", f"/v1/jobs/{job['id']}/events")  # ends with the job
        assert b"succeeded" in events.body
        assert api.call("POST", "/v1/endpoints", {"name": "e", "model": "m"}).status == 201
        for _ in range(3):
            rows = [{"age": 30, "dose": 3}, {"age": 31, "dose": 4}]
            assert api.call("POST", "/v1/endpoints/e/predict", {"rows": rows}).status == 200
        found = samples(api)
    assert found["superpose_jobs", (("kind", "train"), ("status", "succeeded"))] == 1
    assert found["superpose_jobs", (("kind", "program"), ("status", "succeeded"))] == 1
    assert found["superpose_attempts_total", (("outcome", "succeeded"),)] == 2
    assert found["superpose_queue_age_seconds", ()] == 0
    assert found["superpose_store_up", ()] == 1
    assert found["superpose_cold_load_seconds_count", ()] == 1
    assert found["superpose_batch_rows_sum", ()] == 6
    assert found["superpose_batch_requests_count", ()] == 3
    assert found["superpose_worker_resident_bytes", (("worker", "0"),)] > 50e6
    assert found["process_resident_memory_bytes", ()] > 50e6
    lines = [json.loads(line) for line in (api.data_dir / "logs" / "api.jsonl").read_text().splitlines()]
    assert {len(line["trace_id"]) for line in lines if "path" in line} == {32}


def test_an_expired_lease_is_told_from_a_crash(start: Callable[..., Any]) -> None:
    from superpose.service import ServiceConfig
    from superpose.service.store.database import Database
    from superpose.service.store.job_store import JobStore

    with start() as api:
        for _ in range(2):
            assert api.call("POST", "/v1/programs?wait_s=0", PROGRAM).status in (200, 202)
        config = ServiceConfig(data_dir=api.data_dir)
        brief = ServiceConfig(data_dir=api.data_dir, lease_s=0.05, heartbeat_s=0.01)
        database = Database(api.data_dir / "superpose.sqlite")
        store, soon_lost = (JobStore.opened(database, one.job_rules) for one in (config, brief))
        assert store.claim("w1")
        assert store.release_worker("w1")
        assert soon_lost.claim("w2")
        time.sleep(0.1)
        assert store.expire_leases()
        database.close()
        found = samples(api)
    assert found["superpose_attempts_total", (("outcome", "expired"),)] == 1
    assert found["superpose_attempts_total", (("outcome", "crashed"),)] == 1
    assert found["superpose_queue_age_seconds", ()] > 0
