"""The main job: one command from nothing to a prediction, and nothing left of it afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from superpose.cli.quickstart_steps import curl_lines

KEYS = {
    "elapsed_s",
    "job_id",
    "model",
    "model_version",
    "metrics",
    "controls",
    "baseline",
    "verdict",
    "endpoint",
    "prediction",
    "predict_latency_ms",
}
METRICS = {"accuracy", "balanced_accuracy", "auc", "sensitivity", "specificity", "brier"}


class Run:
    """A quickstart with its own temporary directory, whose processes can be told from all others."""

    def __init__(self, room: Path, *arguments: str) -> None:
        self.room = room
        self.mark = f"QUICKSTART_TEST_MARK={uuid.uuid4()}"
        name, value = self.mark.split("=")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "superpose", "quickstart", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(room), "COLUMNS": "100", name: value},
        )

    def left(self) -> list[str]:
        """Command lines of processes that live on."""
        found: list[str] = []
        if not Path("/proc/self/environ").exists():
            return found  # only Linux tells
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if self.mark.encode() in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        return found

    def gone(self, timeout_s: float = 60) -> bool:
        """Whether no process of the run lives any more, at the latest after a while."""
        deadline = time.monotonic() + timeout_s
        while self.left():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def wait_for(self, words: str) -> None:
        """Read what is said on stdout until it has these words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if words in line:
                return
        raise AssertionError(f"{words!r} was not said")


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "tmp"
    path.mkdir()
    yield path


@pytest.mark.timeout(240)
def test_from_an_empty_directory_to_a_prediction(room: Path) -> None:
    run = Run(room, "--json")
    out, said = run.process.communicate(timeout=230)
    assert run.process.returncode == 0, said
    answer = json.loads(out)
    assert set(answer) == KEYS
    assert answer["elapsed_s"] > 0
    assert answer["job_id"].startswith("job_")
    assert (answer["model"], answer["model_version"], answer["endpoint"]) == ("breast_cancer", 1, "breast_cancer")
    assert set(answer["controls"]) == {"classical_twin", "no_entanglement", "frozen"}
    rows = [answer["metrics"], *(row["metrics"] for row in answer["controls"].values()), answer["baseline"]["metrics"]]
    for row in rows:
        assert set(row) == METRICS
        for metric in row.values():
            assert 0 <= metric["low"] <= metric["mean"] <= metric["high"] <= 1
            assert len(metric["values"]) >= 5
    assert all(row["accuracy"]["mean"] > 0.9 and row["auc"]["mean"] > 0.95 for row in rows)
    assert answer["verdict"].endswith(".")
    assert answer["prediction"]["predictions"][0] in {"benign", "malignant"}
    assert sum(answer["prediction"]["probabilities"][0]) == pytest.approx(1)
    assert 0 < answer["predict_latency_ms"] < 1000 * answer["elapsed_s"]

    lines = said.splitlines()
    assert lines[0].startswith("superpose quickstart")
    for step in ("1  Service", "2  Data", "3  Training", "4  Comparison", "5  Endpoint", "6  Prediction", "7  Next"):
        assert step in lines
    told = " ".join(said.split())
    for words in ("balanced accuracy", "Brier score", "parameters", "confidence interval", answer["verdict"]):
        assert words in told
    assert "loss" in told and "validation accuracy" in told and "ETA" in told
    assert "sp_key_" not in out + said
    assert "\x1b" not in out + said

    assert run.gone()
    assert list(room.iterdir()) == []


def interrupt(run: Run, number: int, code: int) -> None:
    """A run that trains ends on a signal with this code and without a word of Python's."""
    run.wait_for("3  Training")
    run.process.send_signal(number)
    _, said = run.process.communicate(timeout=120)
    assert run.process.returncode == code, said
    assert "Traceback" not in said
    assert run.gone()


def test_nothing_is_left_when_it_is_interrupted(room: Path) -> None:
    run = Run(room)
    run.wait_for("running at")
    assert list(room.iterdir()) != []
    interrupt(run, signal.SIGINT, 130)
    assert list(room.iterdir()) == []


def test_the_service_ends_even_if_the_quickstart_is_killed_and_the_next_removes_what_it_left(room: Path) -> None:
    run = Run(room)
    run.wait_for("running at")
    run.process.kill()
    run.process.communicate()
    assert run.gone()
    (left,) = room.iterdir()
    kept = room / f"{left.name}-kept"  # as of a run with --keep, which nobody else may remove
    kept.mkdir()
    again = Run(room)
    again.wait_for("running at")
    assert not left.exists()
    interrupt(again, signal.SIGTERM, 143)
    assert list(room.iterdir()) == [kept]


def test_a_failure_is_one_error_and_leaves_nothing(room: Path) -> None:
    taken = room / "not-empty"
    taken.mkdir()
    (taken / "something").write_text("else")
    run = Run(room, "--json", "--data-dir", str(taken))
    out, said = run.process.communicate(timeout=120)
    assert run.process.returncode == 1
    assert json.loads(out)["error"]["code"] == "client.start"
    assert "error[client.start]: The service ended with exit code 1" in said
    assert "is not empty and holds no superpose data" in said
    assert run.gone()
    assert [path.name for path in room.iterdir()] == ["not-empty"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_call_shown_for_curl_works(at_home: Any, served: Any, trained: str, tmp_path: Path) -> None:
    columns = [column["name"] for column in at_home("datasets", "show", trained, "--json").json["columns"]]
    body = tmp_path / "row.json"
    body.write_text(json.dumps({"rows": [dict(zip(columns, [5.1, 3.5, 1.4, 0.2], strict=True))]}))
    lines = curl_lines(f"{served.url}/v1/endpoints/{trained}/predict", served.key_file, body)
    done = subprocess.run(["sh", "-c", "\n".join(lines)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    wanted = at_home("predict", trained, str(body), "--json").json
    assert wanted.pop("unknown_categories") == {}  # the service leaves it out where there are none
    assert answer == {**wanted, "request_id": answer["request_id"]}
    assert answer["model"] == trained


@pytest.mark.slow
def test_keep_leaves_the_service_up_and_says_how_to_end_it(room: Path) -> None:
    run = Run(room, "--keep")
    out, said = run.process.communicate(timeout=280)
    assert run.process.returncode == 0, said
    pid = int(out.split("The service stays up until: kill ")[1].split()[0])
    try:
        url = out.split("export SUPERPOSE_URL=")[1].split()[0]
        key_file = out.split("export SUPERPOSE_KEY_FILE=")[1].split()[0]
        from superpose import Client

        with Client(url, key_file=key_file) as client:
            assert client.endpoints.get("breast_cancer").version == 1
        if shutil.which("curl"):
            shown = out[out.index("sed 's/^/") : out.index("7  Next")]
            done = subprocess.run(["sh", "-c", shown], capture_output=True, text=True, timeout=120)
            assert json.loads(done.stdout)["model"] == "breast_cancer", done.stderr
    finally:
        os.kill(pid, signal.SIGTERM)
    assert run.gone()
    assert list(room.iterdir()) != []
