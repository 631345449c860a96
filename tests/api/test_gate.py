"""No key, no answer: every route, every kind of bad key, other projects, roles."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from superpose.api import create_app
from superpose.service import Service, ServiceConfig
from superpose.trust import mint_key

OPEN = {"/v2/health/live": {"live": True}, "/v2/health/ready": {"ready": True}}


@pytest.fixture(scope="module")
def all_routes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Method and path of every route there is."""
    with Service.open(ServiceConfig(data_dir=tmp_path_factory.mktemp("routes") / "data")) as service:
        app = create_app(service)
        found = [
            (method, re.sub(r"\{number\}", "1", route.path).replace("{", "").replace("}", ""))  # type: ignore[attr-defined]
            for route in app.routes
            for method in route.methods  # type: ignore[attr-defined]
        ]
        assert len(found) - 2 == sum(len(methods) for methods in app.openapi()["paths"].values())  # its own two
    return found


def test_every_route_refuses_without_a_key_except_the_two_of_health(
    api: Any, all_routes: list[tuple[str, str]]
) -> None:
    assert len(all_routes) > 30
    for method, path in all_routes:
        reply = api.call(method, path, key=None)
        if path in OPEN:
            assert reply.status == 200
            continue
        assert reply.status == 401, (method, path)
        assert reply.headers["www-authenticate"] == 'Bearer realm="superpose"'
        if method != "HEAD":
            assert reply.code == "auth.key_missing"


def test_health_says_nothing_but_health(api: Any) -> None:
    for path, answer in OPEN.items():
        assert api.call("GET", path, key=None).json == answer
        assert api.call("GET", path, key="nonsense").json == answer


def test_without_a_key_one_does_not_learn_which_routes_exist(api: Any) -> None:
    for method, path in [
        ("GET", "/"),
        ("GET", "/docs"),
        ("GET", "/v1/nothing"),
        ("PATCH", "/v1/jobs"),
        ("GET", "/v2/"),
    ]:
        assert api.call(method, path, key=None).status == 401
    for path in (
        "/v2/health/live/",
        "//v2/health/live",
        "/v2/health/live%2f",
        "/v2/health/../health/live",
        "/v2/health",
    ):
        assert api.call("GET", path, key=None).status == 401


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer nonsense", "Basic YWRtaW46YWRtaW4=", "sp_key_x", "Bearer \u00e9", "Bearer a b", ""],
)
def test_a_header_that_is_no_key_is_refused(api: Any, header: str) -> None:
    reply = api.call("GET", "/v1/version", headers={"Authorization": header.encode("latin-1")}, key=None)
    assert reply.status == 401
    assert reply.code in {"auth.key_invalid", "auth.key_missing"}


def test_a_wrong_key_of_the_right_form_is_refused_and_not_shown(api: Any) -> None:
    known = api.admin_key
    for wrong in (mint_key()[1], known[:-1] + ("A" if known[-1] != "A" else "B"), known.upper(), known + "x"):
        reply = api.call("GET", "/v1/version", key=wrong)
        assert reply.status == 401
        assert reply.code == "auth.key_invalid"
        assert wrong.encode() not in reply.body


def test_the_scheme_is_read_in_any_case_and_two_headers_are_refused(api: Any) -> None:
    assert api.call("GET", "/v1/version", headers={"authorization": f"bearer  {api.admin_key}"}, key=None).status == 200
    connection = api.connect()
    connection.putrequest("GET", "/v1/version")
    connection.putheader("Authorization", f"Bearer {api.admin_key}")
    connection.putheader("Authorization", f"Bearer {mint_key()[1]}")
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()


def test_a_key_expires(api: Any) -> None:
    """Works until its time and not after it; a longer time is tried where the machine had none for the requests."""
    for seconds in (0.6, 2.0, 6.0, 20.0):
        expires = datetime.now(UTC) + timedelta(seconds=seconds)
        made = api.call("POST", "/v1/keys", {"role": "editor", "expires_at": expires.isoformat()})
        before = api.call("GET", "/v1/version", key=made.json.get("secret", "none"))
        if datetime.now(UTC) < expires:
            break
    assert (made.status, before.status) == (201, 200)
    while (after := api.call("GET", "/v1/version", key=made.json["secret"])).status == 200:
        assert datetime.now(UTC) < expires + timedelta(seconds=60)
        time.sleep(0.05)
    assert datetime.now(UTC) >= expires
    assert (after.status, after.code) == (401, "auth.key_expired")


