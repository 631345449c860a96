"""Measures one training step, ours against the rivals: forward, and gradients of weights and inputs.

Circuit: RY(input) on every qubit, then strongly entangling layers (RZ RY RZ on every qubit, a CNOT ring of range
``layer mod (n_qubits - 1) + 1``), expectation of Z on every qubit. See README.md beside this file for the rules.

    python benchmarks/training_step.py [--quick] [--json] [--case 8x4x64] [--rival jax] [--install-only]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness import available_cores, environment_facts, format_ms, print_json, print_table, say
from rivals import OURS, OURS_LAYER, REFERENCE, RIVALS, Contestant, rival_names
from rivals.circuit import Case, Task, make_task
from rivals.environments import EnvironmentUnavailableError, ensure_environment
from rivals.exact import Step, exact_step
from rivals.race import Limits, Runner, build, race

CIRCUIT = "RY encoding + strongly entangling layers, Z on every qubit"
CASES = ("4x2x32", "8x4x64", "10x4x128", "12x4x64", "16x4x4")
QUICK_CASES = CASES[:2]
QUICK_RIVALS = ("jax", "torch", "pennylane-torch", "qulacs")


@dataclass(frozen=True)
class Plan:
    """What this run measures."""

    cases: tuple[Case, ...]
    rivals: tuple[Contestant, ...]
    limits: Limits
    threads: int
    minutes: float
    reference: Path | None


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--case", action="append", metavar="QxLxB", help="qubits x layers x batch; may be repeated")
    parser.add_argument("--rival", action="append", choices=rival_names(), help="only these; may be repeated")
    parser.add_argument("--quick", action="store_true", help="two cases, four rivals, under a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--install-only", action="store_true", help="make the rivals' environments and stop")
    parser.add_argument("--threads", type=int, default=2, help="threads for every contestant (2)")
    parser.add_argument("--minutes", type=float, default=11.0, help="about the longest the whole run may take (11)")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for one rival to build one case (120)")
    parser.add_argument("--reference", type=Path, metavar="FILE", help="also time a sketch with class Net in FILE")
    return parser.parse_args(argv)


def plan_run(arguments: argparse.Namespace) -> Plan:
    """The plan behind the command line.

    Raises:
        ValueError: a case is not readable.
    """
    quick = arguments.quick
    names = arguments.rival or (QUICK_RIVALS if quick else rival_names())
    return Plan(
        cases=tuple(Case.parse(text) for text in arguments.case or (QUICK_CASES if quick else CASES)),
        rivals=tuple(rival for rival in RIVALS if rival.name in names),
        limits=Limits(setup_s=arguments.limit, rounds_s=5.0) if quick else Limits(setup_s=arguments.limit),
        threads=max(1, min(arguments.threads, available_cores())),
        minutes=arguments.minutes,
        reference=arguments.reference,
    )


def install(rivals: Sequence[Contestant]) -> dict[str | None, Path | str]:
    """Python of each environment, or the reason why there is none."""
    found: dict[str | None, Path | str] = {None: Path(sys.executable)}
    for name in sorted({rival.environment for rival in rivals if rival.environment}):
        try:
            found[name] = ensure_environment(name, say)
        except EnvironmentUnavailableError as error:
            found[name] = f"cannot be installed here: {error}"
    return found


def _contestants(plan: Plan) -> list[tuple[Contestant, dict[str, str]]]:
    listed: list[tuple[Contestant, dict[str, str]]] = [(OURS, {}), (OURS_LAYER, {})]
    if plan.reference is not None:
        listed.append((REFERENCE, {"path": str(plan.reference.resolve())}))
    return listed + [(rival, {}) for rival in plan.rivals]


@contextmanager
def _runners(
    plan: Plan, task: Task, pythons: Mapping[str | None, Path | str], deadline: float
) -> Iterator[dict[str, Runner]]:
    exact: Step = exact_step(task)
    with ExitStack() as alive:
        runners: dict[str, Runner] = {}
        for contestant, options in _contestants(plan):
            python = pythons[contestant.environment]
            left_s = min(plan.limits.setup_s, deadline - time.monotonic())
            if isinstance(python, str):
                runner = Runner(contestant, unavailable=python)
            elif left_s < 10 and contestant in plan.rivals:
                runner = Runner(contestant, unavailable=f"not run: the {plan.minutes:.0f} minutes are used up")
            else:
                say(f"{task.case}: building {contestant.name}")
                runner = build(contestant, python, task, exact, max(left_s, 10.0), options)
            if runner.process is not None:
                alive.callback(runner.process.close)
            runners[contestant.name] = runner
        yield runners


def row_of(case: Case, runners: Mapping[str, Runner]) -> dict[str, Any]:
    """The JSON row of a case. ``ratio_to_best`` is the best rival's time over ours: above 1, ours is faster."""
    reports = {name: runner.report() for name, runner in runners.items()}
    ours, layer = reports.pop(OURS.name), reports.pop(OURS_LAYER.name)
    reference = reports.pop(REFERENCE.name, None)
    timed = {name: report["ms"] for name, report in reports.items() if "ms" in report}
    best = min(timed, key=timed.__getitem__) if timed else None
    row: dict[str, Any] = {
        "circuit": CIRCUIT,
        "n_qubits": case.n_qubits,
        "layers": case.layers,
        "batch": case.batch,
        "ours_ms": ours.get("ms"),
        "ours_first_ms": ours.get("first_ms"),
        "ours_layer_ms": layer.get("ms"),
        "ours": ours,
        "ours_layer": layer,
        "rivals": reports,
        "best_rival": best,
        "best_rival_ms": timed[best] if best else None,
        "ratio_to_best": timed[best] / ours["ms"] if best and "ms" in ours else None,
    }
    if reference is not None:
        both = "ms" in reference and "ms" in ours
        row |= {"reference": reference, "ratio_to_reference": reference["ms"] / ours["ms"] if both else None}
    return row


