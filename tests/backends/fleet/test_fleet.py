"""A fleet goes on when members fail, finds out who lies, hands nothing over twice, and is gone on with elsewhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.backends.fleet.clouds import Cloud
from tests.full_disk import room_for

import superpose
from superpose.backends import LocalBackend
from superpose.backends.fleet import BreakerRules, FileJournal, Fleet, FleetRules, MemoryJournal
from superpose.backends.fleet.provider import FleetProvider
from superpose.circuits import Circuit, Observable, Program, Provider
from superpose.errors import (
    BackendUnknownError,
    DisagreementError,
    FleetJournalError,
    ProviderError,
    UnsupportedProgramError,
)
from superpose.testing import ConformanceReport, check_backend

FLIP = Program(Circuit(2).x(1), shots=200)


class Seconds:
    """A clock that runs when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def fleet(*members: Cloud, journal: MemoryJournal | FileJournal | None = None, **rules: object) -> Fleet:
    clock = Seconds()
    return Fleet(members, FleetRules(**rules), journal=journal, now_s=clock, sleep=clock.sleep)  # type: ignore[arg-type]


def programs(n: int) -> list[Program]:
    """Random circuits of 2 to 5 qubits."""
    rng = np.random.default_rng(7)
    out = []
    for _ in range(n):
        n_qubits = int(rng.integers(2, 6))
        circuit = Circuit(n_qubits)
        for _ in range(3 * n_qubits):
            a, b = (int(k) for k in rng.choice(n_qubits, 2, replace=False))
            circuit.ry(float(rng.uniform(0, 0.4)), a).cx(a, b)  # near |0...0>, so that a flip is seen
        out.append(Program(circuit, shots=1000, seed=int(rng.integers(2**31))))
    return out


def chaos(n_jobs: int) -> None:
    """Four clouds: one dies after a while, one lies. All jobs finish, the liar is out, no cloud runs a job twice."""
    clouds = [
        Cloud("honest-a", noise=0.001),
        Cloud("liar", noise=0.001, lies=True),
        Cloud("mortal", noise=0.001, dies_after=n_jobs // 10),
        Cloud("honest-b", noise=0.002),
    ]
    rules = FleetRules(redundancy=2, tolerance=0.1, patience_s=0.02, breaker=BreakerRules(n_failures=3, pause_s=600.0))
    several = Fleet(clouds, rules)
    asked = programs(n_jobs)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(several.run, asked))
    assert several.left_out == {"liar"}
    assert several.states()["mortal"] == "open"
    for program, result in zip(asked, results, strict=True):
        facts = result.provenance["fleet"]
        assert facts["ran_on"] in {"honest-a", "honest-b", "mortal"}
        assert len(facts["answered"]) >= 2 and facts["distance"] <= facts["allowed_distance"]
        exact = np.abs(LocalBackend().run(Program(program.circuit)).state_vectors[0]) ** 2  # type: ignore[index]
        counts = (result.counts or ({},))[0]
        shares = np.array([counts.get(format(k, f"0{program.n_qubits}b"), 0) / 1000 for k in range(len(exact))])
        # noise at most 0.1, sampling sqrt(32 / 1000) / 2 in the mean, and 0.102 beyond that in 1 of 1e9 (McDiarmid)
        assert np.abs(shares - exact).sum() / 2 < 0.1 + 0.09 + 0.102
    for cloud in clouds:
        assert all(number == 1 for number in cloud.bill.values())
    assert len(clouds[1].bill) < n_jobs / 4  # it was found out early
    assert sum(r.provenance["cost_usd"] for r in results) == sum(
        len(r.provenance["fleet"]["answered"]) for r in results
    )


def test_one_cloud_dies_and_one_lies() -> None:
    chaos(25)


@pytest.mark.slow
def test_one_cloud_dies_and_one_lies_over_500_jobs() -> None:
    chaos(500)


def test_it_is_a_backend_itself(conforms: Callable[..., ConformanceReport]) -> None:
    class Other(LocalBackend):
        name = "other"  # type: ignore[assignment]

    check_backend(Fleet([LocalBackend(), Other()], FleetRules(redundancy=2, tolerance=0.0)))
    conforms(fleet(Cloud("a"), Cloud("b")), "fleet:A+B")
    assert superpose.run(Circuit(1).x(0), shots=5, backend=fleet(Cloud("a"), Cloud("b"))).counts == ({"1": 5},)


def test_the_load_is_shared() -> None:
    a, b = Cloud("a"), Cloud("b")
    several = fleet(a, b)
    ids = [several.submit(FLIP, str(number)) for number in range(10)]
    assert (len(a.bill), len(b.bill)) == (5, 5)
    for one in ids:
        while several.fetch(one) is None:
            pass


