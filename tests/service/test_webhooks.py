"""Webhooks: told of every change, at least once and under one id, signed, and never to inner networks."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import Authority
from tests.receiver import Message, Receiver, receiving

from superpose.circuits import Circuit, Program, program_to_json
from superpose.errors import ConflictError, ForbiddenError, NotFoundError, RequestError
from superpose.service import Principal, Role, Service, ServiceConfig
from superpose.service.operations.backup import make_backup
from superpose.service.operations.restore import restore_backup
from superpose.service.operations.retention import prune
from superpose.service.webhooks.webhook import Delivery, Webhook

from .conftest import wait_for

LOOPBACK = "127.0.0.0/8"


@pytest.fixture
def config(tmp_path: Path) -> ServiceConfig:
    return ServiceConfig(
        data_dir=tmp_path / "data", webhook_networks=LOOPBACK, webhook_first_s=0.02, webhook_longest_s=0.1
    )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def submit(service: Service, who: Principal) -> str:
    """A small job, which nobody runs."""
    return service.jobs.submit(who, "program", dict(program_to_json(Program(Circuit(1).h(0), {}, shots=1)))).id


def cancelled(service: Service, who: Principal) -> str:
    """A job with two changes of status: queued, cancelled."""
    return service.jobs.cancel(who, submit(service, who)).id


def hook(service: Service, who: Principal, url: str, **fields: Any) -> tuple[Webhook, str]:
    return service.webhooks.create(who, url=url, **fields)


def deliveries(service: Service, who: Principal, webhook: Webhook) -> list[Delivery]:
    return list(service.webhooks.deliveries(who, webhook.id).items)


def ended(service: Service, who: Principal, webhook: Webhook) -> Delivery:
    """The only delivery, once it has ended."""

    def look() -> Delivery | None:
        (found,) = deliveries(service, who, webhook)
        return found if found.ended_at else None

    return wait_for(look)  # type: ignore[no-any-return]


def tried(service: Service, who: Principal, webhook: Webhook, n: int = 1) -> Delivery:
    """The only delivery, once it was tried ``n`` times."""

    def look() -> Delivery | None:
        (found,) = deliveries(service, who, webhook)
        return found if len(found.tries) >= n else None

    return wait_for(look)  # type: ignore[no-any-return]


def test_a_change_is_pushed_signed_and_tells_no_data(
    service: Service, admin: Principal, stranger: Principal, receiver: Receiver, config: ServiceConfig
) -> None:
    all_of_it, secret = hook(service, admin, f"{receiver.url}/all?token=x", events=["job.queued", "job.cancelled"])
    ends, other_secret = hook(service, admin, f"{receiver.url}/ends", label="ends")
    hook(service, admin, f"{receiver.url}/training", kinds=["train"])
    hook(service, stranger, f"{receiver.url}/elsewhere")
    job_id = cancelled(service, admin)
    with service.sending(look_s=0.02):
        wait_for(lambda: len(receiver.messages) == 3)
        wait_for(lambda: all(d.status == "delivered" for d in deliveries(service, admin, all_of_it)))
    queued, gone = sorted(receiver.of("/all?token=x"), key=lambda m: m.json["timestamp"])
    assert [message.json["type"] for message in (queued, gone)] == ["job.queued", "job.cancelled"]
    (end,) = receiver.of("/ends")
    assert end.body == gone.body
    assert gone.json["data"] == {
        "job": job_id,
        "kind": "program",
        "status": "cancelled",
        "project": admin.project,
        "at": gone.json["timestamp"],
        "parent": None,
    }
    assert gone.signers(secret, other_secret) == [0]
    assert end.signers(secret, other_secret) == [1]
    assert gone.headers["content-type"] == "application/json"
    assert abs(int(gone.headers["webhook-timestamp"]) - time.time()) < 600
    assert {d.type[4:]: len(d.tries) for d in deliveries(service, admin, all_of_it)} == {"queued": 1, "cancelled": 1}
    assert not receiver.of("/training") + receiver.of("/elsewhere")
    assert ends.label == "ends"
    # neither the store nor the audit log holds a secret, nor has a root that others may read
    for path in config.data_dir.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes()
    assert (config.data_dir / "keys" / "webhooks.key").stat().st_mode & 0o777 == 0o600
    assert all("token" not in json.dumps(entry.to_json()) for entry in service.audit.list(admin).items)


def test_what_fails_is_tried_again_under_the_same_id(service: Service, admin: Principal, receiver: Receiver) -> None:
    answers: Iterator[Any] = iter([(500, {}), None, (429, {"Retry-After": "0"}), (204, {})])
    receiver.answer = lambda _: next(answers)
    webhook, secret = hook(service, admin, receiver.url)
    cancelled(service, admin)
    with service.sending(look_s=0.02):
        found = ended(service, admin, webhook)
    assert (found.status, [one.http_status for one in found.tries]) == ("delivered", [500, None, 429, 204])
    assert found.tries[0].error == "the receiver answered 500"
    assert found.tries[1].error == "the connection was closed without an answer"
    assert {message.id for message in receiver.messages} == {found.id}
    assert len({message.body for message in receiver.messages}) == 1
    assert all(message.signers(secret) == [0] for message in receiver.messages)
    assert service.webhooks.get(admin, webhook.id).failing_since is None


def test_redirects_are_not_followed(service: Service, admin: Principal, receiver: Receiver) -> None:
    receiver.answer = lambda message: (307, {"Location": "/inner"}) if message.path == "/" else (204, {})
    webhook, _ = hook(service, admin, receiver.url)
    cancelled(service, admin)
    with service.sending(look_s=0.02):
        found = tried(service, admin, webhook, 2)
    assert found.status == "waiting"
    assert {(one.http_status, one.error) for one in found.tries} == {
        (307, "redirects are not followed; give the webhook its final address")
    }
    assert not receiver.of("/inner")
    assert service.webhooks.get(admin, webhook.id).failing_since == found.tries[0].at


def test_a_receiver_that_drips_is_left_in_time_and_holds_no_other_up(tmp_path: Path, receiver: Receiver) -> None:
    config = ServiceConfig(data_dir=tmp_path / "data", webhook_networks=LOOPBACK, webhook_timeout_s=1.0)
    over = threading.Event()

    def drip(file: Any) -> None:
        file.write(b"HTTP/1.1 200 OK\r\n")
        while not over.wait(0.05):
            file.write(b"X-More: 1\r\n")
            file.flush()

    receiver.wire = drip
    with receiving() as other, Service.open(config) as service:
        admin = service.authenticate(service.admin_key_path.read_text().strip())
        slow, _ = hook(service, admin, receiver.url)
        quick, _ = hook(service, admin, other.url)
        for _ in range(12):
            cancelled(service, admin)
        try:
            with service.sending(look_s=0.02):
                wait_for(lambda: all(d.status == "delivered" for d in deliveries(service, admin, quick)))
                found = wait_for(lambda: [d for d in deliveries(service, admin, slow) if d.tries])
        finally:
            over.set()
    assert found[0].tries[0].error == "no answer within 1 s"
    assert len({message.id for message in other.messages}) == 12
    assert len(receiver.messages) <= 8  # few at a time, one once it has failed


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "the answer is not HTTP, or its head is too long"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, "the answer is not HTTP, or its head is too long"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 4_000, "the answer's head is too long"),
    ],
)
def test_what_is_no_answer_is_told_in_our_words(
    service: Service, admin: Principal, receiver: Receiver, answer: bytes, error: str
) -> None:
    receiver.wire = lambda file: file.write(answer)
    webhook, _ = hook(service, admin, receiver.url)
    service.webhooks.test(admin, webhook.id)
    with service.sending(look_s=0.02):
        assert tried(service, admin, webhook).tries[0].error == error


def test_tls_is_checked(service: Service, admin: Principal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    good, other = authority.sign("good"), authority.sign("other", address="127.0.0.9")
    with (
        receiving(good.certificate, good.key) as right,
        receiving(other.certificate, other.key) as wrong,
        service.sending(look_s=0.02),
    ):
        unknown, _ = hook(service, admin, right.url)
        service.webhooks.test(admin, unknown.id)
        assert "TLS failed: unable to get local issuer" in str(tried(service, admin, unknown).tries[0].error)
        assert not right.messages
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
        wait_for(lambda: right.messages)
        assert ended(service, admin, unknown).status == "delivered"
        misnamed, _ = hook(service, admin, wrong.url)
        service.webhooks.test(admin, misnamed.id)
        assert "IP address mismatch" in str(tried(service, admin, misnamed).tries[0].error)
        assert not wrong.messages


REFUSED = [
    *("ftp://receiver.example/", "receiver.example", "", "https://", "https:///x", "https://a b/", "https://x/\n"),
    *("https://user:pass@receiver.example/", "https://receiver.example/#x", "https://receiver.example:0/"),
    *("https://receiver.example:99999/", "https://" + "x" * 2_000, "http://receiver.example/"),
    *("https://127.0.0.1/", "https://10.1.2.3/", "https://192.168.0.1/", "https://172.16.0.1/", "https://0.0.0.0/"),
    *("https://169.254.169.254/latest/meta-data/", "https://100.64.0.1/", "https://224.0.0.1/"),
    *("https://[::1]/", "https://[fe80::1]/", "https://[fd00::1]/", "https://[::]/", "https://[ff02::1]/"),
    *("https://[::ffff:127.0.0.1]/", "https://[::ffff:a9fe:a9fe]/", "https://[2002:7f00:1::]/"),
    *("https://[64:ff9b::7f00:1]/", "https://[fec0::1]/", "http://127.0.0.1/"),
]


def test_only_public_addresses_over_https_are_taken(tmp_path: Path) -> None:
    with Service.open(ServiceConfig(data_dir=tmp_path / "data")) as service:
        admin = service.authenticate(service.admin_key_path.read_text().strip())
        for url in REFUSED:
            with pytest.raises(RequestError, match="url must"):
                hook(service, admin, url)
        for url in ("https://93.184.216.34/", "https://[2606:4700::1]:8443/x?y=1", "https://receiver.example"):
            assert hook(service, admin, url)[0].url == url


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "https://169.254.169.254/", "http://receiver.example:8000/"])
def test_what_the_operator_allows_is_no_more_than_that(tmp_path: Path, url: str) -> None:
    config = ServiceConfig(data_dir=tmp_path / "data", webhook_networks="127.0.0.0/8, 10.0.0.0/8")
    with Service.open(config) as service:
        admin = service.authenticate(service.admin_key_path.read_text().strip())
        hook(service, admin, "https://10.0.0.1/")
        if "example" in url:  # only its addresses tell
            hook(service, admin, url)
        else:
            with pytest.raises(RequestError):
                hook(service, admin, url)
    for networks in ("169.254.0.0/16", "0.0.0.0/0", "fe80::/64", "nonsense", "10.0.0.1/8"):
        with pytest.raises(RequestError, match="webhook_networks"):
            ServiceConfig(data_dir=tmp_path / "data", webhook_networks=networks)


def test_a_name_is_resolved_once_and_all_its_addresses_must_be_allowed(
    service: Service, admin: Principal, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    real = socket.getaddrinfo
    names = {
        "good.example": ["127.0.0.1"],
        "mixed.example": ["127.0.0.1", "10.0.0.7"],
        "metadata.example": ["169.254.169.254"],
    }

    def look(host: str, port: int, *rest: Any, **fields: Any) -> Any:
        if host not in names:
            return real(host, port, *rest, **fields)
        looked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in names[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look)
    hooks = {name: hook(service, admin, f"http://{name}:{receiver.port}/{name}")[0] for name in names}
    for webhook in hooks.values():
        service.webhooks.test(admin, webhook.id)
    with service.sending(look_s=0.02):
        assert ended(service, admin, hooks["good.example"]).status == "delivered"
        errors = {
            name: str(tried(service, admin, hooks[name]).tries[0].error) for name in names if name != "good.example"
        }
    assert [message.headers["host"] for message in receiver.messages] == [f"good.example:{receiver.port}"]
    assert looked.count("good.example") == 1  # a second look could have been answered otherwise
    assert all("not allowed" in error for error in errors.values())
    assert "10.0.0.7" in errors["mixed.example"]


class Clock:
    """A time of day that tests move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 26, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(tmp_path: Path, clock: Clock) -> Iterator[Service]:
    """A service whose clock tests move, with the usual pauses."""
    config = ServiceConfig(data_dir=tmp_path / "timed", webhook_networks=LOOPBACK)
    with Service.open(config, clock=clock) as opened:
        yield opened


