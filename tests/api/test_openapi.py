"""Requests made from the OpenAPI document: no answer is a failure of ours, and every one is as the document says."""

from __future__ import annotations

import base64
import contextlib
import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyStrategyDefinition
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from superpose.api.openapi import MADE

from .matrix import ROWS, Row
from .test_matrix import Stage, stage  # noqa: F401  # a fixture

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    allow_header_conformance,
]
CALLERS = ("predictor alpha", "viewer alpha", "editor alpha", "admin alpha", "admin beta", "operator default")
SLOW_TIMES = 5  # as many examples in the slow test as in the short one


def _archive() -> bytes:
    file = io.BytesIO()
    np.savez(file, X=np.arange(8.0).reshape(4, 2), y=np.array([0, 1, 0, 1]))
    return file.getvalue()


def _broken(content: bytes) -> st.SearchStrategy[bytes]:
    """The content, whole, cut, or with bytes changed."""
    cut = st.integers(0, len(content)).map(lambda end: content[:end])
    changed = st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)).map(
        lambda at: content[: at[0]] + bytes([at[1]]) + content[at[0] + 1 :]
    )
    return st.one_of(st.just(content), cut, changed, st.binary(max_size=200))


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("manifest.json", '{"format": "superpose-module"}')
    return file.getvalue()


schemathesis.openapi.media_type("text/csv", _broken(b"a,b,outcome\n1,2,x\n3,4,y\n5,6,x\n7,8,y\n"))
schemathesis.openapi.media_type("application/x-npz", _broken(_archive()))
for packed in ("application/vnd.superpose.module", "application/zip"):
    schemathesis.openapi.media_type(packed, _broken(_zip()))
for parquet in ("application/vnd.apache.parquet", "application/x-parquet"):
    schemathesis.openapi.media_type(parquet, _broken(b"PAR1" + bytes(range(60)) + b"PAR1"))


@dataclass
class Fuzzer:
    """Calls one route after another with generated requests."""

    stage: Stage
    schema: Any
    session: requests.Session

    def run(self, row: Row, n_examples: int) -> set[int]:
        """The statuses that came of ``n_examples`` requests.

        Every other request names real things in its path; bodies and queries are of the document's form or nearly so,
        some with the values of a good request in them.
        """
        operation = self.schema[row.path][row.method]
        things = Things(self.stage, row)
        seen: set[int] = set()

        @settings(
            max_examples=n_examples,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(
            case=st.one_of(
                operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
                operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
            ),
            caller=st.sampled_from(CALLERS),
            real=st.booleans(),
            good=st.sets(st.sampled_from(sorted(row.body) if isinstance(row.body, dict) and row.body else ["-"])),
        )
        def call(case: Case, caller: str, real: bool, good: set[str]) -> None:
            if real:
                case.path_parameters = things.path()
            if isinstance(row.body, dict) and isinstance(case.body, dict):
                case.body = {**case.body, **{name: item for name, item in things.body().items() if name in good}}
            if case.query and "wait_s" in case.query:
                case.query = {**case.query, "wait_s": 0.01}  # no worker is there that it could wait for
            for value in (case.query or {}).values():
                assume(len(str(value)) < 4_000)  # of a longer head the HTTP layer says "Invalid HTTP request received"
            headers = {"Authorization": f"Bearer {self.stage.secrets[caller]}"}
            answer = case.call(base_url=self.stage.api.url, headers=headers, session=self.session, timeout=90)
            case.validate_response(answer, checks=CHECKS)
            seen.add(answer.status_code)
            if answer.status_code < 300 and row.method != "GET":
                things.used = True

        call()
        return seen


class Things:
    """What a row of the matrix names, made anew once it may have been used up."""

    def __init__(self, stage: Stage, row: Row) -> None:  # noqa: F811
        self._stage, self._row = stage, row
        self._made: tuple[dict[str, str], Any] = ({}, {})
        self.used = True

    def _make(self) -> tuple[dict[str, str], Any]:
        if self.used:
            made = self._stage.things(self._row)
            path = {name: made[thing] for name, thing in self._row.things.items()}
            self._made, self.used = (path, self._stage.fill(self._row, made)[1]), False
        return self._made

    def path(self) -> dict[str, str]:
        return self._make()[0]

    def body(self) -> dict[str, Any]:
        return self._make()[1]


@pytest.fixture(scope="module")
def fuzzer(stage: Stage) -> Iterator[Fuzzer]:  # noqa: F811
    document = stage.api.call("GET", "/openapi.json").json
    with requests.Session() as session:
        yield Fuzzer(stage, schemathesis.openapi.from_dict(document), session)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_no_generated_request_makes_the_server_fail(fuzzer: Fuzzer, row: Row) -> None:
    assert fuzzer.run(row, 5)


def _cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


#: What a query or a path may hold that is of no use to anybody, as it stands in a URL.
HOSTILE = (
    *(quote(text) for text in ("", "0", "-1", "9" * 40, "1e400", "NaN", "\0", "é", "a" * 3_000, "../../etc", "%", "[")),
    *("%ED%A0%80", "%FF", "%00", "%2e%2e%2f"),
    *(_cursor(text) for text in (str(10**30), str(-(2**63) - 1), '"\\ud800"', '"\\u0000"', "[" * 900, "1e999", "NaN")),
)


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row in ROWS if row.method == "GET"], ids=str)
def test_nothing_in_a_url_makes_the_server_fail(stage: Stage, row: Row) -> None:  # noqa: F811
    document = stage.api.call("GET", "/openapi.json").json
    said = document["paths"][row.path]["get"].get("parameters", [])
    queries = [item["name"] for item in said if item["in"] == "query" and item["name"] != "wait_s"]
    places = [item["name"] for item in said if item["in"] == "path"]
    key = stage.secrets["operator default" if row.role == "operator" else "admin alpha"]
    made = stage.things(row)
    path, _ = stage.fill(row, made)
    path = path.partition("?")[0]
    asked = [f"{path}?{name}={text}" for name in queries for text in HOSTILE]
    for place in places:
        others = {name: thing for name, thing in row.things.items() if name != place}
        for text in HOSTILE:
            url = row.path.replace(f"{{{place}}}", text)
            for name, thing in others.items():
                url = url.replace(f"{{{name}}}", made[thing])
            asked.append(url)
    for url in asked:
        reply = stage.api.call("GET", url, key=key)
        assert reply.status < 500, (url, reply.body[:300])
        assert reply.status < 400 or reply.code, url


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_nor_do_many(fuzzer: Fuzzer, row: Row) -> None:
    assert fuzzer.run(row, 8 * SLOW_TIMES)


