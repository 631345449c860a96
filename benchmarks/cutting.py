"""What does circuit cutting cost? Errors of cut programs against shots and overhead, on the exact engine.

    python benchmarks/cutting.py            # a minute or two
    python benchmarks/cutting.py --quick    # fewer parameters and shots
    python benchmarks/cutting.py --json

Four circuits of 8 qubits with random angles, <Z> of every qubit and one product. First, exact expectations of the cut
circuit are compared with those of the uncut one (1e-9); then both are sampled at the same total shots. The error is the
root mean square over parameters and observables; "times the error" is that of the cut circuit over that of the uncut
one. "Scores" are errors in units of the standard error that the result tells: their squares have the mean 1 where that
is honest. SEED was set before the first run.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from harness import environment_facts, print_json, print_table
from superpose.backends import LocalBackend
from superpose.backends.cutting import Cutting
from superpose.circuits import Circuit, Observable, Program, parameters, z_all

SEED = 20261127
N_QUBITS = 8
SHOTS = (1_000, 10_000, 100_000)
N_VALUES = 100


def _chain(links: Mapping[int, tuple[str, tuple[float, ...]]]) -> Circuit:
    """Turns, a chain of CX with other gates at ``links``, turns, CX where nothing is cut, turns."""
    angles = iter(parameters("w", 3 * N_QUBITS))
    circuit = Circuit(N_QUBITS)
    for layer in range(2):
        for qubit in range(N_QUBITS):
            circuit.ry(next(angles), qubit)
        for qubit in range(N_QUBITS - 1):
            if qubit not in links:
                circuit.cx(qubit, qubit + 1)
            elif layer == 0:
                name, values = links[qubit]
                circuit.append(name, [qubit, qubit + 1], values)
    for qubit in range(N_QUBITS):
        circuit.ry(next(angles), qubit)
    return circuit


def _ladder() -> Circuit:
    """Two gates between all neighbours, one pair after the other: a qubit between them is cut."""
    angles = iter(parameters("w", 3 * N_QUBITS))
    circuit = Circuit(N_QUBITS)
    for qubit in range(N_QUBITS - 1):
        circuit.ry(next(angles), qubit).cx(qubit, qubit + 1).rx(next(angles), qubit + 1).cz(qubit, qubit + 1)
        circuit.rx(next(angles), qubit)
    return circuit


CIRCUITS: Mapping[str, tuple[Circuit, int]] = {
    "a weak gate, RZZ(0.3)": (_chain({3: ("rzz", (0.3,))}), 5),
    "a CX": (_chain({3: ("cx", ())}), 5),
    "two CX, three fragments": (_chain({2: ("cx", ()), 5: ("cx", ())}), 4),
    "a qubit between gates": (_ladder(), 5),
}


def rows_of(n_values: int, shots: tuple[int, ...]) -> list[dict[str, Any]]:
    """A row for each circuit and number of shots."""
    rows = []
    observables = (*z_all(N_QUBITS), Observable.on({0: "Z", N_QUBITS - 1: "X"}, N_QUBITS))
    engine = LocalBackend()
    for name, (circuit, most) in CIRCUITS.items():
        rng = np.random.default_rng(SEED)
        values = {one: rng.uniform(-np.pi, np.pi, n_values) for one in circuit.parameters}
        program = Program(circuit, values, observables, seed=SEED)
        cutting = Cutting(engine, most)
        exact = np.asarray(engine.run(program).expectations)  # (n_values, n_observables)
        off = float(np.abs(np.asarray(cutting.run(program).expectations) - exact).max())
        if off > 1e-9:
            raise SystemExit(f"{name}: cut and uncut expectations differ by {off:.2g}")
        for number in shots:
            sampled = replace(program, shots=number)
            found = cutting.run(sampled)
            errors = np.asarray(found.expectations) - exact
            uncut = np.asarray(engine.run(sampled).expectations) - exact
            facts = found.provenance["cutting"]
            told = np.asarray(facts["standard_errors"])
            noisy = told > 1e-9  # an expectation that is certain has no error, and none is told
            scores = errors[noisy] / told[noisy]
            rows.append(
                {
                    "circuit": name,
                    "shots": number,
                    "cuts": [cut["kind"] for cut in facts["cuts"]],
                    "overhead": facts["overhead"],
                    "n_runs": sum(one["n_runs"] for one in facts["fragments"]) // n_values,
                    "exact_difference": off,
                    "rms_error": float(np.sqrt((errors**2).mean())),
                    "rms_error_uncut": float(np.sqrt((uncut**2).mean())),
                    "ratio": float(np.sqrt((errors**2).mean() / (uncut**2).mean())),
                    "mean_square_score": float((scores**2).mean()),
                    "share_within_3": float((np.abs(scores) < 3).mean()),
                }
            )
    return rows


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20 parameter sets, up to 10,000 shots")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    rows = rows_of(20, SHOTS[:2]) if arguments.quick else rows_of(N_VALUES, SHOTS)
    if arguments.json:
        print_json(environment_facts(2, seed=SEED), rows)
        return
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "cut": lambda row: row["circuit"],
        "overhead": lambda row: f"{row['overhead']:.1f}",
        "runs": lambda row: str(row["n_runs"]),
        "shots": lambda row: f"{row['shots']:,}",
        "error": lambda row: f"{row['rms_error']:.4f}",
        "uncut": lambda row: f"{row['rms_error_uncut']:.4f}",
        "times the error": lambda row: f"{row['ratio']:.1f}",
        "scores squared": lambda row: f"{row['mean_square_score']:.2f}",
        "within 3": lambda row: f"{row['share_within_3']:.2%}",
    }
    print_table("Cut and uncut at equal total shots", rows, columns)


if __name__ == "__main__":
    main()
