"""Circuits: building, binding, composing, inverting, drawing, identity."""

import copy
import pickle
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superpose.circuits import (
    Circuit,
    Instruction,
    Observable,
    Parameter,
    Program,
    circuit_from_json,
    circuit_to_json,
    feature_map,
    from_qasm,
    parameters,
)
from superpose.circuits.reference import state_vector, unitary
from superpose.errors import (
    AngleError,
    CircuitError,
    GateArityError,
    GateUnknownError,
    ParameterUnboundError,
    ProgramError,
    QubitOutOfRangeError,
)
from superpose.testing.strategies import circuits

a, b = Parameter("a"), Parameter("b")
values = st.floats(-6, 6)


def few(circuit):
    """Values for all parameters of a circuit."""
    return {name: 0.1 * (k + 1) for k, name in enumerate(circuit.parameters)}


@settings(deadline=None, max_examples=50)
@given(circuits())
def test_inverse_undoes(circuit):
    angles = [item.constant for i in circuit.instructions for item in i.angles]
    largest = max(map(abs, angles), default=0)
    whole = unitary(circuit.compose(circuit.inverse()), few(circuit))
    np.testing.assert_allclose(whole, np.eye(2**circuit.n_qubits), atol=1e-10 * (1 + largest / 1e3))
    assert circuit.inverse().inverse() == circuit


@settings(deadline=None, max_examples=50)
@given(circuits(max_instructions=6))
def test_bound_circuit_is_the_circuit_with_values(circuit):
    params = few(circuit)
    bound = circuit.bind(params)
    assert bound.parameters == ()
    np.testing.assert_allclose(unitary(bound), unitary(circuit, params), atol=1e-6)


@given(circuits())
def test_copies_are_equal_and_independent(circuit):
    for other in (circuit.copy(), copy.deepcopy(circuit), pickle.loads(pickle.dumps(circuit))):
        assert other == circuit
        assert other.digest == circuit.digest
        assert (other.name, other.parameters) == (circuit.name, circuit.parameters)
        other.h(0)
        assert other != circuit
        assert other.digest != circuit.digest
    assert circuit.copy(name="new").name == "new"


def test_composed_on_other_qubits():
    bell = Circuit(2).h(0).cx(0, 1)
    assert Circuit(3).compose(bell, [2, 0]) == Circuit(3).h(2).cx(2, 0)
    assert Circuit(3).x(0).compose(bell) == Circuit(3).x(0).h(0).cx(0, 1)
    for qubits in ([0], [0, 0], [0, 3], [0, -1]):
        with pytest.raises(QubitOutOfRangeError):
            Circuit(3).compose(bell, qubits)
    with pytest.raises(QubitOutOfRangeError):
        Circuit(1).compose(bell)


def test_parameters_in_order_of_appearance():
    circuit = Circuit(1).rx(b, 0).rz(2 * a + b, 0)
    assert circuit.parameters == ("b", "a")
    assert circuit.n_params == 2
    assert circuit.bind({b: a}).parameters == ("a",)
    assert circuit.bind({"b": 1.0}).parameters == ("a",)
    assert circuit.parameters == ("b", "a")
    with pytest.raises(ParameterUnboundError, match="no parameters z; it has b, a"):
        circuit.bind({"z": 1})


def test_identity():
    assert Circuit(1, "one").h(0) == Circuit(1, "two").h(0)
    assert Circuit(1, "one").h(0).digest == Circuit(1, "two").h(0).digest
    assert Circuit(1) != Circuit(2)
    assert Circuit(1).rx(0.1, 0) != Circuit(1).rx(0.2, 0)
    assert Circuit(1).rx(a, 0).digest != Circuit(1).rx(b, 0).digest
    assert (Circuit(1) == "circuit") is False
    with pytest.raises(TypeError):
        hash(Circuit(1))


def test_digest_stays_the_same_between_releases():
    circuit = Circuit(2).h(0).crx(2 * a + 0.5, 0, 1).u(0, b, a - b, 1)
    assert circuit.digest == "dde93be4c9e496e8c18d8212025cf273326cc07f53869731f24c9557421cf481"


def test_qubit_0_is_the_most_significant_bit():
    assert np.argmax(np.abs(state_vector(Circuit(3).x(0)))) == 0b100
    assert np.argmax(np.abs(state_vector(Circuit(3).x(2).cx(2, 1)))) == 0b011


