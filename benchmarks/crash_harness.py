"""Does the service lose a job, do one twice, or change a result when its processes are killed again and again?

Jobs are submitted over HTTP with idempotency keys, a third of them twice, while workers and server are killed with
SIGKILL, alone or all at once, frozen for longer than their lease, or told to stop, at random times drawn from a seed.
Then everything is held against an undisturbed service that did the same work once: every job there, each done once,
every model file and result equal to the last bit, no file or process left over, the store whole. Exit status 1 if not.

    python benchmarks/crash_harness.py                          # 200 jobs, some minutes
    python benchmarks/crash_harness.py --jobs 10 --seed 3 --json
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crash_checks import Reference, check_all, undisturbed
from crash_jobs import DATASET, KilledService, Wanted, csv_rows, wanted_jobs
from harness import environment_facts, print_json, say

LEASE_S = 2.0
SETTINGS = {
    "lease_s": LEASE_S,
    "workers": 2,
    "max_attempts": 1_000,  # every kill counts as a crash of the job
    "retry_first_s": 0.05,
    "retry_longest_s": 0.5,
    "drain_s": 5.0,
    "recycle_jobs": 25,
    "worker_nice": 0,  # a busy machine would stretch the run without end
}
#: What is done to the service, and how often beside the others.
BLOWS = {"kill worker": 8, "kill server": 4, "kill all": 3, "freeze worker": 3, "stop server": 2}


class Chaos(threading.Thread):
    """Blows at random times, until ``stop`` or the last one; at the end the service runs.

    Args:
        service: what is struck.
        rng: when, and what.
        pause_s: shortest and longest time between two blows.
        most: blows, after which there is peace.
    """

    def __init__(self, service: KilledService, rng: random.Random, pause_s: tuple[float, float], most: int) -> None:
        super().__init__(name="chaos", daemon=True)
        self.service, self.rng, self.pause_s, self.most = service, rng, pause_s, most
        self.dealt: Counter[str] = Counter()
        self.error: BaseException | None = None
        self._over = threading.Event()

    def stop(self) -> None:
        self._over.set()
        self.join()
        if self.error is not None:
            raise self.error

    def run(self) -> None:
        try:
            while not self._over.wait(self.rng.uniform(*self.pause_s)):
                (blow,) = self.rng.choices([*BLOWS], [*BLOWS.values()])
                self._deal(blow)
                self.dealt[blow] += 1
                if self.dealt.total() == self.most:
                    return
        except BaseException as error:  # shown by the thread that waits
            self.error = error

    def _deal(self, blow: str) -> None:
        service, workers = self.service, self.service.worker_pids()
        if blow == "kill worker":
            send(self.rng.sample(workers, min(1, len(workers))), signal.SIGKILL)
        elif blow == "freeze worker":
            frozen = self.rng.sample(workers, min(1, len(workers)))
            send(frozen, signal.SIGSTOP)
            time.sleep(1.5 * LEASE_S)
            send(frozen, signal.SIGCONT)
        else:
            if blow == "kill all":
                service.signal(signal.SIGSTOP)  # so that nobody sees anybody else's end
                send(workers, signal.SIGSTOP)
                send(workers, signal.SIGKILL)
            service.signal(signal.SIGTERM if blow == "stop server" else signal.SIGKILL)
            service.wait()
            service.start()


def send(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def submit_all(service: KilledService, jobs: Sequence[Wanted], rng: random.Random) -> tuple[dict[str, str], int]:
    """Submit the jobs over some time; ids by key, and how many were submitted twice."""
    ids: dict[str, str] = {}
    n_again = 0
    for job in jobs:
        ids[job.key] = service.submit(job, ids)
        if rng.random() < 1 / 3:  # as a client does whose answer was lost
            n_again += 1
            again = service.submit(job, ids)
            if again != ids[job.key]:
                raise AssertionError(f"{job.key} became two jobs: {ids[job.key]} and {again}")
        time.sleep(rng.uniform(0.0, 0.1))
    return ids, n_again


def run(home: Path, jobs: Sequence[Wanted], seed: int, pause_s: tuple[float, float], most_blows: int) -> dict[str, Any]:
    """Everything; the row of the report."""
    say(f"{len({job.case for job in jobs})} different cases, undisturbed ...")
    began_s = time.monotonic()
    calm = KilledService(home / "calm", SETTINGS)
    reference: Reference = undisturbed(calm, jobs)
    calm_s = time.monotonic() - began_s

    say(f"... in {calm_s:.0f} s. {len(jobs)} jobs under blows ...")
    struck = KilledService(home / "struck", SETTINGS)
    struck.home.mkdir()
    began_s = time.monotonic()
    try:
        struck.start()
        struck.call("POST", f"/v1/datasets?name={DATASET}&target=outcome", csv_rows(), kind="text/csv")
        chaos = Chaos(struck, random.Random(seed), pause_s, most_blows)
        chaos.start()
        ids, n_again = submit_all(struck, jobs, random.Random(seed + 1))
        left = set(ids.values())
        while left and chaos.error is None:
            for job_id in sorted(left):
                if struck.call_until_answered("GET", f"/v1/jobs/{job_id}")["finished_at"]:
                    left.discard(job_id)
            time.sleep(0.2)
        chaos.stop()
        struck_s = time.monotonic() - began_s
        checks, figures = check_all(struck, jobs, ids, reference)
    finally:
        struck.end()
    return {
        "jobs": len(jobs),
        "cases": len(reference.results),
        "submitted_twice": n_again,
        "blows": dict(sorted(chaos.dealt.items())),
        "n_blows": sum(chaos.dealt.values()),
        **figures,
        "undisturbed_cases_s": round(calm_s, 1),
        "struck_s": round(struck_s, 1),
        "checks": checks,
        "passed": not any(checks.values()),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pause-s", type=float, nargs=2, default=(1.0, 8.0), help="between two blows, from and to")
    parser.add_argument("--blows", type=int, default=1_000, help="at most; so that a slow machine gets done too")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the data directories for a look")
    given = parser.parse_args(arguments)
    home = Path(tempfile.mkdtemp(prefix="superpose-crash-"))
    try:
        row = run(home, wanted_jobs(given.jobs, given.seed), given.seed, tuple(given.pause_s), given.blows)
    finally:
        if given.keep:
            say(f"kept in {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)
    if given.json:
        print_json(environment_facts(os.cpu_count() or 1, seed=given.seed), [row])
    else:
        print(json.dumps(row, indent=1))
    return 0 if row["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