def test_pauses_grow_messages_are_given_up_and_the_webhook_is_disabled(
    timed: Service, clock: Clock, receiver: Receiver
) -> None:
    admin = timed.authenticate(timed.admin_key_path.read_text().strip())
    receiver.answer = lambda _: (503, {})
    webhook, _ = hook(timed, admin, receiver.url, events=["job.cancelled"])
    cancelled(timed, admin)
    with timed.sending(look_s=0.02):
        pauses, n_tries = [], 0
        while True:
            n_tries += 1
            found = tried(timed, admin, webhook, n_tries)
            if found.next_at is None:
                break
            pauses.append((found.next_at - clock.now).total_seconds())
            clock.now = found.next_at
        assert found.status == "given_up"
        assert len(receiver.messages) == n_tries
        assert all(min(5.0 * 2**n, 7_200) / 2 <= pause <= min(5.0 * 2**n, 7_200) for n, pause in enumerate(pauses))
        assert 12 * 3_600 < sum(pauses) <= 24 * 3_600  # tried over hours
        assert timed.webhooks.get(admin, webhook.id).disabled_at is None
        clock.now += timedelta(days=5)
        cancelled(timed, admin)
        wait_for(lambda: timed.webhooks.get(admin, webhook.id).disabled_at)
        assert {d.status for d in deliveries(timed, admin, webhook)} == {"given_up"}
        disabled = timed.webhooks.get(admin, webhook.id)
        assert "every try has failed for" in str(disabled.disabled_why)
        with pytest.raises(ConflictError, match="enable it first"):
            timed.webhooks.test(admin, webhook.id)
        cancelled(timed, admin)
        assert len(deliveries(timed, admin, webhook)) == 2  # nothing is kept for it meanwhile
        receiver.answer = lambda _: (204, {})
        assert timed.webhooks.enable(admin, webhook.id).disabled_at is None
        cancelled(timed, admin)
        wait_for(lambda: deliveries(timed, admin, webhook)[0].status == "delivered")
    actions = [entry.action for entry in timed.audit.list(admin).items if entry.subject == webhook.id]
    assert {"webhook.created", "webhook.disabled", "webhook.enabled"} <= set(actions)


