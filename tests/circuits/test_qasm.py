"""OpenQASM 3: exact round trips, golden files, what is read, and refusal with line and column of all the rest."""

import contextlib
import re
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superpose.circuits import (
    GATES,
    Barrier,
    Circuit,
    Condition,
    Delay,
    If,
    Instruction,
    Measure,
    Parameter,
    Reset,
    from_qasm,
    to_qasm,
)
from superpose.circuits.reference import unitary
from superpose.errors import QasmError, UnsupportedProgramError
from superpose.testing.strategies import circuits, dynamic_circuits

GOLDEN = Path(__file__).parent / "golden"
HEAD = 'OPENQASM 3.0; include "stdgates.inc"; '
x, y = Parameter("x"), Parameter("y")


def read(body, qubits=3):
    """The circuit of ``body`` after the usual header and a register q."""
    return from_qasm(f"{HEAD} input float x; input float[64] y; qubit[{qubits}] q; {body}")


def same_unitary(a, b):
    params = {"x": 0.37, "y": -1.2}
    pick = lambda c: {n: params[n] for n in c.parameters}  # noqa: E731
    np.testing.assert_allclose(unitary(a, pick(a)), unitary(b, pick(b)), atol=1e-12)


# round trips


@settings(deadline=None, max_examples=150)
@given(circuits(), st.booleans())
def test_round_trip_is_exact(circuit, measure):
    text = to_qasm(circuit, measure=measure)
    back = from_qasm(text, name=circuit.name)
    circuit = circuit.copy().measure_all() if measure else circuit
    assert back == circuit
    assert (back.digest, back.parameters, back.name) == (circuit.digest, circuit.parameters, circuit.name)
    assert to_qasm(back) == text


@settings(deadline=None, max_examples=150)
@given(dynamic_circuits(noise=False))
def test_round_trip_of_any_operations_is_exact(circuit):
    text = to_qasm(circuit)
    back = from_qasm(text)
    assert (back, back.n_bits, back.digest) == (circuit, circuit.n_bits, circuit.digest)
    assert to_qasm(back) == text


def every_gate():
    """A circuit with every gate of the table."""
    theta = Parameter("θ")
    circuit = Circuit(3, "every gate")
    for row in sorted(GATES.values(), key=lambda row: row.name):
        angles = [0.25, 2 * x - 0.1 * theta, theta / 4 + np.pi, -x][: row.n_angles]
        circuit.append(row.name, range(row.n_qubits)[::-1], angles)
    return circuit


def every_operation():
    """A circuit with every operation that OpenQASM has words for."""
    theta = Parameter("theta")
    inner = Circuit(3, n_bits=3).reset(0).if_((2, 1, 0), 5, Circuit(3).x(2)).measure(0, 1)
    return (
        Circuit(3, n_bits=3)
        .h(0)
        .barrier(0, 2)
        .delay(12.5, 1)
        .measure(0, 2)
        .if_(2, 1, Circuit(3).rx(2 * theta + 0.5, 1), inner)
        .if_((0, 2), 1, inner)
        .measure_all()
    )


def dynamic():
    """What an earlier form was written from."""
    inner = Circuit(3, n_bits=3).rx(2 * x, 1).reset(2).if_(1, 0, Circuit(3).z(0))
    circuit = Circuit(3, n_bits=3).h(0).measure(0, 1).barrier().delay(12.5, 2).reset(0)
    return circuit.if_(1, 1, inner, Circuit(3).y(0)).if_((2, 0), 1, Circuit(3).s(0)).measure(0, 0).barrier(0, 2)


CASES = {
    "dynamic_v1.qasm": (dynamic, {}),
    "every_gate_v1.qasm": (every_gate, {}),
    "every_operation_v2.qasm": (every_operation, {}),
    "plain_v1.qasm": (lambda: Circuit(2).h(0).cx(0, 1).rz(x / 2 + np.pi / 2, 1).measure_all(), {}),
    "plain_v2.qasm": (lambda: Circuit(2).h(0).cx(0, 1).rz(x / 2 + np.pi / 2, 1).measure_all(), {}),
}


@pytest.mark.parametrize("name", CASES)
def test_golden_file_is_read(name):
    assert from_qasm((GOLDEN / name).read_text(encoding="utf-8")) == CASES[name][0]()


@pytest.mark.parametrize("name", [name for name in CASES if name != "plain_v1.qasm"])  # bits were declared last
def test_golden_file_is_what_is_written(name):
    make, options = CASES[name]
    assert (GOLDEN / name).read_text(encoding="utf-8") == to_qasm(make(), **options)


def test_every_golden_text_has_a_case():
    assert {path.name for path in GOLDEN.glob("*.qasm")} == set(CASES)


