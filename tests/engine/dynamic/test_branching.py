"""Exact branching, known protocols, and which method is chosen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from superpose.circuits import Circuit, Observable, Parameter, z_all
from superpose.engine.dynamic import compile_dynamic
from superpose.engine.dynamic.schedule import make_plan
from superpose.errors import (
    ObservableError,
    ParameterUnboundError,
    ShapeError,
    StateTooLargeError,
    UnsupportedProgramError,
)

from .conftest import random_dynamic

EXACT = ("density_matrix", "branching")


@pytest.mark.parametrize("seed", range(10))
def test_branches_equal_density_matrices(seed):
    rng = np.random.default_rng(seed)
    n_qubits, n_bits = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    circuit = random_dynamic(n_qubits, n_bits, 20, rng, noise=False).measure(n_qubits - 1, n_bits - 1)
    observables = [*z_all(n_qubits), Observable("X" * n_qubits), Observable("Y" * n_qubits)]
    inputs = circuit.parameters[:1]
    found = []
    for method in EXACT:
        program = compile_dynamic(circuit, observables, inputs=inputs, method=method)
        x, w = np.linspace(-1, 2, 3 * len(inputs)).reshape(3, -1), np.full(len(program.weight_names), 0.3)
        found.append((program.expectation(x, w), program.probabilities(x, w), program.density_matrix(x, w)))
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-12)


@pytest.mark.parametrize("method", EXACT)
def test_teleportation(method):
    circuit = Circuit(3, n_bits=2).ry(0.7, 0).rz(0.3, 0).h(1).cx(1, 2).cx(0, 1).h(0).measure(0, 0).measure(1, 1)
    circuit.if_(1, 1, Circuit(3).x(2)).if_(0, 1, Circuit(3).z(2))
    observables = [Observable("IIX"), Observable("IIY"), Observable("IIZ")]
    want = [[math.sin(0.7) * math.cos(0.3), math.sin(0.7) * math.sin(0.3), math.cos(0.7)]]
    program = compile_dynamic(circuit, observables, method=method)
    np.testing.assert_allclose(program.expectation(None, None), want, atol=1e-14)
    np.testing.assert_allclose(program.probabilities(None, None), [[0.25] * 4], atol=1e-14)


@pytest.mark.parametrize("method", EXACT)
def test_repeat_until_success(method):
    """Ten rounds of RY(pi/3) until 1 is measured: failure with (3/4)^10; one slot per value of one bit."""
    rounds = 10
    circuit = Circuit(1, n_bits=1).ry(math.pi / 3, 0).measure(0, 0)
    for _ in range(rounds - 1):
        circuit.if_(0, 0, Circuit(1, n_bits=1).ry(math.pi / 3, 0).measure(0, 0))
    found = compile_dynamic(circuit, method=method).probabilities(None, None)[0]
    np.testing.assert_allclose(found, [0.75**rounds, 1 - 0.75**rounds], atol=1e-14)
    assert make_plan(circuit.instructions, [0]).n_slots <= 3


@pytest.mark.parametrize("method", ["density_matrix", "branching", "trajectories"])
def test_active_reset(method):
    """From |+>, rounds of measure and flip with readout errors: the ground state's share follows a recursion."""
    from superpose.circuits import Condition, If, Instruction, Measure

    flip0, flip1, rounds, shots = 0.02, 0.05, 3, 20_000
    flip = If(Condition((0,), 1), (Instruction("x", (0,)),))
    circuit = Circuit(1, n_bits=2).h(0).extend([Measure(0, 0, flip0, flip1), flip] * rounds).measure(0, 1)
    ground = 0.5
    for _ in range(rounds):
        ground = ground * (1 - flip0) + (1 - ground) * (1 - flip1)
    program = compile_dynamic(circuit, z_all(1), method=method)
    if method == "trajectories":
        share = 1 - program.sample(None, None, shots, seed=1)[0, :, 1].mean()
        assert abs(share - ground) < 6.5 * math.sqrt(ground * (1 - ground) / shots)
    else:
        assert program.probabilities(None, None)[0].reshape(2, 2).sum(axis=0)[0] == pytest.approx(ground, abs=1e-14)
        assert program.expectation(None, None)[0, 0] == pytest.approx(2 * ground - 1, abs=1e-14)


@pytest.mark.parametrize("method", EXACT)
def test_ghz_with_measurement_in_the_middle(method):
    """Parity checks fuse two Bell pairs into a GHZ state, corrected by feed-forward."""
    circuit = Circuit(5, n_bits=6).h(0).cx(0, 1).h(2).cx(2, 3).cx(1, 4).cx(2, 4).measure(4, 0)
    circuit.if_(0, 1, Circuit(5).x(2).x(3)).reset(4)
    for q in range(4):
        circuit.measure(q, q + 1)
    program = compile_dynamic(circuit, [Observable("XXXXI"), Observable("ZZIII"), Observable("IZZII")], method=method)
    np.testing.assert_allclose(program.expectation(None, None), [[1.0, 1.0, 1.0]], atol=1e-14)
    found = program.probabilities(None, None)[0]
    places = [int(bits, 2) for bits in ("000000", "011110", "100000", "111110")]
    np.testing.assert_allclose(found[places], 0.25, atol=1e-14)
    assert program.counts(None, None, 100, seed=1)[0].keys() <= {"000000", "011110", "100000", "111110"}


def test_resets_and_unread_measurements_take_no_branches():
    circuit = Circuit(2, n_bits=3).h(0)
    for _ in range(40):
        circuit.reset(0).h(0).measure(0, 0).h(0).measure(0, 1).if_(1, 1, Circuit(2).x(1))
    assert make_plan(circuit.instructions).n_slots <= 2
    program = compile_dynamic(circuit, z_all(2))
    assert program.choice().method == "density_matrix"
    assert np.isfinite(program.expectation(None, None)).all()


