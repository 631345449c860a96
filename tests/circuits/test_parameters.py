"""Parameters and the affine expressions made of them."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superpose.circuits import Affine, Parameter, parameters
from superpose.errors import AngleError, ParameterNameError, ParameterUnboundError
from superpose.testing.strategies import NAMES, affines

x, y = Parameter("x"), Parameter("y")
small = st.floats(-1e3, 1e3, allow_subnormal=False)


@given(affines(), affines(), small, st.dictionaries(st.sampled_from(NAMES), small))
def test_arithmetic_is_that_of_the_values(a, b, k, some):
    values = {name: 0.5 for name in NAMES} | some
    va, vb = a.evaluate(values), b.evaluate(values)
    scale = 1 + sum(abs(c) * (1 + abs(values[n])) for n, c in a.terms + b.terms) + abs(a.constant) + abs(b.constant)
    for made, wanted in [
        (a + b, va + vb),
        (a - b, va - vb),
        (k * a, k * va),
        (-a, -va),
        (a + k, va + k),
        (k - a, k - va),
    ]:
        assert made.evaluate(values) == pytest.approx(wanted, abs=1e-9 * scale * (1 + abs(k)))
    if abs(k) > 1e-3:
        assert (a / k).evaluate(values) == pytest.approx(va / k, abs=1e-6 * scale)


@given(affines(), affines())
def test_sums_are_canonical(a, b):
    assert a + b == b + a
    assert hash(a + b) == hash(b + a)
    assert -1 * -a == a
    assert a - a == 0
    assert all(coefficient != 0 for _, coefficient in (a + b).terms)
    assert list((a + b).names) == sorted((a + b).names)


@given(affines())
def test_copies_are_equal(a):
    assert copy.deepcopy(a) == pickle.loads(pickle.dumps(a)) == Affine(a.terms, a.constant) == a


def test_text():
    assert repr(2 * x + 0.1) == "2*x + 0.1"
    assert str(x / 2 - y - 3) == "0.5*x - y - 3"
    assert repr(-x) == "-x"
    assert repr(x - x) == "0"
    assert repr(Parameter("θ")) == "θ"


def test_constants_equal_their_numbers():
    assert Affine.of(0.5) == 0.5
    assert hash(Affine.of(0.5)) == hash(0.5)
    assert float(Affine.of(2)) == 2.0
    assert Affine.of(-0.0).constant.hex() == "0x0.0p+0"
    assert x != 0.5
    assert (x == "x") is False


def test_parameter_equals_the_affine_it_is():
    assert x == Affine((("x", 1.0),))
    assert x.name == "x"
    assert isinstance(x, Affine)
    assert {x: 1}[Affine({"x": 1})] == 1


def test_copied_parameters_stay_parameters():
    for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert isinstance(other, Parameter)
        assert (other.name, other) == ("x", x)


def test_numpy_numbers_are_numbers():
    assert np.float64(2) * x == 2 * x
    assert np.float32(0.5) + x == x + 0.5
    assert x * np.int64(3) == 3 * x
    assert Affine.of(np.float64(1.5)) == 1.5


def test_evaluate_takes_arrays():
    np.testing.assert_array_equal((2 * x + 1).evaluate({"x": np.array([0.0, 1.0])}), [1.0, 3.0])


def test_substitute():
    angle = 2 * x + y + 1
    assert angle.substitute({"x": 0.5}) == y + 2
    assert angle.substitute({"x": y, "y": x}) == x + 2 * y + 1
    assert angle.substitute({"z": 1}) == angle
    assert x.substitute({"x": 3}) == 3


@pytest.mark.parametrize("make", [lambda: x * y, lambda: 1 / x, lambda: x / y, lambda: x / 0, lambda: x * float("inf")])
def test_what_is_not_affine(make):
    with pytest.raises(AngleError):
        make()


@pytest.mark.parametrize("value", ["1", None, 1j, float("nan"), True, [1.0]])
def test_what_is_not_an_angle(value):
    with pytest.raises(AngleError):
        Affine.of(value)


@pytest.mark.parametrize("operation", [lambda: x + "1", lambda: x * None, lambda: x - True, lambda: x / "2"])
def test_foreign_operands(operation):
    with pytest.raises(TypeError):
        operation()


def test_values_must_be_there():
    with pytest.raises(ParameterUnboundError, match="'y' has no value"):
        (x + y).evaluate({"x": 1.0})
    with pytest.raises(ParameterUnboundError, match="bind them first"):
        float(x)


@pytest.mark.parametrize("name", ["x", "theta_1", "_a", "θ", "été", "角度", "x" * 256])
def test_good_names(name):
    assert Parameter(name).name == name


@pytest.mark.parametrize(
    "name", ["", "1x", "a b", "x[0]", "a-b", "pi", "π", "U", "input", "float", "sin", "x" * 257, "é²", 3]
)
def test_bad_names(name):
    with pytest.raises(ParameterNameError):
        Parameter(name)


def test_a_name_twice_in_a_sum():
    with pytest.raises(ParameterNameError, match="stands twice"):
        Affine((("x", 1.0), ("x", 2.0)))


def test_parameters():
    assert [p.name for p in parameters("w", 3)] == ["w_0", "w_1", "w_2"]


def test_affine_does_not_change():
    with pytest.raises(AttributeError):
        x.constant = 1.0
