"""`superpose webhooks`, against a running service whose webhook leads nowhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_a_webhook_is_made_tried_rotated_and_removed(at_home: Callable[..., Any], tmp_path: Path) -> None:
    secret_file = tmp_path / "hook.secret"
    address = "https://receiver.invalid/hook"
    made = at_home(
        *("webhooks", "create", address, "--event", "job.failed", "--kind", "train", "--label", "pager"),
        *("--output", secret_file, "--json"),
    ).json
    assert (made["url"], made["events"], made["kinds"], made["label"]) == (address, ["job.failed"], ["train"], "pager")
    assert secret_file.read_text().startswith("whsec_")
    assert secret_file.stat().st_mode & 0o777 == 0o600
    webhook_id = made["id"]
    again = at_home("webhooks", "create", address, "--output", secret_file)
    assert (again.code, "never overwrites" in again.err) == (2, True)
    assert webhook_id in at_home("webhooks", "list").out
    shown = at_home("webhooks", "show", webhook_id)
    assert "pager" in shown.out
    assert "whsec_" not in shown.out

    said = at_home("webhooks", "test", webhook_id)
    assert said.code == 1
    assert "was not received: could not connect: the host's name cannot be resolved" in said.out
    (listed,) = at_home("webhooks", "deliveries", webhook_id, "--status", "waiting", "--json").json
    assert (listed["type"], listed["tries"][0]["http_status"]) == ("webhook.test", None)
    assert "webhook.test" in at_home("webhooks", "deliveries", webhook_id).out

    new_file = tmp_path / "new.secret"
    said = at_home("webhooks", "rotate", webhook_id, "--output", new_file, "--grace-hours", "1")
    assert "the old secret signs until" in said.out
    assert new_file.read_text() != secret_file.read_text()
    assert at_home("webhooks", "disable", webhook_id).out == f"webhook {webhook_id}: disabled\n"
    refused = at_home("webhooks", "test", webhook_id)
    assert refused.err.startswith("error[service.conflict]")
    assert at_home("webhooks", "enable", webhook_id).out == f"webhook {webhook_id}: works\n"
    assert at_home("webhooks", "delete", webhook_id).out == f"removed {webhook_id}\n"
    assert at_home("webhooks", "list", "--json").json == []


def test_inner_addresses_are_refused(at_home: Callable[..., Any], tmp_path: Path) -> None:
    for address in ("http://receiver.invalid/", "https://127.0.0.1/", "https://169.254.169.254/latest"):
        said = at_home("webhooks", "create", address, "--output", tmp_path / "secret")
        assert said.err.startswith("error[service.request]: url must")
    assert not (tmp_path / "secret").exists()