def test_readout_errors_reach_feed_forward():
    from superpose.circuits import Condition, If, Instruction, Measure

    circuit = Circuit(2, n_bits=1).extend([Measure(0, 0, 0.25, 0.0), If(Condition((0,), 1), (Instruction("x", (1,)),))])
    for method in EXACT:
        program = compile_dynamic(circuit, z_all(2), method=method)
        np.testing.assert_allclose(program.expectation(None, None), [[1.0, 0.5]], atol=1e-15)
        np.testing.assert_allclose(program.probabilities(None, None), [[0.75, 0.25]], atol=1e-15)


def test_circuits_without_bits_are_sampled_over_qubits():
    circuit = Circuit(2).x(1).bit_flip(0.25, 0)
    program = compile_dynamic(circuit)
    np.testing.assert_allclose(program.probabilities(None, None), [[0, 0.75, 0, 0.25]], atol=1e-15)
    for method in ("density_matrix", "trajectories"):
        counts = compile_dynamic(circuit, method=method).counts(None, None, 1000, seed=3)[0]
        assert set(counts) == {"01", "11"}
        assert abs(counts["11"] - 250) < 6.5 * math.sqrt(1000 * 3 / 16)


def test_bits_that_nothing_writes_read_zero_and_later_writes_win():
    circuit = Circuit(2, n_bits=3).x(0).measure(0, 1).measure(1, 1).measure(0, 2)
    for method in EXACT:
        found = compile_dynamic(circuit, method=method).probabilities(None, None)[0]
        np.testing.assert_allclose(found, np.eye(8)[0b001], atol=1e-15)


def test_choice_of_method():
    measured = Circuit(14, n_bits=1).h(0).measure(0, 0).if_(0, 1, Circuit(14).x(1))
    assert compile_dynamic(measured).choice().method == "branching"
    noisy = Circuit(13).h(0).bit_flip(0.1, 0)
    assert compile_dynamic(noisy).choice().method == "trajectories"
    assert compile_dynamic(Circuit(10).h(0).bit_flip(0.1, 0)).choice().method == "density_matrix"
    few_shots = compile_dynamic(Circuit(12).h(0).bit_flip(0.1, 0))
    assert few_shots.choice(bits=True, n_samples=10).method == "trajectories"
    many = Circuit(14, n_bits=1)
    for _ in range(11):
        many.h(0).measure(0, 0)
    many.if_(0, 1, Circuit(14).x(1))
    assert compile_dynamic(many).choice().method == "trajectories"
    np.testing.assert_allclose(compile_dynamic(measured, z_all(14)).expectation(None, None)[0, :2], 0, atol=1e-15)


def test_limits_and_errors_by_name():
    with pytest.raises(StateTooLargeError, match="GiB of memory"):
        compile_dynamic(Circuit(18).bit_flip(0.1, 0), z_all(18), method="density_matrix").expectation(None, None)
    with pytest.raises(StateTooLargeError, match="Trajectories of 60 qubits"):
        compile_dynamic(Circuit(60).bit_flip(0.1, 0), z_all(60)).expectation(None, None)
    many = Circuit(1, n_bits=1)
    for _ in range(12):
        many.h(0).measure(0, 0)
    many.h(0)
    with pytest.raises(UnsupportedProgramError, match="1024 branches"):
        compile_dynamic(many, z_all(1), method="branching").expectation(None, None)
    with pytest.raises(UnsupportedProgramError, match="without noise channels"):
        compile_dynamic(Circuit(1).bit_flip(0.1, 0), z_all(1), method="branching").expectation(None, None)
    wide = Circuit(1, n_bits=14)
    for bit in range(14):
        wide.h(0).measure(0, bit)
    with pytest.raises(UnsupportedProgramError, match="12 classical bits"):
        compile_dynamic(wide.h(0), method="density_matrix").probabilities(None, None)
    assert sum(compile_dynamic(wide).counts(None, None, 50, seed=1)[0].values()) == 50
    with pytest.raises(UnsupportedProgramError, match="method must be one of"):
        compile_dynamic(Circuit(1).reset(0), method="magic")
    with pytest.raises(ObservableError):
        compile_dynamic(Circuit(1).reset(0), z_all(2))
    with pytest.raises(ParameterUnboundError):
        compile_dynamic(Circuit(1).reset(0), inputs=["x"])
    program = compile_dynamic(Circuit(1).rx(Parameter("x"), 0).reset(0), z_all(1), inputs=["x"])
    for bad in ([[1.0, 2.0]], [[math.nan]], [["a"]]):
        with pytest.raises(ShapeError):
            program.expectation(bad, None)
    with pytest.raises(ShapeError, match="initial_state"):
        program.expectation([[0.0]], None, initial_state=[1, 0, 0])
    with pytest.raises(ShapeError, match="grad_expectations"):
        program.value_and_grad([[0.0]], None, [[1.0, 2.0]])


def test_example_in_the_docstring():
    import doctest

    from superpose.engine.dynamic import compiling

    found = doctest.testmod(compiling)
    assert found.attempted and not found.failed


def test_programs_are_shared_copied_and_pickled():
    import copy
    import pickle

    circuit = Circuit(1).h(0).reset(0)
    program = compile_dynamic(circuit, z_all(1))
    assert compile_dynamic(circuit.copy(), z_all(1)) is program
    assert copy.deepcopy(program) is program
    again = pickle.loads(pickle.dumps(program))
    np.testing.assert_array_equal(again.expectation(None, None), program.expectation(None, None))
