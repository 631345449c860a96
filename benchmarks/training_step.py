"""Measures one training step, ours against the rivals: forward, and gradients of weights and inputs.

Four circuit families (``rivals/families.py``), expectation of Z on every qubit. See README.md beside this file.

    python benchmarks/training_step.py [--quick | --full] [--json] [--save] [--case iqp:8x4x64] [--rival jax]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness import available_cores, environment_facts, print_json, print_table, say
from results import RESULTS, Results, sources_key
from rivals import OURS, OURS_LAYER, OURS_SERIAL, REFERENCE, RIVALS, Contestant, rival_names
from rivals.circuit import Case
from rivals.contest import Entry, install
from rivals.race import Limits
from rivals.rows import Work, columns, footnotes, measure

FULL_CASES = (
    "2x1x1",
    "4x2x32",
    "8x4x64",
    "10x4x128",
    "12x4x64",
    "20x2x1",
    "reuploading:4x2x1024",
    "reuploading:8x8x64",
    "reuploading:12x2x64",
    "iqp:4x2x32",
    "iqp:8x4x64",
    "iqp:14x2x16",
    "iqp:16x4x1",
    "hardware_efficient:6x4x64",
    "hardware_efficient:10x4x128",
    "hardware_efficient:18x2x1",
)
"""Smallest first within a family: who is far behind twice is spared the larger ones."""
CASES = ("4x2x32", "8x4x64", "reuploading:4x2x1024", "iqp:8x4x64", "hardware_efficient:10x4x128", "12x4x64", "20x2x1")
QUICK_CASES = ("4x2x32", "iqp:8x4x64")
QUICK_RIVALS = ("jax", "torch", "pennylane-torch", "qulacs")
_CASE_S = 80.0
"""Seconds that one case with all rivals took, on the average, on two cores."""


@dataclass(frozen=True)
class Plan:
    """What this run measures."""

    cases: tuple[Case, ...]
    rivals: tuple[Contestant, ...]
    limits: Limits
    threads: int
    minutes: float
    reference: Path | None

    @property
    def estimate_minutes(self) -> float:
        """About how long it takes."""
        per_case = self.limits.rounds_s + (_CASE_S - 15) * (len(self.rivals) + 3) / (len(RIVALS) + 3)
        return min(self.minutes, len(self.cases) * per_case / 60)

    @property
    def work(self) -> Work:
        """What is to be measured: ours on all threads, on one and through torch, and the rivals."""
        listed = [Entry(contestant, keep=True) for contestant in (OURS, OURS_SERIAL, OURS_LAYER)]
        if self.reference is not None:
            listed.append(Entry(REFERENCE, {"path": str(self.reference.resolve())}, keep=True))
        listed += [Entry(rival) for rival in self.rivals]
        return Work(self.cases, tuple(listed), self.limits, self.threads, self.minutes)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--case", action="append", metavar="[FAMILY:]QxLxB", help="qubits x layers x batch; repeatable")
    parser.add_argument("--rival", action="append", choices=rival_names(), help="only these; may be repeated")
    parser.add_argument("--quick", action="store_true", help="two cases, four rivals, under a minute")
    parser.add_argument("--full", action="store_true", help="the whole grid, without the clock of --minutes")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument(
        "--save", action="store_true", help="keep rows in results/training_step.json, go on where it stopped"
    )
    parser.add_argument("--fresh", action="store_true", help="with --save: begin the file anew")
    parser.add_argument("--install-only", action="store_true", help="make the rivals' environments and stop")
    parser.add_argument("--threads", type=int, default=2, help="threads for every contestant (2)")
    parser.add_argument("--minutes", type=float, default=11.0, help="about the longest a run without --full takes (11)")
    parser.add_argument("--limit", type=float, default=40.0, help="seconds for one rival to build one case (40)")
    parser.add_argument("--reference", type=Path, metavar="FILE", help="also time a sketch with class Net in FILE")
    return parser.parse_args(argv)


def plan_run(arguments: argparse.Namespace) -> Plan:
    """The plan behind the command line.

    Raises:
        ValueError: a case is not readable.
    """
    quick = arguments.quick
    names = arguments.rival or (QUICK_RIVALS if quick else rival_names())
    listed = FULL_CASES if arguments.full else QUICK_CASES if quick else CASES
    return Plan(
        cases=tuple(Case.parse(text) for text in arguments.case or listed),
        rivals=tuple(rival for rival in RIVALS if rival.name in names),
        limits=Limits(setup_s=arguments.limit, rounds_s=5.0 if quick else 15.0),
        threads=max(1, min(arguments.threads, available_cores())),
        minutes=float("inf") if arguments.full else arguments.minutes,
        reference=arguments.reference,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; 0 when ours was measured in every case."""
    arguments = _arguments(argv)
    try:
        plan = plan_run(arguments)
    except ValueError as error:
        say(str(error))
        return 2
    if arguments.install_only:
        plan = replace(plan, rivals=RIVALS)
    pythons = install(plan.rivals)
    if arguments.install_only:
        for name, python in pythons.items():
            say(f"{name or 'superpose'}: {python}")
        return int(any(isinstance(python, str) for python in pythons.values()))
    path = RESULTS / "training_step.json" if arguments.save else None
    key = sources_key(plan.threads, [rival.name for rival in plan.rivals])
    results = Results(path, environment_facts(plan.threads), key, fresh=arguments.fresh)
    say(f"{len(plan.cases)} cases, {len(plan.rivals)} rivals: about {plan.estimate_minutes:.0f} minutes")
    measure(plan.work, pythons, results)
    rows = results.rows([str(case) for case in plan.cases])
    shown = columns(plan.rivals, reference=plan.reference is not None)
    if arguments.json:
        print_json(results.environment, rows)
    else:
        print_table("One training step, best rival over ours", rows, shown, footnotes(rows, results.environment))
    return 0 if all(row["ours_ms"] is not None for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
