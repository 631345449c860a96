"""`superpose projects residency` against a real service, and the client beneath it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from superpose.circuits import Circuit, Program
from superpose.client import Client
from superpose.errors import ApiError


def test_rules_are_set_told_kept_and_cleared(at_home: Callable[..., Any], served: Any) -> None:
    assert at_home("projects", "residency", "show", "default").out == "programs of default may go anywhere\n"
    said = at_home("projects", "residency", "set", "default", "--region", "eu", "--region", "here", "--no-processors")
    assert "eu, here" in said.out and "processors" in said.out and "none" in said.out
    try:
        found = at_home("projects", "residency", "show", "default", "--json").json
        assert found["rules"] == {
            "regions": ["eu", "here"], "providers": None, "deny_providers": [], "backends": None, "deny_backends": [],
            "processors": False,
        }  # fmt: skip
        with Client(served.url, key_file=served.key_file) as client:
            assert client.projects.residency("default").rules == found["rules"]
            client.run(Program(Circuit(1).x(0), shots=10))
            client.projects.set_residency("default", deny_providers=["ionq"])
            with pytest.raises(ApiError) as refused:
                client.run(Program(Circuit(1).x(0), shots=10), backend="ionq:simulator")
            assert (refused.value.status, refused.value.problem_code) == (403, "backend.residency")
            assert refused.value.details["refusals"][0]["rule"] == "deny_providers"
    finally:
        cleared = at_home("projects", "residency", "clear", "default", "--json").json
    assert cleared == {"project": "default", "rules": None}
    wrong = at_home("projects", "residency", "set", "default", "--region", "europe")
    assert wrong.code == 1 and "'europe' names no region" in wrong.err
    assert "At least one rule" in at_home("projects", "residency", "set", "default").err
    assert at_home("projects", "residency", "show", "nowhere").err.startswith("error[service.not_found]")
