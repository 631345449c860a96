"""How long does one large state take, and how much memory? Ours against Qulacs, Aer and Lightning.

    python benchmarks/large_states.py                     # 20 to 25 qubits, double precision
    python benchmarks/large_states.py --quick             # 20 qubits, under a minute
    python benchmarks/large_states.py --qubits 26 27 --circuits qft random
    python benchmarks/large_states.py --qasm FILE.qasm ... # circuits of one's own, without measurements

What is timed: from the library's own circuit, built before, to the final state as a NumPy array. Every contestant is a
process of its own with the same threads; its amplitudes at 400 random places are compared before any time is taken.
Up to 23 qubits they take turns, beyond each runs alone. ``peak_states`` is the memory our process took, result
included, in states of that precision. Qulacs has double precision only.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from harness import available_cores, environment_facts, format_ms, print_json, print_table, say
from rivals.environments import ensure_environment
from rivals.state_contest import RIVALS, Case, Contest, circuits

ALONE_FROM = 24


def read_qasm(path: Path) -> Case:
    """Return a file's circuit without its final measurements.

    Raises:
        ValueError: It holds more than gates.
    """
    from superpose.circuits import Instruction, from_qasm

    circuit, _ = from_qasm(path.read_text()).without_final_measurements()
    gates = []
    for item in circuit.instructions:
        if isinstance(item, Instruction):
            gates.append((item.gate, list(item.qubits), [float(angle.evaluate({})) for angle in item.angles]))
        elif type(item).__name__ != "Barrier":
            raise ValueError(f"{path.name} holds {type(item).__name__}; only gates can be compared")
    return Case(path.stem, circuit.n_qubits, gates)


def cases_of(arguments: argparse.Namespace) -> list[Case]:
    """Return the circuits that were asked for."""
    if arguments.quick:
        return [circuits(name, 20) for name in ("qft", "random")]
    found = [read_qasm(path) for path in arguments.qasm]
    if not arguments.qasm or arguments.qubits:
        found += [circuits(name, n) for n in arguments.qubits or (20, 22, 24, 25) for name in arguments.circuits]
    return found


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20 qubits only")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--qubits", type=int, nargs="+", default=[])
    parser.add_argument("--circuits", nargs="+", default=["qft", "random", "volume"])
    parser.add_argument("--qasm", type=Path, nargs="+", default=[], help="OpenQASM files")
    parser.add_argument("--rival", action="append", choices=RIVALS, help="only these (repeat)")
    parser.add_argument("--precision", choices=("double", "single"), default="double")
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for one run")
    parser.add_argument("--python", help="an interpreter that has the rivals, instead of the locked environment")
    return parser.parse_args()


def main() -> None:
    """Run and report."""
    arguments = parse()
    python = arguments.python or str(ensure_environment("state_vectors", say))
    rows: list[dict[str, Any]] = []
    for case in cases_of(arguments):
        alone = case.n_qubits >= ALONE_FROM
        contest = Contest(python, arguments.precision, arguments.threads, arguments.limit, say, alone=alone)
        rounds = min(arguments.rounds, 3) if alone else arguments.rounds
        rows.append(contest.row(case, arguments.rival or RIVALS, rounds, {"op": "run"}))
    if arguments.json:
        print_json(environment_facts(arguments.threads), rows)
        return
    columns = {
        "circuit": lambda row: row["circuit"],
        "gates": lambda row: str(row["n_gates"]),
        "precision": lambda row: row["precision"],
        **{name: lambda row, name=name: format_ms(row.get(f"{name}_ms")) for name in ("ours", *RIVALS)},
        "best / ours": lambda row: f"{row['ratio_to_best']:.2f}" if row["ratio_to_best"] else "–",
        "peak (states)": lambda row: f"{row['peak_states']:.2f}" if row["peak_states"] else "–",
    }
    reasons = sorted({f"{k[:-12]}: {v}" for row in rows for k, v in row.items() if k.endswith("_unavailable")})
    print_table("Large states", rows, columns, reasons)


if __name__ == "__main__":
    main()
