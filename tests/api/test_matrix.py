"""Every route x every kind of caller x own and foreign project, by the table in ``matrix.py``."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.service.conftest import ended, working

from superpose.service import AuditFilter, Service, ServiceConfig
from superpose.service.people.scopes import NOUNS, need_of
from superpose.trust import mint_key

from .conftest import Reply, running
from .matrix import CASES, PROGRAM, ROWS, SPEC, Row, World

HOW_TO = """
Each route stands in ROWS of tests/api/matrix.py, whose beginning says how to write a row. In short:
    Row("DELETE", "/v1/things/{name}", "editor", 204, {"name": "a_thing"}),
with `def a_thing(self) -> str` in World, which makes one in project alpha and tells its name or id."""

ROLES = ("predictor", "viewer", "editor", "admin")
BAD = ("no key", "wrong key", "expired key", "revoked key")


@dataclass(frozen=True)
class Caller:
    """Who calls: a bad key, or a role in a project; ``scoped`` has the role admin and a scope for something else."""

    what: str
    project: str = ""
    role: str = ""

    def __str__(self) -> str:
        return f"{self.what or self.role} {self.project}".strip()


CALLERS = (
    *(Caller(what) for what in BAD),
    Caller("scoped key", "alpha", "admin"),
    *(Caller("", project, role) for project in ("alpha", "beta") for role in ROLES),
    Caller("", "default", "operator"),
)


@dataclass
class Stage:
    """A server with projects alpha and beta, a key per caller, and a second door into its data directory."""

    api: Any
    world: World
    secrets: dict[str, str]

    def call(self, row: Row, caller: Caller, filled: tuple[str, Any]) -> tuple[Reply, str]:
        """Make the call; tells the answer and the id of the request."""
        request_id = f"req-{uuid.uuid4().hex}"
        url, body = filled
        key = self.secrets.get(str(caller))
        headers = {"X-Request-Id": request_id, **row.headers}
        return self.api.call(row.method, url, body, headers, key), request_id

    def fill(self, row: Row, things: dict[str, str]) -> tuple[str, Any]:
        """URL and body with these things in their places."""

        def put(value: Any) -> Any:
            if isinstance(value, str):
                return re.sub(r"\{(\w+)\}", lambda m: things[m.group(1)], value)
            if isinstance(value, dict):
                return {name: put(item) for name, item in value.items()}
            return [put(item) for item in value] if isinstance(value, list) else value

        path = row.path
        for parameter, thing in row.things.items():
            path = path.replace(f"{{{parameter}}}", things[thing])
        if callable(row.body) or row.body is PROGRAM:  # nothing to fill in
            return path + put(row.query), row.body() if callable(row.body) else row.body
        return path + put(row.query), put(row.body)

    def things(self, row: Row) -> dict[str, str]:
        """Fresh things for all that the row names."""
        named = set(row.things.values()) | set(re.findall(r"\{(\w+)\}", json.dumps(_texts(row.body)) + row.query))
        return {name: name[1:] if name.startswith("=") else getattr(self.world, name)() for name in named}


def _texts(value: Any) -> list[str]:
    """All texts in a body."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []


def an_hour_ago() -> datetime:
    """A clock that is late."""
    return datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    config = ServiceConfig(
        data_dir=tmp_path_factory.mktemp("matrix") / "data", workers=0, cache_s=0, wrong_keys_per_minute=1_000_000
    )
    with running(config) as api, Service.open(config, exclusive=False) as service:
        operator = service.authenticate(api.admin_key)
        for project in ("alpha", "beta"):
            service.projects.create(operator, project)
        secrets = {
            str(caller): service.keys.create(operator, project=caller.project, role=caller.role)[1]
            for caller in CALLERS
            if caller.role in ROLES and not caller.what
        }
        owner = service.authenticate(secrets["admin alpha"])
        scopes = ["endpoints/another:predict"]
        secrets["scoped key alpha"] = service.keys.create(owner, role="admin", scopes=scopes)[1]
        revoked, secrets["revoked key"] = service.keys.create(owner, role="admin")
        service.keys.revoke(owner, revoked.id)
        with Service.open(config, exclusive=False, clock=an_hour_ago) as earlier:
            soon = an_hour_ago() + timedelta(minutes=30)
            _, secrets["expired key"] = earlier.keys.create(owner, role="admin", expires_at=soon)
        secrets["wrong key"] = mint_key()[1]
        secrets["operator default"] = api.admin_key
        service.datasets.add_builtin(owner, "alpha-flowers", "iris")
        job = service.jobs.submit(owner, "train", SPEC, dataset="alpha-flowers", model_name="alpha-trained")
        with working(config):
            assert ended(service, job).status == "succeeded"
        trained = service.models.version(owner, "alpha-trained")
        yield Stage(api, World(service, owner, operator, trained), secrets)