def test_a_dead_member_is_left_alone_and_tried_again() -> None:
    clock = Seconds()
    dead, alive = Cloud("dead", dies_after=-1), Cloud("alive")
    rules = FleetRules(breaker=BreakerRules(n_failures=2, pause_s=10.0))
    several = Fleet([dead, alive], rules, now_s=clock, sleep=lambda _: None)
    for _ in range(2):
        several.run(FLIP)
    assert several.states() == {"dead": "open", "alive": "closed"}
    result = several.run(FLIP)
    assert result.provenance["fleet"]["failed"] == {}
    clock.now = 10.0
    dead._dies_after = None
    for _ in range(2):
        several.run(FLIP)
    assert several.states()["dead"] == "closed" and dead.n_submits > 0


def test_a_run_that_cannot_be_reached_waits_for_a_while_and_then_goes_elsewhere() -> None:
    clock = Seconds()
    gone, alive = Cloud("gone", n_questions=99), Cloud("alive")
    several = Fleet([gone, alive], FleetRules(patience_s=60.0), now_s=clock, sleep=clock.sleep)
    run = several.submit(FLIP, "once")
    gone._dies_after = -1
    assert several.fetch(run) is None and not alive.bill
    clock.now = 59.0
    assert several.fetch(run) is None and not alive.bill
    clock.now = 61.0
    several.fetch(run)
    assert len(alive.bill) == 1
    result = several.fetch(run)
    assert result is not None and list(result.provenance["fleet"]["failed"]) == ["gone"]


def test_a_slow_member_is_hedged_and_called_off() -> None:
    clock = Seconds()
    slow, quick = Cloud("slow", n_questions=10**6), Cloud("quick")
    several = Fleet([slow, quick], FleetRules(hedge_after_s=5.0), now_s=clock, sleep=clock.sleep)
    result = several.run(FLIP)
    assert result.provenance["fleet"]["ran_on"] == "quick" and 5.0 <= clock.now < 12.0
    assert slow.cancelled == set(result.provenance["fleet"]["unfinished"].values())
    assert slow.bill.total() == quick.bill.total() == 1


def test_two_that_disagree_alone_are_not_believed() -> None:
    several = fleet(Cloud("a"), Cloud("b", lies=True), redundancy=2)
    with pytest.raises(DisagreementError, match="a, b answered differently") as refused:
        several.run(FLIP)
    assert refused.value.details["members"] == ["a", "b"]
    assert several.left_out == frozenset()  # nobody knows which of them it is


def test_expectations_are_compared_too() -> None:
    program = Program(Circuit(2).x(1), {}, [Observable({"IZ": 2.0, "ZI": 1.0})], shots=5000)
    several = fleet(Cloud("a"), Cloud("b", lies=True), Cloud("c"), redundancy=2, max_strikes=1)
    result = several.run(program)
    assert result.expectations is not None and result.expectations.tolist() == [[-1.0]]
    assert result.provenance["fleet"]["outvoted"] == ["b"] and several.left_out == {"b"}
    several.restore("b")
    assert several.left_out == frozenset()


def test_all_failures_are_told() -> None:
    several = fleet(Cloud("a", dies_after=-1), Cloud("b", dies_after=-1))
    with pytest.raises(ProviderError, match=r"a: No route to host\.; b: No route") as failed:
        several.run(FLIP)
    assert failed.value.retryable
    with pytest.raises(ProviderError, match="no run"):
        several.fetch("run.unknown")


def test_programs_and_fleets_that_cannot_be() -> None:
    with pytest.raises(UnsupportedProgramError, match=r"a: It has 9 qubits.*b: It has 9 qubits"):
        fleet(Cloud("a"), Cloud("b")).run(Program(Circuit(9).h(0), shots=10))
    for members, redundancy in (([Cloud("a")], 1), ([Cloud("a"), Cloud("a")], 1), ([Cloud("a"), Cloud("b")], 3)):
        with pytest.raises(UnsupportedProgramError, match="two or more members"):
            fleet(*members, redundancy=redundancy)


def test_a_program_goes_only_where_it_fits() -> None:
    small, large = Cloud("small"), LocalBackend()
    several = Fleet([small, large])
    assert several.run(Program(Circuit(9).x(0), shots=10)).provenance["fleet"]["ran_on"] == "local"
    assert several.capabilities().max_qubits == large.capabilities().max_qubits


