"""Random circuits with noise and feed-forward, and a slow plain reference for them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from superpose.circuits import (
    CHANNELS,
    GATES,
    Barrier,
    Channel,
    Circuit,
    Condition,
    Delay,
    If,
    Instruction,
    KrausChannel,
    Measure,
    Operation,
    Parameter,
    Reset,
)

VALUES = {
    "bit_flip": (0.07,),
    "phase_flip": (0.11,),
    "bit_phase_flip": (0.05,),
    "depolarizing": (0.13,),
    "depolarizing2": (0.09,),
    "pauli": (0.02, 0.05, 0.11),
    "amplitude_damping": (0.21,),
    "generalized_amplitude_damping": (0.17, 0.3),
    "phase_damping": (0.23,),
    "thermal_relaxation": (80.0, 95.0, 20.0, 0.1),
}


def on_all(operator: np.ndarray, qubits: tuple[int, ...], n: int) -> np.ndarray:
    """The matrix on all qubits of one that acts on some."""
    m = len(qubits)
    tensor = np.tensordot(
        operator.reshape((2,) * (2 * m)), np.eye(2**n).reshape((2,) * (2 * n)), (tuple(range(m, 2 * m)), qubits)
    )
    return np.moveaxis(tensor, range(m), qubits).reshape(2**n, 2**n)


def slow_run(
    circuit: Circuit, params: Mapping[str, float] | None = None, state: np.ndarray | None = None
) -> dict[tuple[int, ...], np.ndarray]:
    """Unnormalised density matrices by the values of all classical bits, matrix by matrix."""
    n = circuit.n_qubits
    if state is None:
        state = np.eye(2**n)[0]
    return _slow(circuit.instructions, {(0,) * circuit.n_bits: np.outer(state, state.conj())}, n, params or {})


def _slow(operations, records, n, params):
    for item in operations:
        if isinstance(item, If):
            yes = {bits: rho for bits, rho in records.items() if item.condition.holds(bits)}
            no = {bits: rho for bits, rho in records.items() if bits not in yes}
            parts = [_slow(item.then, yes, n, params), _slow(item.otherwise, no, n, params)]
            records = {}
            for part in parts:
                for bits, rho in part.items():
                    records[bits] = records.get(bits, 0) + rho
        elif isinstance(item, Measure):
            found: dict[tuple[int, ...], np.ndarray] = {}
            for bits, rho in records.items():
                for outcome, flip in ((0, item.flip0), (1, item.flip1)):
                    projector = on_all(np.diag([1 - outcome, outcome]).astype(complex), item.qubits, n)
                    for read, weight in ((outcome, 1 - flip), (1 - outcome, flip)):
                        new = (*bits[: item.bit], read, *bits[item.bit + 1 :])
                        found[new] = found.get(new, 0) + weight * projector @ rho @ projector
            records = found
        elif not isinstance(item, Barrier | Delay):
            records = {bits: _acted(item, rho, n, params) for bits, rho in records.items()}
    return records


def _acted(item: Operation, rho, n, params):
    if isinstance(item, Instruction):
        operators = [GATES[item.gate].matrix([float(angle.evaluate(params)) for angle in item.angles])]
    elif isinstance(item, Reset):
        operators = [np.array([[1, 0], [0, 0]]), np.array([[0, 1], [0, 0]])]
    else:
        operators = list(item.kraus())
    return sum((k := on_all(np.asarray(op, complex), item.qubits, n)) @ rho @ k.conj().T for op in operators)


def slow_probabilities(circuit: Circuit, params: Mapping[str, float] | None = None) -> np.ndarray:
    """Probabilities of the bits' values."""
    out = np.zeros(2**circuit.n_bits)
    for bits, rho in slow_run(circuit, params).items():
        out[int("".join(map(str, bits)), 2)] += np.trace(rho).real
    return out


