"""`superpose projects`, `users`, `keys rotate` and `audit` against a real service, and the client beneath them."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.full_disk import room_for

from superpose.client import Client
from superpose.errors import ApiError
from superpose.trust import read_key_file


@pytest.fixture(scope="session")
def study(served: Any) -> str:
    """A project of its own."""
    with Client(served.url, key_file=served.key_file) as client:
        return client.projects.create("study", title="A study").name


def test_projects(at_home: Callable[..., Any], study: str) -> None:
    said = at_home("projects", "create", "trial", "--title", "A trial")
    assert said.out == "project trial; its first key: superpose keys create --project trial --role admin\n"
    again = at_home("projects", "create", "trial", "--json")
    assert (again.code, again.json["error"]["code"]) == (1, "service.conflict")
    assert {"default", "study", "trial"} <= {project["name"] for project in at_home("projects", "list", "--json").json}
    assert "A trial" in at_home("projects", "list").out
    said = at_home("projects", "quotas", "trial", "--jobs", "5", "--bytes", "1000000")
    assert said.out == "trial: bytes 1,000,000, jobs 5\n"
    said = at_home("projects", "quotas", "trial", "--jobs", "none", "--requests-per-minute", "100", "--json")
    assert said.json["quotas"] == {"bytes": 1_000_000, "requests_per_minute": 100}
    assert at_home("projects", "quotas", "trial").code == 2
    assert at_home("projects", "quotas", "trial", "--jobs", "few").code == 2
    usage = at_home("projects", "usage", "trial", "--json").json
    assert usage["quantities"]["bytes"] == {"used": 0, "allowed": 1_000_000}
    assert usage["quantities"]["jobs"] == {"used": 0, "allowed": None}
    assert "no limit" in at_home("projects", "usage", "trial").out
    assert at_home("projects", "usage", "--json").json["project"] == "default"
    assert at_home("projects", "archive", "trial").out == "trial is archived\n"
    assert "archived" in at_home("projects", "show", "trial").out
    assert at_home("projects", "restore", "trial", "--json").json["archived_at"] is None
    assert at_home("projects", "show", "nowhere").err.startswith("error[service.not_found]")


def test_users_members_and_their_keys(at_home: Callable[..., Any], served: Any, study: str, tmp_path: Path) -> None:
    made = at_home(
        "users", "create", "Ada", "--project", study, "--role", "viewer", "--email", "ada@example.org", "--json"
    )
    assert made.code == 0, made.err
    ada = made.json["id"]
    assert made.json["projects"] == {study: "viewer"}
    assert "(Ada) changed" in at_home("users", "change", ada, "--email", "").out
    assert at_home("users", "show", ada, "--json").json["email"] is None
    assert "viewer" in at_home("users", "show", ada).out
    assert ada in at_home("users", "list").out
    key = tmp_path / "ada.key"
    options = ("--url", served.url, "--key-file", key)
    refused = at_home("keys", "create", "--project", study, "--user", ada, "--role", "editor", "--json")
    assert refused.json["error"]["code"] == "service.request"
    made = at_home("keys", "create", "--project", study, "--user", ada, "--role", "viewer", "--output", key)
    assert made.code == 0, made.err
    assert at_home("jobs", "list", *options).code == 0
    assert at_home("projects", "list", *options, "--json").json[0]["name"] == study
    assert at_home("projects", "set-member", study, ada, "--role", "predictor").out == f"{ada} is predictor of study\n"
    assert ada in at_home("projects", "members", study).out
    at_home("users", "disable", ada)
    assert at_home("users", "enable", ada, "--json").json["disabled_at"] is None
    assert at_home("projects", "remove-member", study, ada, "--json").json == {"project": study, "removed": ada}
    assert ada not in at_home("projects", "members", study).out


def test_keys_rotate_into_a_new_file(at_home: Callable[..., Any], served: Any, tmp_path: Path) -> None:
    old, new = tmp_path / "old.key", tmp_path / "new.key"
    scopes = ("--scope", "jobs:read", "--scope", "endpoints/triage:predict")
    made = at_home("keys", "create", "--role", "viewer", *scopes, "--output", old, "--json").json
    assert made["scopes"] == ["endpoints/triage:predict", "jobs:read"]
    assert at_home("keys", "rotate", made["id"], "--output", old).code == 2
    assert at_home("keys", "rotate", made["id"], "--output", tmp_path / "none" / "x.key").code == 2
    with room_for(10):  # nobody would ever hold the new secret
        full = at_home("keys", "rotate", made["id"], "--output", new, "--grace-hours", "0")
    assert full.code == 1 and f"{new} cannot be written: File too large. Nothing was changed" in full.err
    assert at_home("jobs", "list", "--key-file", old).code == 0 and not new.exists()
    said = at_home("keys", "rotate", made["id"], "--output", new, "--grace-hours", "1")
    assert said.code == 0, said.err
    assert "counts until" in said.out
    assert read_key_file(old) != read_key_file(new)
    assert read_key_file(new) not in said.out + said.err
    assert stat.S_IMODE(new.stat().st_mode) == 0o600
    for path in (old, new):
        options = ("--url", served.url, "--key-file", path)
        assert at_home("jobs", "list", *options).code == 0
        assert at_home("datasets", "list", *options).err.startswith("error[auth.scope]")


def test_audit(at_home: Callable[..., Any], study: str, tmp_path: Path) -> None:
    listed = at_home("audit", "list", "--action", "project.created", "--project", study, "--json").json
    assert [(entry["subject"], entry["data"]["title"]) for entry in listed] == [("project:study", "A study")]
    assert "project.created" in at_home("audit", "list", "--action", "project", "--limit", "200").out
    assert at_home("audit", "list", "--since", "2999-01-01", "--json").json == []
    checked = at_home("audit", "verify", "--json")
    assert (checked.code, checked.json["intact"]) == (0, True)
    head = checked.json["head"]
    assert at_home("audit", "verify", "--head", head).out.startswith(f"{checked.json['n_entries']} entries, intact")

    path = tmp_path / "audit.jsonl"
    with room_for(300):  # half of it would be taken for all
        said = at_home("audit", "export", "--output", path)
    assert said.code == 1 and f"{path} cannot be written: File too large. Free some space" in said.err
    assert not [*tmp_path.iterdir()]
    said = at_home("audit", "export", "--output", path, "--json")
    assert said.json == {"file": str(path), "n_entries": checked.json["n_entries"]}
    assert at_home("audit", "export", "--output", path).code == 2
    assert at_home("audit", "export", "--subject", "project:study").out.count("\n") >= 1
    said = at_home("audit", "verify", "--file", path, "--head", head)
    assert (said.code, said.out) == (0, f"{checked.json['n_entries']} entries, intact; head {head}\n")
    lines = path.read_text().splitlines()
    forged = json.loads(lines[1])
    forged["actor"] = "key_somebodyelse"
    path.write_text("\n".join([lines[0], json.dumps(forged), *lines[2:]]))
    said = at_home("audit", "verify", "--file", path, "--json")
    assert (said.code, [fault["seq"] for fault in said.json["faults"]]) == (1, [2])
    path.write_text("\n".join([*lines[:3], *lines[4:]]))
    assert "missing: Entry 4 is missing." in at_home("audit", "verify", "--file", path).out
    assert at_home("audit", "verify", "--file", path, "--part").code == 0
    path.write_text("nonsense")
    assert at_home("audit", "verify", "--file", path).err.startswith("error[service.request]")
    path.unlink()
    assert at_home("audit", "verify", "--file", path).err.startswith("error[service.request]")


def test_the_client_streams_the_audit_log_and_sees_what_its_key_may(served: Any, study: str) -> None:
    with Client(served.url, key_file=served.key_file) as client:
        exported = list(client.audit.export(project=study))
        assert exported[0].action == "project.created"
        assert [entry.seq for entry in client.audit.list(limit=2, project=study)] == [
            entry.seq for entry in exported[:-3:-1]
        ]
        lead = client.keys.create(project=study, role="admin")
        account = client.projects.get(study).account
        assert lead.key.user == account
        with Client(served.url, key=lead.secret) as theirs:
            assert {entry.project for entry in theirs.audit.export()} == {study}
            assert [project.name for project in theirs.projects.list()] == [study]
            assert theirs.keys.get(lead.key.id).user == account
            assert theirs.projects.change(study, title="The study").title == "The study"
            fresh = theirs.keys.rotate(lead.key.id, grace_s=0)
            with pytest.raises(ApiError) as caught:
                theirs.projects.list()
            assert caught.value.problem_code in {"auth.key_invalid"}
        with Client(served.url, key=fresh.secret) as theirs, pytest.raises(ApiError) as caught:
            theirs.audit.verify()
        assert caught.value.problem_code == "auth.forbidden"
