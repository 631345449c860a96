"""The audit log: an entry for every change, in its transaction; what was altered afterwards is found."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from superpose.circuits import Circuit, Program, program_to_json
from superpose.errors import ConflictError, ForbiddenError, RequestError
from superpose.service import (
    AuditFilter,
    CallRequest,
    Origin,
    Part,
    Principal,
    Service,
    ServiceConfig,
    coming_from,
    verify_entries,
)
from superpose.testing.store import ManualClock
from superpose.trust import read_key_file

PROGRAM = dict(program_to_json(Program(Circuit(1).h(0), {}, shots=10)))


def actions(service: Service, admin: Principal, **wanted: object) -> list[str]:
    """Actions in the log, oldest first."""
    return [entry.action for entry in service.audit.export(admin, AuditFilter(**wanted))]  # type: ignore[arg-type]


def test_an_entry_says_who_what_and_from_where_and_holds_nothing_personal(service: Service, admin: Principal) -> None:
    with coming_from(Origin("req_1", "192.0.2.7")):
        user = service.users.create(admin, name="Ada Lovelace", email="ada@example.org")
    service.users.change(admin, user.id, email="countess@example.org")
    key, secret = service.keys.create(admin, role="viewer", user=user.id)
    service.keys.rotate(admin, key.id)
    service.projects.set_member(admin, "default", user.id, "viewer")
    service.projects.set_quotas(admin, "default", {"jobs": 5})
    service.projects.set_quotas(admin, "default", {"jobs": 6})
    service.keys.revoke(admin, key.id)
    made = next(service.audit.export(admin, AuditFilter(subject=user.id)))
    assert (made.actor, made.user_id, made.action) == (admin.key_id, admin.user_id, "user.created")
    assert (made.request_id, made.source, made.project) == ("req_1", "192.0.2.7", "default")
    found = list(service.audit.export(admin))
    assert [entry.seq for entry in found] == list(range(1, len(found) + 1))
    assert [entry.action for entry in found] == [
        "project.created",
        "key.created",
        "user.created",
        "user.changed",
        "key.created",
        "key.rotated",
        "project.member_set",
        "project.quotas_set",
        "project.quotas_set",
        "key.revoked",
    ]
    assert found[6].data == {"user": user.id, "before": "editor", "after": "viewer"}
    assert found[8].data == {"before": {"jobs": 5}, "after": {"jobs": 6}}
    assert found[9].request_id is None
    text = json.dumps([entry.to_json() for entry in found])
    for secret_or_personal in ("Ada", "example.org", secret, secret[-43:]):
        assert secret_or_personal not in text


def test_what_is_refused_or_rolled_back_leaves_no_entry(service: Service, admin: Principal) -> None:
    before = actions(service, admin)
    with pytest.raises(ConflictError):
        service.keys.revoke(admin, admin.key_id)  # the row was changed already when this is found
    with pytest.raises(ConflictError):
        service.projects.create(admin, "default")
    assert actions(service, admin) == before
    assert service.audit.verify(admin).intact


def test_a_jobs_own_course_stands_in_its_events_only(service: Service, admin: Principal) -> None:
    job = service.jobs.submit(admin, "program", PROGRAM)
    claim = service.store.claim("worker_1")
    assert claim is not None
    service.store.append(claim, "progress", {"fraction": 0.5})
    service.jobs.cancel(admin, job.id)
    service.store.give_back(claim)
    assert actions(service, admin, subject=job.id) == ["job.queued", "job.cancelling"]
    assert [event.kind for event in service.jobs.events(admin, job.id)][-1] == "cancelled"


def test_a_call_that_becomes_a_job_and_one_that_is_answered_at_once(service: Service, admin: Principal) -> None:
    coin = 'OPENQASM 3.0; include "stdgates.inc"; qubit q; h q;'
    service.functions.deploy(admin, "coin", "coin.qasm", coin)
    before = len(actions(service, admin))
    asyncio.run(service.calls.call(admin, "coin", CallRequest({}), wait_s=5.0))
    assert len(actions(service, admin)) == before  # nothing has changed
    job = asyncio.run(service.calls.call(admin, "coin", CallRequest({}), wait_s=0.0))
    assert actions(service, admin, subject=str(job.job_id)) == ["job.queued"]


def test_admins_see_their_projects_entries_and_filters_narrow(config: ServiceConfig) -> None:
    clock = ManualClock()
    with Service.open(config, clock=clock) as service:
        admin = service.authenticate(read_key_file(service.admin_key_path))
        _, secret = service.keys.create(admin, project="elsewhere", role="admin")
        stranger = service.authenticate(secret)
        clock.advance(60)
        key, _ = service.keys.create(stranger, role="viewer")
        assert actions(service, stranger) == ["project.created", "key.created", "key.created"]
        assert actions(service, stranger, project="default") == []
        assert actions(service, admin, project="elsewhere", actor=stranger.key_id) == ["key.created"]
        assert actions(service, admin, user=stranger.user_id) == ["key.created"]
        assert actions(service, admin, action="project") == ["project.created"] * 2
        assert actions(service, admin, action="project.created", project="default") == ["project.created"]
        assert actions(service, admin, action="proj%") == []
        assert actions(service, admin, since=clock()) == ["key.created"]
        assert len(actions(service, admin, until=clock())) == 4
        page = service.audit.list(admin, Part(limit=2))
        assert [entry.seq for entry in page.items] == [5, 4]
        following = service.audit.list(admin, Part(limit=2, cursor=page.next))
        assert [entry.seq for entry in following.items] == [3, 2]
        assert page.items[0].subject == key.id
        _, secret = service.keys.create(admin, role="editor")
        editor = service.authenticate(secret)
        for call in (lambda: service.audit.list(editor), lambda: service.audit.export(editor)):
            with pytest.raises(ForbiddenError):
                call()
        with pytest.raises(RequestError, match="zone"):
            AuditFilter(since=(clock() + timedelta(days=1)).replace(tzinfo=None))


def tampered(path: Path, *statements: str) -> None:
    """Change the log as somebody could who has the file: triggers do not stop that."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER IF EXISTS audit_is_not_changed")
        connection.execute("DROP TRIGGER IF EXISTS audit_is_not_deleted")
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    ("statements", "seq", "kind"),
    [
        (['UPDATE audit SET data = \'{"role":"viewer"}\' WHERE seq = 3'], 3, "changed"),
        (["UPDATE audit SET actor = 'key_other' WHERE seq = 3"], 3, "changed"),
        (["UPDATE audit SET at = at + 1 WHERE seq = 3"], 3, "changed"),
        (["UPDATE audit SET digest = previous WHERE seq = 3"], 3, "changed"),
        (["UPDATE audit SET source = '192.0.2.1' WHERE seq = 1"], 1, "changed"),
        (["DELETE FROM audit WHERE seq = 3"], 3, "missing"),
        (["DELETE FROM audit WHERE seq = 1"], 1, "missing"),
        (["DELETE FROM audit WHERE seq > 4"], 5, "missing"),
        (["DELETE FROM audit"], 1, "missing"),
        (
            [
                "UPDATE audit SET seq = 1000 WHERE seq = 3",
                "UPDATE audit SET seq = 3 WHERE seq = 4",
                "UPDATE audit SET seq = 4 WHERE seq = 1000",
            ],
            3,
            "changed",
        ),
        (["UPDATE audit_head SET digest = (SELECT digest FROM audit WHERE seq = 1)"], 7, "changed"),
    ],
)
def test_verification_finds(
    service: Service, admin: Principal, config: ServiceConfig, statements: list[str], seq: int, kind: str
) -> None:
    for role in ("viewer", "editor", "admin", "viewer"):
        service.keys.create(admin, role=role)
    good = service.audit.verify(admin)
    assert (good.intact, good.n_entries) == (True, 6)
    tampered(config.data_dir / "superpose.sqlite", *statements)
    found = service.audit.verify(admin)
    assert not found.intact
    assert (found.faults[0].seq, found.faults[0].kind) == (seq, kind)
    assert not service.audit.verify(admin, good.head).intact