def test_a_receiver_that_is_gone_is_not_asked_again(service: Service, admin: Principal, receiver: Receiver) -> None:
    receiver.answer = lambda _: (410, {})
    webhook, _ = hook(service, admin, receiver.url)
    service.webhooks.test(admin, webhook.id)
    with service.sending(look_s=0.02):
        assert ended(service, admin, webhook).status == "given_up"
    assert service.webhooks.get(admin, webhook.id).disabled_why == "the receiver answered 410: gone"
    assert len(receiver.messages) == 1


def test_a_rotated_secret_signs_beside_the_old_one_for_a_while(
    timed: Service, clock: Clock, receiver: Receiver
) -> None:
    admin = timed.authenticate(timed.admin_key_path.read_text().strip())
    webhook, old = hook(timed, admin, receiver.url)
    rotated, new = timed.webhooks.rotate(admin, webhook.id, grace_s=3_600)
    assert rotated.previous_until == clock.now + timedelta(hours=1)
    with timed.sending(look_s=0.02):
        timed.webhooks.test(admin, webhook.id)
        wait_for(lambda: len(receiver.messages) == 1)
        clock.now += timedelta(hours=1)
        timed.webhooks.test(admin, webhook.id)
        wait_for(lambda: len(receiver.messages) == 2)
        _, newest = timed.webhooks.rotate(admin, webhook.id, grace_s=0)
        timed.webhooks.test(admin, webhook.id)
        wait_for(lambda: len(receiver.messages) == 3)
    assert [m.signers(old, new, newest) for m in receiver.messages] == [[0, 1], [1], [2]]
    assert len(receiver.messages[0].headers["webhook-signature"].split(" ")) == 2
    with pytest.raises(RequestError, match="grace_s"):
        timed.webhooks.rotate(admin, webhook.id, grace_s=-1)


