"""How long do noisy circuits take, ours against Qiskit Aer? Density matrices, and trajectories of pure states.

The circuit: layers of RY and RZ on each qubit and a ring of CX. Behind each rotation stand depolarising noise and
amplitude damping, behind each CX depolarising noise of two qubits. Asked for: the expectation of Z on every qubit.
Both get the circuit with its noise before the clock starts; Aer is tried with and without gate fusion, and its better
time counts. No time is taken before both have given the same numbers: to 1e-10 for density matrices, within ten
standard errors of eight seeds for trajectories.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np

from harness import environment_facts, format_ms, print_json, print_table, say, version_of
from superpose.circuits import Circuit, z_all
from superpose.engine import set_threads
from superpose.engine.dynamic import DynamicProgram, compile_dynamic

CASES = (("density_matrix", 4, 4), ("density_matrix", 8, 4), ("density_matrix", 10, 2), ("density_matrix", 12, 1))
TRAJECTORIES = (("trajectories", 16, 2),)
N_TRAJECTORIES = 24
ONE, DAMPING, TWO = 0.002, 0.003, 0.01
ROUNDS = 3
ENOUGH_S = 0.2


def angles_of(n_qubits: int, n_layers: int) -> np.ndarray:
    return np.random.default_rng(n_qubits).normal(size=(n_layers, n_qubits, 2))


def our_program(method: Any, n_qubits: int, n_layers: int) -> DynamicProgram:
    circuit = Circuit(n_qubits)
    for layer in angles_of(n_qubits, n_layers):
        for qubit, (a, b) in enumerate(layer.tolist()):
            circuit.ry(a, qubit).depolarizing(ONE, qubit).amplitude_damping(DAMPING, qubit)
            circuit.rz(b, qubit).depolarizing(ONE, qubit).amplitude_damping(DAMPING, qubit)
        for qubit in range(n_qubits):
            circuit.cx(qubit, (qubit + 1) % n_qubits).depolarizing2(TWO, qubit, (qubit + 1) % n_qubits)
    return compile_dynamic(circuit, z_all(n_qubits), method=method)


def aer_calls(method: str, n_qubits: int, n_layers: int, threads: int) -> dict[str, Callable[..., np.ndarray]]:
    """Calls that return the expectations, with and without fusion."""
    from qiskit import QuantumCircuit
    from qiskit.quantum_info import SparsePauliOp
    from qiskit_aer import AerSimulator
    from qiskit_aer.noise import NoiseModel, amplitude_damping_error, depolarizing_error

    circuit = QuantumCircuit(n_qubits)
    for layer in angles_of(n_qubits, n_layers):
        for qubit, (a, b) in enumerate(layer.tolist()):
            circuit.ry(a, qubit)
            circuit.rz(b, qubit)
        for qubit in range(n_qubits):
            circuit.cx(qubit, (qubit + 1) % n_qubits)
    for qubit in range(n_qubits):
        letters = "I" * (n_qubits - 1 - qubit) + "Z" + "I" * qubit
        circuit.save_expectation_value(SparsePauliOp(letters), range(n_qubits), label=str(qubit))
    model = NoiseModel()
    model.add_all_qubit_quantum_error(
        depolarizing_error(ONE, 1).compose(amplitude_damping_error(DAMPING)), ["ry", "rz"]
    )
    model.add_all_qubit_quantum_error(depolarizing_error(TWO, 2), ["cx"])
    density = method == "density_matrix"

    def caller(fusion: bool) -> Callable[..., np.ndarray]:
        simulator = AerSimulator(
            method="density_matrix" if density else "statevector",
            noise_model=model,
            max_parallel_threads=threads,
            max_parallel_shots=1 if density else threads,
            fusion_enable=fusion,
        )
        shots = None if density else N_TRAJECTORIES

        def call(seed: int = 1) -> np.ndarray:
            data = simulator.run(circuit, shots=shots, seed_simulator=seed).result().data()
            return np.array([data[str(qubit)] for qubit in range(n_qubits)])

        return call

    return {"fusion": caller(True), "no fusion": caller(False)}


def turn_ms(call: Callable[[], Any]) -> float:
    """Median of some calls; all have been called before."""
    times: list[float] = []
    while not times or (sum(times) < ENOUGH_S and len(times) < 50):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return 1e3 * median(times)


def run_case(method: str, n_qubits: int, n_layers: int, threads: int, rounds: int) -> dict[str, Any]:
    begin = time.perf_counter()
    program = our_program(method, n_qubits, n_layers)

    def ours() -> np.ndarray:
        return program.expectation(None, None, n_trajectories=N_TRAJECTORIES, seed=1)

    ours()
    first_ms = 1e3 * (time.perf_counter() - begin)
    calls = aer_calls(method, n_qubits, n_layers, threads)
    if method == "density_matrix":
        difference = max(float(np.abs(call() - ours()[0]).max()) for call in calls.values())
        allowed = 1e-10
    else:
        values, error = program.expectation_and_error(None, None, n_trajectories=8 * N_TRAJECTORIES, seed=1)
        found = np.array([calls["fusion"](seed) for seed in range(1, 9)])  # Aer tells no error of its own
        spread = np.hypot(error[0], found.std(axis=0, ddof=1) / 8**0.5)
        difference = float((np.abs(found.mean(axis=0) - values[0]) / (spread + 1e-6)).max())
        allowed = 10.0  # of a number with 7 degrees of freedom
    if difference > allowed:
        raise SystemExit(
            f"{method} of {n_qubits} qubits: the numbers differ by {difference:.3g}, allowed {allowed:.3g}."
        )
    times: dict[str, list[float]] = {"ours": [], **{name: [] for name in calls}}
    for _ in range(rounds):
        times["ours"].append(turn_ms(ours))
        for name, call in calls.items():
            times[name].append(turn_ms(call))
    aer = {name: median(times[name]) for name in calls}
    ours_ms, aer_ms = median(times["ours"]), min(aer.values())
    return {
        "method": method,
        "n_qubits": n_qubits,
        "n_layers": n_layers,
        "n_trajectories": N_TRAJECTORIES if method == "trajectories" else None,
        "ours_ms": ours_ms,
        "aer_ms": aer_ms,
        "aer_tried_ms": aer,
        "ratio": aer_ms / ours_ms,
        "first_ms": first_ms,
        "difference": difference,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small cases, one round: under a minute")
    parser.add_argument("--case", action="append", metavar="QUBITS", type=int, help="only these sizes")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    set_threads(given.threads)
    warnings.simplefilter("ignore", DeprecationWarning)
    cases = CASES[:3] if given.quick else CASES + TRAJECTORIES
    if given.case:
        cases = tuple(case for case in CASES + TRAJECTORIES if case[1] in given.case)
    rows = []
    for method, n_qubits, n_layers in cases:
        say(f"{method}, {n_qubits} qubits, {n_layers} layers ...")
        rounds = 1 if given.quick else ROUNDS if n_qubits <= 10 else 2
        rows.append(run_case(method, n_qubits, n_layers, given.threads, rounds))
    facts = environment_facts(given.threads, qiskit_aer=version_of("qiskit-aer"), qiskit=version_of("qiskit"))
    if given.json:
        print_json(facts, rows)
        return
    print_table(
        "Noisy circuits, Z of every qubit",
        rows,
        {
            "method": lambda row: row["method"],
            "qubits x layers": lambda row: f"{row['n_qubits']} x {row['n_layers']}",
            "ours": lambda row: format_ms(row["ours_ms"]),
            "Aer": lambda row: format_ms(row["aer_ms"]),
            "ratio": lambda row: f"{row['ratio']:.1f}",
        },
        [f"{facts['cpu']}, {given.threads} threads, qiskit-aer {facts['qiskit_aer']}; Aer with or without fusion."],
    )


if __name__ == "__main__":
    main()
