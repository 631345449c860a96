"""`superpose endpoints`: update, rollback, canary and promote against a real service, and the client beneath."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from superpose import Client
from superpose.client import Canary, Endpoint, Revision, SideStats
from superpose.errors import ApiError

ROWS = [[5.1, 3.5, 1.4, 0.2], [6.9, 3.1, 5.4, 2.1]]


@pytest.fixture(scope="session")
def versions(served: Any, trained: str) -> str:
    """A model with two versions, on a name of its own."""
    with Client(served.url, key_file=served.key_file) as client:
        for epochs in (1, 2):
            spec = {
                "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
                "training": {"epochs": epochs},
                "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"},
            }
            job = client.jobs.train(dataset=trained, model="twice", spec=spec)
            assert client.jobs.wait(job.id, timeout_s=120).status == "succeeded"
    return "twice"


@pytest.mark.slow
def test_an_endpoint_is_updated_rolled_back_shared_and_promoted(
    at_home: Callable[..., Any], versions: str, tmp_path: Path
) -> None:
    assert at_home("deploy", versions, "--version", "1", "--name", "live", "--limit", "max_batch_rows=64").code == 0
    said = at_home("endpoints", "update", "live", "--version", "2", "--limit", "max_delay_ms=0.5")
    assert said.out == "live: twice version 2 answers (revision 2)\n"
    assert at_home("endpoints", "update", "live", "--version", "latest", "--json").json["revision"] == 2
    shown = at_home("endpoints", "update", "live", "--limit", "max_batch_rows=default", "--json").json
    assert (shown["revision"], shown["limits"]["max_batch_rows"], shown["limits"]["max_delay_ms"]) == (2, None, 0.5)
    assert at_home("endpoints", "rollback", "live").out == "live: twice version 1 answers (revision 3)\n"

    said = at_home("endpoints", "canary", "live", "25", "--version", "2", "--seed", "3")
    assert said.out == "live: twice version 1 answers (revision 3), version 2 at 25 %\n"
    assert "version 2 at 25 %" in at_home("endpoints", "list").out
    assert at_home("endpoints", "rollback", "live").err.startswith("error[service.conflict]: ")
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps(ROWS))
    answered = [at_home("predict", "live", rows, "--json").json["model_version"] for _ in range(40)]
    assert set(answered) == {1, 2}  # a side is never met with probability 1e-5
    shown = at_home("endpoints", "show", "live", "--json").json
    assert shown["canary"]["percent"] == 25 and shown["canary"]["by"] == "request_id"
    assert {s["side"]: s["requests"] for s in shown["stats"]} == {
        "stable": answered.count(1),
        "canary": answered.count(2),
    }
    assert [r["version"] for r in shown["revisions"]] == [1, 2, 1]
    kinds = ["created", "updated", "updated", "rolled_back", "canary_started"]
    assert [event["kind"] for event in shown["events"]] == kinds
    text = at_home("endpoints", "show", "live").out
    assert "p99 ms" in text and "max_delay_ms 0.5" in text

    assert at_home("endpoints", "promote", "live").out == "live: twice version 2 answers (revision 4)\n"
    assert at_home("endpoints", "canary", "live", "5", "--version", "1", "--random").code == 0
    assert at_home("endpoints", "canary", "live", "--stop", "--json").json["canary"] is None
    assert at_home("endpoints", "canary", "live", "--stop").err.startswith("error[service.conflict]: ")
    assert at_home("endpoints", "remove", "live").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["canary", "any"], "either PERCENT"),
        (["canary", "any", "5", "--stop"], "either PERCENT"),
        (["update", "any", "--limit", "speed=fast"], "NAME=VALUE"),
        (["update", "any", "--limit", "max_batch_rows=inf"], "NAME=VALUE"),
        (["update", "any"], "nothing to change"),
        (["update", "any", "--limit", "max_batch_row=64"], "got 'max_batch_row'. Did you mean max_batch_rows?"),
        (["update", "any", "--limit", "speed=1"], "max_delay_ms, max_queue_rows, max_concurrency, got 'speed'."),
        (["canary", "any", "5"], "no endpoint 'any'"),
    ],
)
def test_wrong_calls_say_what_is_allowed(
    at_home: Callable[..., Any], served: Any, arguments: list[str], words: str
) -> None:
    said = at_home("endpoints", *arguments)
    assert said.code == 1
    assert words in said.err


def test_the_client_speaks_of_endpoints_in_values(served: Any, versions: str) -> None:
    with Client(served.url, key_file=served.key_file) as client:
        made = client.endpoints.create("valued", versions, 1, max_concurrency=50)
        assert isinstance(made, Endpoint) and made.limits["max_concurrency"] == 50
        shared = client.endpoints.canary("valued", 40, by="random", seed=1)
        assert isinstance(shared.canary, Canary) and (shared.canary.version, shared.canary.percent) == (2, 40.0)
        assert shared.canary.started_at >= made.created_at
        client.predict("valued", ROWS)
        sides = client.endpoints.stats("valued")
        assert all(isinstance(side, SideStats) for side in sides)
        assert sum(side.requests for side in sides) == 1 and sum(side.rows for side in sides) == 2
        assert client.endpoints.promote("valued").version == 2
        assert client.endpoints.update("valued", max_concurrency=None).limits["max_concurrency"] is None
        assert client.endpoints.update("valued", model=versions).revision == 2  # the latest is what answers
        revisions = client.endpoints.revisions("valued")
        assert [(r.revision, r.version) for r in revisions] == [(2, 2), (1, 1)]
        assert isinstance(revisions[0], Revision) and revisions[0].to_dict()["origin"] == 2
        assert [event.kind for event in client.endpoints.events("valued")][-1] == "updated"
        with pytest.raises(ApiError) as caught:
            client.endpoints.rollback("valued", 7)
        assert caught.value.problem_code == "service.not_found"
        client.endpoints.delete("valued")
