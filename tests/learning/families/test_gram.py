"""Gram matrices of quantum kernels: equal to naive computations, kernels indeed, bounded in memory."""

from __future__ import annotations

import numpy as np
import pytest

import superpose
from superpose.circuits import Circuit, parameters
from superpose.errors import ParameterUnboundError, RequestError, ShapeError, UnsupportedProgramError
from superpose.learning import build_block
from superpose.learning.families import bloch_vectors, gram_matrix, iqp_block, projected_gram_matrix
from superpose.learning.quantum_block import QuantumBlock

PAULIS = (np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.array([[1, 0], [0, -1]]))


def some_rows(n_rows: int, n_columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_rows, n_columns))


def iqp(n_qubits: int) -> QuantumBlock:
    """The IQP feature map of two layers."""
    return iqp_block(n_qubits, 2)


def naive_states(block: QuantumBlock, rows: np.ndarray) -> list[np.ndarray]:
    """One circuit after the other, each with its numbers."""
    angles = block.feature_map.apply(rows)
    return [
        superpose.run(block.circuit, dict(zip(block.angle_names, row, strict=True))).state_vectors[0] for row in angles
    ]


@pytest.mark.parametrize("n_qubits", [1, 3, 5])
def test_fidelities_equal_a_naive_computation(n_qubits: int) -> None:
    block = iqp(n_qubits)
    rows, others = some_rows(7, n_qubits), some_rows(4, n_qubits, seed=1)
    a, b = naive_states(block, rows), naive_states(block, others)
    own = [[abs(np.vdot(x, y)) ** 2 for y in a] for x in a]
    cross = [[abs(np.vdot(y, x)) ** 2 for y in b] for x in a]
    np.testing.assert_allclose(gram_matrix(block, rows), own, rtol=0, atol=1e-12)
    np.testing.assert_allclose(gram_matrix(block, rows, others), cross, rtol=0, atol=1e-12)
    np.testing.assert_allclose(gram_matrix(block, rows, others, dtype="float32"), cross, rtol=0, atol=2e-5)