def test_text():
    circuit = Circuit(2).rx(x, 0).ryy(np.pi / 4, 0, 1).p(-3 * np.pi / 2, 0).rz(0.1, 1)
    assert to_qasm(circuit, measure=True).splitlines() == [
        "OPENQASM 3.0;",
        'include "stdgates.inc";',
        "@superpose.parameter x",
        "input float[64] x_;",
        "gate rzz(theta) q0, q1 { cx q0, q1; rz(theta) q1; cx q0, q1; }",
        "gate ryy(theta) q0, q1 { rx(pi/2) q0; rx(pi/2) q1; rzz(theta) q0, q1; rx(-pi/2) q0; rx(-pi/2) q1; }",
        "qubit[2] q;",
        "bit[2] c;",
        "rx(x_) q[0];",
        "ryy(pi/4) q[0], q[1];",
        "p(-3*pi/2) q[0];",
        "rz(0.1) q[1];",
        "c = measure q;",
    ]


def test_names_that_clash_come_back():
    names = ["q", "c", "x", "rzz", "x_", "q_", "theta", "rxx"]
    circuit = Circuit(2)
    for name in names:
        circuit.rzz(Parameter(name), 0, 1)
    back = from_qasm(to_qasm(circuit, measure=True))
    assert back == circuit.measure_all()
    assert back.parameters == tuple(names)


# what is read


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("h q;", Circuit(3).h(0).h(1).h(2)),
        ("cx q[0], q[-1];", Circuit(3).cx(0, 2)),
        ("qubit r; qubit[3] s; cx q, s; h r;", Circuit(7).cx(0, 4).cx(1, 5).cx(2, 6).h(3)),
        ("qubit r; cx r, q;", Circuit(4).cx(3, 0).cx(3, 1).cx(3, 2)),
        ("qreg r[2]; creg d[2]; cx r[0], r[1];", Circuit(5, n_bits=2).cx(3, 4)),
        ("const int n = 2; qubit[n * 2 - 1] r; x r[n];", Circuit(6).x(5)),
        ("const float t = pi / 2; rx(t) q[0];", Circuit(3).rx(np.pi / 2, 0)),
        ("U(0.1, 0.2, 0.3) q[0];", Circuit(3).u(0.1, 0.2, 0.3, 0)),
        ("CX q[0], q[1]; phase(0.5) q[0]; cphase(0.5) q[0], q[1]; u1(x) q[2];",
         Circuit(3).cx(0, 1).p(0.5, 0).cp(0.5, 0, 1).p(x, 2)),
        ("barrier; h q[0]; barrier q; barrier q[0], q[1]; h q[1];",
         Circuit(3).barrier().h(0).barrier().barrier(0, 1).h(1)),
        ("// a comment\nh /* in\nside */ q[0]; /**/", Circuit(3).h(0)),
        ("@other.tool keeps = this; {\nh q[0];", Circuit(3).h(0)),
        ("gate g a { } g q[0]; gate k(t) a, b { cx a, b; rz(t / 2) b; } k(x) q[2], q[0];",
         Circuit(3).cx(2, 0).rz(x / 2, 0)),
        ("gate g(a, b) q { rx(a * b) q; rx(sin(a)) q; } g(2, 0.5) q[0];", Circuit(3).rx(1, 0).rx(np.sin(2), 0)),
        ("const float k = 2; gate g(a) q { rx(k * a) q; } g(x) q[0];", Circuit(3).rx(2 * x, 0)),
        ("bit[3] c; h q[0]; c = measure q;", Circuit(3).h(0).measure_all()),
        ("bit[3] c; h q[0]; measure q -> c;", Circuit(3).h(0).measure_all()),
        ("bit[3] c = measure q;", Circuit(3).measure_all()),
        ("bit b = measure q[1]; x q[1];", Circuit(3, n_bits=1).measure(1, 0).x(1)),
        ("bit[3] c; c[0] = measure q[0]; h q[1]; c[1] = measure q[1]; c[-1] = measure q[2];",
         Circuit(3, n_bits=3).measure(0, 0).h(1).measure(1, 1).measure(2, 2)),
        ("bit a; bit[2] b; a = measure q[2]; b = measure r;", None),
        ("bit a; bit[2] b; a = measure q[2]; measure q[0] -> b[1]; c = 3;", None),
        ("bit a; bit[2] b; a = measure q[2]; measure q[0] -> b[1];",
         Circuit(3, n_bits=3).measure(2, 0).measure(0, 2)),
        ("bit[2] c; c[0] = measure q[0]; c[0] = measure q[1]; h q[0];",
         Circuit(3, n_bits=2).measure(0, 0).measure(1, 0).h(0)),
        ("measure q;", Circuit(3)),
        ("h q[1]; measure q[1]; barrier q; delay[1us] q[1];", Circuit(3).h(1).barrier().delay(1000, 1)),
        ("reset q[1]; reset q;", Circuit(3).reset(1).reset(0).reset(1).reset(2)),
        ("delay[100ns] q[0]; delay[1.5us] q[1], q[2]; delay[2e-3ms] q[0]; delay[1µs] q[0]; delay[1s] q[0];",
         Circuit(3).delay(100, 0).delay(1500, 1).delay(1500, 2).delay(2000, 0).delay(1000, 0).delay(1e9, 0)),
        ("delay[0ns];", Circuit(3).delay(0, 0).delay(0, 1).delay(0, 2)),
        ("h q[0]; gphase(0.5); bit b; b = measure q[0]; x q[0];",
         Circuit(3, n_bits=1).h(0).rz(-1.0, 0).p(1.0, 0).measure(0, 0).x(0)),
        ("bit[7] unused; h q[0];", Circuit(3, n_bits=7).h(0)),
    ],
)  # fmt: skip
def test_accepted(body, wanted):
    if wanted is None:
        with pytest.raises(QasmError):
            read(body)
    else:
        assert read(body) == wanted


