"""Users' own functions as jobs: real server, workers and processes, killed, cancelled, resumed, refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from superpose import Client
from superpose.errors import ApiError, JobFunctionError
from superpose.functions import JobOptions, read_function
from superpose.service import ServiceConfig
from superpose.trust import sha256_bytes

from .conftest import wait_for
from .server_process import ServerProcess
from .test_kill import worker_pids

CODE = '''
"""A user's file."""
import os, pathlib, subprocess, sys, time
import superpose

@superpose.job(checkpoint=True)
def count(ctx, n, let_go=None, note="x"):
    """Counts to n, a step at a time, and goes on where the last attempt was. Waits at 5 until a file is there."""
    at = ctx.checkpoint_dir / "at.txt"
    begin = int(at.read_text()) if at.exists() else 0
    for step in range(begin, n):
        ctx.log_metrics({"square": float(step) ** 2, "attempt": ctx.attempt}, step)
        part = at.with_suffix(".part")
        part.write_text(str(step + 1))
        part.replace(at)
        ctx.progress((step + 1) / n)
        while step == 5 and let_go and not pathlib.Path(let_go).exists():
            time.sleep(0.02)
            ctx.progress((step + 1) / n)
    pathlib.Path("report.txt").write_text(f"{n} {note}")
    sha256 = ctx.artifact("report.txt")
    print("counted to", n)
    return {"begun_at": begin, "params": dict(ctx.params), "sha256": sha256}

@superpose.job(checkpoint=True)
def deaf(ctx):
    (ctx.checkpoint_dir / "pid").write_text(str(os.getpid()))
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (ctx.checkpoint_dir / "child").write_text(str(child.pid))
    while True:
        time.sleep(0.05)

@superpose.job(retries=1)
def flaky(ctx, good_attempt=2):
    if ctx.attempt < good_attempt:
        raise ValueError(f"not yet, attempt {ctx.attempt}")
    return ctx.attempt

@superpose.job
def look_around(ctx):
    import superpose
    found = {name: value for name, value in os.environ.items() if "KEY" in name or "SUPERPOSE" in name}
    return {"environment": found, "home": os.environ["HOME"], "cwd": os.getcwd()}

@superpose.job
def misbehave(ctx, how):
    if how == "metric":
        ctx.log_metric("loss", float("nan"), 1)
    elif how == "checkpoint":
        ctx.checkpoint_dir
    elif how == "elsewhere":
        ctx.artifact("/etc/hostname")
    elif how == "exit":
        os._exit(3)
    elif how == "memory":
        bytearray(40 * 2**30)
    elif how == "object":
        return object()

@superpose.job(timeout_s=0.5)
def slow(ctx):
    time.sleep(60)

def plain(ctx):
    return 1