def test_projected_kernels_equal_reduced_density_matrices() -> None:
    block, rows, others = iqp(3), some_rows(5, 3), some_rows(4, 3, seed=1)

    def reduced(state: np.ndarray, qubit: int) -> np.ndarray:
        moved = np.moveaxis(state.reshape(2, 2, 2), qubit, 0).reshape(2, 4)
        return moved @ moved.conj().T

    a, b = naive_states(block, rows), naive_states(block, others)
    for q in range(3):
        for p, pauli in enumerate(PAULIS):
            expected = [np.trace(reduced(state, q) @ pauli).real for state in a]
            np.testing.assert_allclose(bloch_vectors(block, rows)[:, q, p], expected, rtol=0, atol=1e-12)
    distance = [[sum(np.linalg.norm(reduced(x, q) - reduced(y, q)) ** 2 for q in range(3)) for y in b] for x in a]
    found = projected_gram_matrix(block, rows, others, gamma=0.7)
    np.testing.assert_allclose(found, np.exp(-0.7 * np.array(distance)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("n_qubits", "n_rows", "n_others"), [(9, 20, 13), (9, 20, 1), (9, 3, 20), (9, 1, 1), (10, 20, 13)]
)
def test_rows_in_tiles_and_one_by_one_have_the_same_fidelities(  # type: ignore[no-untyped-def]
    dtype, n_qubits, n_rows, n_others
) -> None:
    """Of 9 qubits few rows run one by one, their amplitudes in another order than those of many; of 10 all do."""
    block = iqp(n_qubits)
    rows, others = some_rows(n_rows, n_qubits), some_rows(n_others, n_qubits, seed=1)
    a, b = naive_states(block, rows), naive_states(block, others)
    tolerance = 1e-12 if dtype == "float64" else 2e-5
    own = [[abs(np.vdot(x, y)) ** 2 for y in a] for x in a]
    cross = [[abs(np.vdot(y, x)) ** 2 for y in b] for x in a]
    np.testing.assert_allclose(gram_matrix(block, rows, dtype=dtype), own, rtol=0, atol=tolerance)
    np.testing.assert_allclose(gram_matrix(block, rows, others, dtype=dtype), cross, rtol=0, atol=tolerance)
    for per_block in (1, 8, 17):
        memory = per_block * 6 * (16 if dtype == "float64" else 8) * 2**n_qubits
        found = gram_matrix(block, rows, dtype=dtype, memory_bytes=memory)
        np.testing.assert_allclose(found, own, rtol=0, atol=tolerance)
        np.testing.assert_array_equal(found, found.T)
        found = gram_matrix(block, rows, others, dtype=dtype, memory_bytes=memory)
        np.testing.assert_allclose(found, cross, rtol=0, atol=tolerance)


def test_circuits_whose_gates_turn_the_frame_have_the_same_fidelities() -> None:
    """Clifford gates, constant angles and phases, which the engine keeps apart from its states."""
    a, b, c = parameters("x", 3)
    circuit = Circuit(4).h(0).cx(0, 1).ry(a, 0).s(1).rz(b, 1).swap(1, 3).y(2).rx(c, 2).rz(0.3, 2)
    circuit = circuit.rx(np.pi, 0).cz(0, 2).sdg(3).h(3).ry(a + b, 3).x(1).rzz(2.0 * c, 1, 3)
    rows, others = some_rows(19, 3), some_rows(10, 3, seed=1)
    first, second = (
        [superpose.run(circuit, dict(zip(circuit.parameters, row, strict=True))).state_vectors[0] for row in given]
        for given in (rows, others)
    )
    cross = [[abs(np.vdot(x, y)) ** 2 for y in second] for x in first]
    np.testing.assert_allclose(gram_matrix(circuit, rows, others), cross, rtol=0, atol=1e-12)
    own = [[abs(np.vdot(x, y)) ** 2 for y in first] for x in first]
    np.testing.assert_allclose(gram_matrix(circuit, rows), own, rtol=0, atol=1e-12)


def test_many_rows_have_the_fidelities_of_few() -> None:
    """Beyond 1024 rows states are multiplied whole, not by ranges of amplitudes."""
    block, rows = iqp(10), some_rows(1030, 10)
    found = gram_matrix(block, rows)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_allclose(found[-20:, -20:], gram_matrix(block, rows[-20:]), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[:20], gram_matrix(block, rows[:20], rows), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernel", [gram_matrix, projected_gram_matrix])
def test_a_gram_matrix_is_symmetric_and_positive_semidefinite_with_diagonal_1(kernel) -> None:  # type: ignore[no-untyped-def]
    rows = some_rows(60, 4)
    rows[7] = rows[3]
    found = kernel(iqp(4), rows)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 1.0)
    assert found[3, 7] == pytest.approx(1.0, abs=1e-12)
    assert found.min() >= 0
    assert np.linalg.eigvalsh(found).min() > -1e-12


@pytest.mark.parametrize("rows_per_block", [1, 3, 10])
def test_blocks_change_nothing(rows_per_block: int) -> None:
    block, rows, others = iqp(4), some_rows(11, 4), some_rows(5, 4, seed=1)
    memory = rows_per_block * 6 * 16 * 2**4
    np.testing.assert_allclose(gram_matrix(block, rows, memory_bytes=memory), gram_matrix(block, rows), atol=1e-13)
    small = gram_matrix(block, rows, others, memory_bytes=memory)
    np.testing.assert_allclose(small, gram_matrix(block, rows, others), atol=1e-13)


def test_a_circuit_s_own_parameters_are_its_inputs() -> None:
    a, b = parameters("x", 2)
    circuit = Circuit(2).ry(b, 0).cx(0, 1).ry(2 * a, 1)
    rows = some_rows(3, 2)
    states = [superpose.run(circuit, dict(zip(circuit.parameters, row, strict=True))).state_vectors[0] for row in rows]
    expected = [[abs(np.vdot(x, y)) ** 2 for y in states] for x in states]
    np.testing.assert_allclose(gram_matrix(circuit, rows), expected, atol=1e-12)


def test_nothing_with_nothing() -> None:
    assert gram_matrix(iqp(2), np.empty((0, 2))).shape == (0, 0)
    assert gram_matrix(iqp(2), np.ones((3, 2)), np.empty((0, 2))).shape == (3, 0)
    assert bloch_vectors(iqp(2), np.empty((0, 2))).shape == (0, 2, 3)


def test_what_is_no_feature_map_or_no_rows_is_refused() -> None:
    with pytest.raises(ParameterUnboundError, match="inputs only"):
        gram_matrix(build_block(2), np.ones((2, 2)))
    for rows in (np.ones((2, 3)), np.ones(2), [[np.nan, 1.0]]):
        with pytest.raises(ShapeError, match="an input of the feature map per column"):
            gram_matrix(iqp(2), rows)
    with pytest.raises(ShapeError, match="others"):
        gram_matrix(iqp(2), np.ones((1, 2)), np.ones((1, 3)))
    with pytest.raises(RequestError, match="memory_bytes"):
        gram_matrix(iqp(2), np.ones((1, 2)), memory_bytes=0)
    for gamma in (0.0, np.inf, np.nan):
        with pytest.raises(RequestError, match="gamma"):
            projected_gram_matrix(iqp(2), np.ones((1, 2)), gamma=gamma)
    with pytest.raises(UnsupportedProgramError):
        gram_matrix(Circuit(1, n_bits=1).ry(parameters("x", 1)[0], 0).measure(0, 0).x(0), np.ones((1, 1)))


@pytest.mark.slow
def test_pennylane_s_kernel_matrix_is_the_same() -> None:
    qml = pytest.importorskip("pennylane", reason="compares with PennyLane's kernel matrix")
    n_qubits = 3
    device = qml.device("default.qubit", wires=n_qubits)

    def embed(row: np.ndarray) -> None:
        qml.IQPEmbedding(row, wires=range(n_qubits), n_repeats=2)

    @qml.qnode(device)
    def overlap(first: np.ndarray, second: np.ndarray) -> object:
        embed(first)
        qml.adjoint(embed)(second)
        return qml.probs(wires=range(n_qubits))

    rows = some_rows(5, n_qubits)
    expected = qml.kernels.square_kernel_matrix(rows, lambda x, y: overlap(x, y)[0])
    np.testing.assert_allclose(gram_matrix(iqp(n_qubits), rows), expected, rtol=0, atol=1e-12)
