"""Waits in a provider's queue, from a worker to the command line."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.service.looping_backend import install

from superpose import Circuit
from superpose.backends.estimates import read_waits
from superpose.circuits import Program, program_to_json
from superpose.cli.app import run
from superpose.client import Client
from superpose.service import ServiceConfig, Worker
from superpose.trust import write_key_file


def test_what_a_worker_has_seen_is_told_over_every_door(
    start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    processor = install(tmp_path, monkeypatch)
    (processor / "arrived").touch()
    program = program_to_json(Program(Circuit(1).h(0), {}, shots=1))
    with start() as api, Client(api.url, api.admin_key) as client:
        jobs = [api.call("POST", "/v1/programs?backend=looping", program).json["id"] for _ in range(3)]
        worker = Worker(ServiceConfig(data_dir=api.data_dir))
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            for job_id in jobs:
                client.jobs.wait(job_id, timeout_s=120)
        finally:
            worker.stop()
            thread.join(120)
        (told,) = client.waits.list()
        assert (told.backend, told.n_seen, told.model) == ("looping", 3, "log-normal")
        assert all(0 <= wait.wait_s < 600 and time.time() - wait.at.timestamp() < 3600 for wait in told.seen)
        other = api.new_key(project="elsewhere", role="viewer")
        assert api.call("GET", "/v1/waits", key=other).json["items"] == []
        write_key_file(tmp_path / "key", api.admin_key)
        door = ["--url", api.url, "--key-file", str(tmp_path / "key")]
        assert run(["waits", "--json", *door]) == 0
        assert json.loads(capsys.readouterr().out)[0]["n_seen"] == 3
        assert run(["waits", "--output", str(tmp_path / "waits.jsonl"), *door]) == 0
        assert "log-normal" in capsys.readouterr().out
    assert [wait.backend for wait in read_waits(tmp_path / "waits.jsonl")] == ["looping"] * 3
