"""How long do a million shots take? Ours against Qulacs, Aer and Lightning.

    python benchmarks/sampling.py             # random circuits of 12, 16, 20 and 22 qubits
    python benchmarks/sampling.py --quick     # 16 qubits, under a minute

What is timed: from the library's own circuit to its own form of the measured shots (ours and Aer's: counts of bit
strings; Qulacs' and Lightning's: their outcomes, counted), the run of the circuit included, in double precision.
Contestants and turns are those of `large_states.py`.
"""

from __future__ import annotations

import argparse

from harness import available_cores, environment_facts, format_ms, print_json, print_table, say
from rivals.environments import ensure_environment
from rivals.state_contest import RIVALS, Contest, circuits


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="16 qubits only")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--qubits", type=int, nargs="+", default=[12, 16, 20, 22])
    parser.add_argument("--shots", type=int, default=1_000_000)
    parser.add_argument("--rival", action="append", choices=RIVALS, help="only these (repeat)")
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for one run")
    parser.add_argument("--python", help="an interpreter that has the rivals, instead of the locked environment")
    arguments = parser.parse_args()
    python = arguments.python or str(ensure_environment("state_vectors", say))
    contest = Contest(python, "double", arguments.threads, arguments.limit, say, alone=False)
    request = {"op": "sample", "shots": arguments.shots, "seed": 1}
    rows = [
        {
            **contest.row(circuits("random", n), arguments.rival or RIVALS, arguments.rounds, request),
            "shots": arguments.shots,
        }
        for n in ([16] if arguments.quick else arguments.qubits)
    ]
    if arguments.json:
        print_json(environment_facts(arguments.threads), rows)
        return
    columns = {
        "circuit": lambda row: row["circuit"],
        "shots": lambda row: f"{row['shots']:,}",
        **{name: lambda row, name=name: format_ms(row.get(f"{name}_ms")) for name in ("ours", *RIVALS)},
        "best / ours": lambda row: f"{row['ratio_to_best']:.2f}" if row["ratio_to_best"] else "–",
    }
    reasons = sorted({f"{k[:-12]}: {v}" for row in rows for k, v in row.items() if k.endswith("_unavailable")})
    print_table("Sampling", rows, columns, reasons)


if __name__ == "__main__":
    main()
