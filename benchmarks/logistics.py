"""Published problems of logistics at equal time limits: QAOA, the same procedure without it, annealing, classical.

    python benchmarks/logistics.py                       # all 19 instances; some four minutes on 2 cores
    python benchmarks/logistics.py --quick               # four of them, a second for each method
    python benchmarks/logistics.py --case tsplib --save --json
    python benchmarks/logistics.py --data DIRECTORY      # with knapsack/, tsplib/, cvrplib/ and gset/

Every method has LIMIT_S seconds of wall time for an instance, from the same start, with the same seed, one after
another: `qaoa` (2 layers; the mixer that suits the constraints; in pieces of at most 16 qubits where the problem is
larger), "the same decomposition" with an exhaustive subsolver and with coin flips, annealing of the whole QUBO, and a
classical solver. Values are those of feasible solutions; gaps are measured against the proven optimum, else the best
value known. One run each: a verdict is about this run.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness import environment_facts, print_json, print_table, say, version_of
from results import RESULTS, Results, sources_key
from superpose.optimization import JobShop, Model, SolveOptions, read_problem, solve

LIMIT_S = 3.0
SEED = 1
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "logistics"
LOW = "knapsack/pisinger_instances_01_KP/low-dimensional"
SACKS = (
    "f1_l-d_kp_10_269", "f2_l-d_kp_20_878", "f3_l-d_kp_4_20", "f4_l-d_kp_4_11", "f5_l-d_kp_15_375", "f6_l-d_kp_10_60",
    "f7_l-d_kp_7_50", "f8_l-d_kp_23_10000", "f9_l-d_kp_5_80", "f10_l-d_kp_20_879",
)  # fmt: skip
CASES = (
    *(f"{LOW}/{name}" for name in SACKS),
    *(f"tsplib/{name}.tsp" for name in ("burma14", "ulysses16", "gr17", "berlin52")),
    *(f"cvrplib/{name}.vrp" for name in ("E-n13-k4", "P-n16-k8")),
    *(f"gset/{name}.txt" for name in ("G48", "G11")),
    "jobshop/ft06",
)
QUICK = (f"{LOW}/f3_l-d_kp_4_20", "tsplib/burma14.tsp", "gset/G48.txt", "jobshop/ft06")

# Fisher and Thompson 1963, 6 jobs on 6 machines: machine and duration of each operation
FT06 = (
    "2 1 0 3 1 6 3 7 5 3 4 6", "1 8 2 5 4 10 5 10 0 10 3 4", "2 5 3 4 5 8 0 9 1 1 4 7",
    "1 5 0 5 2 5 3 3 4 8 5 9", "2 9 1 3 4 5 5 4 0 3 3 1", "1 3 3 3 5 9 0 10 4 4 2 1",
)  # fmt: skip


def model_of(case: str, data: Path) -> Model[Any]:
    """The instance."""
    if case == "jobshop/ft06":
        numbers = [list(map(int, line.split())) for line in FT06]
        jobs = [list(zip(line[::2], line[1::2], strict=True)) for line in numbers]
        return JobShop(jobs, name="ft06", reference=55)
    return read_problem(data / case)


def row_of(case: str, data: Path, limit_s: float) -> dict[str, Any]:
    """What all methods reach on one instance."""
    model = model_of(case, data)
    options = SolveOptions(time_limit_s=limit_s, seed=SEED, max_rounds=10**6, max_evaluations=60)
    answer = solve(model, "qaoa", options)
    kept = ("method", "value", "gap_percent", "seconds", "n_rounds", "repaired", "share_feasible", "reason")
    methods = [{name: getattr(row, name) for name in kept} for row in answer.rows]
    for told, row in zip(methods, answer.rows, strict=True):
        told["largest_qubo"] = row.facts.get("largest_qubo", row.facts.get("n_qubits"))
    return {
        "case": case,
        "kind": answer.kind,
        "n_variables": answer.n_variables,
        "bound": answer.bound,
        "yardstick": answer.yardstick,
        "yardstick_value": answer.yardstick_value,
        "published": model.reference,
        "methods": methods,
        "verdict": answer.verdict,
    }


def shown(row: Mapping[str, Any], word: str) -> str:
    """Gap and seconds of the method whose name has a word."""
    for method in row["methods"]:
        if word in method["method"]:
            if method["value"] is None:
                return "-"
            rounds = f", {method['n_rounds']} pieces" if method["n_rounds"] else ""
            return f"{method['gap_percent']:.2f} % ({method['seconds']:.2f} s{rounds})"
    return "-"


def main() -> None:
    """Run the instances and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="four instances, a second for each method")
    parser.add_argument("--case", action="append", help="only instances whose name has this text, repeatable")
    parser.add_argument("--data", type=Path, default=DATA, help="directory of the instances")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds for each method")
    parser.add_argument("--save", action="store_true", help="write results/logistics.json, row by row")
    parser.add_argument("--fresh", action="store_true", help="begin results/logistics.json anew")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    limit_s = 1.0 if arguments.quick else arguments.limit
    cases = [case for case in (QUICK if arguments.quick else CASES) if not arguments.case or any(
        text in case for text in arguments.case
    )]  # fmt: skip
    versions = {name: version_of(name) for name in ("ortools", "dwave-samplers", "scipy")}
    facts = environment_facts(2, limit_s=limit_s, seed=SEED)
    path = RESULTS / "logistics.json" if arguments.save else None
    kept = Results(path, facts, sources_key("logistics", limit_s, SEED), fresh=arguments.fresh)
    for case in cases:
        if kept.has(case):
            continue
        if case != "jobshop/ft06" and not (arguments.data / case).is_file():
            say(f"{case}: not in {arguments.data.name}, left out")
            continue
        say(case)
        kept.add(row_of(case, arguments.data, limit_s), versions)
    rows = kept.rows(cases)
    if arguments.json:
        print_json(kept.environment, rows)
        return
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "instance": lambda row: Path(row["case"]).name,
        "variables": lambda row: str(row["n_variables"]),
        "yardstick": lambda row: f"{row['yardstick_value']:g} ({row['yardstick']})",
        "qaoa": lambda row: shown(row, "qaoa"),
        "exhaustive": lambda row: shown(row, "exhaustive"),
        "coin flips": lambda row: shown(row, "coin flips"),
        "annealing": lambda row: shown(row, "annealing"),
        "classical": lambda row: shown(row, "classical"),
    }
    print_table(f"Gap at {limit_s:g} s a method", rows, columns)


if __name__ == "__main__":
    main()
