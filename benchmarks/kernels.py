"""How long does the matrix of a quantum kernel take? Ours against PennyLane, Qulacs and Qiskit Aer.

    python benchmarks/kernels.py --save                       # everything; resumed where it stopped
    python benchmarks/kernels.py --case projected:8 --json

The feature map is that of Havlicek et al. 2019, two layers: H, RZ(x_i), RZZ(x_i x_j) on every pair. Everyone gets the
same rows and computes the symmetric matrix in double precision, in the way that a good user would choose. "iqp":
fidelities; states once per row, then one matrix product. "projected": Gaussians of the distances between rows'
expectations of X, Y and Z on every qubit. PennyLane runs on lightning.qubit, on
default.qubit with broadcasting, and on default.qubit under ``jax.jit`` with ``jax.vmap`` (x64), which may compile
before the clock begins. Its own ``qml.kernels.square_kernel_matrix`` (a circuit per pair)
is timed beside it on a tenth of the rows and scaled to all pairs; it is what its documentation shows. All matrices are
compared before any time is taken. Turns are interleaved; each takes part in five rounds, those
slower than a second in one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from harness import available_cores, environment_facts, format_ms, print_json, print_table, say, spread, version_of
from results import RESULTS, Results, sources_key
from superpose.learning.families import gram_matrix, iqp_block, projected_gram_matrix

N_ROWS = 300
QUBITS = (4, 6, 8, 10, 12)
LAYERS = 2
GAMMA = 1.0
TOLERANCE = 1e-10
SLOW_S = 1.0
"""A contestant that takes longer is timed once."""
SETTLE_S = 0.2
"""Threads of the contestant before, which wait for more in a loop, go to sleep meanwhile."""

Gram = Callable[[np.ndarray], np.ndarray]


def ours(n_qubits: int) -> Gram:
    """Our own."""
    block = iqp_block(n_qubits, LAYERS)
    return lambda rows: gram_matrix(block, rows)


def ours_projected(n_qubits: int) -> Gram:
    """Our own, of single qubits' states."""
    block = iqp_block(n_qubits, LAYERS)
    return lambda rows: projected_gram_matrix(block, rows, gamma=GAMMA)


def gaussian(features: np.ndarray) -> np.ndarray:
    """Gaussians of rows' distances, by one matrix product."""
    squares = (features**2).sum(axis=1)
    return np.exp(-GAMMA / 2.0 * (squares[:, None] + squares - 2.0 * features @ features.T))


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


def pennylane_jax(n_qubits: int, *, projected: bool) -> Gram:
    """PennyLane: default.qubit under ``jax.jit`` and ``jax.vmap``, in double precision."""
    import jax
    import pennylane as qml

    jax.config.update("jax_enable_x64", True)

    @qml.qnode(qml.device("default.qubit", wires=n_qubits), interface="jax", diff_method=None)
    def circuit(row: Any) -> Any:
        qml.IQPEmbedding(row, wires=range(n_qubits), n_repeats=LAYERS)
        return pauli_expectations(n_qubits) if projected else qml.state()

    if not projected:
        states = jax.jit(jax.vmap(circuit))
        return by_states(lambda rows: np.asarray(states(rows)))
    features = jax.jit(jax.vmap(lambda row: jax.numpy.stack(circuit(row))))
    return lambda rows: gaussian(np.asarray(features(rows)))


def pauli_expectations(n_qubits: int) -> list[Any]:
    """X, Y and Z of every qubit, in a QNode."""
    import pennylane as qml

    return [qml.expval(pauli(qubit)) for qubit in range(n_qubits) for pauli in (qml.PauliX, qml.PauliY, qml.PauliZ)]


def pennylane_features(n_qubits: int, device_name: str) -> Gram:
    """PennyLane: expectations of all rows, row by row or by broadcasting."""
    import pennylane as qml

    @qml.qnode(qml.device(device_name, wires=n_qubits), diff_method=None)
    def circuit(row: np.ndarray) -> Any:
        qml.IQPEmbedding(row, wires=range(n_qubits), n_repeats=LAYERS)
        return pauli_expectations(n_qubits)

    if device_name == "default.qubit":
        return lambda rows: gaussian(np.stack(circuit(rows), axis=-1))
    return lambda rows: gaussian(np.array([circuit(row) for row in rows]))


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


OURS: dict[str, Callable[[int], Gram]] = {"iqp": ours, "projected": ours_projected}
RIVALS: dict[str, dict[str, tuple[str, Callable[[int], Gram]]]] = {}
RIVALS["iqp"] = {
    "pennylane lightning, states": (
        "pennylane-lightning",
        lambda n: pennylane_states(n, "lightning.qubit"),
    ),
    "pennylane default, states broadcast": (
        "pennylane",
        lambda n: pennylane_states(n, "default.qubit"),
    ),
    "pennylane jax.jit": ("jax", lambda n: pennylane_jax(n, projected=False)),
    "qulacs, states": ("qulacs", qulacs_states),
    "aer, states": ("qiskit-aer", aer_states),
}
RIVALS["projected"] = {
    "pennylane lightning": ("pennylane-lightning", lambda n: pennylane_features(n, "lightning.qubit")),
    "pennylane default, broadcast": ("pennylane", lambda n: pennylane_features(n, "default.qubit")),
    "pennylane jax.jit": ("jax", lambda n: pennylane_jax(n, projected=True)),
}
KERNEL_MATRIX = "pennylane lightning, kernel_matrix"


