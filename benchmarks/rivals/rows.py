"""Rows of the benchmarks with rivals: measured case by case, told in JSON, shown in a table with footnotes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness import format_ms, say
from results import Results
from rivals import OURS, OURS_LAYER, OURS_SERIAL, REFERENCE, Contestant
from rivals.circuit import Case, make_task
from rivals.contest import Entry, Pythons, contest
from rivals.families import family_of
from rivals.goals import Patience, judged
from rivals.race import Limits

__all__ = ["Work", "columns", "footnotes", "measure", "row_of"]


@dataclass(frozen=True)
class Work:
    """What is measured: cases, who takes part, how long; forward and gradients, or forward alone."""

    cases: tuple[Case, ...]
    entries: tuple[Entry, ...]
    limits: Limits
    threads: int
    minutes: float = float("inf")
    gradients: bool = True


def row_of(case: Case, reports: Mapping[str, dict[str, Any]], *, gradients: bool = True) -> dict[str, Any]:
    """The JSON row of a case. ``ratio_to_best`` is the best rival's time over ours: above 1, ours is faster.

    The goals are those of a training step; forward alone, the goal is to be ahead.
    """
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
        **judged(case, ours, rivals, gradients=gradients),
        "ours": ours,
        "ours_1_thread": serial,
        "ours_layer": layer,
        "rivals": rivals,
    }
    if reference is not None:
        both = "ms" in reference and "ms" in ours
        row |= {"reference": reference, "ratio_to_reference": reference["ms"] / ours["ms"] if both else None}
    return row


def measure(work: Work, pythons: Pythons, results: Results) -> None:
    """Adds the rows of all cases that the results do not hold yet."""
    patience, begin = Patience(), time.monotonic()
    end = begin + 60 * work.minutes
    for row in results.rows():
        patience.learn(Case.parse(row["case"]), row)
    waiting = [case for case in work.cases if not results.has(str(case))]
    for index, case in enumerate(waiting):

        def turned_away(contestant: Contestant, case: Case = case) -> str | None:
            return None if contestant.always else patience.reason(contestant.name, case)

        task = make_task(case, work.threads, gradients=work.gradients)
        deadline = end - work.limits.rounds_s * (len(waiting) - index)
        reports, versions = contest(work.entries, task, pythons, work.limits, turned_away, deadline)
        row = row_of(case, reports, gradients=work.gradients)
        patience.learn(case, row)
        results.add(row, versions)
        left_minutes = (time.monotonic() - begin) / (index + 1) * (len(waiting) - index - 1) / 60
        ratio = f"{row['ratio_to_best']:.2f} x {row['best_rival']}" if row["ratio_to_best"] else "no ratio"
        say(f"{case}: {ratio}, goal {row['goal']}; {index + 1} of {len(waiting)} done, {left_minutes:.0f} min left")


def _show(report: Mapping[str, Any]) -> str:
    return format_ms(report["ms"]) if "ms" in report else "–"


def columns(rivals: Sequence[Contestant], *, reference: bool = False) -> dict[str, Any]:
    """Headings and what they show of a row."""
    shown: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "case": lambda row: row["case"],
        "superpose": lambda row: format_ms(row["ours_ms"]),
        "1 thread": lambda row: format_ms(row["ours_1_thread_ms"]),
        "first call": lambda row: format_ms(row["ours_first_ms"]),
        "QuantumLayer": lambda row: format_ms(row["ours_layer_ms"]),
    }
    if reference:
        shown["reference"] = lambda row: _show(row.get("reference", {}))
    for rival in rivals:
        shown[rival.name] = lambda row, name=rival.name: _show(row["rivals"].get(name, {}))
    shown["best / ours"] = lambda row: f"{row['ratio_to_best']:.2f}" if row["ratio_to_best"] else "–"
    shown["goal"] = lambda row: f"{row['goal']:.0f}" if row["goal"] else "–"
    shown["met"] = lambda row: {True: "yes", False: "no", None: "–"}[row["met"]]
    return shown


def footnotes(rows: Sequence[Mapping[str, Any]], environment: Mapping[str, Any]) -> list[str]:
    """The machine, each best rival, and who is missing or in double precision."""
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
