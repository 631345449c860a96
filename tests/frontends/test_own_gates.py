"""Gates that other toolkits have and we do not, their matrices, custom gates: read to the same unitary."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import unitary_group

from superpose.circuits import Circuit, reference
from superpose.errors import ConversionError
from superpose.frontends import read
from superpose.frontends.matrices import gates_of

A = 0.37
"""The value that parameters get."""


def assert_unitary(circuit: Circuit, want: np.ndarray) -> None:
    got = reference.unitary(circuit, dict.fromkeys(circuit.parameters, A))
    np.testing.assert_allclose(got, want, atol=1e-7, rtol=0)


@pytest.mark.parametrize("n_qubits", range(1, 6))
def test_a_matrix_becomes_gates(n_qubits: int) -> None:
    for matrix in (unitary_group.rvs(1 << n_qubits, random_state=n_qubits), np.eye(1 << n_qubits)[::-1]):
        assert_unitary(Circuit(n_qubits).extend(gates_of(matrix, range(n_qubits))), matrix)


def test_a_matrix_that_is_not_unitary_is_refused() -> None:
    with pytest.raises(ConversionError, match="not unitary"):
        list(gates_of(np.ones((2, 2)), [0]))
    with pytest.raises(ConversionError, match="shape"):
        list(gates_of(np.eye(4), [0]))


def test_qiskit() -> None:
    qiskit = pytest.importorskip("qiskit", reason="needs superpose[qiskit]")
    info = pytest.importorskip("qiskit.quantum_info")
    from qiskit.circuit import library

    a, v = qiskit.circuit.Parameter("a"), qiskit.circuit.ParameterVector("v", 2)
    inner = qiskit.QuantumCircuit(2, name="inner", global_phase=0.3)
    inner.rx(2 * a + v[1], 0)
    inner.cx(0, 1)
    gates = [
        *(kind() for kind in (library.ECRGate, library.iSwapGate, library.DCXGate, library.CSXGate, library.CCZGate)),
        *(library.RZXGate(a), library.XXPlusYYGate(a, 0.2), library.RGate(a, 0.1), library.U2Gate(a, 0.2)),
        *(library.UGate(a, 0.1, v[0]), library.U3Gate(0.3, a, 0.2), library.CUGate(a, 0.1, 0.2, 0.3)),
        *(library.CU3Gate(a, 0.1, 0.2), library.XGate().control(3, ctrl_state=5), library.MCPhaseGate(a, 2)),
        *(library.UnitaryGate(unitary_group.rvs(8, random_state=3)), library.PermutationGate([2, 0, 1])),
        *(inner.to_gate(), inner.to_gate().control(1), library.PauliGate("XYZ"), library.RYGate(a).inverse()),
    ]
    for gate in gates:
        circuit = qiskit.QuantumCircuit(4, global_phase=a)
        circuit.h(range(4))
        circuit.append(gate, range(gate.num_qubits))
        want = info.Operator(circuit.assign_parameters(dict.fromkeys(circuit.parameters, A)).reverse_bits()).data
        assert_unitary(read(circuit), want)
    with pytest.raises(ConversionError, match="not affine"):
        circuit = qiskit.QuantumCircuit(1)
        circuit.rx(a * v[0], 0)
        read(circuit)
    with pytest.raises(ConversionError, match="loop or switch"):
        circuit = qiskit.QuantumCircuit(1, 1)
        with circuit.while_loop((circuit.clbits[0], 0)):
            circuit.h(0)
            circuit.measure(0, 0)
        read(circuit)


def test_cirq() -> None:
    cirq = pytest.importorskip("cirq", reason="needs superpose[cirq]")
    sympy = pytest.importorskip("sympy")
    qubits, a = cirq.LineQubit.range(3), sympy.Symbol("a")
    gates = [
        *(cirq.X**a, cirq.Y**0.3, cirq.Z**a, cirq.H**0.3, cirq.rx(a), cirq.ry(2 * a + 1), cirq.CX**0.3, cirq.CZ**a),
        *(
            cirq.PhasedXPowGate(phase_exponent=0.2, exponent=a),
            cirq.ISWAP**0.5,
            cirq.SWAP**0.5,
            cirq.FSimGate(0.3, 0.2),
        ),
        *(cirq.XX**a, cirq.YY, cirq.ZZ**0.5, cirq.CCZ, cirq.CCX**0.5, cirq.givens(0.3), cirq.H.controlled(2)),
        *(cirq.QubitPermutationGate([2, 0, 1]), cirq.MatrixGate(unitary_group.rvs(8, random_state=1))),
    ]
    for gate in gates:
        circuit = cirq.Circuit(cirq.I.on_each(*qubits), gate.on(*qubits[: cirq.num_qubits(gate)]))
        assert_unitary(read(circuit), cirq.resolve_parameters(circuit, {"a": A}).unitary())
    with pytest.raises(ConversionError, match="not affine"):
        read(cirq.Circuit(cirq.rx(a * a).on(qubits[0])))
    inverted = cirq.Circuit(cirq.measure(*qubits[:2], key="m", invert_mask=(True, False)))
    assert [type(item).__name__ for item in read(inverted).instructions] == [
        "Instruction",
        "Measure",
        "Instruction",
        "Measure",
    ]


def test_braket() -> None:
    braket = pytest.importorskip("braket.circuits", reason="needs superpose[braket]")
    a = braket.FreeParameter("a")
    circuits = [
        braket.Circuit().h(0).u(1, a, 0.2, 0.3).iswap(0, 1).xy(0, 1, a).pswap(0, 1, a).cphaseshift00(0, 1, a),
        braket.Circuit()
        .cphaseshift01(0, 1, 0.3)
        .cphaseshift10(0, 1, a)
        .prx(0, a, 0.2)
        .gphase(a)
        .v(0)
        .cv(0, 1)
        .ecr(0, 1),
        braket.Circuit().rz(1, A, control=0, control_state=[0], power=2).x(2, control=[0, 1], power=-1).gpi(0, 0.2),
        braket.Circuit()
        .unitary(matrix=unitary_group.rvs(4, random_state=1), targets=[0, 2])
        .x(1)
        .ms(0, 1, 0.1, 0.2, 0.3),
    ]
    for circuit in circuits:
        bound = circuit.make_bound_circuit({"a": A}) if circuit.parameters else circuit
        assert_unitary(read(circuit), bound.to_unitary())
    with pytest.raises(ConversionError, match="noise"):
        read(braket.Circuit().bit_flip(0, 0.1))


def test_pytket() -> None:
    pytket = pytest.importorskip("pytket.circuit", reason="needs superpose[pytket]")
    sympy = pytest.importorskip("sympy")
    a, kinds = sympy.Symbol("a"), pytket.OpType
    gates = [
        *((kinds.U3, [0.1, a, 0.3], 1), (kinds.U2, [0.1, 0.3], 1), (kinds.TK1, [0.1, a, 0.3], 1), (kinds.CV, [], 2)),
        *((kinds.ISWAP, [a], 2), (kinds.PhasedX, [a, 0.2], 1), (kinds.ECR, [], 2), (kinds.CU3, [0.1, a, 0.2], 2)),
        *((kinds.CnX, [], 3), (kinds.CnRy, [a], 3), (kinds.BRIDGE, [], 3), (kinds.TK2, [0.1, a, 0.3], 2)),
        *(
            (kinds.ZZMax, [], 2),
            (kinds.FSim, [0.1, 0.2], 2),
            (kinds.NPhasedX, [0.1, a], 2),
            (kinds.AAMS, [0.1, 0.2, 0.3], 2),
        ),
    ]
    for kind, angles, n in gates:
        circuit = pytket.Circuit(3).add_phase(a).H(0)
        circuit.add_gate(kind, angles, list(range(n)))
        bound = circuit.copy()
        bound.symbol_substitution({a: A})
        assert_unitary(read(circuit), bound.get_unitary())


def test_pyquil() -> None:
    pyquil = pytest.importorskip("pyquil", reason="needs superpose[pyquil]")
    tools = pytest.importorskip("pyquil.simulation.tools")
    gates = pytest.importorskip("pyquil.gates")
    program = pyquil.Program(
        *(
            gates.ISWAP(0, 1),
            gates.XY(A, 1, 2),
            gates.PSWAP(0.3, 0, 2),
            gates.CPHASE00(0.4, 0, 1),
            gates.CPHASE01(A, 1, 2),
        ),
        *(
            gates.CPHASE10(0.4, 0, 2),
            gates.RX(A, 0).controlled(1),
            gates.T(0).dagger(),
            gates.PHASE(0.1, 2).controlled(0),
        ),
    )
    want = tools.program_unitary(program, 3)  # qubit 0 is the least significant bit there
    order = [int(f"{k:03b}"[::-1], 2) for k in range(8)]
    assert_unitary(read(program), want[np.ix_(order, order)])
    with pytest.raises(ConversionError, match="not defined"):
        read(pyquil.Program("FOO 0\n"))
    with pytest.raises(ConversionError, match="JumpTarget"):
        read(pyquil.Program("DECLARE ro BIT\nLABEL @a\nX 0\nMEASURE 0 ro[0]\nJUMP-WHEN @a ro[0]\n"))


def test_pennylane() -> None:
    qml = pytest.importorskip("pennylane", reason="needs superpose[pennylane]")

    def function(x, w):  # type: ignore[no-untyped-def]
        qml.Rot(x, w[0], 0.3, wires=0)
        qml.U3(w[1], 0.1, 2 * x, wires=1)
        qml.MultiRZ(x, wires=[0, 1, 2])
        qml.PauliRot(w[0] / 2, "XYZ", wires=[0, 1, 2])
        qml.adjoint(qml.S(1))
        qml.ctrl(qml.RX(x, wires=2), control=[0], control_values=[0])
        qml.IsingXY(x, wires=[1, 2])
        qml.GlobalPhase(x)
        qml.QubitUnitary(unitary_group.rvs(4, random_state=1), wires=[2, 0])
        qml.QFT(wires=[0, 1, 2])
        qml.SingleExcitation(0.4, wires=[0, 2])
        return qml.expval(qml.Z(0))

    want = qml.matrix(function, wire_order=[0, 1, 2])(A, [A, A])
    node = qml.QNode(function, qml.device("default.qubit"))
    for source in (node, qml.tape.make_qscript(function)(A, [A, A])):
        assert_unitary(read(source), want)
    assert set(read(node).parameters) == {"x", "w_0", "w_1"}
