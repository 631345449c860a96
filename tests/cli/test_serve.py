"""Servers and workers as processes: what they write, whom they refuse, how they end."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from superpose import Client
from superpose.cli.serve import write_facts
from superpose.service import Service, ServiceConfig


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts commands whose home is ``tmp_path``; ends what a failing test leaves."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "superpose", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "XDG_DATA_HOME": str(tmp_path)},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(path: Path) -> Any:
    """The JSON in a file that another process writes."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return json.loads(path.read_text())


def test_a_server_tells_where_it_is_refuses_a_second_and_drains(
    spawn: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    ready = tmp_path / "ready.json"
    server = spawn("serve", "--port", "0", "--ready-file", ready, "--json")
    facts = wait_for(ready)
    data_dir = tmp_path / "superpose"
    assert facts["pid"] == server.pid
    assert json.loads((data_dir / "service.json").read_text()) == facts
    assert stat.S_IMODE((data_dir / "service.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(Path(facts["key_file"]).stat().st_mode) == 0o600
    with Client(facts["url"], key_file=facts["key_file"]) as client:
        assert client.ready()
        assert client.version()["name"] == "superpose"

    port = facts["url"].rpartition(":")[2]
    second = spawn("serve", "--port", "0")
    third = spawn("serve", "--port", port, "--data-dir", tmp_path / "other", "--json")
    out, err = second.communicate(timeout=120)
    assert (second.returncode, out) == (1, "")
    assert err.startswith("error[service.store]: ")
    out, err = third.communicate(timeout=120)
    assert third.returncode == 1
    assert json.loads(out)["error"]["code"] == "client.start"
    assert "or 0 for a free one" in err  # nothing else holds its port

    server.send_signal(signal.SIGTERM)
    out, err = server.communicate(timeout=120)
    assert (server.returncode, err) == (0, "")
    assert json.loads(out) == {**facts, "data_dir": str(data_dir)}
    assert not ready.exists()
    assert not (data_dir / "service.json").exists()


def test_a_server_ends_with_who_started_it_and_with_ctrl_c(
    spawn: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    ready = tmp_path / "ready.json"
    server = spawn("serve", "--port", "0", "--workers", "0", "--ready-file", ready, "--stop-with-stdin")
    wait_for(ready)
    out, err = server.communicate(timeout=120)  # closes standard input
    assert (server.returncode, err) == (0, "")
    assert "serves at http://127.0.0.1:" in out
    assert "(admin)" in out

    server = spawn("serve", "--port", "0", "--workers", "0", "--ready-file", ready)
    wait_for(ready)
    server.send_signal(signal.SIGINT)
    _, err = server.communicate(timeout=120)
    assert (server.returncode, err) == (0, "")


def test_a_worker_beside_a_server_does_its_jobs(spawn: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    spawn("serve", "--port", "0", "--workers", "0", "--ready-file", ready)
    facts = wait_for(ready)
    with Client(facts["url"], key_file=facts["key_file"]) as client:
        client.datasets.add_builtin("iris")
        spec = {
            "model": {"n_qubits": 2},
            "training": {"epochs": 1},
            "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"},
        }
        job = client.jobs.train(dataset="iris", model="iris", spec=spec)
        time.sleep(0.3)
        assert client.jobs.get(job.id).status == "queued"
        worker = spawn("worker", "--threads", "1", "--json")
        assert client.jobs.wait(job.id, timeout_s=120).succeeded
    worker.send_signal(signal.SIGTERM)
    out, err = worker.communicate(timeout=120)
    assert worker.returncode == 0, err
    assert json.loads(out)["threads"] == 1


def test_a_worker_begins_no_data_directory_of_its_own(superpose: Any, tmp_path: Path) -> None:
    said = superpose("worker", "--data-dir", tmp_path / "typo", "--json")
    assert said.code == 1
    assert said.json["error"]["code"] == "service.store"
    assert "start it first: superpose serve" in said.err
    assert not (tmp_path / "typo").exists()


def test_a_server_for_others_needs_a_certificate(superpose: Any, tmp_path: Path) -> None:
    said = superpose("serve", "--host", "0.0.0.0", "--data-dir", tmp_path / "data")
    assert (said.code, said.out) == (1, "")
    assert "--certificate and --key" in said.err


def test_a_ready_file_without_a_folder_is_named_as_the_user_gave_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as told:
        write_facts(tmp_path / "none" / "ready.json", {})
    assert told.value.filename == str(tmp_path / "none" / "ready.json")


def test_what_a_killed_server_said_is_gone_before_the_next_one_begins(superpose: Any, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    with Service.open(ServiceConfig(data_dir=tmp_path / "data")):  # so that none begins
        for pid, is_kept in ((ended.pid, False), (os.getppid(), True)):
            write_facts(tmp_path / "ready.json", {"pid": pid, "url": "http://127.0.0.1:1"})
            said = superpose("serve", "--data-dir", tmp_path / "data", "--ready-file", tmp_path / "ready.json")
            assert said.code == 1 and "in use by another server" in said.err
            assert (tmp_path / "ready.json").exists() == is_kept
