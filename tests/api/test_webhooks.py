"""Webhooks over HTTP: a running server pushes what its workers do; the client makes, checks and removes."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.receiver import receiving

from superpose import Circuit
from superpose.circuits import Program, program_to_json
from superpose.client import Client, verify_webhook
from superpose.errors import ApiError, SignatureError


def wait_for(condition: Any, timeout_s: float = 120.0) -> Any:
    until_s = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < until_s, "timed out"
        time.sleep(0.02)
    return found


def test_a_server_pushes_and_the_client_checks(start: Any) -> None:
    with (
        receiving() as receiver,
        start(webhook_networks="127.0.0.0/8") as api,
        Client(api.url, api.admin_key) as client,
    ):
        new = client.webhooks.create(receiver.url, events=["job.queued", "job.cancelled"], label="here")
        assert client.webhooks.get(new.webhook.id) == new.webhook
        assert list(client.webhooks.list()) == [new.webhook]
        assert new.secret not in repr(new)
        job = api.call("POST", "/v1/programs", program_to_json(Program(Circuit(1).h(0), {}, shots=1))).json
        client.jobs.cancel(job["id"])
        wait_for(lambda: len(receiver.messages) == 2)
        says = [verify_webhook(m.body, m.headers, new.secret) for m in receiver.messages]
        assert {message["type"] for message in says} == {"job.queued", "job.cancelled"}
        assert {message["data"]["job"] for message in says} == {job["id"]}
        newest = client.webhooks.rotate(new.webhook.id)
        test = client.webhooks.test(new.webhook.id)
        wait_for(lambda: client.webhooks.deliveries(new.webhook.id, limit=1)[0].status == "delivered")
        assert client.webhooks.deliveries(new.webhook.id)[0].id == test.id
        message = receiver.messages[-1]
        for secret in (new.secret, newest.secret):
            assert verify_webhook(message.body, message.headers, secret)["type"] == "webhook.test"
        assert client.webhooks.disable(new.webhook.id).disabled_why == "by an admin"
        assert client.webhooks.enable(new.webhook.id).disabled_at is None
        client.webhooks.delete(new.webhook.id)
        with pytest.raises(ApiError, match="There is no webhook"):
            client.webhooks.test(new.webhook.id)


def test_what_was_not_signed_is_not_believed() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the published example of Standard Webhooks
    body = b'{"test": 2432232314}'
    headers = {
        "Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "Webhook-Timestamp": "1614265330",
        "Webhook-Signature": "v1,bm9wZQ== v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert verify_webhook(body, headers, secret, now_s=1614265330.0) == {"test": 2432232314}
    for wrong in (
        {"body": body + b" "},
        {"secret": "whsec_AAAA"},
        {"secret": "nonsense!"},
        {"now_s": 1614265330.0 + 301},
        {"now_s": 1614265330.0 - 301},
        {"headers": {**headers, "Webhook-Timestamp": "1614265331"}},
        {"headers": {**headers, "Webhook-Timestamp": "soon"}},
        {"headers": {**headers, "Webhook-Id": "msg_other"}},
        {"headers": {**headers, "Webhook-Signature": "v1,bm9wZQ=="}},
        {"headers": {"Webhook-Id": "msg"}},
    ):
        given: dict[str, Any] = {"body": body, "headers": headers, "secret": secret, "now_s": 1614265330.0, **wrong}
        with pytest.raises(SignatureError):
            verify_webhook(**given)
