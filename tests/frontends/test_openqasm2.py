"""OpenQASM 2 out: we and Qiskit read it back with the same unitary, phase included; the rest is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

import superpose
from superpose.circuits import GATES, Circuit, Condition, If, Measure, Parameter, Reset, from_qasm
from superpose.errors import ConversionError
from superpose.frontends import write

from .conftest import assert_same, random_circuit

QISKIT = "the reading by Qiskit needs superpose[qiskit]"


def in_qiskit(text: str, *, legacy: bool) -> np.ndarray:
    """The unitary as Qiskit reads it, in our order of qubits; with Qiskit's further gates or without."""
    qasm2 = pytest.importorskip("qiskit.qasm2", reason=QISKIT)
    info = pytest.importorskip("qiskit.quantum_info", reason=QISKIT)
    more = qasm2.LEGACY_CUSTOM_INSTRUCTIONS if legacy else ()
    circuit = qasm2.loads(text, custom_instructions=more, strict=False)
    return np.asarray(info.Operator(circuit.reverse_bits()).data)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("row", GATES.values(), ids=lambda row: row.name)
def test_every_gate(row, legacy: bool) -> None:
    circuit = (
        Circuit(row.n_qubits + 1)
        .h(0)
        .append(row.name, range(1, row.n_qubits + 1), [0.3, -1e-5, 2.0, 5.5][: row.n_angles])
    )
    text = superpose.convert(circuit, to="openqasm2")
    assert text.startswith("OPENQASM 2.0;\n")
    assert_same(circuit, from_qasm(text))
    np.testing.assert_allclose(
        in_qiskit(text, legacy=legacy), superpose.circuits.reference.unitary(circuit), atol=1e-9, rtol=0
    )


@pytest.mark.parametrize("seed", range(12))
def test_random_circuits(seed: int) -> None:
    circuit = random_circuit(seed, symbolic=False, n_qubits=1 + seed % 5)
    text = write(circuit, "openqasm2")
    assert_same(circuit, from_qasm(text))
    wanted = superpose.circuits.reference.unitary(circuit)
    np.testing.assert_allclose(in_qiskit(text, legacy=False), wanted, atol=1e-9, rtol=0)


def dynamic() -> Circuit:
    inner = Circuit(3, n_bits=4).x(2).measure(2, 3).reset(2)
    circuit = Circuit(3, n_bits=4).h(0).barrier(0, 2).measure(0, 0).measure(1, 1).reset(1)
    return circuit.if_((1, 0), 2, inner).if_((0, 1), 1, Circuit(3, n_bits=4).y(0), Circuit(3, n_bits=4).z(0)).barrier()


def test_operations_come_back() -> None:
    text = write(dynamic(), "openqasm2")
    assert "creg c0[2];\ncreg c1[2];" in text
    assert "if(c0==2) measure q[2] -> c1[1];" in text
    back = from_qasm(text)
    assert (back.n_qubits, back.n_bits) == (3, 4)
    kept = [item for item in back.instructions if not isinstance(item, If)]
    assert kept == [item for item in dynamic().instructions if not isinstance(item, If)]
    asked = [item.condition for item in back.instructions if isinstance(item, If)]
    assert asked[:3] == [Condition((1, 0), 2)] * 3
    assert [type(item.then[0]) for item in back.instructions if isinstance(item, If)][1:3] == [Measure, Reset]
    assert len(asked) == 3 + 4  # y for one value of two bits, z for the other three
    (one,), (other,) = (superpose.run(circuit, shots=400, seed=3).counts or () for circuit in (dynamic(), back))
    assert set(one) == set(other) == {"0000", "1000"}


def test_conditions_on_parts_of_a_register_are_written_for_each_value() -> None:
    circuit = Circuit(4, n_bits=3).h(0).h(1).h(2).measure(0, 0).measure(1, 1).measure(2, 2)
    circuit.if_((0, 2), 2, Circuit(4).x(3)).if_(1, 1, Circuit(4).z(3), Circuit(4).y(3))
    text = write(circuit, "openqasm2")
    lines = [line for line in text.splitlines() if line.startswith("if")]
    assert lines[:2] == ["if(c==1) x q[3];", "if(c==3) x q[3];"]
    assert lines[2:6] == [f"if(c=={value}) z q[3];" for value in (2, 3, 6, 7)]
    assert lines[6:] == [f"if(c=={value}) y q[3];" for value in (0, 1, 4, 5)]


def test_operations_are_qiskits() -> None:
    qasm2 = pytest.importorskip("qiskit.qasm2", reason=QISKIT)
    circuit = qasm2.loads(write(dynamic(), "openqasm2"))
    assert [register.size for register in circuit.cregs] == [2, 2]
    assert circuit.count_ops()["if_else"] == 7
    assert circuit.count_ops()["barrier"] == 2


a, b = Parameter("a"), Parameter("b")


@pytest.mark.parametrize(
    ("circuit", "feature", "match"),
    [
        (Circuit(1).rx(a + b, 0), "free parameters", "free parameters: a, b. Bind them first"),
        (Circuit(1).delay(5, 0), "Delay", "Delay at position 0"),
        (Circuit(1).h(0).bit_flip(0.1, 0), "Channel", "Channel at position 1"),
        (Circuit(1, n_bits=1).extend([Measure(0, 0, 0.1)]), "a readout error", "readout error"),
        (Circuit(1, n_bits=1).if_(0, 1, Circuit(1).barrier()), "Barrier under a condition", "Barrier"),
        (Circuit(1, n_bits=2).if_(0, 1, Circuit(1, n_bits=2).if_(1, 1, Circuit(1).x(0))), "If under a condition", "If"),
        (Circuit(1, n_bits=10).if_((0, 9), 1, Circuit(1).x(0)), "a condition on 2 bits", "at most 6"),
        (Circuit(1, n_bits=1).if_(0, 1, Circuit(1, n_bits=1).measure(0, 0)),
         "a condition whose branch writes", "If at position 0"),
    ],
)  # fmt: skip
def test_what_it_has_no_words_for_is_refused_by_name(circuit: Circuit, feature: str, match: str) -> None:
    with pytest.raises(ConversionError, match=match) as caught:
        superpose.convert(circuit, to="openqasm2")
    assert str(caught.value.details["feature"]).startswith(feature)
    assert caught.value.details["toolkit"] == "OpenQASM 2"
    assert write(circuit.bind({"a": 1.0, "b": 2.0}), "openqasm2") if circuit.parameters else True


def test_noise_is_refused_by_openqasm_3_too() -> None:
    with pytest.raises(ConversionError, match="no words for Channel"):
        superpose.convert(Circuit(1).bit_flip(0.1, 0), to="openqasm3")