def test_a_lost_root_is_told_and_a_rotation_heals_it(
    service: Service, admin: Principal, receiver: Receiver, config: ServiceConfig
) -> None:
    webhook, old = hook(service, admin, receiver.url)
    root = config.data_dir / "keys" / "webhooks.key"
    root.write_text("00" * 32 + "\n")
    service.webhooks.test(admin, webhook.id)
    with service.sending(look_s=0.02):
        assert "rotate the secret" in str(tried(service, admin, webhook).tries[0].error)
        assert not receiver.messages
        _, new = service.webhooks.rotate(admin, webhook.id)
        wait_for(lambda: receiver.messages)
    assert receiver.messages[0].signers(old, new) == [1]


def test_who_may_do_what(service: Service, admin: Principal, stranger: Principal) -> None:
    webhook, _ = hook(service, admin, "https://receiver.example/")
    _, secret = service.keys.create(admin, role=Role.EDITOR)
    editor = service.authenticate(secret)
    for call in (service.webhooks.get, service.webhooks.rotate, service.webhooks.test, service.webhooks.delete):
        with pytest.raises(ForbiddenError):
            call(editor, webhook.id)
        with pytest.raises(NotFoundError):
            call(stranger, webhook.id)
    for fields in ({"events": ["job.exploded"]}, {"events": []}, {"kinds": ["dance"]}, {"label": "x" * 201}):
        with pytest.raises(RequestError):
            hook(service, admin, "https://receiver.example/", **fields)
    for _ in range(19):
        hook(service, admin, "https://receiver.example/")
    with pytest.raises(ConflictError, match="20 webhooks"):
        hook(service, admin, "https://receiver.example/")
    service.webhooks.delete(admin, webhook.id)
    with pytest.raises(NotFoundError):
        service.webhooks.get(admin, webhook.id)