def measure(plan: Plan, pythons: Mapping[str | None, Path | str]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of all cases, and the versions that each contestant reported."""
    rows: list[dict[str, Any]] = []
    versions: dict[str, Any] = {}
    end = time.monotonic() + 60 * plan.minutes
    for index, case in enumerate(plan.cases):
        waiting_s = plan.limits.rounds_s * (len(plan.cases) - index)
        task = make_task(case, plan.threads)
        with _runners(plan, task, pythons, deadline=end - waiting_s) as runners:
            n_rounds = race(list(runners.values()), plan.limits)
            say(f"{case}: {n_rounds} rounds")
            rows.append(row_of(case, runners))
            versions |= {name: r.facts["versions"] for name, r in runners.items() if "versions" in r.facts}
    return rows, versions


def _show(report: Mapping[str, Any]) -> str:
    return format_ms(report["ms"]) if "ms" in report else "–"


def _columns(plan: Plan) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "case": lambda row: f"{row['n_qubits']}x{row['layers']}x{row['batch']}",
        "superpose": lambda row: format_ms(row["ours_ms"]),
        "first call": lambda row: format_ms(row["ours_first_ms"]),
        "QuantumLayer": lambda row: format_ms(row["ours_layer_ms"]),
    }
    if plan.reference is not None:
        columns["reference"] = lambda row: _show(row["reference"])
    for rival in plan.rivals:
        columns[rival.name] = lambda row, name=rival.name: _show(row["rivals"][name])
    columns["best / ours"] = lambda row: f"{row['ratio_to_best']:.2f}" if row["ratio_to_best"] else "–"
    return columns


def _footnotes(rows: Sequence[Mapping[str, Any]], environment: Mapping[str, Any]) -> list[str]:
    notes = [f"{environment['cpu']}, {environment['threads']} threads, Python {environment['python']}"]
    for row in rows:
        case = f"{row['n_qubits']}x{row['layers']}x{row['batch']}"
        reports = {"superpose": row["ours"], "QuantumLayer": row["ours_layer"], **row["rivals"]}
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
    environment = environment_facts(plan.threads)
    rows, environment["versions"] = measure(plan, pythons)
    if arguments.json:
        print_json(environment, rows)
    else:
        print_table(f"One training step: {CIRCUIT}", rows, _columns(plan), _footnotes(rows, environment))
    return 0 if all(row["ours_ms"] is not None for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
