"""How long does the Gram matrix of a quantum kernel take? Ours against PennyLane, Qulacs and Qiskit Aer.

The feature map is that of Havlicek et al. 2019, two layers: H, RZ(x_i), RZZ(x_i x_j) on every pair. Everyone gets the
same rows and computes the symmetric matrix of fidelities in double precision, in the way that a good user would choose:
states once per row, then one matrix product. PennyLane's own ``qml.kernels.square_kernel_matrix`` (a circuit per pair)
is timed beside it on a tenth of the rows and scaled to all pairs; it is what its documentation shows. All matrices are
compared before any time is taken. Turns are interleaved; each takes part in five rounds, the slow ones in fewer.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from harness import available_cores, environment_facts, format_ms, print_json, print_table, say, spread, version_of
from superpose.learning.families import gram_matrix, iqp_block

N_ROWS = 300
QUBITS = (4, 6, 8, 10, 12)
LAYERS = 2
TOLERANCE = 1e-10
SLOW_S = 5.0
"""A contestant that takes longer is timed once."""

Gram = Callable[[np.ndarray], np.ndarray]


def ours(n_qubits: int) -> Gram:
    """Our own."""
    block = iqp_block(n_qubits, LAYERS)
    return lambda rows: gram_matrix(block, rows)


def pairs_of(n_qubits: int) -> list[tuple[int, int]]:
    """All pairs of qubits."""
    return [(i, j) for i in range(n_qubits) for j in range(i + 1, n_qubits)]


def by_states(states: Callable[[np.ndarray], np.ndarray]) -> Gram:
    """Overlaps by one matrix product."""

    def gram(rows: np.ndarray) -> np.ndarray:
        found = states(rows)
        return np.abs(found.conj() @ found.T) ** 2

    return gram


def pennylane_states(n_qubits: int, device_name: str) -> Gram:
    """PennyLane: states of all rows, row by row or by broadcasting."""
    import pennylane as qml

    @qml.qnode(qml.device(device_name, wires=n_qubits), diff_method=None)
    def state(row: np.ndarray) -> Any:
        qml.IQPEmbedding(row, wires=range(n_qubits), n_repeats=LAYERS)
        return qml.state()

    if device_name == "default.qubit":
        return by_states(lambda rows: np.asarray(state(rows)))
    return by_states(lambda rows: np.array([state(row) for row in rows]))


def pennylane_kernel_matrix(n_qubits: int) -> Gram:
    """PennyLane's own kernel matrix: a circuit and its inverse per pair, on Lightning."""
    import pennylane as qml

    def embed(row: np.ndarray) -> None:
        qml.IQPEmbedding(row, wires=range(n_qubits), n_repeats=LAYERS)

    @qml.qnode(qml.device("lightning.qubit", wires=n_qubits), diff_method=None)
    def overlap(first: np.ndarray, second: np.ndarray) -> Any:
        embed(first)
        qml.adjoint(embed)(second)
        return qml.probs(wires=range(n_qubits))

    return lambda rows: qml.kernels.square_kernel_matrix(rows, lambda a, b: overlap(a, b)[0], True)


def qulacs_states(n_qubits: int) -> Gram:
    """Qulacs: one parametric circuit, a state per row."""
    from qulacs import ParametricQuantumCircuit, QuantumState

    circuit = ParametricQuantumCircuit(n_qubits)
    pairs = pairs_of(n_qubits)
    for _ in range(LAYERS):
        for qubit in range(n_qubits):
            circuit.add_H_gate(qubit)
        for qubit in range(n_qubits):
            circuit.add_parametric_RZ_gate(qubit, 0.0)
        for pair in pairs:
            circuit.add_parametric_multi_Pauli_rotation_gate(list(pair), [3, 3], 0.0)

    def states(rows: np.ndarray) -> np.ndarray:
        i, j = np.array(pairs).T
        once = np.concatenate([rows, rows[:, i] * rows[:, j]], axis=1)
        angles = -np.tile(once, LAYERS)  # Qulacs rotates the other way round
        state, found = QuantumState(n_qubits), np.empty((len(rows), 2**n_qubits), complex)
        for row, values in zip(found, angles, strict=True):
            for place, value in enumerate(values):
                circuit.set_parameter(place, value)
            state.set_zero_state()
            circuit.update_quantum_state(state)
            row[:] = state.get_vector()
        return found

    return by_states(states)


