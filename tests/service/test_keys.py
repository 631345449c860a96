"""Keys: minted, checked, expired, revoked; roles and projects."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from superpose.circuits import Circuit, Program, program_to_json
from superpose.errors import (
    ConflictError,
    ForbiddenError,
    KeyExpiredError,
    KeyInvalidError,
    KeyMissingError,
    NotFoundError,
    ProjectArchivedError,
    RequestError,
    ScopeError,
    TooManyWrongKeysError,
)
from superpose.service import Part, Principal, Role, Service, ServiceConfig, check_scope
from superpose.service.people.buckets import Buckets
from superpose.testing.store import ManualClock
from superpose.trust import key_digest, read_key_file

PROGRAM = dict(program_to_json(Program(Circuit(1).h(0), {}, shots=10)))


def test_first_start_mints_an_admin_key_into_a_private_file(config: ServiceConfig, capfd) -> None:
    with Service.open(config) as service:
        path = service.admin_key_path
        assert path == config.data_dir / "keys" / "admin.key"
        assert path.stat().st_mode & 0o777 == 0o600
        secret = read_key_file(path)
        principal = service.authenticate(secret)
        assert (principal.project, principal.role) == ("default", Role.ADMIN)
    with Service.open(config) as service:  # a second start mints nothing
        assert len(service.keys.list(principal).items) == 1
        assert service.authenticate(secret) == principal
    assert secret not in "".join(capfd.readouterr())
    stored = (config.data_dir / "superpose.sqlite").read_bytes()
    assert secret.encode() not in stored
    assert key_digest(secret).encode() in stored


def test_first_start_that_died_between_file_and_commit_uses_the_file(config: ServiceConfig) -> None:
    with Service.open(config) as service:
        secret = read_key_file(service.admin_key_path)
    for path in config.data_dir.glob("superpose.sqlite*"):
        path.unlink()
    (config.data_dir / "superpose.sqlite").touch(mode=0o600)
    with Service.open(config) as service:
        assert service.authenticate(secret).role is Role.ADMIN


@pytest.mark.parametrize("secret", [None, ""])
def test_no_key(service: Service, secret: str | None) -> None:
    with pytest.raises(KeyMissingError):
        service.authenticate(secret)


def test_wrong_keys(service: Service, admin: Principal) -> None:
    secret = read_key_file(service.admin_key_path)
    last = "A" if secret[-1] != "A" else "B"
    unknown = "sp_key_" + "a" * 12 + "_" + "x" * 43
    for wrong in ("nonsense", secret[:-1] + last, secret[:-1], secret + "x", unknown, "sp_é", "\udcff"):
        with pytest.raises(KeyInvalidError):
            service.authenticate(wrong)
    assert service.authenticate(secret) == admin


def test_expiry_is_checked_on_every_call(config: ServiceConfig) -> None:
    clock = ManualClock()
    with Service.open(config, clock=clock) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        key, secret = service.keys.create(admin, role="editor", expires_at=clock() + timedelta(hours=1))
        assert service.authenticate(secret).key_id == key.id
        clock.advance(3600.0)
        with pytest.raises(KeyExpiredError, match=key.id):
            service.authenticate(secret)


def test_a_revoked_key_is_refused_at_once_here_and_soon_elsewhere(config: ServiceConfig) -> None:
    config = replace(config, cache_s=0.2)
    with Service.open(config) as service, Service.open(config, exclusive=False) as elsewhere:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        key, secret = service.keys.create(admin, role="viewer", label="laptop")
        assert service.authenticate(secret) == elsewhere.authenticate(secret)
        revoked = service.keys.revoke(admin, key.id)
        assert revoked.revoked_at is not None
        assert service.keys.revoke(admin, key.id) == revoked
        with pytest.raises(KeyInvalidError):
            service.authenticate(secret)
        time.sleep(config.cache_s + 0.05)
        with pytest.raises(KeyInvalidError):
            elsewhere.authenticate(secret)


def test_authentication_is_fast(service: Service, admin: Principal) -> None:
    secret = read_key_file(service.admin_key_path)
    start = time.thread_time()
    for _ in range(1_000):
        service.authenticate(secret)
    assert time.thread_time() - start < 0.5  # some 4 us each on a quiet machine


def test_roles_are_ordered() -> None:
    roles = [Role.ADMIN, Role.EDITOR, Role.VIEWER, Role.PREDICTOR]
    for i, role in enumerate(roles):
        assert [role.includes(other) for other in roles] == [j >= i for j in range(4)]


def test_only_admins_handle_keys(service: Service, admin: Principal) -> None:
    for role in (Role.EDITOR, Role.VIEWER, Role.PREDICTOR):
        key, secret = service.keys.create(admin, role=role)
        principal = service.authenticate(secret)
        for call in (
            lambda p=principal: service.keys.create(p, role="viewer"),
            lambda p=principal: service.keys.list(p),
            lambda p=principal, k=key: service.keys.revoke(p, k.id),
        ):
            with pytest.raises(ForbiddenError, match=f"role admin; key {principal.key_id} has {role}"):
                call()


def test_admins_of_other_projects_reach_their_own_keys_only(
    service: Service, admin: Principal, stranger: Principal
) -> None:
    own, _ = service.keys.create(stranger, role="viewer")
    assert own.project == "elsewhere"
    assert {key.project for key in service.keys.list(stranger).items} == {"elsewhere"}
    assert {key.project for key in service.keys.list(admin).items} == {"default", "elsewhere"}
    with pytest.raises(ForbiddenError, match="make keys for that project only"):
        service.keys.create(stranger, project="default", role="admin")
    with pytest.raises(NotFoundError):
        service.keys.revoke(stranger, admin.key_id)
    assert service.keys.revoke(admin, own.id).revoked_at


def test_the_last_operator_key_cannot_be_revoked(service: Service, admin: Principal) -> None:
    def an_hour_ago() -> datetime:
        return datetime.now(UTC) - timedelta(hours=1)

    with Service.open(service.config, exclusive=False, clock=an_hour_ago) as earlier:  # an expired key is no way in
        earlier.keys.create(admin, role="admin", operator=True, expires_at=an_hour_ago() + timedelta(minutes=30))
    service.keys.create(admin, role="admin")  # which makes keys of this project only
    with pytest.raises(ConflictError, match="last operator key"):
        service.keys.revoke(admin, admin.key_id)
    assert service.keys.get(admin, admin.key_id).revoked_at is None
    second, secret = service.keys.create(admin, role="admin", operator=True)
    service.keys.revoke(admin, admin.key_id)
    with pytest.raises(ConflictError):
        service.keys.revoke(service.authenticate(secret), second.id)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"role": "owner"}, "role"),
        ({"role": "viewer", "project": "../etc"}, "project"),
        ({"role": "viewer", "label": "x" * 201}, "label"),
        ({"role": "viewer", "label": "a\nb"}, "label"),
        ({"role": "viewer", "expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "expires_at"),
        ({"role": "viewer", "expires_at": datetime(2999, 1, 1)}, "expires_at"),
    ],
)
def test_unusable_fields_are_named(service: Service, admin: Principal, fields: dict, field: str) -> None:
    with pytest.raises(RequestError) as caught:
        service.keys.create(admin, **fields)
    assert caught.value.details["field"] == field


def test_json_form(service: Service, admin: Principal) -> None:
    key, secret = service.keys.create(
        admin, role="editor", label="notebook", expires_at=datetime(2999, 1, 1, tzinfo=UTC)
    )
    document = key.to_json()
    assert {"id", "project", "role", "label", "created_at", "expires_at", "revoked_at"} < set(document)
    assert document["expires_at"] == "2999-01-01T00:00:00.000000Z"
    assert secret not in repr(key) + str(document)


def test_lists_come_in_parts(service: Service, admin: Principal) -> None:
    made = [admin.key_id] + [service.keys.create(admin, role="viewer")[0].id for _ in range(4)]
    found, cursor = [], None
    for expected in (2, 2, 1):
        page = service.keys.list(admin, Part(limit=2, cursor=cursor))
        assert len(page.items) == expected
        found += [key.id for key in page.items]
        cursor = page.next
    assert cursor is None
    assert found == made
    with pytest.raises(RequestError, match="limit"):
        Part(limit=0)
    for bad in ("%%%", "bm9uc2Vuc2U", "e30"):
        with pytest.raises(RequestError, match="cursor"):
            service.keys.list(admin, Part(cursor=bad))


def test_key_history_names_the_actor(service: Service, admin: Principal, config: ServiceConfig) -> None:
    from superpose.service.store.database import Database
    from superpose.service.store.history import read_events

    key, _ = service.keys.create(admin, role="viewer", label="x")
    service.keys.revoke(admin, key.id)
    database = Database(Path(config.data_dir) / "superpose.sqlite")
    with database.read() as connection:
        assert [event.kind for event in read_events(connection, key.id)] == ["created", "revoked"]
    database.close()


def test_a_key_belongs_to_a_user_and_does_no_more_than_the_user_may(service: Service, admin: Principal) -> None:
    user = service.users.create(admin, name="Ada", role="editor")
    key, secret = service.keys.create(admin, role="editor", user=user.id)
    assert service.authenticate(secret) == Principal(key.id, "default", Role.EDITOR, user.id)
    with pytest.raises(RequestError, match="cannot be admin"):
        service.keys.create(admin, role="admin", user=user.id)
    service.projects.set_member(admin, "default", user.id, "viewer")
    assert service.authenticate(secret).role is Role.VIEWER
    service.projects.set_member(admin, "default", user.id, "admin")
    assert service.authenticate(secret).role is Role.EDITOR  # never more than the key's own
    service.users.disable(admin, user.id)
    with pytest.raises(KeyInvalidError):
        service.authenticate(secret)
    service.users.enable(admin, user.id)
    assert service.authenticate(secret).role is Role.EDITOR
    service.projects.remove_member(admin, "default", user.id)
    with pytest.raises(KeyInvalidError):
        service.authenticate(secret)
    assert service.keys.get(admin, key.id).revoked_at is not None
    with pytest.raises(NotFoundError):
        service.keys.create(admin, role="viewer", user=user.id)


def test_only_operators_make_operators(service: Service, admin: Principal) -> None:
    _, secret = service.keys.create(admin, role="admin")
    local = service.authenticate(secret)
    assert not local.operator
    for call in (
        lambda: service.keys.create(local, role="admin", operator=True),
        lambda: service.keys.revoke(local, admin.key_id),
        lambda: service.keys.rotate(local, admin.key_id),
        lambda: service.projects.create(local, "more"),
        lambda: service.projects.set_quotas(local, "default", {}),
        lambda: service.audit.verify(local),
    ):
        with pytest.raises(ForbiddenError, match="operator"):
            call()
    with pytest.raises(RequestError, match="role admin"):
        service.keys.create(admin, role="editor", operator=True)
    assert {key.project for key in service.keys.list(local).items} == {"default"}


def test_rotation_gives_a_new_secret_and_keeps_the_old_one_for_a_while(config: ServiceConfig) -> None:
    clock = ManualClock()
    with Service.open(config, clock=clock) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        key, first = service.keys.create(admin, role="editor", label="notebook")
        same, second = service.keys.rotate(admin, key.id, grace_s=60)
        assert (same.id, same.role, same.label) == (key.id, key.role, key.label)
        assert first != second
        assert service.authenticate(first) == service.authenticate(second)
        clock.advance(59.9)
        assert service.authenticate(first)
        clock.advance(0.2)
        with pytest.raises(KeyInvalidError):
            service.authenticate(first)
        assert service.authenticate(second)
        own = service.authenticate(second)
        _, third = service.keys.rotate(own, own.key_id, grace_s=0)  # everybody may rotate their own key
        with pytest.raises(KeyInvalidError):
            service.authenticate(second)
        _, fourth = service.keys.rotate(own, own.key_id, grace_s=1000)
        _, fifth = service.keys.rotate(own, own.key_id, grace_s=1000)
        with pytest.raises(KeyInvalidError):
            service.authenticate(third)  # only the last one before is taken
        assert service.authenticate(fourth) == service.authenticate(fifth) == own
        with pytest.raises(ForbiddenError):
            service.keys.rotate(own, own.key_id, expires_at=clock() + timedelta(days=1))
        with pytest.raises(ForbiddenError):
            service.keys.rotate(own, admin.key_id)
        for grace_s in (-1, 31 * 86_400, float("nan"), True):
            with pytest.raises(RequestError, match="grace_s"):
                service.keys.rotate(admin, key.id, grace_s=grace_s)
        service.keys.revoke(admin, key.id)
        for secret in (fourth, fifth):
            with pytest.raises(KeyInvalidError):
                service.authenticate(secret)
        with pytest.raises(RequestError, match="ended"):
            service.keys.rotate(admin, key.id)


def test_keys_may_have_to_end(config: ServiceConfig) -> None:
    clock = ManualClock()
    with Service.open(replace(config, max_key_days=30), clock=clock) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        assert service.keys.create(admin, role="viewer")[0].expires_at == clock() + timedelta(days=30)
        key, _ = service.keys.create(admin, role="viewer", expires_at=clock() + timedelta(days=2))
        with pytest.raises(RequestError, match="at most 30 days"):
            service.keys.create(admin, role="viewer", expires_at=clock() + timedelta(days=31))
        clock.advance(86_400)
        later, _ = service.keys.rotate(admin, key.id, expires_at=clock() + timedelta(days=30))
        assert later.expires_at == clock() + timedelta(days=30)
        with pytest.raises(RequestError, match="at most 30 days"):
            service.keys.rotate(admin, key.id, expires_at=clock() + timedelta(days=31))


@pytest.mark.parametrize(
    ("scope", "allowed", "refused"),
    [
        ("datasets:read", [("GET", "/v1/datasets"), ("HEAD", "/v1/datasets/a")], [("POST", "/v1/datasets")]),
        ("datasets:write", [("GET", "/v1/datasets"), ("DELETE", "/v1/datasets/a")], [("GET", "/v1/models")]),
        (
            "endpoints/triage:predict",
            [
                ("POST", "/v1/endpoints/triage/predict"),
                ("GET", "/v1/endpoints/triage"),
                ("POST", "/v2/models/triage/infer"),
                ("POST", "/v2/models/triage/versions/1/infer"),
                ("GET", "/v2/models/triage"),
                ("GET", "/v2/models/triage/ready"),
            ],
            [
                ("POST", "/v1/endpoints/other/predict"),
                ("POST", "/v1/endpoints/triage/predict/"),
                ("POST", "/v1/endpoints/other/triage/predict"),
                ("POST", "/v1/endpoints/other/predict/../../triage/predict"),
                ("DELETE", "/v1/endpoints/triage"),
                ("GET", "/v1/endpoints"),
                ("POST", "/v2/models/other/infer"),
                ("POST", "/v2/repository/models/triage/load"),
                ("GET", "/v2/models"),
                ("POST", "/v1/keys"),
                ("GET", "/v3/endpoints/triage"),
                ("GET", "/"),
            ],
        ),
        ("endpoints:predict", [("POST", "/v1/endpoints/any/predict")], [("GET", "/v1/endpoints"), ("PUT", "/v1/x")]),
    ],
)
def test_scopes(scope: str, allowed: list[tuple[str, str]], refused: list[tuple[str, str]]) -> None:
    caller = Principal("key_s", "default", Role.ADMIN, scopes=(scope,))
    for request in [*allowed, ("GET", "/v1/version"), ("GET", "/openapi.json"), ("GET", "/v2")]:
        check_scope(caller, *request)
    for request in refused:
        with pytest.raises(ScopeError) as caught:
            check_scope(caller, *request)
        assert caught.value.details["scopes"] == [scope]


def test_scoped_keys_give_on_no_more_than_their_own_scopes(service: Service, admin: Principal) -> None:
    key, secret = service.keys.create(admin, role="admin", scopes=["keys:write", "datasets:read", "keys:write"])
    assert key.scopes == ("datasets:read", "keys:write")
    scoped = service.authenticate(secret)
    assert service.keys.create(scoped, role="viewer")[0].scopes == key.scopes
    assert service.keys.create(scoped, role="viewer", scopes=["datasets:read"])[0].scopes == ("datasets:read",)
    with pytest.raises(ScopeError):
        service.keys.create(scoped, role="viewer", scopes=["datasets:write"])
    free, _ = service.keys.create(admin, role="admin")
    with pytest.raises(ScopeError):
        service.keys.rotate(scoped, free.id)  # its new secret would open everything
    assert service.keys.rotate(scoped, key.id)[1] != secret
    for scopes in ([], ["datasets"], ["rooms:read"], ["datasets:predict"], ["datasets:own"], "datasets:read", [1]):
        with pytest.raises(RequestError) as caught:
            service.keys.create(admin, role="viewer", scopes=scopes)  # type: ignore[arg-type]
        assert caught.value.details["field"] == "scopes"


def test_last_use_is_written_coarsely_and_by_no_request(config: ServiceConfig) -> None:
    clock = ManualClock()
    with Service.open(replace(config, key_used_s=3_600.0), clock=clock) as service:
        secret = read_key_file(service.admin_key_path)
        admin = service.authenticate(secret)
        until_s = time.monotonic() + 60
        while service.keys.get(admin, admin.key_id).last_used_at is None and time.monotonic() < until_s:
            time.sleep(0.01)
        before = clock()
        assert service.keys.get(admin, admin.key_id).last_used_at == before  # the first use, at once
        clock.advance(100)
        for _ in range(100):
            service.authenticate(secret)
        assert service.keys.get(admin, admin.key_id).last_used_at == before  # the next in an hour
    with Service.open(config, clock=clock) as service:
        assert service.keys.get(admin, admin.key_id).last_used_at == clock()  # written at the end


def test_wrong_keys_are_counted_by_address(config: ServiceConfig) -> None:
    with Service.open(replace(config, wrong_keys_per_minute=5)) as service:
        secret = read_key_file(service.admin_key_path)
        for _ in range(5):
            with pytest.raises(KeyInvalidError):
                service.authenticate("wrong", "192.0.2.1")
        for source in ("192.0.2.1", "::ffff:192.0.2.1"):
            with pytest.raises(TooManyWrongKeysError) as caught:
                service.authenticate("wrong", source)
            assert 0 < caught.value.retry_after_s <= 12
        assert service.authenticate(secret, "192.0.2.1")  # the right one always opens
        with pytest.raises(KeyInvalidError):
            service.authenticate("wrong", "192.0.2.2")
        for i in range(5):
            with pytest.raises(KeyInvalidError):
                service.authenticate("wrong", f"2001:db8::{i}")
        with pytest.raises(TooManyWrongKeysError):
            service.authenticate("wrong", "2001:db8::ff")  # of the same customer's network


def test_buckets_fill_evenly_and_forget_those_unused_for_longest() -> None:
    now_s = 0.0
    buckets = Buckets(lambda: now_s, max_names=3)
    assert [buckets.take("a", 2) for _ in range(3)] == [None, None, 30.0]
    now_s = 30.0
    assert [buckets.take("a", 2) for _ in range(2)] == [None, 30.0]
    now_s = 1000.0
    assert [buckets.take("a", 2) for _ in range(3)] == [None, None, 30.0]
    for name in ("b", "c", "d"):
        buckets.take(name, 2)
    assert len(buckets) == 3
    assert buckets.take("a", 2) is None


def test_an_archived_projects_keys_open_nothing(service: Service, admin: Principal) -> None:
    service.projects.create(admin, "study", title="A study")
    _, secret = service.keys.create(admin, project="study", role="admin")
    lead = service.authenticate(secret)
    assert service.projects.archive(admin, "study").archived_at is not None
    with pytest.raises(ProjectArchivedError):
        service.authenticate(secret)
    with pytest.raises(ProjectArchivedError):  # a request that was under way
        service.jobs.submit(lead, "program", PROGRAM)
    service.projects.restore(admin, "study")
    assert service.authenticate(secret) == lead
    service.jobs.submit(lead, "program", PROGRAM)
    with pytest.raises(ConflictError, match="1 jobs that have not ended"):
        service.projects.archive(admin, "study")
    with pytest.raises(ConflictError, match="operator's own"):
        service.projects.archive(admin, "default")
