"""Half an hour of mixed load on a real server with workers: does its memory grow, is every answer the expected one?

python benchmarks/soak.py [--minutes 30] [--workers 2] [--json] [--save]

`superpose serve` runs as a child with its defaults, except that workers are never replaced, so that a leak shows.
Thirteen actors (`soak_load.py`) predict, train, search, run circuits, upload and delete tables, deploy and undeploy,
read event streams and make mistakes. After the warm-up the resident memory, file descriptors and threads of every
process are held against each other: the last third against the first, and the least squares slope over the second half.

The goal: memory grows by less than 2 % in every process, and no answer is other than expected.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import available_cores, environment_facts, print_json, print_table, say
from results import RESULTS
from soak_load import ACTORS, Shared, prepare, run_actor
from soak_watch import Sample, Watch, growth
from superpose.trust import read_key_file

GOAL_PERCENT = 2.0
_MEBIBYTE = 1024 * 1024
_START_S = 120.0
_STOP_S = 90.0


class Server:
    """`superpose serve` in a directory of its own."""

    def __init__(self, room: Path, workers: int) -> None:
        self.log, ready = room / "server.log", room / "ready.json"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SUPERPOSE_")}
        environment |= {"SUPERPOSE_CONFIG": "none", "SUPERPOSE_RECYCLE_JOBS": "0", "SUPERPOSE_RECYCLE_BYTES": "0"}
        command = [sys.executable, "-P", "-m", "superpose", "serve", "--port", "0", "--workers", str(workers)]
        command += ["--data-dir", str(room / "data"), "--ready-file", str(ready)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + _START_S
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise SystemExit(f"the server does not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.1)
        facts = json.loads(ready.read_text())
        self.url, self.pid = str(facts["url"]), int(facts["pid"])
        self.key = read_key_file(Path(facts["key_file"]))

    def stop(self) -> int:
        """Its exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def soak(room: Path, minutes: float, warm_up: float, workers: int, period_s: float) -> dict[str, Any]:
    """The load and what came of it."""
    server = Server(room, workers)
    shared = Shared(server.url, {"admin": server.key})
    watch = Watch(server.pid, period_s)
    threads = [
        threading.Thread(target=run_actor, args=(shared, name, seed), name=name) for seed, name in enumerate(ACTORS)
    ]
    try:
        say(f"a server with {workers} workers; preparing")
        prepare(shared)
        say(f"{len(threads)} actors for {minutes:g} minutes, of which {warm_up:g} to warm up")
        watch.start()
        for thread in threads:
            thread.start()
        _wait(shared, minutes * 60)
        watch.stop()
    finally:
        shared.stop.set()
        watch.stop()
        for thread in threads:
            if thread.is_alive():
                thread.join()
        exit_code = server.stop()
    if exit_code != 0:
        shared.wrong("server", f"ended with exit code {exit_code}: {server.log.read_text()[-500:]}")
    rows = [
        _row("server" if pid == server.pid else f"worker {pid}", samples, warm_up * 60)
        for pid, samples in sorted(watch.samples.items(), key=lambda item: item[0] != server.pid)
    ]
    return {"rows": rows, "shared": shared, "logged_errors": _logged_errors(room / "data" / "logs")}


def _wait(shared: Shared, seconds: float) -> None:
    """Wait for the end, and tell of progress every minute."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(60.0, left))
        n_answers, left = sum(shared.answers.values()), max(0.0, end - time.monotonic())
        say(f"{left / 60:5.1f} minutes to go, {n_answers:,} answers, {shared.n_errors} errors")
        for error in shared.errors[-3:]:
            say(f"  {error[:300]}")


def _row(name: str, samples: Sequence[Sample], warm_up_s: float) -> dict[str, Any]:
    """What one process held."""
    after = [sample for sample in samples if sample.at_s >= warm_up_s]
    row: dict[str, Any] = {
        "process": name,
        "n_samples": len(after),
        "seconds": round(after[-1].at_s - after[0].at_s) if after else 0,
    }
    if len(after) < 6:
        return {**row, "growth_percent": None, "met": False}
    times = [sample.at_s for sample in after]
    memory = growth(times, [sample.rss_bytes / _MEBIBYTE for sample in after])
    files = growth(times, [sample.n_files for sample in after])
    threads = growth(times, [sample.n_threads for sample in after])
    return {
        **row,
        "rss_first_mb": round(memory.first, 1),
        "rss_last_mb": round(memory.last, 1),
        "rss_peak_mb": round(memory.peak, 1),
        "growth_percent": round(memory.percent, 2),
        "slope_mb_per_hour": round(memory.slope_per_hour, 2),
        "files_first": round(files.first, 1),
        "files_last": round(files.last, 1),
        "threads_first": round(threads.first, 1),
        "threads_last": round(threads.last, 1),
        "met": memory.percent < GOAL_PERCENT,
        "rss_mb_each_minute": _each_minute(samples),
    }


def _each_minute(samples: Sequence[Sample]) -> list[float]:
    """Resident memory once a minute, warm-up included."""
    found: dict[int, float] = {}
    for sample in samples:
        found.setdefault(int(sample.at_s // 60), round(sample.rss_bytes / _MEBIBYTE, 1))
    return list(found.values())


def _logged_errors(logs: Path) -> list[str]:
    """What the service itself logged as its own failure."""
    lines = [line for path in sorted(logs.glob("api*.jsonl")) for line in path.read_text().splitlines()]
    return [line[:500] for line in lines if '"error"' in line][:20]


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long the load lasts (30)")
    parser.add_argument("--warm-up", type=float, default=None, help="minutes that do not count (a sixth, at most 10)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes (2)")
    parser.add_argument("--period", type=float, default=5.0, help="seconds between two samples (5)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--save", action="store_true", help="write results/soak.json too")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the soak; 0 when the goal is met."""
    arguments = _arguments(argv)
    warm_up = min(10.0, arguments.minutes / 6) if arguments.warm_up is None else arguments.warm_up
    with tempfile.TemporaryDirectory(prefix="superpose-soak-") as room:
        found = soak(Path(room), arguments.minutes, warm_up, arguments.workers, arguments.period)
    shared: Shared = found["shared"]
    facts = environment_facts(
        available_cores(),
        minutes=arguments.minutes,
        warm_up_minutes=round(warm_up, 2),
        workers=arguments.workers,
        n_answers=sum(shared.answers.values()),
        answers=dict(shared.answers),
        statuses={str(status): n for status, n in sorted(shared.statuses.items())},
        n_errors=shared.n_errors,
        errors=shared.errors,
        logged_errors=found["logged_errors"],
    )
    rows = found["rows"]
    if arguments.save:
        (RESULTS / "soak.json").write_text(json.dumps({"environment": facts, "rows": rows}, indent=1) + "\n")
    if arguments.json:
        print_json(facts, rows)
    else:
        print_table(
            f"{arguments.minutes:g} minutes, {facts['n_answers']:,} answers, {shared.n_errors} not as expected",
            rows,
            {
                "process": lambda row: row["process"],
                "MB first third": lambda row: str(row.get("rss_first_mb", "–")),
                "MB last third": lambda row: str(row.get("rss_last_mb", "–")),
                "growth %": lambda row: str(row["growth_percent"]),
                "MB per hour": lambda row: str(row.get("slope_mb_per_hour", "–")),
                "files": lambda row: f"{row.get('files_first')} -> {row.get('files_last')}",
                "threads": lambda row: f"{row.get('threads_first')} -> {row.get('threads_last')}",
            },
            shared.errors[:20],
        )
    return 0 if shared.n_errors == 0 and not found["logged_errors"] and all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