def test_instructions_are_values():
    one = Instruction("rx", [np.int64(1)], [np.float64(0.5)])
    assert one == Instruction("rx", (1,), (0.5,))
    assert hash(one) == hash(Instruction("rx", (1,), (0.5,)))
    assert one.names == ()
    assert Instruction("u", (0,), (b, a, b)).names == ("b", "a")
    with pytest.raises(AttributeError):
        one.gate = "ry"


@pytest.mark.parametrize(
    ("error", "build"),
    [
        (GateUnknownError, lambda c: c.append("nope", [0])),
        (GateUnknownError, lambda c: c.append(["h"], [0])),
        (GateUnknownError, lambda c: c.append(None, [0])),
        (GateArityError, lambda c: c.append("h", [0, 1])),
        (GateArityError, lambda c: c.append("rx", [0])),
        (GateArityError, lambda c: c.cx(1, 1)),
        (QubitOutOfRangeError, lambda c: c.h(2)),
        (QubitOutOfRangeError, lambda c: c.h(-1)),
        (QubitOutOfRangeError, lambda c: c.h(0.5)),
        (QubitOutOfRangeError, lambda c: c.h("0")),
        (AngleError, lambda c: c.rx("a", 0)),
        (AngleError, lambda c: c.rx(float("nan"), 0)),
    ],
)
def test_refused_instructions(error, build):
    circuit = Circuit(2)
    with pytest.raises(error):
        build(circuit)
    assert circuit == Circuit(2)


@pytest.mark.parametrize("n_qubits", [0, -1])
def test_no_qubits(n_qubits):
    with pytest.raises(ProgramError):
        Circuit(n_qubits)


def test_depth():
    assert Circuit(3).depth() == 0
    assert Circuit(3).h(0).h(1).cx(0, 1).h(2).depth() == 2
    assert Circuit(3).ccx(0, 1, 2).x(1).depth() == 2


def test_drawing():
    circuit = Circuit(3, "demo").h(0).cx(0, 2).rx(a / 2, 1).cswap(1, 0, 2).h(0).h(1)
    assert str(circuit) == "\n".join(
        [
            "q0: ──H──●───────────×──H──",
            "q1: ─────│──RX(a/2)──●──H──",
            "q2: ─────X───────────×─────",
        ]
    )
    assert repr(circuit) == "Circuit(n_qubits=3, name='demo', n_instructions=6, n_params=1)"
    assert str(Circuit(2)) == "q0: ──\nq1: ──"


def test_long_and_wide_drawings_are_cut():
    long = Circuit(1)
    for _ in range(100):
        long.h(0)
    assert "... and 40 more instructions" in str(long)
    assert "... and 36 more qubits" in str(Circuit(100).h(99))


def test_a_hundred_thousand_instructions():
    """CPU seconds, with room for machines ten times slower than the one it takes 0.5 s on."""
    weights = parameters("w", 10)
    started = time.thread_time()
    circuit = Circuit(20)
    for k in range(50_000):
        circuit.rx(2 * weights[k % 10] + 0.1, k % 20).cx(k % 20, (k + 1) % 20)
    assert circuit.n_instructions == 100_000
    assert time.thread_time() - started < 5
    assert circuit.depth() > 1000


def test_frozen_circuits_refuse_gates():
    frozen = Circuit(1).h(0).frozen()
    with pytest.raises(ProgramError, match=r"copy\(\)"):
        frozen.x(0)
    assert frozen == Circuit(1).h(0)
    assert frozen.frozen() is frozen
    assert frozen.copy().x(0).n_instructions == 2
    assert frozen.inverse().compose(frozen).bind({}).x(0).n_instructions == 3
    with pytest.raises(AttributeError):
        frozen.n_qubits = 2


def test_messages_stay_short_whatever_is_given():
    long = "z" * 100_000
    many = {f"p{k}": 0.0 for k in range(1000)}
    refused = [
        lambda: Circuit(1).append(long, [0]),
        lambda: Circuit(1).bind(many),
        lambda: Circuit(1).h(long),
        lambda: Parameter(long),
        lambda: Parameter("a b" * 50),
        lambda: Observable(long),
        lambda: Observable("Z" * 100_000, 1),
        lambda: Program(Circuit(1), many),
        lambda: Program(Circuit(1), dtype=long),
        lambda: feature_map(long, 1),
        lambda: from_qasm(f"qubit q; {long} q;"),
        lambda: from_qasm(f'include "{long}";'),
        lambda: circuit_from_json({long: 1}),
        lambda: circuit_from_json(circuit_to_json(Circuit(1)) | {long: 1}),
    ]
    for refuse in refused:
        with pytest.raises(CircuitError) as caught:
            refuse()
        assert len(str(caught.value)) < 400
        assert len(repr(caught.value.details)) < 4000