X, Z = Instruction("x", (0,)), Instruction("z", (0,))


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("if (c[0] == 1) { x q[0]; }", If(Condition((0,), 1), (X,))),
        ("if (c[0] == 1) x q[0];", If(Condition((0,), 1), (X,))),
        ("if (c[0]) { x q[0]; z q[0]; }", If(Condition((0,), 1), (X, Z))),
        ("if (!c[0]) { x q[0]; }", If(Condition((0,), 0), (X,))),
        ("if (d) { x q[0]; } else { z q[0]; }", If(Condition((3,), 1), (X,), (Z,))),
        ("if (d == true) { x q[0]; } else z q[0];", If(Condition((3,), 1), (X,), (Z,))),
        ("if (d != false) { x q[0]; }", If(Condition((3,), 1), (X,))),
        ("if (c[2] != 1) { x q[0]; }", If(Condition((2,), 0), (X,))),
        ("if (c == 3) { x q[0]; }", If(Condition((2, 1, 0), 3), (X,))),
        ("if (c != 2 + 1) { x q[0]; }", If(Condition((2, 1, 0), 3), (), (X,))),
        ("if (c[0] == 1 && c[2] == 0) { x q[0]; }", If(Condition((0, 2), 2), (X,))),
        ("if ((c[0]) && !d && (c[2] != 1)) { x q[0]; }", If(Condition((0, 3, 2), 4), (X,))),
        ("if (d && c == 4) { }", If(Condition((3, 2, 1, 0), 12), ())),
        ("if (d) { if (c == 1) { } else if (c[1]) { reset q[0]; barrier q[0]; delay[5ns] q[0]; d = measure q[0]; } }",
         If(Condition((3,), 1), (If(Condition((2, 1, 0), 1), (), (
             If(Condition((1,), 1), (Reset(0), Barrier((0,)), Delay(0, 5), Measure(0, 3))),)),))),
        ("if (d) { gphase(1); x q[0]; }", If(Condition((3,), 1), (X,))),
        ("if (c[1] && c == 3) { x q[0]; }", If(Condition((1, 2, 0), 5), (X,))),
        ("if (d && d) { x q[0]; }", If(Condition((3,), 1), (X,))),
        ("if (d && !d) { x q[0]; } else { z q[0]; }", Z),
        ("if (c == 8) { x q[0]; } else { z q[0]; }", Z),
        ("if (c == -1) { x q[0]; } else { z q[0]; }", Z),
        ("if (c != 8) { x q[0]; } else { z q[0]; }", X),
        ("if (d == 2) { x q[0]; } else { z q[0]; }", Z),
        ("if (d != 2 && c[0] != 2) { x q[0]; } else { z q[0]; }", X),
        ("if (d != 2 && c[0]) { x q[0]; }", If(Condition((0,), 1), (X,))),
    ],
)  # fmt: skip
def test_conditions(statement, wanted):
    """The first bit of a register is the least significant one, as the specification says of casts to integers."""
    circuit = read(f"bit[3] c; bit d; {statement}")
    assert circuit.instructions == (wanted,)
    assert from_qasm(to_qasm(circuit)) == circuit