@pytest.mark.parametrize("row", [row for row in ROWS if row.path in MADE and row.method == "POST"], ids=str)
def test_the_links_of_a_new_thing_lead_to_it(stage: Stage, row: Row) -> None:  # noqa: F811
    document = stage.api.call("GET", "/openapi.json").json
    routes = {
        operation["operationId"]: (method.upper(), path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    links = document["paths"][row.path]["post"]["responses"][str(row.own)]["links"]
    key = stage.secrets["operator default" if row.role == "operator" else "admin alpha"]
    path, body = stage.fill(row, stage.things(row))
    new = stage.api.call("POST", path, body, dict(row.headers), key)
    assert new.status == row.own, new.body
    itself = 0
    for link in links.values():
        method, below = routes[link["operationId"]]
        if method != "GET" or below.endswith("/events"):  # the events of a job that no worker takes have no end
            continue
        ((parameter, expression),) = link["parameters"].items()
        field = expression.removeprefix("$response.body#/")
        found = stage.api.call("GET", below.replace(f"{{{parameter}}}", new.json[field]), key=key)
        unknown = stage.api.call("GET", below.replace(f"{{{parameter}}}", "nothing-of-this-name"), key=key)
        assert unknown.status == 404, below
        refused = found.status >= 400 and found.code  # such as that a job has no result yet
        assert found.status < 500 and refused != unknown.code, (below, found.body[:300])
        if below == f"{row.path}/{{{parameter}}}":
            assert found.status == 200, found.body[:300]
            itself += 1
    assert itself == 1, links


@pytest.mark.slow
def test_nor_do_sequences_along_the_links(stage: Stage) -> None:  # noqa: F811
    document = stage.api.call("GET", "/openapi.json").json
    del document["paths"]["/v1/jobs/{job_id}/events"]  # of a job that no worker takes it has no end
    for path in ("/v1/datasets", "/v1/jobs"):
        document["paths"][path]["post"]["responses"]["201" if path == "/v1/datasets" else "202"]["links"].pop(
            "events_v1_jobs__job_id__events_get", None
        )
    schema = schemathesis.openapi.from_dict(document)
    makers = {str(row): row for row in ROWS if row.path in MADE and row.method == "POST" and isinstance(row.body, dict)}
    answers: Counter[int] = Counter()

    class Sequences(schema.as_state_machine()):  # type: ignore[misc]  # made from the document
        def get_call_kwargs(self, case: Case) -> dict[str, Any]:
            return {"base_url": stage.api.url, "timeout": 90}

        def before_call(self, case: Case) -> None:
            row = makers.get(case.operation.label)
            caller = "operator default" if row is not None and row.role == "operator" else "admin alpha"
            case.headers["Authorization"] = f"Bearer {stage.secrets[caller]}"
            if case.query and "wait_s" in case.query:
                case.query = {**case.query, "wait_s": 0.01}
            if row is not None and isinstance(case.body, dict) and sum(answers.values()) % 2:
                case.body = stage.fill(row, stage.things(row))[1]  # what makes a thing whose links can be followed

        def validate_response(self, response: Any, case: Case, *args: Any, **kwargs: Any) -> None:
            case.validate_response(response, checks=CHECKS)
            answers[response.status_code] += 1

    chosen = settings(
        max_examples=40,
        stateful_step_count=8,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    for _ in range(3):
        # Which links can be followed hangs on answers, and these on earlier sequences: then generation cannot be
        # repeated and ends early. What was asked until then was checked.
        with contextlib.suppress(FlakyStrategyDefinition):
            Sequences.run(settings=chosen)
            break
    assert answers
