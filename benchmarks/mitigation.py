"""Does error mitigation help on emulated processors, at equal total shots? 50 noisy programs from one seed.

    python benchmarks/mitigation.py            # all 50; some minutes
    python benchmarks/mitigation.py --quick    # 6 of them
    python benchmarks/mitigation.py --json

The programs: 3 to 5 qubits, 2 to 6 layers of RY and RZ with random angles and CX along a line, <Z> of every qubit, on
five of IBM's processors in turn, as `emulator:NAME` runs them (placed, scheduled, noise of gates, idling and readout).
SEED was written down before the first run; methods that came later were tuned on programs of other seeds. Every
contestant gets SHOTS shots for a program, all its circuits together, those that measure the readout included. The error
is the mean over programs and qubits of the distance from the exact <Z>; a run that fails counts with the error of no
mitigation, and is told.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from harness import environment_facts, print_json, print_table, say, version_of
from superpose.backends import LocalBackend
from superpose.backends.emulators import EmulatorProvider
from superpose.backends.mitigation import (
    CliffordDataRegression,
    CliffordNormalisation,
    PauliTwirling,
    ProbabilisticErrorCancellation,
    ReadoutMitigation,
    ZeroNoiseExtrapolation,
)
from superpose.circuits import Backend, Circuit, Program, z_all
from superpose.errors import SuperposeError

SEED = 20261126
N_PROGRAMS = 50
SHOTS = 20_000
PROCESSORS = ("ibm_manila", "ibm_nairobi", "ibm_guadalupe", "ibm_sherbrooke", "ibm_fez")

METHODS: Mapping[str, Callable[[Backend], Backend]] = {
    "none": lambda backend: backend,
    "zne, factors 1 and 3, linear": lambda backend: ZeroNoiseExtrapolation(backend, (1, 3), "linear"),
    "zne, factors 1, 3, 5, exponential": ZeroNoiseExtrapolation,
    "zne linear of twirled circuits": lambda backend: ZeroNoiseExtrapolation(
        PauliTwirling(backend, 4), (1, 3), "linear"
    ),
    "Clifford data regression": CliffordDataRegression,
    "readout": ReadoutMitigation,
    "zne, factors 1 and 3, linear, of readout": lambda backend: ZeroNoiseExtrapolation(
        ReadoutMitigation(backend), (1, 3), "linear"
    ),
    "normalised by Clifford circuits": CliffordNormalisation,
    "probabilistic error cancellation": ProbabilisticErrorCancellation,
}


def program_of(number: int) -> Program:
    """One of the programs; the same whenever it is asked for."""
    rng = np.random.default_rng([SEED, number])
    n_qubits, n_layers = int(rng.integers(3, 6)), int(rng.integers(2, 7))
    circuit = Circuit(n_qubits)
    for _ in range(n_layers):
        for qubit in range(n_qubits):
            circuit.ry(float(rng.uniform(-np.pi, np.pi)), qubit).rz(float(rng.uniform(-np.pi, np.pi)), qubit)
        for qubit in range(n_qubits - 1):
            circuit.cx(qubit, qubit + 1)
    return Program(circuit, {}, z_all(n_qubits), shots=SHOTS, seed=number)


def errors_of(number: int, backend: Backend) -> dict[str, tuple[float, float, bool]]:
    """For each method the mean error, the seconds, and whether it failed."""
    program = program_of(number)
    exact = np.asarray(LocalBackend().run(Program(program.circuit, {}, program.observables)).expectations)
    out: dict[str, tuple[float, float, bool]] = {}
    for name, wrap in METHODS.items():
        started_s = time.perf_counter()
        try:
            found = np.asarray(wrap(backend).run(program).expectations)
            out[name] = (float(np.abs(found - exact).mean()), time.perf_counter() - started_s, False)
        except SuperposeError as error:
            say(f"program {number}, {name}: {error}")
            out[name] = (out["none"][0], time.perf_counter() - started_s, True)
    return out


def rows_of(n_programs: int) -> list[dict[str, Any]]:
    """A row for each method."""
    provider = EmulatorProvider()
    backends = {name: provider.backend(name) for name in PROCESSORS}
    found = []
    for number in range(n_programs):
        found.append(errors_of(number, backends[PROCESSORS[number % len(PROCESSORS)]]))
        if number % 10 == 9:
            say(f"{number + 1} of {n_programs} programs")
    plain = np.array([one["none"][0] for one in found])
    rows = []
    for name in METHODS:
        mine = np.array([one[name][0] for one in found])
        rows.append(
            {
                "method": name,
                "mean_error": float(mine.mean()),
                "ratio": float(plain.mean() / mine.mean()),
                "share_better": float((mine < plain).mean()),
                "failed": sum(one[name][2] for one in found),
                "seconds": float(np.mean([one[name][1] for one in found])),
            }
        )
    return rows


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="6 programs")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    rows = rows_of(6 if arguments.quick else N_PROGRAMS)
    if arguments.json:
        versions = {"qiskit": version_of("qiskit"), "qiskit_ibm_runtime": version_of("qiskit-ibm-runtime")}
        print_json(environment_facts(2, shots=SHOTS, seed=SEED, **versions), rows)
        return
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "method": lambda row: row["method"],
        "mean error": lambda row: f"{row['mean_error']:.4f}",
        "ratio": lambda row: f"{row['ratio']:.2f}",
        "better on": lambda row: f"{row['share_better']:.0%}",
        "failed": lambda row: str(row["failed"]),
        "s a program": lambda row: f"{row['seconds']:.2f}",
    }
    print_table(f"Mean error of <Z>, {SHOTS:,} shots a program in all", rows, columns)


if __name__ == "__main__":
    main()