def test_a_revoked_key_is_refused_at_once(api: Any) -> None:
    made = api.call("POST", "/v1/keys", {"role": "viewer", "label": "short-lived"}).json
    assert api.call("GET", "/v1/version", key=made["secret"]).status == 200
    assert api.call("DELETE", f"/v1/keys/{made['id']}").status == 204
    assert api.call("GET", "/v1/version", key=made["secret"]).code == "auth.key_invalid"


def test_keys_are_listed_without_secrets(api: Any) -> None:
    made = api.call("POST", "/v1/keys", {"role": "viewer", "label": "listed"})
    assert made.headers["cache-control"] == "no-store"
    listed = api.call("GET", "/v1/keys")
    assert made.json["id"] in {key["id"] for key in listed.json["items"]}
    assert b"secret" not in listed.body
    assert made.json["secret"].encode() not in listed.body


@pytest.mark.parametrize(
    ("role", "method", "path", "body"),
    [
        ("viewer", "POST", "/v1/datasets", {"name": "a", "builtin": "iris"}),
        ("viewer", "POST", "/v1/jobs", {"kind": "train", "dataset": "a"}),
        ("viewer", "POST", "/v1/endpoints", {"name": "a", "model": "b"}),
        ("viewer", "DELETE", "/v1/datasets/a", None),
        ("editor", "GET", "/v1/keys", None),
        ("editor", "POST", "/v1/keys", {"role": "admin"}),
        ("predictor", "GET", "/v1/jobs", None),
        ("predictor", "GET", "/v1/models", None),
    ],
)
def test_roles_are_kept_apart(api: Any, role: str, method: str, path: str, body: Any) -> None:
    reply = api.call(method, path, body, key=api.new_key(role=role))
    assert reply.status == 403
    assert reply.code == "auth.forbidden"


def test_other_projects_things_are_not_found(api: Any) -> None:
    dataset = api.call("POST", "/v1/datasets", {"name": "ours", "builtin": "iris"}).json
    stranger = api.new_key(project="elsewhere", role="admin")
    ours = api.call("GET", f"/v1/datasets/{dataset['id']}")
    theirs = api.call("GET", f"/v1/datasets/{dataset['id']}", key=stranger)
    nobodys = api.call("GET", "/v1/datasets/ds_aaaaaaaaaaaa", key=stranger)
    assert ours.status == 200
    assert theirs.status == nobodys.status == 404
    assert theirs.json["detail"].replace(dataset["id"], "x") == nobodys.json["detail"].replace("ds_aaaaaaaaaaaa", "x")
    assert api.call("GET", "/v1/datasets", key=stranger).json["items"] == []
    assert api.call("DELETE", f"/v1/datasets/{dataset['id']}", key=stranger).status == 404


def test_the_openapi_document_names_every_route(api: Any, all_routes: list[tuple[str, str]]) -> None:
    document = api.call("GET", "/openapi.json").json
    assert {"/v1/jobs/{job_id}/events", "/v2/models/{name}/infer", "/v1/datasets"} <= set(document["paths"])
    assert sum(len(methods) for methods in document["paths"].values()) == len(all_routes) - 2
    assert document["security"] == [{"key": []}]
    for operations in document["paths"].values():
        for operation in operations.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            assert "422" not in operation["responses"]
    assert "#/components/schemas/HTTPValidationError" not in json.dumps(document)


def test_logs_hold_ids_and_no_secrets(api: Any) -> None:
    secret = api.new_key(role="viewer")
    api.call("GET", f"/v1/datasets/{secret}?name={secret}", key=secret)
    log = Path(api.data_dir / "logs" / "api.jsonl")
    until = time.monotonic() + 60
    while "/v1/datasets/(key)" not in (lines := log.read_text()) and time.monotonic() < until:
        time.sleep(0.01)  # the line is written once the answer is sent
    assert "/v1/datasets/(key)" in lines
    assert secret not in lines
    assert secret[-43:] not in lines
    assert api.admin_key not in lines
    assert secret[3:19] in lines
    assert log.stat().st_mode & 0o077 == 0
