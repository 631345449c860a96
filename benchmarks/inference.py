"""Measures the forward pass alone, ours against the rivals, batch 1 to 4096: expectation of Z on every qubit.

python benchmarks/inference.py [--quick] [--json] [--save] [--case 8x4x4096] [--rival jax]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from harness import available_cores, environment_facts, print_json, print_table, say
from results import RESULTS, Results, sources_key
from rivals import OURS, OURS_LAYER, OURS_SERIAL, RIVALS, rival_names
from rivals.circuit import Case
from rivals.contest import Entry, install
from rivals.race import Limits
from rivals.rows import Work, columns, footnotes, measure

CASES = (
    "4x2x1",
    "4x2x64",
    "4x2x4096",
    "8x4x1",
    "8x4x64",
    "8x4x4096",
    "12x4x64",
    "reuploading:8x4x64",
    "reuploading:12x2x256",
    "iqp:8x4x64",
    "iqp:12x4x1",
    "hardware_efficient:8x4x1024",
    "hardware_efficient:12x4x64",
)
QUICK_CASES = ("4x2x64", "8x4x64")
QUICK_RIVALS = ("jax", "torch", "qulacs")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--case", action="append", metavar="[FAMILY:]QxLxB", help="qubits x layers x batch; repeatable")
    parser.add_argument("--rival", action="append", choices=rival_names(), help="only these; may be repeated")
    parser.add_argument("--quick", action="store_true", help="two cases, three rivals, under a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument(
        "--save", action="store_true", help="keep rows in results/inference.json, go on where it stopped"
    )
    parser.add_argument("--fresh", action="store_true", help="with --save: begin the file anew")
    parser.add_argument("--threads", type=int, default=2, help="threads for every contestant (2)")
    parser.add_argument("--limit", type=float, default=45.0, help="seconds for one rival to build one case (45)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; 0 when ours was measured in every case."""
    arguments = _arguments(argv)
    listed = arguments.case or (QUICK_CASES if arguments.quick else CASES)
    try:
        cases = tuple(Case.parse(text) for text in listed)
    except ValueError as error:
        say(str(error))
        return 2
    names = arguments.rival or (QUICK_RIVALS if arguments.quick else rival_names())
    rivals = tuple(rival for rival in RIVALS if rival.name in names)
    threads = max(1, min(arguments.threads, available_cores()))
    ours = [Entry(contestant, keep=True) for contestant in (OURS, OURS_SERIAL, OURS_LAYER)]
    entries = (*ours, *(Entry(rival) for rival in rivals))
    limits = Limits(setup_s=arguments.limit, rounds_s=4.0 if arguments.quick else 10.0)
    path = RESULTS / "inference.json" if arguments.save else None
    key = sources_key(threads, [rival.name for rival in rivals])
    results = Results(path, environment_facts(threads), key, fresh=arguments.fresh)
    say(f"{len(cases)} cases, {len(rivals)} rivals: about {len(cases) * (10 + 5 * len(rivals)) / 60:.0f} minutes")
    measure(Work(cases, entries, limits, threads, gradients=False), install(rivals), results)
    rows = results.rows([str(case) for case in cases])
    if arguments.json:
        print_json(results.environment, rows)
    else:
        print_table("Forward alone, best rival over ours", rows, columns(rivals), footnotes(rows, results.environment))
    return 0 if all(row["ours_ms"] is not None for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