'''


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ServiceConfig:
    return ServiceConfig(
        data_dir=tmp_path_factory.mktemp("functions") / "data",
        allow_user_code=True,
        lease_s=60.0,
        progress_s=0.0,
        function_grace_s=0.5,
        retry_first_s=0.1,
    )


@pytest.fixture(scope="module")
def server(config: ServiceConfig) -> Iterator[ServerProcess]:
    with ServerProcess(config) as found:
        yield found


@pytest.fixture(scope="module")
def client(server: ServerProcess, config: ServiceConfig) -> Iterator[Client]:
    with Client(server.url, key_file=config.data_dir / "keys" / "admin.key") as made:
        yield made


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("code") / "counting.py"
    path.write_text(CODE)
    return str(path)


def ended(client: Client, job: Any) -> Any:
    return client.jobs.wait(job.id, timeout_s=120)


def test_a_function_runs_and_leaves_metrics_and_files(client: Client, file: str, tmp_path: Path) -> None:
    job = client.jobs.submit(f"{file}:count", {"n": 4, "note": "é"})
    assert job.kind == "function"
    done = ended(client, job)
    assert done.succeeded, done.error
    report = "4 é".encode()
    value = {"begun_at": 0, "params": {"n": 4, "note": "é"}, "sha256": sha256_bytes(report)}
    assert done.result == {"value": value}
    points = client.jobs.metrics(job.id, "square")
    assert [(p.step, p.value, p.attempt) for p in points] == [(0, 0, 1), (1, 1, 1), (2, 4, 1), (3, 9, 1)]
    files = {(f.role, f.name): f for f in client.jobs.artifacts(job.id)}
    assert set(files) == {("output", "report.txt"), ("output", "output.log"), ("checkpoint", "at.txt")}
    assert client.jobs.download(job.id, "report.txt", tmp_path).read_bytes() == report
    assert "counted to 4" in client.jobs.download(job.id, "output.log", tmp_path).read_text()
    client.jobs.remove_artifacts(job.id)
    assert client.jobs.artifacts(job.id) == []
    assert len(client.jobs.metrics(job.id)) == 8


def test_kill_9_of_the_worker_resumes_without_duplicates(
    client: Client, config: ServiceConfig, file: str, tmp_path: Path
) -> None:
    job = client.jobs.submit(f"{file}:count", {"n": 30, "let_go": str(tmp_path / "let_go")})
    wait_for(lambda: len(client.jobs.metrics(job.id, "square")) > 5)
    os.kill(list(worker_pids(config).values())[-1], signal.SIGKILL)
    (tmp_path / "let_go").touch()
    done = ended(client, job)
    assert (done.status, done.attempt) == ("succeeded", 2), done.error
    assert done.result["value"]["begun_at"] >= 4
    points = client.jobs.metrics(job.id, "square")
    assert [(p.step, p.value) for p in points] == [(step, step**2) for step in range(30)]
    assert {p.attempt for p in points} == {1, 2}

    again = client.jobs.submit(f"{file}:count", {"n": 32}, copy_from=job.id)
    copied = ended(client, again)
    assert copied.succeeded, copied.error
    assert copied.result["value"]["begun_at"] == 30
    assert [p.step for p in client.jobs.metrics(again.id, "square")] == [30, 31]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_cancel_stops_one_that_listens_and_kills_one_that_does_not(
    client: Client, config: ServiceConfig, file: str, tmp_path: Path
) -> None:
    listening = client.jobs.submit(f"{file}:count", {"n": 30, "let_go": str(tmp_path / "never")})
    wait_for(lambda: client.jobs.metrics(listening.id))
    client.jobs.cancel(listening.id)
    assert ended(client, listening).status == "cancelled"
    assert "checkpoint" in {f.role for f in client.jobs.artifacts(listening.id)}  # may be copied from

    job = client.jobs.submit(f"{file}:deaf")
    home = config.data_dir / "jobs" / job.id / "1" / "checkpoint"
    wait_for(lambda: (home / "child").exists() and (home / "child").read_text())
    pids = [int((home / name).read_text()) for name in ("pid", "child")]
    assert all(map(alive, pids))
    client.jobs.cancel(job.id)
    assert ended(client, job).status == "cancelled"
    wait_for(lambda: not any(map(alive, pids)))


@pytest.mark.slow
def test_a_function_dies_with_its_worker(client: Client, config: ServiceConfig, file: str) -> None:
    job = client.jobs.submit(f"{file}:deaf")
    home = config.data_dir / "jobs" / job.id / "1" / "checkpoint"
    wait_for(lambda: (home / "child").exists() and (home / "child").read_text())
    pids = [int((home / name).read_text()) for name in ("pid", "child")]
    os.kill(list(worker_pids(config).values())[-1], signal.SIGKILL)
    wait_for(lambda: not any(map(alive, pids)))
    client.jobs.cancel(job.id)
    assert ended(client, job).status == "cancelled"


def test_exceptions_are_told_with_their_line_and_tried_again(client: Client, file: str) -> None:
    assert ended(client, client.jobs.submit(f"{file}:flaky")).result == {"value": 2}
    failed = ended(client, client.jobs.submit(f"{file}:flaky", {"good_attempt": 9}))
    assert (failed.status, failed.attempt) == ("failed", 2)
    assert failed.error["code"] == "function.failed"
    line = CODE.splitlines().index('        raise ValueError(f"not yet, attempt {ctx.attempt}")') + 1
    assert f"ValueError: not yet, attempt 2 (counting.py line {line} in flaky" in failed.error["message"]


def test_its_process_has_no_key_and_a_home_of_its_own(client: Client, file: str, config: ServiceConfig) -> None:
    found = ended(client, client.jobs.submit(f"{file}:look_around")).result["value"]
    assert set(found["environment"]) == {"SUPERPOSE_CACHE_DIR", "SUPERPOSE_THREADS"}
    assert found["home"] == found["cwd"] != str(Path.home())


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("metric", "Metric 'loss' must be finite, got nan at step 1"),
        ("checkpoint", "keeps no checkpoints"),
        ("elsewhere", "is no file in the working or checkpoint directory"),
        ("exit", "ended with status 3"),
        ("memory", "MemoryError"),
    ],
)
def test_what_goes_wrong_is_said(client: Client, file: str, how: str, said: str) -> None:
    failed = ended(client, client.jobs.submit(f"{file}:misbehave", {"how": how}))
    assert failed.status == "failed"
    assert said in failed.error["message"]


def test_a_result_that_is_no_json_does_not_fail_the_job(client: Client, file: str) -> None:
    done = ended(client, client.jobs.submit(f"{file}:misbehave", {"how": "object"}))
    assert done.succeeded
    assert "object that is not a JSON value" in done.result["note"]


def test_an_attempt_that_takes_too_long_is_ended(client: Client, file: str) -> None:
    failed = ended(client, client.jobs.submit(f"{file}:slow"))
    assert "took longer than 0.5 s" in failed.error["message"]


def test_what_cannot_run_is_refused_before_a_job_is_made(client: Client, file: str, tmp_path: Path) -> None:
    before = len(client.jobs.list())
    for reference, params, said in (
        (f"{file}:count", {}, "count needs n"),
        (f"{file}:count", {"n": 1, "m": 2}, "does not take m"),
        (f"{file}:nothing", {}, "no function 'nothing'"),
        (f"{file}:plain", {}, "not decorated"),
        ("nowhere.py:f", {}, "cannot be read"),
        ("f", {}, "names no function"),
    ):
        with pytest.raises(JobFunctionError, match=said):
            client.jobs.submit(reference, params)
    broken = tmp_path / "broken.py"
    broken.write_text("def f(ctx:\n")
    with pytest.raises(JobFunctionError, match=r"broken\.py line 1"):
        client.jobs.submit(f"{broken}:f")
    with pytest.raises(ApiError, match="no job 'job_x'"):
        client.jobs.submit(f"{file}:count", {"n": 1}, copy_from="job_x")
    with pytest.raises(ApiError, match="retries may be at most"):
        greedy = tmp_path / "greedy.py"
        greedy.write_text("import superpose\n@superpose.job(retries=99)\ndef f(ctx):\n    pass\n")
        client.jobs.submit(f"{greedy}:f")
    with pytest.raises(ApiError, match=r"letters, digits and _, .* got 'my-greedy\.py'\. Rename it"):
        client.jobs.submit(f"{greedy.rename(tmp_path / 'my-greedy.py')}:f")
    assert len(client.jobs.list()) == before


def test_only_editors_may_submit(client: Client, server: ServerProcess, file: str) -> None:
    key = client.keys.create(role="viewer")
    with Client(server.url, key=key.secret) as viewer, pytest.raises(ApiError, match="role editor"):
        viewer.jobs.submit(f"{file}:look_around")


def test_a_service_that_allows_no_user_code_refuses(tmp_path: Path, file: str) -> None:
    config = ServiceConfig(data_dir=tmp_path / "data", workers=0)
    with ServerProcess(config) as server, Client(server.url, key_file=config.data_dir / "keys" / "admin.key") as client:
        with pytest.raises(ApiError, match="runs no user code") as caught:
            client.jobs.submit(f"{file}:look_around")
        assert (caught.value.status, caught.value.problem_code) == (403, "service.user_code")


@pytest.mark.slow
def test_the_command_line_submits_and_shows(
    server: ServerProcess, config: ServiceConfig, file: str, tmp_path: Path
) -> None:
    key_file = str(config.data_dir / "keys" / "admin.key")

    def run(*arguments: str) -> Any:
        command = [sys.executable, "-m", "superpose", *arguments, "--url", server.url, "--key-file", key_file, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    job = run("jobs", "submit", f"{file}:count", "--param", "n=3", "--param", "note=hello")
    assert run("jobs", "watch", job["id"])["status"] == "succeeded"
    assert [p["value"] for p in run("jobs", "metrics", job["id"], "--name", "square")] == [0, 1, 4]
    found = run("jobs", "artifacts", job["id"], "--download", str(tmp_path / "out"))
    assert (tmp_path / "out" / "report.txt").read_text() == "3 hello"
    assert set(found["saved"]) == {"report.txt", "output.log"}
    copied = run("jobs", "submit", f"{file}:count", "--param", "n=5", "--copy-from", job["id"])
    assert run("jobs", "watch", copied["id"])["result"]["value"]["begun_at"] == 3
    assert run("jobs", "show", copied["id"])["held"] is None


def test_a_decorated_function_runs_here_too(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = read_function(f"{file}:count")
    assert source.options == JobOptions(checkpoint=True)
    monkeypatch.syspath_prepend(str(Path(file).parent))
    monkeypatch.chdir(tmp_path)
    import counting  # type: ignore[import-not-found]

    assert counting.count.source == source
    assert counting.count.run_here(tmp_path / "run", n=2)["begun_at"] == 0
    assert counting.count.run_here(tmp_path / "run", n=3)["begun_at"] == 2
    assert (tmp_path / "run" / "artifacts" / "report.txt").read_text() == "3 x"