def test_noise_has_no_words():
    for circuit in (Circuit(1).bit_flip(0.1, 0), Circuit(1, n_bits=1).extend([Measure(0, 0, 0.1)])):
        with pytest.raises(UnsupportedProgramError, match=r"no words for (Channel|Measure with a readout error)"):
            to_qasm(circuit)


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("x", x),
        ("-x", -x),
        ("2*x + 0.1", 2 * x + 0.1),
        ("x*2/4 - (y - 1)", x / 2 - y + 1),
        ("- - x", x),
        ("-(x + y)*pi", -np.pi * x - np.pi * y),
        ("(2 + 3)*x", 5 * x),
        ("x - x + 1", 1),
        ("π/2", np.pi / 2),
        ("tau/4 - pi/2", 0),
        ("euler", np.e),
        ("ℇ + τ", np.e + 2 * np.pi),
        ("2**3*x", 8 * x),
        ("-2**2", -4),
        ("2**-1", 0.5),
        ("2**3**2", 512),
        ("6/3", 2),
        ("7.0/2", 3.5),
        ("1/2.0", 0.5),
        ("sqrt(4)*cos(0)", 2),
        ("arccos(-1)", np.pi),
        ("log(exp(1))", 1),
        (".5", 0.5),
        ("1.", 1),
        ("1e-3", 1e-3),
        ("2.5E+2", 250),
        ("1_000.5", 1000.5),
        ("0x1F", 31),
        ("0b101", 5),
        ("0o17", 15),
        ("007", 7),
    ],
)
def test_expressions(expression, wanted):
    assert read(f"rx({expression}) q[0];").instructions[0].angles[0] == wanted


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("ctrl @ x q[0], q[1];", Circuit(3).cx(0, 1)),
        ("ctrl(2) @ x q[0], q[1], q[2];", Circuit(3).ccx(0, 1, 2)),
        ("ctrl @ ctrl @ x q[2], q[1], q[0];", Circuit(3).ccx(2, 1, 0)),
        ("ctrl @ rx(x) q[0], q[1];", Circuit(3).crx(x, 0, 1)),
        ("ctrl @ swap q[0], q[1], q[2];", Circuit(3).cswap(0, 1, 2)),
        ("ctrl @ s q[0], q[1];", Circuit(3).cp(np.pi / 2, 0, 1)),
        ("ctrl @ U(x, y, 1) q[0], q[1];", Circuit(3).cu(x, y, 1, x / 2, 0, 1)),
        ("ctrl @ gphase(x) q[1];", Circuit(3).p(x, 1)),
        ("ctrl(2) @ gphase(x) q[1], q[0];", Circuit(3).cp(x, 1, 0)),
        ("inv @ s q[0];", Circuit(3).sdg(0)),
        ("inv @ rx(x) q[0];", Circuit(3).rx(-x, 0)),
        ("inv @ U(1, 2, 3) q[0];", Circuit(3).u(-1, -3, -2, 0)),
        ("pow(2) @ t q[0];", Circuit(3).t(0).t(0)),
        ("pow(-2) @ t q[0];", Circuit(3).tdg(0).tdg(0)),
        ("pow(0) @ t q[0];", Circuit(3)),
        ("negctrl @ x q[0], q[1];", Circuit(3).x(0).cx(0, 1).x(0)),
        ("gate g(t) a, b { h a; cx a, b; rz(t) b; } inv @ g(x) q[0], q[1];", Circuit(3).rz(-x, 1).cx(0, 1).h(0)),
        ("gate g a, b { h a; cx a, b; } ctrl @ g q[2], q[0], q[1];", Circuit(3).ch(2, 0).ccx(2, 0, 1)),
        ("ctrl @ x q[0], q;", None),
    ],
)  # fmt: skip
def test_modifiers(body, wanted):
    if wanted is None:
        with pytest.raises(QasmError):
            read(body)
    else:
        assert read(body) == wanted


@pytest.mark.parametrize("row", GATES.values(), ids=lambda row: row.name)
def test_control_of_every_gate_is_exact(row):
    """ctrl and negctrl of any row, against the block matrix."""
    angles = [0.3 + 0.4 * k for k in range(row.n_angles)]
    n = row.n_qubits
    plain = to_qasm(Circuit(n).append(row.name, range(n), angles)).splitlines()
    *head, call = [line for line in plain if not line.startswith("qubit")]
    operands = ", ".join(f"q[{k}]" for k in range(n + 1))
    name = call.split(" q[")[0]
    d = 2**n
    for modifier, block in [("ctrl", slice(d, None)), ("negctrl", slice(0, d)), ("inv @ ctrl", slice(d, None))]:
        got = from_qasm("\n".join([*head, f"qubit[{n + 1}] q;", f"{modifier} @ {name} {operands};"]))
        wanted = np.eye(2 * d, dtype=complex)
        matrix = row.matrix(angles)
        wanted[block, block] = matrix.conj().T if "inv" in modifier else matrix
        np.testing.assert_allclose(unitary(got), wanted, atol=1e-12)


