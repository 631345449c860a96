"""Pauli sums."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superpose.circuits import Observable, z_all
from superpose.circuits.pauli import PAULI_MATRICES, pauli_matrix
from superpose.errors import ObservableError
from superpose.testing.strategies import observables

pairs = st.integers(1, 3).flatmap(lambda n: st.tuples(observables(n), observables(n)))


@given(pairs, st.floats(-100, 100))
def test_algebra_is_that_of_the_matrices(pair, k):
    a, b = pair
    scale = 1 + sum(abs(c) for _, c in a.terms + b.terms)
    tolerance = {"rtol": 0, "atol": 1e-12 * scale * (1 + abs(k))}
    np.testing.assert_allclose((a + b).matrix(), a.matrix() + b.matrix(), **tolerance)
    np.testing.assert_allclose((a - b).matrix(), a.matrix() - b.matrix(), **tolerance)
    np.testing.assert_allclose((k * a).matrix(), k * a.matrix(), **tolerance)
    assert a + b == b + a
    assert hash(a + b) == hash(b + a)
    assert (a - a).terms == ()
    assert copy.deepcopy(a) == pickle.loads(pickle.dumps(a)) == a


def test_leftmost_letter_is_qubit_0():
    np.testing.assert_array_equal(Observable("ZI").matrix(), np.diag([1, 1, -1, -1]))
    np.testing.assert_array_equal(pauli_matrix("XY"), np.kron(PAULI_MATRICES["X"], PAULI_MATRICES["Y"]))
    assert Observable.z(1, 3) == Observable({"IZI": 1.0})
    assert Observable.on({0: "X", 2: "Y"}, 3, -2) == Observable({"XIY": -2})
    assert (Observable.x(0, 1), Observable.y(0, 1)) == (Observable("X"), Observable("Y"))
    assert z_all(2) == (Observable("ZI"), Observable("IZ"))


def test_equal_terms_are_merged():
    assert Observable([("ZZ", 1), ("XX", 1), ("ZZ", 0.5)]).terms == (("XX", 1.0), ("ZZ", 1.5))
    assert Observable([("Z", 1), ("Z", -1)]).terms == ()
    assert repr(Observable({}, 2)) == "Observable({}, n_qubits=2)"


@pytest.mark.parametrize(
    "build",
    [
        lambda: Observable({"ZA": 1}),
        lambda: Observable({"": 1}),
        lambda: Observable({"Z": 1, "ZZ": 1}),
        lambda: Observable({"Z": float("inf")}),
        lambda: Observable({"Z": 1j}),
        lambda: Observable({"Z": "1"}),
        lambda: Observable({"Z": True}),
        lambda: Observable({}),
        lambda: Observable({}, 0),
        lambda: Observable({3: 1}),
        lambda: Observable("Z", 2),
        lambda: Observable("z"),
        lambda: Observable.z(2, 2),
        lambda: Observable.z(-1, 2),
        lambda: Observable("Z") + Observable("ZZ"),
        lambda: Observable("Z" * 13).matrix(),
    ],
)
def test_refused(build):
    with pytest.raises(ObservableError):
        build()


def test_matrices_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        PAULI_MATRICES["X"][0, 0] = 1


def hermitian(n_qubits, seed, kind="dense"):
    rng = np.random.default_rng(seed)
    size = 2**n_qubits
    matrix = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
    if kind == "real":
        matrix = matrix.real
    if kind == "diagonal":
        matrix = np.diag(np.diag(matrix))
    return matrix + matrix.conj().T


@given(st.integers(1, 4), st.integers(0, 2**32 - 1), st.sampled_from(["dense", "real", "diagonal"]), st.data())
def test_hermitian_matrices_on_any_qubits(k, seed, kind, data):
    n_qubits = data.draw(st.integers(k, 5))
    qubits = data.draw(st.permutations(range(n_qubits)))[:k]
    matrix = hermitian(k, seed, kind)
    got = Observable.hermitian(matrix, qubits, n_qubits).matrix().reshape((2,) * 2 * n_qubits)
    others = [q for q in range(n_qubits) if q not in qubits]
    order = [*qubits, *others]
    got = got.transpose(*order, *(n_qubits + q for q in order)).reshape(2**n_qubits, 2**n_qubits)
    np.testing.assert_allclose(got, np.kron(matrix, np.eye(2 ** len(others))), rtol=0, atol=1e-13)


def test_six_qubits_and_back():
    matrix = hermitian(6, 1)
    observable = Observable.hermitian(matrix)
    assert (observable.n_qubits, len(observable.terms)) == (6, 4096)
    np.testing.assert_allclose(observable.matrix(), matrix, rtol=0, atol=1e-13)


@given(st.integers(1, 4).flatmap(observables))
def test_the_matrix_of_a_pauli_sum_gives_it_back(observable):
    scale = 1.0 + sum(abs(k) for _, k in observable.terms)
    back = Observable.hermitian(observable.matrix(), range(observable.n_qubits))
    left = back - observable
    assert all(abs(k) <= 1e-13 * scale for _, k in left.terms)


@given(st.lists(st.text("01-", min_size=3, max_size=3), min_size=1, max_size=3))
def test_projectors_name_basis_states(strings):
    def named(bits, index):
        return all(b in ("-", i) for b, i in zip(bits, format(index, "03b"), strict=True))

    total = sum((Observable.projector(bits) for bits in strings), Observable({}, 3))
    counted = [sum(named(bits, index) for bits in strings) for index in range(8)]
    np.testing.assert_allclose(total.matrix(), np.diag(counted), atol=1e-15)
    if max(counted) <= 1:
        assert Observable.projector(*strings) == total
    else:
        with pytest.raises(ObservableError, match="in common"):
            Observable.projector(*strings)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Observable.projector(), "at least one"),
        (lambda: Observable.projector("0a"), "0, 1 and -"),
        (lambda: Observable.projector(""), "0, 1 and -"),
        (lambda: Observable.projector("0" * 13), "at most 12"),
        (lambda: Observable.projector("0", "11"), "letters"),
        (lambda: Observable.hermitian([[0, 1], [2, 0]]), r"entry \[0, 1\] is 1"),
        (lambda: Observable.hermitian([[0, 1j], [1j, 0]]), "Hermitian"),
        (lambda: Observable.hermitian(np.eye(3)), "2\\*\\*k rows"),
        (lambda: Observable.hermitian(np.eye(128)), "from 1 to 6"),
        (lambda: Observable.hermitian([[1.0]]), "from 1 to 6"),
        (lambda: Observable.hermitian([[float("nan"), 0], [0, 1]]), "finite"),
        (lambda: Observable.hermitian([["a", 0], [0, 1]]), "numbers"),
        (lambda: Observable.hermitian(np.eye(2), [0, 1]), "1 distinct"),
        (lambda: Observable.hermitian(np.eye(4), [0, 0]), "2 distinct"),
        (lambda: Observable.hermitian(np.eye(4), [0, 2], 2), "Qubits 2"),
        (lambda: Observable.hermitian(np.eye(2), [-1], 2), "Qubits -1"),
        (lambda: Observable.hermitian(np.eye(2), ["0"], 2), "1 distinct"),
    ],
)
def test_refused_expansions(build, message):
    with pytest.raises(ObservableError, match=message):
        build()
