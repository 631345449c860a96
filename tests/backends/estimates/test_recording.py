"""Waits are kept by whoever runs programs on a backend with a queue."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.full_disk import room_for

from superpose.backends import LocalBackend
from superpose.backends.estimates import WaitRecorder, read_waits, recording_waits
from superpose.circuits import Circuit, Program, ProgramResult, QueueingBackend, RunStatus

PROGRAM = Program(Circuit(1).h(0), {}, shots=5, seed=1)


class Hours:
    """A time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 26, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Queued(LocalBackend):
    """Results are there after ``wait_s`` and ``run_s``, by the clock."""

    def __init__(self, clock: Hours, wait_s: float, run_s: float) -> None:
        super().__init__()
        self.clock, self.wait_s, self.run_s = clock, wait_s, run_s
        self.programs: dict[str, tuple[datetime, Program]] = {}

    @property
    def name(self) -> str:
        return "queued"

    def submit(self, program: Program, token: str) -> str:
        self.programs.setdefault(token, (self.clock(), program))
        return token

    def fetch(self, provider_job_id: str) -> ProgramResult | None:
        at, program = self.programs[provider_job_id]
        return self.run(program) if self.clock() >= at + timedelta(seconds=self.wait_s + self.run_s) else None


class Reporting(Queued):
    """One that says when a program runs."""

    @property
    def status_table(self) -> Mapping[str, RunStatus]:
        return {"queued": RunStatus.QUEUED, "running": RunStatus.RUNNING}

    def status(self, provider_job_id: str) -> RunStatus:
        at, _ = self.programs[provider_job_id]
        return RunStatus.RUNNING if self.clock() >= at + timedelta(seconds=self.wait_s) else RunStatus.QUEUED

    def cancel(self, provider_job_id: str) -> None:
        del self.programs[provider_job_id]


def test_a_wait_ends_when_the_program_runs_or_else_with_its_result(tmp_path: Path) -> None:
    clock, path = Hours(), tmp_path / "waits.jsonl"
    for inner in (Queued(clock, 100, 50), Reporting(clock, 100, 500)):
        begun = clock.now
        recorder = WaitRecorder(inner, path, now=clock, sleep=clock.sleep)
        assert isinstance(recorder, QueueingBackend)
        assert sum(recorder.run(PROGRAM).counts[0].values()) == 5  # type: ignore[index,union-attr]
        seen = read_waits(path)[-1]
        assert (seen.backend, seen.at) == ("queued", begun)
    until_result, until_run = (wait.wait_s for wait in read_waits(path))
    assert 150 <= until_result <= 150 + 30  # pauses are at most 30 s
    assert 100 <= until_run <= 100 + 30


def test_a_wait_that_finds_no_room_costs_no_result(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock, path = Hours(), tmp_path / "waits.jsonl"
    recorder = WaitRecorder(Queued(clock, 100, 50), path, now=clock, sleep=clock.sleep)
    recorder.run(PROGRAM)
    with room_for(path.stat().st_size + 10):
        assert sum(recorder.run(PROGRAM).counts[0].values()) == 5  # type: ignore[index,union-attr]
    assert f"{path}" in caplog.text and "all the same" in caplog.text
    recorder.run(PROGRAM)
    assert len(read_waits(path)) == 2  # no half of a line stands before the last


def test_what_another_process_handed_over_is_not_guessed_and_no_queue_needs_no_record(tmp_path: Path) -> None:
    clock, path = Hours(), tmp_path / "waits.jsonl"
    inner = Queued(clock, 0, 0)
    inner.submit(PROGRAM, "theirs")
    assert WaitRecorder(inner, path, now=clock, sleep=clock.sleep).fetch("theirs") is not None
    assert not path.exists()
    local = LocalBackend()
    assert recording_waits(local, path) is local
