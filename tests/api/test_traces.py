"""Traces over the real protocol: a receiver in this process reads the protobuf that the exporter posts."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from superpose.circuits import Circuit, Observable, Program, program_to_json
from superpose.cli.settings import load_settings
from superpose.service.operations.trace_context import TraceContext

PROGRAM = dict(program_to_json(Program(Circuit(2).h(0).cx(0, 1).t(1), observables=Observable("ZX"))))
TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """Receives OTLP over HTTP; ``spans`` holds service name and span."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.headers["Content-Type"] == "application/x-protobuf"
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    names = {a.key: a.value.string_value for a in resource.resource.attributes}
                    for scope in resource.scope_spans:
                        collector.spans += [(names["service.name"], span) for span in scope.spans]
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}/v1/traces"
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()

    def wait_for(self, trace_id: str, names: set[str], timeout_s: float = 60.0) -> dict[str, tuple[str, Span]]:
        """The trace's spans by name once all these are there."""
        until_s = time.monotonic() + timeout_s
        while True:
            found = {span.name: (who, span) for who, span in self.spans if span.trace_id.hex() == trace_id}
            if names <= set(found):
                return found
            assert time.monotonic() < until_s, f"only {sorted(found)}"
            time.sleep(0.05)


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.mark.slow
def test_a_trace_leads_from_the_callers_request_through_the_job_to_its_workers_spans_and_log(
    start: Callable[..., Any], collector: Collector, tmp_path: Path
) -> None:
    with start(workers=1, otlp_endpoint=collector.endpoint) as api:
        sent = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01", "X-Request-Id": "request-number-1"}
        reply = api.call("POST", "/v1/programs?wait_s=60", PROGRAM, sent)
        assert reply.status == 200, reply.body
        names = {"POST /v1/programs", "queue", "attempt", "compile", "execute", "post"}
        found = collector.wait_for(TRACE_ID, names)
        log = (api.data_dir / "logs" / "worker-0.log").read_text()
        access = (api.data_dir / "logs" / "api.jsonl").read_text()
    request, attempt = found["POST /v1/programs"][1], found["attempt"][1]
    assert found["POST /v1/programs"][0] == "superpose-server"
    assert {found[name][0] for name in ("queue", "attempt", "compile", "execute")} == {"superpose-worker"}
    assert request.parent_span_id.hex() == PARENT_ID
    assert attempt.parent_span_id == request.span_id == found["queue"][1].parent_span_id
    assert {found[name][1].parent_span_id for name in ("compile", "execute")} == {attempt.span_id}
    queue, execute, compiled = found["queue"][1], found["execute"][1], found["compile"][1]
    assert queue.end_time_unix_nano <= execute.start_time_unix_nano <= compiled.start_time_unix_nano
    assert compiled.end_time_unix_nano <= execute.end_time_unix_nano <= attempt.end_time_unix_nano
    assert not [span for _, span in found.values() if span.status.code == Status.STATUS_CODE_ERROR]
    facts = {a.key: a.value for a in request.attributes}
    assert facts["http.route"].string_value == "/v1/programs"
    assert facts["superpose.request_id"].string_value == "request-number-1"

    lines = [json.loads(line) for line in log.splitlines()]
    ours = [line for line in lines if line.get("trace_id") == TRACE_ID]
    assert {line["job_id"] for line in ours} == {reply.json["job_id"] if "job_id" in reply.json else ours[0]["job_id"]}
    assert any("begins" in line["message"] for line in ours)
    assert any("the job is succeeded" in line["message"] for line in ours)
    told = [line for line in map(json.loads, access.splitlines()) if line.get("request_id") == "request-number-1"]
    assert [line["trace_id"] for line in told] == [TRACE_ID]


@pytest.mark.slow
def test_a_prediction_has_its_load_queue_and_execute(start: Callable[..., Any], collector: Collector) -> None:
    spec = {
        "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
        "training": {"epochs": 1},
        "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"},
    }
    with start(workers=1, otlp_endpoint=collector.endpoint) as api:
        api.call("POST", "/v1/datasets", {"name": "iris", "builtin": "iris"})
        job_trace = "a" * 32
        job = api.call(
            "POST",
            "/v1/jobs",
            {"kind": "train", "dataset": "iris", "model": "m", "spec": spec},
            {"traceparent": f"00-{job_trace}-{PARENT_ID}-01"},
        ).json
        assert b"succeeded" in api.call("GET", f"/v1/jobs/{job['id']}/events").body
        collector.wait_for(job_trace, {"POST /v1/jobs", "queue", "load", "compile", "execute", "post", "attempt"})
        api.call("POST", "/v1/endpoints", {"name": "e", "model": "m"})
        header = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01"}
        rows = {"rows": [[5.1, 3.5, 1.4, 0.2]]}
        assert api.call("POST", "/v1/endpoints/e/predict", rows, header).status == 200
        route = "POST /v1/endpoints/{name}/predict"
        found = collector.wait_for(TRACE_ID, {route, "load", "queue", "execute", "post"})
        unsampled = "b" * 32
        assert (
            api.call("POST", "/v1/endpoints/e/predict", rows, {"traceparent": f"00-{unsampled}-{PARENT_ID}-00"}).status
            == 200
        )
    root = found[route][1]
    assert {found[name][1].parent_span_id for name in ("load", "queue", "execute", "post")} == {root.span_id}
    times = [found[name][1] for name in ("load", "execute", "post")]
    assert [span.start_time_unix_nano for span in times] == sorted(span.start_time_unix_nano for span in times)
    assert not [span for _, span in collector.spans if span.trace_id.hex() == unsampled]


def test_a_share_is_sent_and_all_decide_alike_and_nobody_waits_for_a_collector_that_is_gone(
    start: Callable[..., Any], collector: Collector
) -> None:
    with start(otlp_endpoint=collector.endpoint, trace_share=0.0) as api:
        assert api.call("GET", "/v1/version").status == 200
    assert not collector.spans
    began_s = time.monotonic()
    with start(otlp_endpoint="http://127.0.0.1:9/v1/traces") as api:
        assert api.call("GET", "/v1/version").status == 200
    assert time.monotonic() - began_s < 60
    places = [TraceContext.begin(0.25) for _ in range(4_000)]
    assert 0.20 < sum(place.sampled for place in places) / len(places) < 0.30  # fails by chance once in 10**12 runs
    assert all(TraceContext.parse(place.traceparent) == place for place in places)
    for wrong in ("", "00-1-2-3", f"00-{'0' * 32}-{PARENT_ID}-01", f"ff-{TRACE_ID}-{PARENT_ID}-01", "x" * 500):
        assert TraceContext.parse(wrong) is None


def test_the_collectors_address_is_a_setting() -> None:
    found = load_settings(environment={"SUPERPOSE_OTLP_ENDPOINT": "http://127.0.0.1:4318/v1/traces"})
    assert found.service.otlp_endpoint == "http://127.0.0.1:4318/v1/traces"
    assert load_settings(environment={}).service.otlp_endpoint is None
