"""Operations that are no gates: what they hold, what they refuse, and how circuits carry them."""

from __future__ import annotations

import pytest

from superpose.circuits import (
    Barrier,
    Channel,
    Circuit,
    Condition,
    Delay,
    If,
    Instruction,
    KrausChannel,
    Measure,
    Parameter,
    Reset,
    to_qasm,
    walk,
)
from superpose.errors import ProgramError, QubitOutOfRangeError, UnsupportedProgramError

X = [[0, 1], [1, 0]]


def everything() -> Circuit:
    theta = Parameter("theta")
    return (
        Circuit(3, n_bits=2)
        .h(0)
        .delay(50.0, 1)
        .barrier()
        .depolarizing(0.1, 0)
        .kraus([X], 2)
        .measure(0, 1)
        .if_((0, 1), 2, Circuit(3).rx(2 * theta, 1), [Reset(2)])
        .reset(0)
    )


def test_a_circuit_holds_every_kind_in_order() -> None:
    circuit = everything()
    kinds = [type(item) for item in circuit.instructions]
    assert kinds == [Instruction, Delay, Barrier, Channel, KrausChannel, Measure, If, Reset]
    assert circuit.parameters == ("theta",)
    assert (circuit.n_bits, circuit.is_unitary, circuit.has_noise) == (2, False, True)
    assert [type(item) for item in walk(circuit.instructions)][6:] == [If, Instruction, Reset, Reset]
    assert "M→1" in str(circuit) and "IF(0,1=2)" in str(circuit)


def test_operations_are_values() -> None:
    circuit = everything()
    assert circuit == everything()
    assert circuit.digest == everything().digest
    assert len({*circuit.instructions, *everything().instructions}) == circuit.n_instructions
    assert circuit.copy().reset(0) != circuit
    assert Circuit(1).digest != Circuit(1, n_bits=1).digest
    assert Circuit(1, n_bits=1).measure(0, 0).digest != Circuit(1, n_bits=1).extend([Measure(0, 0, 0.1)]).digest


def test_binding_reaches_into_conditions() -> None:
    (found,) = [item for item in everything().bind({"theta": 0.25}).instructions if isinstance(item, If)]
    assert found.then == (Instruction("rx", (1,), (0.5,)),)


def test_composing_moves_qubits_and_bits() -> None:
    whole = Circuit(4).compose(everything(), (3, 2, 1), (5, 0))
    assert whole.n_bits == 6
    measured = next(item for item in whole.instructions if isinstance(item, Measure))
    found = next(item for item in whole.instructions if isinstance(item, If))
    assert (measured.qubit, measured.bit) == (3, 0)
    assert (found.condition, found.qubits) == (Condition((5, 0), 2), (2, 1))


def test_only_unitary_circuits_have_an_inverse_gate_calls_and_old_text_forms() -> None:
    plain = Circuit(2).h(0).barrier().delay(3.0, 1).s(1)
    assert plain.is_unitary
    assert [item.gate for item in plain.gate_calls()] == ["h", "s"]
    assert plain.inverse().gate_calls()[0] == Instruction("sdg", (1,))
    circuit = Circuit(1).reset(0)
    for call in (circuit.inverse, circuit.gate_calls):
        with pytest.raises(UnsupportedProgramError, match="Reset"):
            call()


def test_final_measurements_are_split_off() -> None:
    circuit = Circuit(3, n_bits=3).h(0).measure(0, 0).measure(1, 1).x(1).measure(2, 2).barrier().delay(5.0, 2)
    body, final = circuit.without_final_measurements()
    assert final == (Measure(0, 0), Measure(2, 2))
    assert Measure(1, 1) in body.instructions and body.n_bits == 3
    read = Circuit(2, n_bits=1).measure(0, 0).if_(0, 1, Circuit(2).x(1))
    assert read.without_final_measurements() == (read, ())
    twice = Circuit(2, n_bits=1).measure(0, 0).measure(1, 0)
    assert twice.without_final_measurements()[1] == (Measure(1, 0),)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Circuit(1).measure(0, 0), QubitOutOfRangeError),
        (lambda: Circuit(1, n_bits=1).measure(1, 0), QubitOutOfRangeError),
        (lambda: Circuit(1, n_bits=-1), ProgramError),
        (lambda: Measure(0, 0, 1.5), ProgramError),
        (lambda: Measure(0, -1), QubitOutOfRangeError),
        (lambda: Delay(0, -1.0), ProgramError),
        (lambda: Delay(0, float("nan")), ProgramError),
        (lambda: Barrier(()), QubitOutOfRangeError),
        (lambda: Barrier((0, 0)), QubitOutOfRangeError),
        (lambda: Condition((0,), 2), ProgramError),
        (lambda: Condition((), 0), QubitOutOfRangeError),
        (lambda: Channel("depolarising", (0,), (0.1,)), ProgramError),
        (lambda: Channel("depolarizing2", (0,), (0.1,)), QubitOutOfRangeError),
        (lambda: Channel("depolarizing", (0,), (1.5,)), ProgramError),
        (lambda: Channel("depolarizing", (0,), ()), ProgramError),
        (lambda: Channel("thermal_relaxation", (0,), (1.0, 3.0, 1.0, 0.0)), ProgramError),
        (lambda: KrausChannel((0,), [[[1, 0], [0, 0.5]]]), ProgramError),
        (lambda: KrausChannel((0, 1), [X]), ProgramError),
        (lambda: Circuit(1).frozen().measure_all(), ProgramError),
    ],
)
def test_what_cannot_be_is_refused(make: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        make()  # type: ignore[operator]  # a lambda


def test_conditions_read_their_first_bit_as_the_most_significant() -> None:
    condition = Condition((2, 0), 2)
    assert condition.holds([0, 1, 1])
    assert not condition.holds([1, 1, 0])


def test_text_forms_without_a_place_for_them_refuse_by_name() -> None:
    with pytest.raises(UnsupportedProgramError, match="Channel"):
        to_qasm(Circuit(1).bit_flip(0.1, 0))
