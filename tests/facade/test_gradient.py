"""superpose.gradient: methods and backends agree, and shots give unbiased estimates."""

import numpy as np
import pytest

import superpose
from superpose.backends import LocalBackend
from superpose.circuits import Capabilities, Circuit, Observable, Parameter, Program, z_all
from superpose.errors import ProgramError, ProviderError, UnsupportedProgramError
from superpose.facade import gradient

a, b, c = Parameter("a"), Parameter("b"), Parameter("c")


def circuit():
    return Circuit(2).ry(2 * a + 0.1, 0).crx(b - a, 0, 1).rzz(c, 0, 1).rx(0.5 * b, 1)


OBSERVABLES = [Observable({"ZI": 1.0, "XY": 0.5}), Observable.projector("-1")]
VALUES = np.array([[0.3, -0.4, 1.1], [2.0, 0.7, -0.2]])


class Elsewhere:
    """A backend that is not this machine's, as far as anyone can tell; it notes what it was sent."""

    def __init__(self, answer=lambda result: result):
        self.sent, self.answer = [], answer

    @property
    def name(self):
        return "elsewhere"

    def capabilities(self):
        return Capabilities(exact=True)

    def run(self, program):
        self.sent.append(program)
        return self.answer(LocalBackend().run(program))


@pytest.mark.parametrize("method", ["parameter-shift", "finite-difference", "spsa"])
def test_one_program_per_gradient_on_any_backend(method):
    want = superpose.gradient(circuit(), VALUES, observables=OBSERVABLES)
    backend = Elsewhere()
    got = gradient(circuit(), VALUES, observables=OBSERVABLES, method=method, backend=backend, seed=1)
    assert got.shape == want.shape == (2, 2, 3)
    (sent,) = backend.sent
    assert sent.batch == 2 * {"parameter-shift": 2 * 3 + 4, "finite-difference": 6, "spsa": 32}[method]
    if method != "spsa":
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-9)


def test_the_method_is_chosen_by_what_is_possible():
    program = Program(circuit(), dict(zip("abc", VALUES.T, strict=True)), OBSERVABLES)
    exact = gradient(program)
    np.testing.assert_allclose(gradient(program, backend=Elsewhere()), exact, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(gradient(program, method="adjoint"), exact)
    for options in ({"shots": 10}, {"backend": Elsewhere()}):
        with pytest.raises(UnsupportedProgramError, match="adjoint"):
            gradient(program, method="adjoint", **options)


def test_measured_at_the_end_is_as_unmeasured():
    want = gradient(circuit(), VALUES, observables=OBSERVABLES)
    for method in ("adjoint", "parameter-shift"):
        got = gradient(circuit().measure_all(), VALUES, observables=OBSERVABLES, method=method)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", ["parameter-shift", "finite-difference"])
def test_shots_are_seeded_and_unbiased(method):
    """The mean of 30 gradients of 2000 shots within six of its standard errors: fails less than once in 1e7."""
    exact = gradient(circuit(), VALUES[:1], observables=OBSERVABLES)
    options = {"observables": OBSERVABLES, "method": method, "shots": 2000, "step": 0.5}
    draws = np.array([gradient(circuit(), VALUES[:1], seed=seed, **options) for seed in range(30)])
    np.testing.assert_array_equal(draws[3], gradient(circuit(), VALUES[:1], seed=3, **options))
    bias = 0.0 if method == "parameter-shift" else 0.5**2 / 6 * 2.0**3 * 2
    error = draws.std(axis=0) / 30**0.5
    assert (np.abs(draws.mean(axis=0) - exact) < 6 * error + bias).all()


def test_states_of_its_own_and_float32():
    rng = np.random.default_rng(0)
    states = rng.normal(size=(2, 4)) + 1j * rng.normal(size=(2, 4))
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    program = Program(circuit(), dict(zip("abc", VALUES.T, strict=True)), z_all(2), initial_state=states)
    np.testing.assert_allclose(gradient(program, method="parameter-shift"), gradient(program), rtol=0, atol=1e-12)
    rough = Program(circuit(), program.params, z_all(2), initial_state=states, dtype="float32")
    np.testing.assert_allclose(gradient(rough), gradient(program), rtol=0, atol=1e-5)
    np.testing.assert_allclose(gradient(rough, method="finite-difference"), gradient(program), rtol=0, atol=1e-3)


def test_refused():
    with pytest.raises(ProgramError, match="observables"):
        gradient(circuit(), VALUES)
    with pytest.raises(ProgramError, match="is needed"):
        gradient("circuit", VALUES)
    with pytest.raises(UnsupportedProgramError, match="must be one of"):
        gradient(circuit(), VALUES, observables=OBSERVABLES, method="backprop")
    silent = Elsewhere(lambda result: type(result)())
    with pytest.raises(ProviderError, match="no expectations"):
        gradient(circuit(), VALUES, observables=OBSERVABLES, backend=silent)


def test_without_parameters_there_is_nothing_to_differentiate():
    for method in ("adjoint", "parameter-shift", "finite-difference", "spsa"):
        assert gradient(Circuit(2).h(0), observables=OBSERVABLES, method=method).shape == (1, 2, 0)


def test_shift_rules_hold_through_noise_measurement_and_feed_forward():
    """Parameter shift through channels and conditions equals the adjoint method, and finite differences."""
    messy = Circuit(2, n_bits=1).ry(a, 0).depolarizing(0.1, 0).crx(b, 0, 1).amplitude_damping(0.2, 1).measure(0, 0)
    messy.if_([0], 1, Circuit(2).rx(2 * c, 1), Circuit(2).cry(a - c, 1, 0)).reset(0).ry(b, 0).bit_flip(0.05, 0)
    want = gradient(messy, VALUES, observables=OBSERVABLES)
    assert np.abs(want).max() > 0.1
    shifted = gradient(messy, VALUES, observables=OBSERVABLES, method="parameter-shift")
    np.testing.assert_allclose(shifted, want, rtol=0, atol=1e-11)
    differences = gradient(messy, VALUES, observables=OBSERVABLES, method="finite-difference")
    np.testing.assert_allclose(differences, want, rtol=0, atol=1e-8)
