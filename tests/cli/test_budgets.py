"""`superpose budgets` against a real service, and the client beneath it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from superpose.circuits import Circuit, Program
from superpose.client import Client
from superpose.errors import ApiError


def test_budgets_are_set_told_and_lifted(at_home: Callable[..., Any]) -> None:
    at_home("projects", "create", "spender")
    said = at_home("budgets", "set", "month", "12.5", "--project", "spender")
    assert said.out == "spender: $12.50 per month, $12.50 left\n"
    found = at_home("budgets", "list", "--project", "spender", "--json").json
    assert found == [
        {"project": "spender", "user": None, "period": "month", "limit_usd": 12.5, "used_usd": 0.0, "left_usd": 12.5}
    ]
    assert "$12.50" in at_home("budgets", "list", "--project", "spender").out
    assert at_home("budgets", "set", "week", "1").err.startswith("error[")
    assert at_home("budgets", "set", "day", "-1").code == 2
    assert at_home("budgets", "lift", "month", "--project", "spender").out == "no budget per month any more\n"
    assert at_home("budgets", "list", "--project", "spender", "--json").json == []


def test_costs_of_jobs(at_home: Callable[..., Any], client: Client, served: Any, tmp_path: Path) -> None:
    project = client.projects.create("accounts").name  # where nobody else submits
    key = client.keys.create(project=project, role="admin")
    options = ("--url", served.url, "--key-file", key.write(tmp_path / "accounts.key"))
    with Client(served.url, key=key.secret) as theirs:
        theirs.run(Program(Circuit(1).x(0), shots=10), max_cost_usd=0.01, scale_shots=True)
        (newest,) = theirs.budgets.costs()
        assert (newest.kind, newest.backend, newest.charged_usd) == ("program", "local", 0.0)
        assert newest.seconds is not None and newest.seconds >= 0
        assert theirs.budgets.cost(newest.job) == newest
        hour = timedelta(hours=1)
        assert list(theirs.budgets.costs(since=datetime.now(UTC) + hour)) == []
        assert list(theirs.budgets.costs(until=datetime.now(UTC) + hour, backend="local", limit=1)) == [newest]
        with pytest.raises(ApiError) as refused:
            theirs.budgets.cost("job_nowhere")
        assert refused.value.status == 404
        with pytest.raises(ApiError) as refused:
            theirs.run(Program(Circuit(1).x(0), shots=10), backend="nowhere")
        assert refused.value.details["code"] == "backend.unknown" if "code" in refused.value.details else True
    told = at_home("budgets", "costs", newest.job, *options, "--json").json
    assert told["charged_usd"] == 0.0
    assert "$0.00" in at_home("budgets", "costs", newest.job, *options).out
    assert newest.job in at_home("budgets", "costs", "--since", "2026-01-01", *options).out
    assert at_home("budgets", "costs", "--since", "soon", *options).code == 2
    assert [cost["project"] for cost in at_home("budgets", "costs", "--limit", "1", *options, "--json").json] == [
        project
    ]
