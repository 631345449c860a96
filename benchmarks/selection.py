"""Does the choice of a backend by fidelity, price and wait pay? 500 programs, a pool of emulated processors, an oracle.

The pool: eight processors of published calibrations (IBM's and Google's), each with a published price and a queue.
The policy sees the calibration, 30 past waits of each, and the prices. The truth is hidden from it: every number of
the calibration drifts (log-normally by 25 %, one gate or qubit in twenty is four times worse), and so does every queue.
The drifted processor is emulated on our noise engine, its transpiler included, and the fidelity is the overlap of its
counts with the exact outcomes (Hellinger). Programs: GHZ states, Bernstein-Vazirani, and random circuits followed by
their inverses, 2 to 6 qubits, all of outcomes that errors can spoil.

Worth of a run: w_f F - w_usd price - w_h wait; three users' weights in turn. The oracle knows the truth. Regret: what
is lost against it, as a share of its worth, over all programs. Beside it: least busy, first fit, fidelity only, random.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from harness import environment_facts, print_json, print_table, say
from superpose.backends import LocalBackend
from superpose.backends.emulators.backend import EmulatedBackend
from superpose.backends.emulators.google_snapshots import google_snapshots
from superpose.backends.emulators.ibm_snapshots import ibm_snapshots
from superpose.backends.estimates import SeenWait, Usage, calibrated_estimate, estimate_wait, published_prices, usage_of
from superpose.backends.selection import Candidate, Decision, Weighted, facts_of, replay, select
from superpose.circuits import Calibration, Circuit, Program

AT = datetime(2026, 11, 1, tzinfo=UTC)
POOL = (  # processor, price as of, median wait in seconds
    ("ibm:fez", "ibm:ibm_fez", 900.0),
    ("ibm:sherbrooke", "ibm:ibm_sherbrooke", 1800.0),
    ("ibm:torino", "ibm:ibm_torino", 300.0),
    ("ibm:brisbane", "ibm:ibm_brisbane", 120.0),
    ("ibm:nairobi", "braket:Ankaa-3", 1800.0),
    ("ibm:perth", "braket:Garnet", 20.0),
    ("google:willow_pink", "braket:Forte-1", 3600.0),
    ("google:rainbow", "iqm:garnet", 600.0),
)
USERS = {"careful": Weighted(), "thrifty": Weighted(per_usd=0.05), "hurried": Weighted(per_hour=0.5)}
SHOTS = 1000
DRIFT, BROKEN, WORSE, QUEUE = 0.25, 0.05, 4.0, 0.5


@dataclass(frozen=True)
class Processor:
    """One of the pool: what the policy sees, and what is true."""

    name: str
    seen: Calibration
    truth: EmulatedBackend
    price_as: str
    waits: tuple[SeenWait, ...]
    wait_now_s: float


def calibration_of(name: str) -> Calibration:
    family, _, word = name.partition(":")
    snapshots: Mapping[str, Any] | None = ibm_snapshots() if family == "ibm" else google_snapshots()
    if snapshots is None:
        raise SystemExit(f"{name} needs the package with its calibration: pip install 'superpose[all]'")
    return snapshots[f"{family}_{word}"].calibration(name)


def drifted(calibration: Calibration, seed: int) -> Calibration:
    """The same processor later."""
    random = np.random.default_rng(seed)

    def factor(worse: float) -> float:
        broken = worse if random.random() < BROKEN else 1.0
        return float(math.exp(DRIFT * random.standard_normal()) * broken)

    qubits = []
    for qubit in calibration.qubits:
        t1 = None if qubit.t1_us is None else qubit.t1_us * factor(1 / WORSE)
        t2 = None if qubit.t2_us is None else qubit.t2_us * factor(1 / WORSE)
        t2 = t2 if t2 is None or t1 is None else min(t2, 2 * t1)
        scale = factor(WORSE)
        flips = [None if flip is None else min(0.5, flip * scale) for flip in (qubit.flip0, qubit.flip1)]
        qubits.append(replace(qubit, t1_us=t1, t2_us=t2, flip0=flips[0], flip1=flips[1]))
    scales: dict[tuple[int, ...], float] = {}
    gates = []
    for row in calibration.gates:
        scale = scales.setdefault(tuple(sorted(row.qubits)), factor(WORSE))
        gates.append(row if row.error is None else replace(row, error=min(0.7, row.error * scale)))
    return replace(calibration, qubits=tuple(qubits), gates=tuple(gates))


def make_pool(seed: int) -> list[Processor]:
    random = np.random.default_rng(seed)
    pool = []
    for number, (name, price_as, median_s) in enumerate(POOL):
        seen = calibration_of(name)
        later = drifted(seen, 1000 * seed + number)
        past = median_s * np.exp(QUEUE * random.standard_normal(30))
        waits = tuple(SeenWait(backend=name, at=AT, wait_s=float(wait)) for wait in past)
        now = float(median_s * math.exp(DRIFT * random.standard_normal()))
        pool.append(Processor(name, seen, EmulatedBackend(name, lambda found=later: found), price_as, waits, now))
    return pool


def make_program(number: int, seed: int) -> Program:
    random = np.random.default_rng([seed, number])
    n_qubits = int(random.integers(2, 6))
    kind = ("ghz", "bernstein_vazirani", "mirror", "mirror")[number % 4]
    circuit = Circuit(n_qubits, f"{kind}{number}")
    if kind == "ghz":
        circuit.h(0)
        for qubit in range(1, n_qubits):
            circuit.cx(qubit - 1, qubit)
    elif kind == "bernstein_vazirani":
        circuit = Circuit(n_qubits + 1, circuit.name).x(n_qubits)
        for qubit in range(n_qubits + 1):
            circuit.h(qubit)
        for qubit in range(n_qubits):
            if random.random() < 0.7:
                circuit.cx(qubit, n_qubits)
        for qubit in range(n_qubits + 1):
            circuit.h(qubit)
    else:
        for _ in range(int(random.integers(1, 7))):
            for qubit in range(n_qubits):
                circuit.append(str(random.choice(["rx", "ry"])), [qubit], [float(random.uniform(-3, 3))])
            order = random.permutation(n_qubits).tolist()
            for one, other in zip(order[::2], order[1::2], strict=False):
                if random.random() < 0.8:
                    circuit.append(str(random.choice(["cx", "cz", "swap"], p=[0.6, 0.3, 0.1])), [one, other])
        circuit = circuit.compose(Circuit(n_qubits).barrier()).compose(circuit.inverse())
    return Program(circuit, shots=SHOTS, seed=number)


def candidate(program: Program, one: Processor) -> Candidate:
    """What the policy knows."""
    if program.n_qubits > one.seen.n_qubits:
        return Candidate(name=one.name, provider="pool", kind="qpu", reasons=("It is too small.",))
    success = calibrated_estimate(program, one.seen)
    wait = estimate_wait(one.waits)
    return Candidate(
        name=one.name,
        provider="pool",
        kind="qpu",
        fidelity=success.total,
        price_usd=price(program, one.price_as),
        wait_s=None if wait is None else wait.median_s,
    )


def price(program: Program, price_as: str) -> float:
    row = published_prices().find(price_as)
    usage: Usage = usage_of(program, 2.0 if price_as.startswith("iqm") else None)  # a job of two seconds there
    found = None if row is None else row.price_usd(usage)
    if found is None:
        raise SystemExit(f"No price for {price_as}.")
    return found


def hellinger(program: Program, one: Processor) -> float:
    """The true fidelity: overlap of counts on the drifted processor with the exact outcomes."""
    ideal = LocalBackend().run(replace(program, shots=None)).state_vectors
    counts = one.truth.run(program).counts
    if ideal is None or counts is None:
        raise SystemExit("No counts.")
    exact = np.abs(ideal[0]) ** 2
    return float(sum(math.sqrt(exact[int(key, 2)] * n / SHOTS) for key, n in counts[0].items()) ** 2)


def worth(user: Weighted, fidelity: float, usd: float, wait_s: float) -> float:
    return user.fidelity * fidelity - user.per_usd * usd - user.per_hour * wait_s / 3600.0


Policy = Callable[[Sequence[Candidate], Decision, np.random.Generator], str]


def most(key: Callable[[Candidate], float]) -> Policy:
    return lambda able, decision, random: max(able, key=key).name


POLICIES: Mapping[str, Policy] = {
    "ours": lambda able, decision, random: str(decision.chosen),
    "fidelity only": most(lambda one: one.fidelity or 0.0),
    "least busy": most(lambda one: -(one.wait_s or 0.0)),
    "cheapest": most(lambda one: -(one.price_usd or 0.0)),
    "first fit": lambda able, decision, random: able[0].name,
    "random": lambda able, decision, random: str(random.choice([one.name for one in able])),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="40 programs")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    n_programs = 40 if given.quick else given.programs
    started = time.perf_counter()
    pool = make_pool(given.seed)
    by_name = {one.name: one for one in pool}
    random = np.random.default_rng(given.seed)
    gained = dict.fromkeys([*POLICIES, "oracle"], 0.0)
    regrets: dict[str, list[float]] = {name: [] for name in POLICIES}
    right = dict.fromkeys(POLICIES, 0)
    decide_s, told, true = 0.0, [], []
    for number in range(n_programs):
        program = make_program(number, given.seed)
        user = list(USERS.values())[number % len(USERS)]
        begin = time.perf_counter()
        candidates = [candidate(program, one) for one in pool]
        decision = select(facts_of(program), candidates, user)
        decide_s += time.perf_counter() - begin
        if replay(decision.to_json()) != decision:
            raise SystemExit("A replayed decision differs.")
        able = [one for one in candidates if not one.reasons]
        actual = {}
        for one in able:
            fidelity = hellinger(program, by_name[one.name])
            told.append(one.fidelity)
            true.append(fidelity)
            actual[one.name] = worth(user, fidelity, one.price_usd or 0.0, by_name[one.name].wait_now_s)
        best = max(actual.values())
        gained["oracle"] += best
        for name, policy in POLICIES.items():
            chosen = policy(able, decision, random)
            gained[name] += actual[chosen]
            regrets[name].append(best - actual[chosen])
            right[name] += actual[chosen] == best
        if number % 50 == 49:
            say(f"{number + 1} programs, {time.perf_counter() - started:.0f} s")
    rows = [
        {
            "policy": name,
            "regret": (gained["oracle"] - gained[name]) / gained["oracle"],
            "mean_loss": float(np.mean(regrets[name])),
            "worst_loss": float(np.max(regrets[name])),
            "oracles_choice": right[name] / n_programs,
        }
        for name in POLICIES
    ]
    from scipy.stats import spearmanr

    facts = environment_facts(
        1,
        n_programs=n_programs,
        seed=given.seed,
        pool=[one.name for one in pool],
        oracle_worth=gained["oracle"] / n_programs,
        rank_correlation=float(spearmanr(told, true)[0]),
        decide_ms=1e3 * decide_s / n_programs,
        seconds=time.perf_counter() - started,
    )
    if given.json:
        print_json(facts, rows)
        return
    print_table(
        f"{n_programs} programs on {len(pool)} processors whose calibrations have drifted",
        rows,
        {
            "policy": lambda row: row["policy"],
            "regret": lambda row: f"{row['regret']:.1%}",
            "mean loss": lambda row: f"{row['mean_loss']:.4f}",
            "worst loss": lambda row: f"{row['worst_loss']:.3f}",
            "oracle's choice": lambda row: f"{row['oracles_choice']:.0%}",
        },
        (
            f"Rank correlation of estimate and truth {facts['rank_correlation']:.3f}; {facts['decide_ms']:.1f} ms for "
            "a decision.",
        ),
    )


if __name__ == "__main__":
    main()