def test_two_more_controls_of_deep_gates_are_exact():
    got = from_qasm(HEAD + "qubit[5] q; ctrl(2) @ ccx q[0], q[1], q[2], q[3], q[4];")
    wanted = np.eye(32)
    wanted[-2:, -2:] = [[0, 1], [1, 0]]
    np.testing.assert_allclose(unitary(got), wanted, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "definition"),
    [
        ("h", "gate h a { U(pi/2, 0, pi) a; gphase(-pi/4); }"),
        ("x", "gate x a { U(pi, 0, pi) a; gphase(-pi/2); }"),
        ("y", "gate y a { U(pi, pi/2, pi/2) a; gphase(-pi/2); }"),
        ("rx", "gate rx(t) a { U(t, -pi/2, pi/2) a; gphase(-t/2); }"),
        ("ry", "gate ry(t) a { U(t, 0, 0) a; gphase(-t/2); }"),
        ("rz", "gate rz(t) a { gphase(-t/2); U(0, 0, t) a; }"),
        ("p", "gate p(t) a { ctrl @ gphase(t) a; }"),
        ("u2", "gate u2(f, l) a { gphase(-(f + l + pi/2)/2); U(pi/2, f, l) a; }"),
        ("u3", "gate u3(t, f, l) a { gphase(-(f + l + t)/2); U(t, f, l) a; }"),
        ("cu", "gate p(t) a { U(0, 0, t) a; } gate cu(t, f, l, g) c, a { p(g - t/2) c; ctrl @ U(t, f, l) c, a; }"),
        ("crx", "gate rx(t) a { U(t, -pi/2, pi/2) a; gphase(-t/2); } gate crx(t) c, a { ctrl @ rx(t) c, a; }"),
        ("ch", "gate h a { U(pi/2, 0, pi) a; gphase(-pi/4); } gate ch c, a { ctrl @ h c, a; }"),
    ],
)
def test_standard_definitions_give_our_gates_with_their_phase(name, definition):
    """The definitions by which the OpenQASM 3 specification gives meaning to stdgates.inc, expanded from U alone."""
    first = definition.rsplit("gate ", 1)[1]
    n_angles = len(first[first.index("(") + 1 : first.index(")")].split(",")) if first.startswith(name + "(") else 0
    angles = f"({', '.join(['x', 'y', '0.3', '1 - x'][:n_angles])})" if n_angles else ""
    operands = "q[1], q[0]" if name in ("cu", "crx", "ch") else "q[1]"
    call = f"{name}{angles} {operands};"
    declarations = "input float x; input float y; qubit[2] q;"
    same_unitary(from_qasm(f"{declarations} {definition} {call}"), from_qasm(f"{HEAD} {declarations} {call}"))


def test_our_definitions_are_recognised_by_their_body():
    ours = to_qasm(Circuit(2).rxx(x, 0, 1))
    assert from_qasm(ours) == Circuit(2).rxx(x, 0, 1)
    other = ours.replace("rz(theta) q1", "rz(-theta) q1")
    back = from_qasm(other)
    assert {item.gate for item in back.instructions} == {"h", "cx", "rz"}
    same_unitary(back, Circuit(2).rxx(-x, 0, 1))
    spelled = (
        HEAD + "gate rxx(p0) a, b { h a; h b; cx a, b; rz(p0) b; cx a, b; h a; h b; } qubit[2] q; rxx(0.3) q[0], q[1];"
    )
    assert from_qasm(spelled) == Circuit(2).rxx(0.3, 0, 1)


def test_global_phase_is_kept():
    circuit = from_qasm(HEAD + "input float y; qubit[2] q; h q[0]; gphase(y/2 + 0.25);")
    wanted = np.exp(1j * (0.3 / 2 + 0.25)) * unitary(Circuit(2).h(0))
    np.testing.assert_allclose(unitary(circuit, {"y": 0.3}), wanted, atol=1e-15)
    assert from_qasm(HEAD + "qubit q; gphase(pi); h q; gphase(-pi);") == Circuit(1).h(0)
    assert from_qasm(HEAD + "qubit q; gphase(2*pi); h q;") == Circuit(1).h(0)


def test_the_version_line_may_be_absent_or_3_1():
    for head in ("", "OPENQASM 3;", "OPENQASM 3.1;", "\ufeffOPENQASM 3.0;\r\n"):
        assert from_qasm(head + "qubit q; U(0, 0, 0) q;") == Circuit(1).u(0, 0, 0, 0)


# what is refused