def test_estimates_count_every_member_that_is_paid() -> None:
    class Free(LocalBackend):
        name = "free"  # type: ignore[assignment]

    assert Fleet([LocalBackend(), Free()], FleetRules(redundancy=2)).estimate(FLIP).price_usd == 0.0
    assert fleet(Cloud("a"), Cloud("b")).estimate(FLIP).price_usd is None


def test_the_same_token_runs_nothing_twice() -> None:
    a, b = Cloud("a"), Cloud("b")
    several = fleet(a, b)
    assert several.submit(FLIP, "t") == several.submit(FLIP, "t")
    assert a.bill.total() + b.bill.total() == 1


KILLED = """
import os, sys
from superpose.backends.fleet import FileJournal, Fleet
from tests.backends.fleet.clouds import Cloud
from tests.backends.fleet.test_fleet import FLIP

class Crashing(Cloud):
    def submit(self, program, token):
        print(token, flush=True)
        super().submit(program, token)
        os.kill(os.getpid(), 9)  # handed over, and nobody was told the id

Fleet([Crashing("a"), Cloud("b")], journal=FileJournal(sys.argv[1])).submit(FLIP, "once")
"""


def test_a_crash_between_handing_over_and_writing_down_runs_nothing_twice(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == -9, done.stderr
    a, b = Cloud("a"), Cloud("b")
    several = fleet(a, b, journal=FileJournal(tmp_path))
    run = several.submit(FLIP, "once")
    while (result := several.fetch(run)) is None:
        pass
    assert result.provenance["fleet"]["ran_on"] == "a" and not b.bill
    assert list(a.bill) == [done.stdout.strip()]  # under the same token, so a real cloud had run it once


def test_another_process_fetches(tmp_path: Path) -> None:
    clouds = Cloud("a"), Cloud("b")
    run = fleet(*clouds, journal=FileJournal(tmp_path)).submit(FLIP, "once")
    later = fleet(*clouds, journal=FileJournal(tmp_path))
    while (result := later.fetch(run)) is None:
        pass
    assert result.counts == ({"01": 200},)
    again = later.fetch(run)
    assert again is not None and again.counts == result.counts
    assert sum(cloud.bill.total() for cloud in clouds) == 1
    later.forget(run)
    with pytest.raises(ProviderError, match="no run"):
        later.fetch(run)


def test_cancelling() -> None:
    a, b = Cloud("a", n_questions=99), Cloud("b")
    several = fleet(a, b)
    run = several.submit(FLIP, "once")
    several.cancel(run)
    several.cancel(run)
    assert a.cancelled == {"a-0"}
    with pytest.raises(ProviderError, match="cancelled"):
        several.fetch(run)


def test_fleets_by_name(tmp_path: Path) -> None:
    clouds = {name: Cloud(name) for name in ("x:a", "x:b", "x:c")}
    provider = FleetProvider(clouds.__getitem__, tmp_path)
    assert isinstance(provider, Provider) and list(provider.list()) == []
    result = provider.backend("x:a+x:b").run(FLIP)
    assert result.provenance["backend"] == "fleet:x:a+x:b" and len(result.provenance["fleet"]["answered"]) == 1
    assert len(provider.backend("2:x:a+x:b+x:c").run(FLIP).provenance["fleet"]["answered"]) == 2
    for name in ("x:a+", "", "200:x:a+x:b"):
        with pytest.raises(BackendUnknownError, match="named by its members"):
            provider.backend(name)
    with pytest.raises(UnsupportedProgramError, match="two or more"):
        provider.backend("x:a")


def test_journals_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FleetJournalError):
        FileJournal(tmp_path / "file" / "inside")
    FileJournal(tmp_path / "superpose" / "fleets" / "a+b")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "superpose").rglob("*")} == {0o700}
    assert (tmp_path / "superpose").stat().st_mode & 0o777 == 0o700  # where a service will keep its data
    journal = FileJournal(tmp_path / "journal")
    journal.change("key", lambda _: {"a": 1})
    before = {*(tmp_path / "journal").iterdir()}
    with room_for(4), pytest.raises(FleetJournalError, match="cannot be written: File too large"):
        journal.change("key", lambda _: {"a": 2})
    assert journal.read("key") == {"a": 1} and {*(tmp_path / "journal").iterdir()} == before
    next(path for path in (tmp_path / "journal").iterdir() if path.suffix == ".json").write_text("{")
    with pytest.raises(FleetJournalError, match="cannot be read"):
        journal.read("key")
    shutil.rmtree(tmp_path / "journal")
    with pytest.raises(FleetJournalError, match="cannot be written: No such file"):
        journal.change("key", lambda _: {"a": 3})