def expected(row: Row, caller: Caller) -> int:
    """The status that the table says."""
    if row.role == "anyone":
        return row.own
    if caller.what in BAD:
        return 401
    if row.role == "any key":
        return row.own
    if caller.what == "scoped key":
        return 403
    if row.role == "operator":
        return row.own if caller.role == "operator" else 403
    role = "admin" if caller.role == "operator" else caller.role
    needed = row.route_role if row.route_role and caller.project != "alpha" else row.role
    if ROLES.index(role) < ROLES.index(needed):
        return 403
    if caller.role == "operator" and row.operator is not None:
        return row.operator
    return row.own if caller.project == "alpha" else row.foreign


def told(reply: Reply) -> str:
    """What an answer says, but for the id of its request."""
    return re.sub(r"req[-_][0-9a-f]+", "", reply.body.decode(errors="replace"))


@pytest.mark.parametrize("row", (*ROWS, *CASES), ids=str)
def test_every_caller_gets_what_the_table_says(stage: Stage, row: Row) -> None:
    things, used = stage.things(row), False
    calls: dict[str, tuple[Caller, bool]] = {}
    began_at = datetime.now(UTC)
    for caller in CALLERS:
        wanted = expected(row, caller)
        if used and row.method != "GET" and wanted != 401:
            things = stage.things(row)
        reply, request_id = stage.call(row, caller, stage.fill(row, things))
        assert reply.status == wanted, f"{caller}: {reply.body[:500]!r}"
        used = wanted < 300
        calls[request_id] = (caller, used and row.leaves_an_entry)
        if caller.project == "beta":
            assert_nothing_leaks(stage, row, caller, things, reply)
    entries = {
        entry.request_id: entry
        for entry in stage.world.service.audit.export(stage.world.operator, AuditFilter(since=began_at))
    }
    for request_id, (caller, leaves_one) in calls.items():
        entry = entries.get(request_id)
        if leaves_one:
            assert entry, f"{caller}: the change left no entry in the audit log: it did not call append_event"
            assert entry.source == "127.0.0.1"
        else:
            assert entry is None, f"{caller}: {entry}"


def _of_nobody(value: str) -> str:
    """A name or id of the same form that nothing has."""
    return re.sub(r"(?<=_)[a-z2-7]{12}$", "a" * 12, value.replace("alpha", "nil"))


def assert_nothing_leaks(stage: Stage, row: Row, caller: Caller, things: dict[str, str], reply: Reply) -> None:
    """Another project's caller learns nothing of alpha: not even whether a thing exists."""
    asked = {name: value for name, value in things.items() if not name.startswith("=")}
    answer = told(reply)
    for value in asked.values():
        answer = answer.replace(value, "")
    assert "alpha" not in answer, f"{caller}: {answer}"
    if reply.status == 404:
        nothing = {
            name: re.sub(r"(?<=_)[a-z2-7]{12}$", "a" * 12, v.replace("alpha", "nil")) for name, v in asked.items()
        }
        of_nobody, _ = stage.call(row, caller, stage.fill(row, {**things, **nothing}))
        instead = told(of_nobody)
        for value in nothing.values():
            instead = instead.replace(value, "")
        assert (of_nobody.status, instead) == (404, answer)


def test_every_route_stands_in_the_table(stage: Stage) -> None:
    document = stage.api.call("GET", "/openapi.json").json
    routes = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    rows = [(row.method, row.path) for row in ROWS]
    missing = sorted(f"{method} {path}" for method, path in routes - set(rows))
    assert not missing, f"No row in the matrix for: {', '.join(missing)}\n{HOW_TO}"
    gone = sorted(f"{method} {path}" for method, path in set(rows) - routes)
    assert not gone, f"Rows in tests/api/matrix.py for routes that there are not: {', '.join(gone)}"
    assert len(rows) == len(set(rows))


