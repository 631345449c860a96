"""Measures one training step, ours against the rivals: forward, and gradients of weights and inputs.

Four circuit families (``rivals/families.py``), expectation of Z on every qubit. See README.md beside this file.

    python benchmarks/training_step.py [--quick | --full] [--json] [--save] [--case iqp:8x4x64] [--rival jax]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness import available_cores, environment_facts, format_ms, print_json, print_table, say
from results import RESULTS, Results, sources_key
from rivals import OURS, OURS_LAYER, OURS_SERIAL, REFERENCE, RIVALS, Contestant, rival_names
from rivals.circuit import Case, make_task
from rivals.contest import Entry, Pythons, contest, install
from rivals.families import family_of
from rivals.goals import Patience, judged
from rivals.race import Limits

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


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--case", action="append", metavar="[FAMILY:]QxLxB", help="qubits x layers x batch; repeatable")
    parser.add_argument("--rival", action="append", choices=rival_names(), help="only these; may be repeated")
    parser.add_argument("--quick", action="store_true", help="two cases, four rivals, under a minute")
    parser.add_argument("--full", action="store_true", help="the whole grid, without the clock of --minutes")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--save", action="store_true", help="keep rows in results/training_step.json, go on where it stopped")
    parser.add_argument("--fresh", action="store_true", help="with --save: begin the file anew")
    parser.add_argument("--install-only", action="store_true", help="make the rivals' environments and stop")
    parser.add_argument("--threads", type=int, default=2, help="threads for every contestant (2)")
    parser.add_argument("--minutes", type=float, default=11.0, help="about the longest a run without --full takes (11)")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for one rival to build one case (60)")
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


def _entries(plan: Plan) -> list[Entry]:
    listed = [Entry(contestant, keep=True) for contestant in (OURS, OURS_SERIAL, OURS_LAYER)]
    if plan.reference is not None:
        listed.append(Entry(REFERENCE, {"path": str(plan.reference.resolve())}, keep=True))
    return listed + [Entry(rival) for rival in plan.rivals]


def row_of(case: Case, reports: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The JSON row of a case. ``ratio_to_best`` is the best rival's time over ours: above 1, ours is faster."""
    rivals = dict(reports)
    ours, layer, serial = (rivals.pop(name.name) for name in (OURS, OURS_LAYER, OURS_SERIAL))
    reference = rivals.pop(REFERENCE.name, None)
    row: dict[str, Any] = {
        "case": str(case),
        "family": case.family,
        "circuit": family_of(case).words,
        "n_qubits": case.n_qubits,
        "layers": case.layers,
        "batch": case.batch,
        "ours_ms": ours.get("ms"),
        "ours_1_thread_ms": serial.get("ms"),
        "gain_of_threads": serial["ms"] / ours["ms"] if "ms" in serial and "ms" in ours else None,
        "ours_first_ms": ours.get("first_ms"),
        "ours_layer_ms": layer.get("ms"),
        **judged(case, ours, rivals),
        "ours": ours,
        "ours_1_thread": serial,
        "ours_layer": layer,
        "rivals": rivals,
    }
    if reference is not None:
        both = "ms" in reference and "ms" in ours
        row |= {"reference": reference, "ratio_to_reference": reference["ms"] / ours["ms"] if both else None}
    return row


def measure(plan: Plan, pythons: Pythons, results: Results) -> None:
    """Adds the rows of all cases that the results do not hold yet."""
    patience, end, begin = Patience(), time.monotonic() + 60 * plan.minutes, time.monotonic()
    for row in results.rows():
        patience.learn(Case.parse(row["case"]), row)
    waiting = [case for case in plan.cases if not results.has(str(case))]
    for index, case in enumerate(waiting):
        deadline = end - plan.limits.rounds_s * (len(waiting) - index)
        reports, versions = contest(
            _entries(plan),
            make_task(case, plan.threads),
            pythons,
            plan.limits,
            lambda contestant, case=case: patience.reason(contestant.name, case),
            deadline,
        )
        row = row_of(case, reports)
        patience.learn(case, row)
        results.add(row, versions)
        spent_s = time.monotonic() - begin
        left_minutes = spent_s / (index + 1) * (len(waiting) - index - 1) / 60
        ratio = f"{row['ratio_to_best']:.2f} x {row['best_rival']}" if row["ratio_to_best"] else "no ratio"
        say(f"{case}: {ratio}, goal {row['goal']}; {index + 1} of {len(waiting)} cases, about {left_minutes:.0f} min left")


def _show(report: Mapping[str, Any]) -> str:
    return format_ms(report["ms"]) if "ms" in report else "–"


def _columns(plan: Plan) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "case": lambda row: row["case"],
        "superpose": lambda row: format_ms(row["ours_ms"]),
        "1 thread": lambda row: format_ms(row["ours_1_thread_ms"]),
        "first call": lambda row: format_ms(row["ours_first_ms"]),
        "QuantumLayer": lambda row: format_ms(row["ours_layer_ms"]),
    }
    if plan.reference is not None:
        columns["reference"] = lambda row: _show(row.get("reference", {}))
    for rival in plan.rivals:
        columns[rival.name] = lambda row, name=rival.name: _show(row["rivals"].get(name, {}))
    columns["best / ours"] = lambda row: f"{row['ratio_to_best']:.2f}" if row["ratio_to_best"] else "–"
    columns["goal"] = lambda row: f"{row['goal']:.0f}" if row["goal"] else "–"
    columns["met"] = lambda row: {True: "yes", False: "no", None: "–"}[row["met"]]
    return columns


def _footnotes(rows: Sequence[Mapping[str, Any]], environment: Mapping[str, Any]) -> list[str]:
    notes = [f"{environment['cpu']}, {environment['threads']} threads, Python {environment['python']}"]
    for row in rows:
        case = row["case"]
        ours = {"superpose": row["ours"], "1 thread": row["ours_1_thread"], "QuantumLayer": row["ours_layer"]}
        reports = {**ours, **row["rivals"]}
        if "reference" in row:
            reports["reference"] = row["reference"]
        best = row["rivals"].get(row["best_rival"])
        if best:
            notes.append(f"{case}: best {row['best_rival']} ({best['variant']}), first {format_ms(best['first_ms'])}")
        missing = {name: report["unavailable"] for name, report in reports.items() if "unavailable" in report}
        notes += [f"{case}: {name}: {reason}" for name, reason in missing.items()]
        doubles = [name for name, report in reports.items() if report.get("precision") == "complex128"]
        if doubles:
            notes.append(f"{case}: in complex128: {', '.join(doubles)}")
    return notes


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
    measure(plan, pythons, results)
    rows = results.rows([str(case) for case in plan.cases])
    if arguments.json:
        print_json(results.environment, rows)
    else:
        print_table("One training step, best rival over ours", rows, _columns(plan), _footnotes(rows, results.environment))
    return 0 if all(row["ours_ms"] is not None for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
