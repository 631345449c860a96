"""Measures what a circuit never seen costs, and a process never started: ours against jitted and eager rivals.

(a) In a process that has everything imported and has run another circuit: building a circuit of new structure, first
    gradient, less one warm step of it. Structures are drawn anew for each repetition (family "varied").
    Goal: 5 ms over a step.
(b) From the start of a new process to its first gradient, imports and all; ours has warm kernels. Goal: 500 ms.

    python benchmarks/new_circuit.py [--quick] [--json] [--save] [--size 8x4x64]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from harness import available_cores, environment_facts, format_ms, print_json, print_table, say
from results import RESULTS, Results, sources_key
from rivals import OURS, RIVALS, Contestant
from rivals.circuit import Case, make_task
from rivals.contest import install
from rivals.exact import exact_step
from rivals.process import ContestantFailedError, surroundings
from rivals.race import build

SIZES = ("4x2x32", "8x4x64")
JITTED = ("jax", "tensorcircuit", "pennylane-jax", "catalyst")
EAGER = ("torch", "pennylane-torch", "qulacs", "torchquantum")
_FIRST = Path(__file__).resolve().parent / "rivals" / "first_result.py"
GOAL_MS, GOAL_PROCESS_MS = 5.0, 500.0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="one size, two rivals, under a minute")
    parser.add_argument("--size", action="append", metavar="QxLxB", help="qubits x layers x batch; may be repeated")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--save", action="store_true", help="keep rows in results/new_circuit.json")
    parser.add_argument("--threads", type=int, default=2, help="threads for every contestant (2)")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for one first call (60)")
    return parser.parse_args(argv)


def _new_structures(
    contestant: Contestant, python: Path, size: str, threads: int, repetitions: int, limit_s: float
) -> dict[str, Any]:
    """First gradients of ``repetitions`` structures in one process, each judged, less a warm step."""
    cases = [Case.parse(f"varied@{seed}:{size}") for seed in range(1, repetitions + 2)]
    task = make_task(cases[0], threads)
    runner = build(contestant, python, task, exact_step(task), limit_s, {"only": "first"})
    if runner.process is None:
        return {"unavailable": runner.unavailable}
    firsts, steps = [], []
    try:
        with runner.process as process:
            for case in cases[1:]:
                facts = process.again(make_task(case, threads), limit_s)
                firsts.append(facts["first_ms"])
                steps.append(median(process.time(9, 2, limit_s)))
    except ContestantFailedError as error:
        return {"unavailable": str(error)}
    over = [first - step for first, step in zip(firsts, steps, strict=True)]
    variant = runner.facts["variant"]
    return {
        "first_ms": median(firsts),
        "step_ms": median(steps),
        "ms": median(over),
        "low_ms": min(over),
        "high_ms": max(over),
        "variant": variant,
        "repetitions": repetitions,
    }


def _new_process(
    contestant: Contestant, python: Path, case: str, threads: int, repetitions: int, limit_s: float
) -> dict[str, Any]:
    """Wall time of whole processes, start to end."""
    command = [str(python), "-P", str(_FIRST), contestant.module, case, str(threads)]
    times: list[float] = []
    for _ in range(repetitions + 1):
        begin = time.perf_counter()
        try:
            done = subprocess.run(
                command, env=surroundings(threads), capture_output=True, text=True, timeout=limit_s, check=False
            )
        except subprocess.TimeoutExpired:
            return {"unavailable": f"took more than {limit_s:.0f} s"}
        times.append((time.perf_counter() - begin) * 1e3)
        if done.returncode:
            return {"unavailable": (done.stderr.strip().splitlines() or ["no message"])[-1][:300]}
    kept = times[1:]  # the first one reads files from the disk
    return {"ms": median(kept), "low_ms": min(kept), "high_ms": max(kept), "repetitions": repetitions}


def _row(question: str, case: str, goal_ms: float, reports: dict[str, dict[str, Any]]) -> dict[str, Any]:
    rivals = dict(reports)
    ours = rivals.pop(OURS.name)
    timed = {name: report["ms"] for name, report in rivals.items() if "ms" in report}
    best = min(timed, key=timed.__getitem__) if timed else None
    return {
        "case": f"{question} {case}",
        "question": question,
        "ours_ms": ours.get("ms"),
        "goal_ms": goal_ms,
        "met": ours["ms"] <= goal_ms if "ms" in ours else None,
        "best_rival": best,
        "best_rival_ms": timed[best] if best else None,
        "ours": ours,
        "rivals": rivals,
    }


def _measure(arguments: argparse.Namespace, rivals: Sequence[Contestant], threads: int, results: Results) -> None:
    pythons = install(rivals)
    for size in arguments.size or (SIZES[:1] if arguments.quick else SIZES):
        for question in ("structure", "process"):
            reports: dict[str, dict[str, Any]] = {}
            for contestant in (OURS, *rivals):
                python = pythons[contestant.environment]
                say(f"new {question}, {size}: {contestant.name}")
                if isinstance(python, str):
                    reports[contestant.name] = {"unavailable": python}
                elif question == "structure":
                    n = 20 if contestant is OURS else 2
                    reports[contestant.name] = _new_structures(contestant, python, size, threads, n, arguments.limit)
                else:
                    n = 5 if contestant is OURS else 2
                    reports[contestant.name] = _new_process(contestant, python, size, threads, n, arguments.limit)
            goal_ms = GOAL_MS if question == "structure" else GOAL_PROCESS_MS
            results.add(_row(f"new {question}", size, goal_ms, reports), {})


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; 0 when ours was measured everywhere."""
    arguments = _arguments(argv)
    names = ("jax", "torch") if arguments.quick else (*JITTED, *EAGER)
    rivals = [rival for rival in RIVALS if rival.name in names]
    threads = max(1, min(arguments.threads, available_cores()))
    path = RESULTS / "new_circuit.json" if arguments.save else None
    results = Results(path, environment_facts(threads), sources_key(threads, names), fresh=not arguments.size)
    say(f"{len(rivals)} rivals: about {1 if arguments.quick else 10} minutes")
    _measure(arguments, rivals, threads, results)
    rows = results.rows()
    shown = {"question": lambda row: row["case"], "superpose": lambda row: format_ms(row["ours_ms"])}
    shown |= {
        "goal": lambda row: format_ms(row["goal_ms"]),
        "met": lambda row: {True: "yes", False: "no"}.get(row["met"], "–"),
    }
    for rival in rivals:
        shown[rival.name] = lambda row, name=rival.name: format_ms(row["rivals"][name].get("ms"))
    if arguments.json:
        print_json(results.environment, rows)
    else:
        missing = [
            (row["case"], n, r["unavailable"]) for row in rows for n, r in row["rivals"].items() if "unavailable" in r
        ]
        notes = ["new structure: first gradient less one warm step; new process: start to end, imports and all"]
        notes += [f"{case}: {name}: {reason}" for case, name, reason in missing]
        print_table("What is new", rows, shown, notes)
    return 0 if all(row["ours_ms"] is not None for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