@pytest.mark.parametrize(
    ("text", "line", "column", "match"),
    [
        ("OPENQASM 2.1;\nqreg q[1];", 1, 10, "version 2.1"),
        ("OPENQASM 4;\nqreg q[1];", 1, 10, "version 4"),
        ("qubit q;\n  h q;", 2, 3, "include"),
        ("qubit q;\n  foo q;", 2, 3, "define it first"),
        ('include "other.inc";', 1, 1, "stdgates.inc"),
        ('include "stdgates.inc"; include "stdgates.inc";', 1, 25, "twice"),
        ("input int n;", 1, 7, "type 'int'"),
        ("input uint[32] n;", 1, 7, "type 'uint'"),
        ("input float pi;", 1, 1, "name of OpenQASM"),
        ("input float x; input float x;", 1, 16, "declared twice"),
        ("qubit x; bit x;", 1, 10, "declared twice"),
        ("@superpose.parameter a\ninput float b; @superpose.parameter a\ninput float c;", 3, 1, "declared twice"),
        ("@superpose.parameter a\nqubit q;", 2, 1, "before an input"),
        ("@superpose.parameter a b\ninput float c;", 2, 1, "cannot name a parameter"),
        ("@superpose.parameter\ninput float c;", 2, 1, "cannot name a parameter"),
        ("@superpose.unknown a\nqubit q;", 1, 1, "no annotation"),
        ("#pragma something\nqubit q;", 1, 1, "Pragmas"),
        ("", 1, 1, "declares no qubits"),
        ("bit c;", 1, 1, "declares no qubits"),
        ("qubit[0] q;", 1, 7, "elements"),
        ("qubit[2.0] q;", 1, 7, "integer"),
        ("qubit[1000000000] q;", 1, 7, "elements"),
        ("qubit[9999] q; qubit[9999] r;", 1, 16, "qubits"),
        ("qubit q; const float a = b;", 1, 26, "named 'b'"),
        ("input float x; const float a = x;", 1, 32, "must not hold inputs"),
        ("const int a = 0.5;", 1, 15, "type int"),
        ("const uint a = -1;", 1, 16, "type uint"),
        ("const complex a = 1;", 1, 7, "type 'complex'"),
        ("$0 x;", 1, 1, "statement"),
        ("h $0;", 1, 3, "Physical"),
        ("qubit q; /* open", 1, 10, "never closed"),
        ("qubit q; `", 1, 10, "no character"),
        ("qubit q; é² q;", 1, 10, "not defined"),
        ("qubit q; U(0, 0, 0) q", 1, 22, "';'"),
        ("qubit q; U(0, 0) q;", 1, 10, "3 angles"),
        ("qubit[2] q; U(0, 0, 0) q[0], q[1];", 1, 13, "1 qubits"),
        ("qubit[2] q; U(0, 0, 0) q[2];", 1, 26, "outside"),
        ("qubit[2] q; U(0, 0, 0) q[-3];", 1, 26, "outside"),
        ("qubit q; U(0, 0, 0) q[0];", 1, 21, "no elements"),
        ("qubit[2] q; U(0, 0, 0) r;", 1, 24, "register is named 'r'"),
        ("bit[2] q; U(0, 0, 0) q;", 1, 22, "register is named 'q'"),
        ("qubit q; U(z, 0, 0) q;", 1, 12, "named 'z'"),
        ("input float x; qubit q; U(x*x, 0, 0) q;", 1, 27, "not affine"),
        ("input float x; qubit q; U(1/x, 0, 0) q;", 1, 27, "not affine"),
        ("input float x; qubit q; U(sin(x), 0, 0) q;", 1, 27, "affine"),
        ("input float x; qubit q; U(x**2, 0, 0) q;", 1, 27, "affine"),
        ("qubit q; U(1/2, 0, 0) q;", 1, 12, "divides integers"),
        ("qubit q; U(1/0, 0, 0) q;", 1, 12, "zero"),
        ("qubit q; U(1/0.0, 0, 0) q;", 1, 12, "zero"),
        ("qubit q; U(sqrt(-1), 0, 0) q;", 1, 12, "no real value"),
        ("qubit q; U((-1)**0.5, 0, 0) q;", 1, 12, "no real value"),
        ("qubit q; U(1e999, 0, 0) q;", 1, 12, "finite"),
        ("qubit q; U(10.0**999, 0, 0) q;", 1, 12, "no real value"),
        ("qubit q; U(10ns, 0, 0) q;", 1, 12, "An angle is a number"),
        ("qubit q; U(1im, 0, 0) q;", 1, 12, "imaginary"),
        ("qubit q; U(true, 0, 0) q;", 1, 12, "An angle is a number"),
        ("qubit q; U(" + "9" * 5000 + ", 0, 0) q;", 1, 12, "5000 characters"),
        ("qubit q; U(9223372036854775807 * 3, 0, 0) q;", 1, 12, "64 bits"),
        ("qubit q; U(10**400, 0, 0) q;", 1, 12, "no real value"),
        ("qubit q; U(" + "(" * 100 + "1" + ")" * 100 + ", 0, 0) q;", 1, 62, "deep"),
        ("qubit q; U(" + "2**" * 100 + "1, 0, 0) q;", 1, 162, "deep"),
        ("qubit[2] q; ctrl @ U(0, 0, 0) q[0], q[0];", 1, 13, "one qubit twice"),
        ("qubit[2] q; ctrl(0) @ U(0, 0, 0) q[0];", 1, 13, "at least one"),
        ("qubit[2] q; ctrl(9) @ U(0, 0, 0) q[0];", 1, 13, "after its controls"),
        ("qubit q; inv(2) @ U(0, 0, 0) q;", 1, 10, "no argument"),
        ("qubit q; pow @ U(0, 0, 0) q;", 1, 10, "exponent"),
        ("qubit q; pow(0.5) @ U(0, 0, 0) q;", 1, 14, "integer"),
        ("qubit q; pow(10000000) @ U(0, 0, 0) q;", 1, 10, "more than 1000000"),
        ("qubit q; gphase(1) q;", 1, 10, "0 qubits"),
        ("gate g a { foo a; }", 1, 12, "not defined"),
        ("gate g a { g a; }", 1, 12, "not defined"),
        ("gate U a { }", 1, 6, "reserved"),
        ("gate g a { } gate g a { }", 1, 14, "twice"),
        ("gate g(a) a { }", 1, 1, "names of their own"),
        ("gate g(pi) a { }", 1, 1, "names of their own"),
        ("gate g a { U(0, 0, 0) b; } qubit q; g q;", 1, 23, "qubits a only"),
        ("input float x; gate g a { U(x, 0, 0) a; } qubit q; g q;", 1, 29, "named 'x'"),
        ("gate g a { if (true) {} }", 1, 12, "Only gate calls"),
        ("gate g a { U(0, 0, 0) a;", 1, 25, "Only gate calls"),
        ("qubit[2] q; measure q; U(0, 0, 0) q[0];", 1, 24, "keep it in a bit"),
        ("qubit[2] q; measure q; bit c; c = measure q[1];", 1, 31, "keep it in a bit"),
        ("qubit[2] q; measure q; reset q[1];", 1, 24, "keep it in a bit"),
        ("qubit[2] q; bit[3] c; c = measure q;", 1, 23, "2 qubits are measured into 3 bits"),
        ("qubit[2] q; bit[3] c = measure q;", 1, 13, "2 qubits are measured into 3 bits"),
        ("qubit q; reset;", 1, 10, "needs a qubit"),
        ("qubit q; reset r;", 1, 16, "named 'r'"),
        ("qubit q; delay[100] q;", 1, 16, "100ns"),
        ("qubit q; delay[100dt] q;", 1, 16, "dt"),
        ("qubit q; delay[a] q;", 1, 16, "named 'a'"),
        ("qubit q; delay q;", 1, 16, "'\\['"),
        ("qubit q; delay[" + "9" * 400 + "ns] q;", 1, 10, "finite"),
        ("qubit q; bit[2] c; if (c) { }", 1, 24, "compare it with"),
        ("qubit q; bit[2] c; if (!c) { }", 1, 24, "compare it with"),
        ("qubit q; delay[0x1Fns] q;", 1, 16, "decimal"),
        ("qubit q; bit[2] c; if (c == 0.5) { }", 1, 29, "integer"),
        ("input float x; qubit q; bit c; if (c == x) { }", 1, 41, "integer"),
        ("qubit q; bit[2] c; if (e) { }", 1, 24, "named 'e'"),
        ("qubit q; bit[2] c; if (c[0]) { U(0, 0, 0) q;", 1, 45, "never closed"),
        ("qubit q; bit[2] c; if (c[0]) { } else { input float x; }", 1, 41, "inside a block"),
        ("qubit q; bit[2] c; if (c[0]) { foo q; }", 1, 32, "not defined"),
        ("qubit q; bit[2] c; else { }", 1, 20, "without an if"),
        ("qubit q; bit[2] c; " + "if (c[0]) " * 21 + "reset q;", 1, 230, "deep"),
        ("qubit q; bit[2] c; if (" + "(" * 100 + "c[0]" + ")" * 100 + ") reset q;", 1, 74, "deep"),
        ("qubit[2] q; bit[2] c; c = 3;", 1, 23, "Only measurements"),
        ("qubit[2] q; bit[2] c; c[0] = measure r;", 1, 38, "named 'r'"),
        ("qubit[2] q; qubit[3] r; ctrl @ U(0, 0, 0) q, r;", 1, 25, "different sizes"),
        ("qubit q; U(0, 0, 0)[10] q;", 1, 20, "durations"),
        ("x: y;", 1, 2, "a qubit"),
        (";", 1, 1, "statement"),
        ("}", 1, 1, "statement"),
        ("void f;", 1, 1, "'void'"),
    ],
)
def test_refused_at(text, line, column, match):
    with pytest.raises(QasmError, match=match) as caught:
        from_qasm(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert caught.value.code == "circuit.qasm"


@pytest.mark.parametrize(
    "statement",
    ["while (true) { }", "switch (1) { }", "def f() { }", "return;", "extern f();", "cal { }", "defcal x q { }",
     'defcalgrammar "openpulse";', "box { }", "stretch s;", "array[int, 3] a;", "output int b;", "end;", "complex a;",
     "nop;", "break;", "continue;", "im;", "durationof(x);", "input bool b;", "int a = measure q[0];"],
)  # fmt: skip
def test_unsupported_features_are_named(statement):
    with pytest.raises(QasmError) as caught:
        read(statement)
    keyword = re.match(r"\w+", statement).group()
    wanted = {"output": "Outputs", "input": "Inputs", "int": "Measurements"}.get(keyword, keyword)
    assert wanted in str(caught.value)
    assert caught.value.line == 1


# hostile and large texts


@pytest.mark.parametrize(
    "text",
    [
        "gate g0 a { } "
        + "".join(f"gate g{k} a {{{f' g{k - 1} a;' * 2} }} " for k in range(1, 49))
        + "qubit q; g48 q;",
        "gate g0 a { } " + "".join(f"gate g{k} a {{ g{k - 1} a; }} " for k in range(1, 200)) + "qubit q; g199 q;",
        "gate g(t) a { U(" + "t+" * 20_000 + "t, 0, 0) a; } qubit[9999] q; g(1) q; g(2) q; g(3) q;",
        HEAD + "qubit[40] q; ctrl(37) @ ccx " + ", ".join(f"q[{k}]" for k in range(40)) + ";",
        "qubit q; " + "inv @ " * 2000 + "pow(1000) @ U(0, 0, 0) q;",
        "qubit[9999] q; " + "U(0, 0, 0) q; " * 3,
        "qubit q; U(2**2**2**2**2**2**2, 0, 0) q;",
        "/*" * 50_000,
        "(" * 50_000,
        "qubit q; " + "-" * 50_000,
        '"' * 50_000,
    ],
    ids=lambda text: text[-20:],
)
def test_hostile_texts_end_soon(text):
    started = time.thread_time()
    with pytest.raises(QasmError):
        from_qasm(text, max_instructions=20_000)
    assert time.thread_time() - started < 10


def test_a_text_much_longer_than_its_instructions_may_be_is_refused_before_it_is_read() -> None:
    text = 'OPENQASM 3; include "stdgates.inc"; qubit q; ' + "x q; " * 5_000
    assert from_qasm(text, max_instructions=5_000).n_qubits == 1
    with pytest.raises(QasmError, match="more than 10 steps"):
        from_qasm(text, max_instructions=10)
    for more in ("input float a{}; ", "const int a{} = 1; "):
        with pytest.raises(QasmError, match="more than 10,200 words and signs are not read"):
            from_qasm("qubit q; " + "".join(more.format(k) for k in range(5_000)), max_instructions=10)
    for more in ("reset q;", "barrier q;", "b = measure q;", "measure q;", "if (b) x q;"):
        with pytest.raises(QasmError, match="more than 10 steps"):
            from_qasm(
                'include "stdgates.inc"; qubit[9] q; bit[9] b;'.replace("[9]", "") + more * 11, max_instructions=10
            )


def test_spaces_before_a_wrong_sign_cost_nothing():
    started = time.thread_time()
    with pytest.raises(QasmError, match="no character"):
        from_qasm("qubit q;" + " " * 100_000 + "`")
    assert time.thread_time() - started < 1


@pytest.mark.parametrize(
    "head", ["rx(0.1)", "rx(-3*pi/4)", "rx(1/2.0)", "rx(.5e1 )", "rzz(2*pi) q[0],", "u2(0,pi)", "g(1.5)"]
)
def test_the_short_path_reads_what_the_long_one_reads(head):
    """A call with a modifier takes the long path always."""
    begin = HEAD + "qubit[2] q; gate rzz(t) a, b { cx a, b; rz(t) b; cx a, b; } gate g(t) a { rx(2 * t) a; h a; } "
    call = head if head.endswith(",") else f"{head} "
    both = from_qasm(begin + f"{call} q[1]; {call} q[1]; inv @ inv @ {call} q[1];").instructions
    third = len(both) // 3
    assert both[:third] == both[third : 2 * third] == both[2 * third :]


def test_long_sums_are_read():
    assert from_qasm("qubit q; U(" + "1.0+" * 50_000 + "1.0, 0, 0) q;").instructions[0].angles[0] == 50_001.0


def test_a_large_circuit_makes_the_round_trip():
    circuit = Circuit(10)
    for k in range(10_000):
        circuit.rx(2 * x + 0.1, k % 10).cx(k % 10, (k + 1) % 10)
    started = time.thread_time()
    assert from_qasm(to_qasm(circuit)) == circuit
    assert time.thread_time() - started < 20


FRAGMENTS = [
    "OPENQASM 3.0;", HEAD, "qubit", "qubit[2] q;", "q", "bit[2] c;", "c", "=", "measure", "->", "gate", "g", "(", ")",
    "{", "}", "[", "]", ",", ";", "h", "cx", "rx", "U", "ctrl", "inv", "pow", "@", "+", "-", "*", "/", "**", "pi", "x",
    "1", "0.5", "2", "1ns", "input float x;", "barrier", "gphase", "const", "int", "//", "/*", "*/", '"', "@a b\n", "π",
]  # fmt: skip


@settings(deadline=None, max_examples=400)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25).map(" ".join) | st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(QasmError):
        from_qasm(text)


@settings(deadline=None, max_examples=150)
@given(circuits(max_instructions=5), st.data())
def test_damaged_text_is_read_or_refused(circuit, data):
    text = to_qasm(circuit)
    place = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 5))
    with contextlib.suppress(QasmError):
        from_qasm(text[:place] + data.draw(st.sampled_from(["", *FRAGMENTS])) + text[place + cut :])
