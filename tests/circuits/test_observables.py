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