def test_every_noun_of_the_routes_can_be_named_in_a_scope(stage: Stage) -> None:
    paths = stage.api.call("GET", "/openapi.json").json["paths"]
    needs = [need_of("GET", path) for path in paths if path.startswith("/v1/")]
    nouns = {need.noun for need in needs if need is not None}
    missing = sorted(nouns - set(NOUNS))
    assert not missing, f"Add to NOUNS in src/superpose/service/people/scopes.py: {', '.join(missing)}"


def test_lists_of_one_project_show_it_whole_and_the_other_nothing(stage: Stage) -> None:
    world = stage.world
    made = {
        "/v1/datasets": world.a_dataset(),
        "/v1/jobs": world.a_job(),
        "/v1/models": world.a_model(),
        "/v1/endpoints": world.an_endpoint(),
        "/v1/keys": world.a_key(),
        "/v1/users": world.a_user(),
        "/v1/audit": world.a_key(),
    }
    for path, name in made.items():
        own = stage.api.call("GET", f"{path}?limit=500", key=stage.secrets["admin alpha"])
        foreign = stage.api.call("GET", f"{path}?limit=500", key=stage.secrets["admin beta"])
        assert name in own.body.decode(), path
        assert name not in foreign.body.decode(), path


def test_the_chain_is_whole_after_all_of_this(stage: Stage) -> None:
    found = stage.world.service.audit.verify(stage.world.operator)
    assert found.intact
    assert found.n_entries > 10


def test_wrong_keys_beyond_the_limit_are_told_to_wait(start: Any) -> None:
    with start(wrong_keys_per_minute=3) as server:
        for _ in range(3):
            assert server.call("GET", "/v1/version", key=mint_key()[1]).status == 401
        reply = server.call("GET", "/v1/version", key="nonsense")
        assert (reply.status, reply.code) == (429, "auth.too_many_wrong_keys")
        assert 1 <= int(reply.headers["retry-after"]) <= 20
        assert server.call("GET", "/v1/version").status == 200
        assert server.call("GET", "/v1/version", key=None).code == "auth.key_missing"


def test_requests_beyond_the_quota_are_told_to_wait(start: Any) -> None:
    with start(cache_s=0) as server:
        assert server.call("POST", "/v1/projects", {"name": "busy"}).status == 201
        assert server.call("PUT", "/v1/projects/busy/quotas", {"requests_per_minute": 2}).status == 200
        key = server.new_key(project="busy", role="viewer")
        assert [server.call("GET", "/v1/version", key=key).status for _ in range(3)] == [200, 200, 429]
        reply = server.call("GET", "/v1/version", key=key)
        assert (reply.code, reply.json["details"]["allowed"]) == ("quota.requests", 2)
        assert 1 <= int(reply.headers["retry-after"]) <= 30
        assert server.call("PUT", "/v1/projects/busy/quotas", {"bytes": 0, "seconds_per_day": 0}).status == 200
        editor = server.new_key(project="busy", role="editor")
        full = server.call("POST", "/v1/datasets", {"name": "a", "builtin": "iris"}, key=editor)
        assert (full.status, full.code) == (409, "quota.bytes")
        assert "retry-after" not in full.headers
        late = server.call("POST", "/v1/programs", {"nonsense": 1}, key=editor)
        assert late.status == 422


def test_an_export_is_one_document_per_line(stage: Stage) -> None:
    reply = stage.api.call("GET", "/v1/audit/export?action=project.created")
    assert reply.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in reply.body.decode().splitlines()]
    assert [line["subject"] for line in lines][:3] == ["project:default", "project:alpha", "project:beta"]
    assert reply.headers["cache-control"] == "no-store"
    assert stage.api.call("GET", "/v1/audit?since=yesterday").code == "service.request"
    assert stage.api.call("GET", "/v1/audit?since=2030-01-01T00:00:00Z").json["items"] == []


def test_nobody_chooses_the_address_that_the_audit_log_names(start: Any) -> None:
    with start() as server:
        forged = {"X-Forwarded-For": "203.0.113.9"}
        assert server.call("POST", "/v1/projects", {"name": "forged"}, forged).status == 201
        (entry,) = server.call("GET", "/v1/audit?subject=project:forged").json["items"]
        assert entry["source"] == "127.0.0.1"
