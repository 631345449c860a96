"""Keys: minted, checked, expired, revoked; roles and projects."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from superpose.errors import (
    ConflictError,
    ForbiddenError,
    KeyExpiredError,
    KeyInvalidError,
    KeyMissingError,
    NotFoundError,
    RequestError,
)
from superpose.service import Part, Principal, Role, Service, ServiceConfig
from superpose.testing.store import ManualClock
from superpose.trust import key_digest, read_key_file


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
    start = time.perf_counter()
    for _ in range(1_000):
        service.authenticate(secret)
    assert time.perf_counter() - start < 0.5  # some 4 us each on a quiet machine


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


def test_the_last_admin_key_cannot_be_revoked(service: Service, admin: Principal) -> None:
    service.keys.create(admin, role="admin", expires_at=datetime.now(UTC) + timedelta(seconds=0.2))
    time.sleep(0.25)  # an expired key is no way in
    with pytest.raises(ConflictError, match="last admin key"):
        service.keys.revoke(admin, admin.key_id)
    second, secret = service.keys.create(admin, role="admin")
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
    assert set(document) == {"id", "project", "role", "label", "created_at", "expires_at", "revoked_at"}
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