def aer_states(n_qubits: int) -> Gram:
    """Qiskit Aer: one circuit with bound parameters, all rows in one call."""
    from qiskit import QuantumCircuit, transpile
    from qiskit.circuit import ParameterVector
    from qiskit_aer import AerSimulator

    pairs = pairs_of(n_qubits)
    angles = ParameterVector("x", n_qubits + len(pairs))
    circuit = QuantumCircuit(n_qubits)
    for _ in range(LAYERS):
        circuit.h(range(n_qubits))
        for qubit in range(n_qubits):
            circuit.rz(angles[qubit], qubit)
        for place, pair in enumerate(pairs):
            circuit.rzz(angles[n_qubits + place], *pair)
    circuit.save_statevector()
    simulator = AerSimulator(method="statevector")
    ready = transpile(circuit, simulator, optimization_level=0)

    def states(rows: np.ndarray) -> np.ndarray:
        i, j = np.array(pairs).T
        values = np.concatenate([rows, rows[:, i] * rows[:, j]], axis=1)
        binds = [{angle: list(column) for angle, column in zip(angles, values.T, strict=True)}]
        result = simulator.run([ready], parameter_binds=binds).result()
        return np.array([np.asarray(result.get_statevector(place)) for place in range(len(rows))])

    return by_states(states)


RIVALS: dict[str, tuple[str, Callable[[int], Gram]]] = {
    "pennylane lightning, states": (
        "pennylane-lightning",
        lambda n: pennylane_states(n, "lightning.qubit"),
    ),
    "pennylane default, states broadcast": (
        "pennylane",
        lambda n: pennylane_states(n, "default.qubit"),
    ),
    "qulacs, states": ("qulacs", qulacs_states),
    "aer, states": ("qiskit-aer", aer_states),
}
KERNEL_MATRIX = "pennylane lightning, kernel_matrix"


def timed(gram: Gram, rows: np.ndarray) -> float:
    """Milliseconds of one run."""
    start = time.perf_counter()
    gram(rows)
    return 1e3 * (time.perf_counter() - start)


def one_case(n_qubits: int, n_rows: int, rounds: int) -> dict[str, Any]:
    """All contestants with one number of qubits."""
    rows = np.random.default_rng(n_qubits).uniform(-1.0, 1.0, (n_rows, n_qubits))
    contestants: dict[str, Gram] = {"superpose": ours(n_qubits)}
    failed: dict[str, str] = {}
    expected = contestants["superpose"](rows)
    for name, (package, make) in RIVALS.items():
        if version_of(package) is None:
            failed[name] = "not installed"
            continue
        gram = make(n_qubits)
        error = float(np.abs(gram(rows) - expected).max())
        if error > TOLERANCE:
            failed[name] = f"differs by {error:.1e}"
        else:
            contestants[name] = gram
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, gram in contestants.items():
            if not samples[name] or samples[name][0] < 1e3 * SLOW_S:
                samples[name].append(timed(gram, rows))
    times = {name: spread(found) for name, found in samples.items()}
    if version_of("pennylane-lightning") is not None:
        times[KERNEL_MATRIX] = _kernel_matrix(n_qubits, rows, expected)
    best = min((name for name in times if name != "superpose"), key=lambda name: times[name]["ms"], default=None)
    ratios = {name: found["ms"] / times["superpose"]["ms"] for name, found in times.items()}
    return {
        "n_qubits": n_qubits,
        "n_rows": n_rows,
        "times": times,
        "ratios": ratios,
        "best_rival": best,
        "ratio_to_best": ratios[best] if best else None,
        "failed": failed,
    }


def _kernel_matrix(n_qubits: int, rows: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """PennyLane's kernel matrix on a tenth of the rows, scaled to all pairs."""
    few = rows[: max(2, len(rows) // 10)]
    gram = pennylane_kernel_matrix(n_qubits)
    start = time.perf_counter()
    found = gram(few)
    ms = 1e3 * (time.perf_counter() - start)
    error = float(np.abs(found - expected[: len(few), : len(few)]).max())
    if error > TOLERANCE:
        raise SystemExit(f"PennyLane's kernel matrix differs by {error:.1e}")
    return spread([ms * len(rows) * (len(rows) - 1) / (len(few) * (len(few) - 1))])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--quick", action="store_true", help="4 and 8 qubits, 100 rows")
    arguments = parser.parse_args()
    qubits, n_rows, rounds = ((4, 8), 100, 3) if arguments.quick else (QUBITS, N_ROWS, 5)
    rows = []
    for n_qubits in qubits:
        say(f"{n_qubits} qubits")
        rows.append(one_case(n_qubits, n_rows, rounds))
    packages = ("pennylane", "pennylane-lightning", "qulacs", "qiskit-aer", "numpy")
    environment = environment_facts(available_cores(), versions={name: version_of(name) for name in packages})
    if arguments.json:
        print_json(environment, rows)
        return
    names = ["superpose", *RIVALS, KERNEL_MATRIX]
    columns: dict[str, Callable[[Any], str]] = {"qubits": lambda row: str(row["n_qubits"])}
    for name in names:
        columns[name] = lambda row, name=name: format_ms(row["times"].get(name, {}).get("ms"))
    columns["best rival / ours"] = lambda row: f"{row['ratio_to_best']:.1f}" if row["ratio_to_best"] else "–"
    notes = [f"{row['n_qubits']} qubits: {name} {said}" for row in rows for name, said in row["failed"].items()]
    print_table(f"Gram matrix of {n_rows} rows, double precision", rows, columns, notes)


if __name__ == "__main__":
    main()