#: A service that changes jobs and sends what that leaves, until it is killed.
BUSY = """
import itertools, json, sys, time
from superpose.circuits import Circuit, Program, program_to_json
from superpose.service import Service, ServiceConfig
with Service.open(ServiceConfig.from_json(json.loads(sys.argv[1]))) as service:
    admin = service.authenticate(service.admin_key_path.read_text().strip())
    program = dict(program_to_json(Program(Circuit(1).h(0), {}, shots=1)))
    with service.sending(look_s=0.02):
        for _ in itertools.count():
            service.jobs.cancel(admin, service.jobs.submit(admin, "program", program).id)
            time.sleep(0.02)
"""


def test_nothing_is_lost_when_all_is_killed_and_doubles_have_one_id(config: ServiceConfig, receiver: Receiver) -> None:
    with Service.open(config) as service:
        admin = service.authenticate(service.admin_key_path.read_text().strip())
        webhook, secret = hook(service, admin, receiver.url)
    held, killed = threading.Event(), threading.Event()

    def hold(message: Message) -> tuple[int, dict[str, str]]:
        """Answer the first ten; what comes then is received, but its sender dies before it knows."""
        if len(receiver.messages) > 10:
            held.set()
            killed.wait(120)
        return 204, {}

    receiver.answer = hold
    process = subprocess.Popen([sys.executable, "-c", BUSY, json.dumps(config.to_json())], env={**os.environ})
    try:
        assert held.wait(120)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed.set()
    before = {message.id for message in receiver.messages}
    with Service.open(config) as service:
        with service.store.database.read() as connection:
            changed = list(connection.exec_driver_sql("SELECT subject FROM events WHERE kind = 'cancelled'").scalars())
        waiting = [d for d in _all(service, admin, webhook) if d.status == "waiting"]
        assert waiting
        assert {d.id for d in waiting} & before  # received, but nobody wrote that down
        with service.sending(look_s=0.02):
            wait_for(lambda: all(d.status == "delivered" for d in _all(service, admin, webhook)))
        kept = _all(service, admin, webhook)
    assert sorted(str(d.job) for d in kept) == sorted(changed)  # one message for each change, and no other
    by_id: dict[str, set[bytes]] = {}
    for message in receiver.messages:
        assert message.signers(secret) == [0]
        by_id.setdefault(message.id, set()).add(message.body)
    assert set(by_id) == {d.id for d in kept}
    assert len(receiver.messages) > len(by_id)  # doubles, which their ids tell
    assert all(len(bodies) == 1 for bodies in by_id.values())
    assert sorted(json.loads(next(iter(bodies)))["data"]["job"] for bodies in by_id.values()) == sorted(changed)


def _all(service: Service, who: Principal, webhook: Webhook) -> list[Delivery]:
    """All deliveries, over the pages of the list."""
    from superpose.service import Part

    found, cursor = [], None
    while True:
        page = service.webhooks.deliveries(who, webhook.id, Part(500, cursor))
        found += page.items
        cursor = page.next
        if cursor is None:
            return found


def test_webhooks_come_along_in_a_backup(
    service: Service, admin: Principal, receiver: Receiver, config: ServiceConfig, tmp_path: Path
) -> None:
    webhook, secret = hook(service, admin, receiver.url)
    job_id = cancelled(service, admin)
    make_backup(config.data_dir, tmp_path / "b.tar")
    restore_backup(tmp_path / "b.tar", tmp_path / "restored")
    again = ServiceConfig(data_dir=tmp_path / "restored", webhook_networks=LOOPBACK)
    with Service.open(again) as restored, restored.sending(look_s=0.02):
        wait_for(lambda: receiver.messages)
    assert receiver.messages[0].json["data"]["job"] == job_id
    assert receiver.messages[0].signers(secret) == [0]
    assert webhook.id


def test_old_deliveries_are_pruned(timed: Service, clock: Clock, receiver: Receiver) -> None:
    admin = timed.authenticate(timed.admin_key_path.read_text().strip())
    webhook, _ = hook(timed, admin, receiver.url)
    with timed.sending(look_s=0.02):
        timed.webhooks.test(admin, webhook.id)
        ended(timed, admin, webhook)
    clock.now += timedelta(days=3)
    cancelled(timed, admin)
    config = ServiceConfig(data_dir=timed.config.data_dir, keep_deliveries_days=2)
    assert prune(config, dry_run=True, clock=clock).n_deliveries == 1
    assert prune(config, clock=clock).n_deliveries == 1
    assert [d.status for d in deliveries(timed, admin, webhook)] == ["waiting"]