def test_a_log_written_anew_does_not_fit_the_head_that_was_written_down(
    service: Service, admin: Principal, config: ServiceConfig
) -> None:
    service.keys.create(admin, role="viewer")
    head = service.audit.verify(admin).head
    assert service.audit.verify(admin, head).intact
    service.keys.create(admin, role="editor")
    assert service.audit.verify(admin, head).intact  # the log grows behind it
    kept = [entry.to_json() for entry in service.audit.export(admin)]
    tampered(config.data_dir / "superpose.sqlite", "DELETE FROM audit", "DELETE FROM audit_head")
    for _ in kept:
        service.keys.create(admin, role="viewer")
    assert service.audit.verify(admin).intact  # a whole new chain
    found = service.audit.verify(admin, head)
    assert [fault.kind for fault in found.faults] == ["changed"]
    for bad in ("3", "3:abc", "x:" + "0" * 64, ":"):
        with pytest.raises(RequestError, match="SEQ:DIGEST"):
            service.audit.verify(admin, bad)


def test_the_store_itself_refuses_changes_and_has_room_for_one_signature(
    service: Service, admin: Principal, config: ServiceConfig
) -> None:
    with closing(sqlite3.connect(config.data_dir / "superpose.sqlite", isolation_level=None)) as connection:
        for statement in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit", "UPDATE audit SET data = '{}'"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
        connection.execute("UPDATE audit SET signature = 'signed' WHERE seq = 1")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute("UPDATE audit SET signature = 'forged' WHERE seq = 1")
    assert service.audit.verify(admin).intact  # a signature is not part of what it signs
    assert [entry.signature for entry in service.audit.export(admin)] == ["signed", None]


def test_exports_are_verified_without_the_service(service: Service, admin: Principal, stranger: Principal) -> None:
    for _ in range(3):
        service.keys.create(admin, role="viewer")
        service.keys.create(stranger, role="viewer")
    documents = [json.loads(json.dumps(entry.to_json())) for entry in service.audit.export(admin)]
    whole = verify_entries(documents)
    assert (whole.intact, whole.head) == (True, service.audit.verify(admin).head)
    part = [document for document in documents if document["project"] == "elsewhere"]
    assert not verify_entries(part).intact
    assert verify_entries(part, whole=False).intact
    part[1]["data"] = {}
    assert [fault.seq for fault in verify_entries(part, whole=False).faults] == [part[1]["seq"]]
    swapped = [documents[1], documents[0], *documents[2:]]
    assert {fault.kind for fault in verify_entries(swapped).faults} >= {"moved"}


def test_many_at_once_make_one_chain(service: Service, admin: Principal, config: ServiceConfig) -> None:
    def work(opened: Service) -> None:
        for _ in range(8):
            opened.keys.create(admin, role="viewer")

    with Service.open(config, exclusive=False) as elsewhere:
        threads = [threading.Thread(target=work, args=(opened,)) for opened in (service, elsewhere) * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = service.audit.verify(admin)
    assert (found.intact, found.n_entries) == (True, 2 + 32)
