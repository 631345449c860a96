"""Results in a toolkit's own type, against that toolkit's own simulator, on circuits whose bits all differ."""

from __future__ import annotations

import numpy as np
import pytest

import superpose
from superpose.circuits import Circuit, Observable, Parameter
from superpose.errors import ConversionError

SHOTS = 7


def test_qiskit_registers() -> None:
    qiskit = pytest.importorskip("qiskit", reason="needs superpose[qiskit]")
    primitives = pytest.importorskip("qiskit.primitives")
    one, two = qiskit.ClassicalRegister(3, "one"), qiskit.ClassicalRegister(2, "two")
    circuit = qiskit.QuantumCircuit(qiskit.QuantumRegister(4, "q"), one, two)
    circuit.x(0)
    circuit.x(3)
    circuit.measure([0, 1, 3], [one[0], one[1], two[1]])
    want = primitives.StatevectorSampler().run([circuit], shots=SHOTS).result()[0]
    got = superpose.convert(superpose.run(circuit, shots=SHOTS, seed=1), to="qiskit", like=circuit)
    assert isinstance(got, primitives.PrimitiveResult)
    assert got[0].data.one.get_counts() == want.data.one.get_counts() == {"001": SHOTS}
    assert got[0].data.two.get_counts() == want.data.two.get_counts() == {"10": SHOTS}
    assert got[0].join_data().get_counts() == want.join_data().get_counts()


def test_qiskit_batches_and_expectations() -> None:
    pytest.importorskip("qiskit", reason="needs superpose[qiskit]")
    circuit = Circuit(2).rx(Parameter("a"), 0)
    result = superpose.convert(superpose.run(circuit, {"a": [0.0, np.pi]}, shots=SHOTS, seed=1), to="qiskit")
    assert result[0].data.c.shape == (2,)
    assert [result[0].data.c[place].get_counts() for place in range(2)] == [{"00": SHOTS}, {"01": SHOTS}]
    answer = superpose.run(circuit, {"a": np.pi}, observables=[Observable("ZI"), Observable("IZ")])
    assert superpose.convert(answer, to="qiskit")[0].data.evs.tolist() == pytest.approx([-1.0, 1.0])
    with pytest.raises(ConversionError, match="state vector"):
        superpose.convert(superpose.run(Circuit(1).h(0)), to="qiskit")


def test_cirq_keys() -> None:
    cirq = pytest.importorskip("cirq", reason="needs superpose[cirq]")
    q = cirq.LineQubit.range(4)
    circuit = cirq.Circuit(
        cirq.X(q[0]), cirq.X(q[3]), cirq.measure(q[2], q[3], key="late"), cirq.measure(*q[:2], key="z")
    )
    want = cirq.Simulator().run(circuit, repetitions=SHOTS)
    got = superpose.convert(superpose.run(circuit, shots=SHOTS, seed=1), to="cirq", like=circuit)
    assert isinstance(got, cirq.Result)
    assert got.measurements.keys() == want.measurements.keys()
    for key in want.measurements:
        np.testing.assert_array_equal(got.measurements[key], want.measurements[key])
        assert got.histogram(key=key) == want.histogram(key=key)
    again = cirq.Circuit(cirq.measure(q[0], key="k"), cirq.X(q[0]), cirq.measure(q[0], key="k"))
    with pytest.raises(ConversionError, match="measured more than once"):
        superpose.convert(superpose.run(again, shots=2, seed=1), to="cirq", like=again)


def test_cirq_without_a_circuit() -> None:
    pytest.importorskip("cirq", reason="needs superpose[cirq]")
    got = superpose.convert(superpose.run(Circuit(3).x(0).measure_all(), shots=2, seed=1), to="cirq")
    assert got.measurements["c"].tolist() == [[1, 0, 0]] * 2


def test_braket_counts() -> None:
    braket = pytest.importorskip("braket.circuits", reason="needs superpose[braket]")
    devices = pytest.importorskip("braket.devices")
    for circuit in (
        braket.Circuit().x(0).i(1).x(3).i(5),
        braket.Circuit().x(0).i(1).x(3).i(5).measure(3).measure(1).measure(0),
    ):
        want = devices.LocalSimulator().run(circuit, shots=SHOTS).result()
        got = superpose.convert(superpose.run(circuit, shots=SHOTS, seed=1), to="braket", like=circuit)
        assert type(got) is type(want)
        assert got.measurement_counts == want.measurement_counts
        assert got.measured_qubits == want.measured_qubits
        np.testing.assert_array_equal(got.measurements, want.measurements)


def test_pennylane_arrays() -> None:
    qml = pytest.importorskip("pennylane", reason="needs superpose[pennylane]")

    @qml.qnode(qml.device("default.qubit", wires=3))
    def sampled():  # type: ignore[no-untyped-def]
        qml.X(1)
        qml.Identity(0)
        qml.X(2)
        return qml.sample()

    want = qml.set_shots(sampled, SHOTS)()
    answer = superpose.run(sampled, shots=SHOTS, seed=1)
    got = superpose.convert(answer, to="pennylane", like=sampled)
    np.testing.assert_array_equal(got, want)
    assert got.dtype == want.dtype
    circuit = Circuit(2).rx(Parameter("a"), 0)
    values = superpose.run(circuit, {"a": [0.0, np.pi]}, observables=[Observable("ZI"), Observable("IZ")])
    first, second = superpose.convert(values, to="pennylane")
    assert first.tolist() == pytest.approx([1.0, -1.0]) and second.tolist() == pytest.approx([1.0, 1.0])
    state = superpose.convert(superpose.run(Circuit(2).x(1)), to="pennylane")
    assert state.tolist() == [0, 1, 0, 0]


def test_other_types_are_refused() -> None:
    with pytest.raises(ConversionError, match="known are qiskit, cirq, braket, pennylane"):
        superpose.convert(superpose.run(Circuit(1), shots=1, seed=1), to="quipper")