def timed(gram: Gram, rows: np.ndarray) -> float:
    """Milliseconds of one run."""
    start = time.perf_counter()
    gram(rows)
    return 1e3 * (time.perf_counter() - start)


def one_case(kind: str, n_qubits: int, n_rows: int, rounds: int, chosen: tuple[str, ...]) -> dict[str, Any]:
    """All contestants whose name begins with one of those given, with one number of qubits."""
    rows = np.random.default_rng(n_qubits).uniform(-1.0, 1.0, (n_rows, n_qubits))
    contestants: dict[str, Gram] = {"superpose": OURS[kind](n_qubits)}
    failed: dict[str, str] = {}
    expected = contestants["superpose"](rows)
    for name, (package, make) in RIVALS[kind].items():
        if not name.startswith(chosen):
            failed[name] = "left out"
            continue
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
                time.sleep(SETTLE_S)
                samples[name].append(timed(gram, rows))
    times = {name: spread(found) for name, found in samples.items()}
    if kind == "iqp" and KERNEL_MATRIX.startswith(chosen) and version_of("pennylane-lightning") is not None:
        times[KERNEL_MATRIX] = _kernel_matrix(n_qubits, rows, expected)
    best = min((name for name in times if name != "superpose"), key=lambda name: times[name]["ms"], default=None)
    own = [name for name in times if name.startswith("pennylane")]
    pennylane = min(own, key=lambda name: times[name]["ms"], default=None)
    ratios = {name: found["ms"] / times["superpose"]["ms"] for name, found in times.items()}
    return {
        "case": f"{kind}:{n_qubits}x{n_rows}",
        "kind": kind,
        "n_qubits": n_qubits,
        "n_rows": n_rows,
        "rounds": rounds,
        "times": times,
        "ratios": ratios,
        "best_rival": best,
        "ratio_to_best": ratios[best] if best else None,
        "best_of_pennylane": pennylane,
        "ratio_to_pennylane": ratios[pennylane] if pennylane else None,
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
    parser.add_argument("--case", action="append", help="only cases whose name begins so, repeatable")
    parser.add_argument("--rival", action="append", help="only rivals whose name begins so, repeatable")
    parser.add_argument("--rounds", type=int, help="turns of each, instead of five")
    parser.add_argument("--save", action="store_true", help="write results/kernels.json, case by case")
    parser.add_argument("--again", action="store_true", help="measure cases that the file has once more")
    arguments = parser.parse_args()
    qubits, n_rows, rounds = ((4, 8), 100, 3) if arguments.quick else (QUBITS, N_ROWS, 5)
    rounds = arguments.rounds or rounds
    chosen = tuple(arguments.rival or ("",))
    cases = {f"{kind}:{n}x{n_rows}": (kind, n) for kind in OURS for n in qubits}
    cases = {case: what for case, what in cases.items() if not arguments.case or case.startswith(tuple(arguments.case))}
    packages = ("pennylane", "pennylane-lightning", "jax", "qulacs", "qiskit-aer", "numpy")
    versions = {name: version_of(name) for name in packages}
    path = RESULTS / "kernels.json" if arguments.save else None
    kept = Results(path, environment_facts(available_cores(), versions=versions), sources_key("kernels"))
    for case, (kind, n_qubits) in cases.items():
        if arguments.again or not kept.has(case):
            say(case)
            kept.add(one_case(kind, n_qubits, n_rows, rounds, chosen), versions)
    rows = kept.rows(cases)
    if arguments.json:
        print_json(kept.environment, rows)
        return
    names = ["superpose", *dict.fromkeys(name for row in rows for name in row["times"] if name != "superpose")]
    columns: dict[str, Callable[[Any], str]] = {"case": lambda row: row["case"]}
    for name in names:
        columns[name] = lambda row, name=name: format_ms(row["times"].get(name, {}).get("ms"))
    columns["best rival / ours"] = lambda row: f"{row['ratio_to_best']:.1f}" if row["ratio_to_best"] else "–"
    columns["best of PennyLane / ours"] = lambda row: f"{row['ratio_to_pennylane'] or 0:.1f}"
    notes = [f"{row['case']}: {name} {said}" for row in rows for name, said in row["failed"].items()]
    print_table(f"Kernel matrix of {n_rows} rows, double precision", rows, columns, notes)


if __name__ == "__main__":
    main()