def random_kraus(m: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Operators cut out of a random isometry."""
    d = 2**m
    q, _ = np.linalg.qr(rng.normal(size=(k * d, d)) + 1j * rng.normal(size=(k * d, d)))
    return q.reshape(k, d, d)


def random_noisy(
    n_qubits: int, n_operations: int, rng: np.random.Generator, names=("a", "b", "c"), *, kraus: bool = True
) -> Circuit:
    """Gates of the whole table, with channels of all rows among them."""
    circuit = Circuit(n_qubits)
    rows = [row for row in GATES.values() if row.n_qubits <= n_qubits]
    channels = [row for row in CHANNELS.values() if row.n_qubits <= n_qubits]
    for _ in range(n_operations):
        qubits = [int(q) for q in rng.permutation(n_qubits)]
        kind = rng.integers(10)
        if kind < 6:
            row = rows[rng.integers(len(rows))]
            angles = [_angle(rng, names) for _ in range(row.n_angles)]
            circuit.append(row.name, qubits[: row.n_qubits], angles)
        elif kind < 9 or not kraus:
            row = channels[rng.integers(len(channels))]
            circuit.channel(row.name, VALUES[row.name], qubits[: row.n_qubits])
        else:
            m = int(rng.integers(1, min(n_qubits, 3) + 1))
            circuit.kraus(random_kraus(m, 2, rng), *qubits[:m])
    return circuit


def _angle(rng, names):
    number = float(rng.normal())
    if not names:
        return number
    first, second = (Parameter(str(name)) for name in rng.choice(names, 2, replace=False))
    return [number, first, number * first + 0.3, first - second * number][rng.integers(4)]


def random_dynamic(
    n_qubits: int, n_bits: int, n_operations: int, rng: np.random.Generator, names=("a", "b"), *, noise: bool = True
) -> Circuit:
    """Measurements, resets and nested conditions among gates and channels."""
    circuit = Circuit(n_qubits, n_bits=n_bits)
    return circuit.extend(_random_operations(n_qubits, n_bits, n_operations, rng, names, noise, 2))


def _random_operations(n_qubits, n_bits, n_operations, rng, names, noise, depth):
    out: list[Operation] = []
    for _ in range(n_operations):
        q, b = int(rng.integers(n_qubits)), int(rng.integers(n_bits))
        kind = rng.integers(10)
        if kind == 0:
            flips = (0.1, 0.2) if noise and rng.random() < 0.5 else (0.0, 0.0)
            out.append(Measure(q, b, *flips))
        elif kind == 1:
            out.append(Reset(q))
        elif kind == 2 and depth:
            bits = tuple(int(x) for x in rng.permutation(n_bits)[: rng.integers(1, min(n_bits, 2) + 1)])
            parts = [_random_operations(n_qubits, n_bits, 3, rng, names, noise, depth - 1) for _ in range(2)]
            out.append(If(Condition(bits, int(rng.integers(2 ** len(bits)))), tuple(parts[0]), tuple(parts[1])))
        else:
            out += random_noisy(n_qubits, 1, rng, names, kraus=noise).instructions if noise or kind > 3 else []
    return [item for item in out if noise or not isinstance(item, Channel | KrausChannel)]


@pytest.fixture(scope="session")
def aer() -> Callable[[Circuit, Mapping[str, float]], np.ndarray]:
    """Qiskit Aer's density matrix of a circuit of gates, channels and resets, in our order of qubits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        qiskit = pytest.importorskip("qiskit")
        qiskit_aer = pytest.importorskip("qiskit_aer")
        from qiskit.quantum_info import Kraus
        from qiskit_aer import noise

    p, ad = noise.pauli_error, noise.amplitude_damping_error
    errors = {
        "bit_flip": lambda x: p([("X", x), ("I", 1 - x)]),
        "phase_flip": lambda x: p([("Z", x), ("I", 1 - x)]),
        "bit_phase_flip": lambda x: p([("Y", x), ("I", 1 - x)]),
        "depolarizing": lambda x: noise.depolarizing_error(x, 1),
        "depolarizing2": lambda x: noise.depolarizing_error(x, 2),
        "pauli": lambda x, y, z: p([("X", x), ("Y", y), ("Z", z), ("I", 1 - x - y - z)]),
        "amplitude_damping": ad,
        "generalized_amplitude_damping": lambda gamma, excited: ad(gamma, excited),
        "phase_damping": noise.phase_damping_error,
        "thermal_relaxation": lambda t1, t2, time, excited: noise.thermal_relaxation_error(t1, t2, time, excited),
    }
    assert set(errors) == set(CHANNELS)

    def run(circuit: Circuit, params: Mapping[str, float]) -> np.ndarray:
        made = qiskit.QuantumCircuit(circuit.n_qubits)
        for item in circuit.instructions:
            places = list(reversed(item.qubits))  # Qiskit's first qubit is the least significant bit
            if isinstance(item, Instruction):
                matrix = GATES[item.gate].matrix([float(angle.evaluate(params)) for angle in item.angles])
                made.unitary(matrix, places)
            elif isinstance(item, Channel):
                made.append(errors[item.name](*item.values).to_instruction(), list(item.qubits))
            elif isinstance(item, KrausChannel):
                made.append(Kraus(list(item.kraus())).to_instruction(), places)
            elif isinstance(item, Reset):
                made.reset(item.qubit)
        made.save_density_matrix()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            found = qiskit_aer.AerSimulator(method="density_matrix").run(made).result().data()["density_matrix"]
        n = circuit.n_qubits
        tensor = np.asarray(found.data).reshape((2,) * (2 * n))
        axes = [*range(n - 1, -1, -1), *range(2 * n - 1, n - 1, -1)]
        return tensor.transpose(axes).reshape(2**n, 2**n)

    return run
