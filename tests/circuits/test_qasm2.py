"""OpenQASM 2: every gate of Qiskit's list with its phase, what is read, what is refused, and any text at all."""

from __future__ import annotations

import contextlib
import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import qasm2
from qiskit.quantum_info import Operator

from superpose.circuits import Circuit, Condition, If, Instruction, from_qasm, to_qasm
from superpose.circuits.reference import unitary
from superpose.errors import QasmError

HEAD = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
LEGACY = {row.name: row for row in qasm2.LEGACY_CUSTOM_INSTRUCTIONS if row.name not in ("delay", "u0")}
"""Qiskit's instructions, without two that wait in units of a machine."""
BUILT_IN = sorted(name for name, row in LEGACY.items() if row.builtin)


def read(body: str, n_qubits: int = 3) -> Circuit:
    return from_qasm(f"{HEAD}qreg q[{n_qubits}]; {body}")


def qiskit_unitary(text: str) -> np.ndarray:
    """Qiskit's matrix of the text, in our order of qubits."""
    loaded = qasm2.loads(text, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    return Operator(loaded).reverse_qargs().data


# gates


@pytest.mark.parametrize("name", LEGACY)
def test_every_gate_is_qiskits_gate_with_its_phase(name: str) -> None:
    row = LEGACY[name]
    angles = f"({', '.join(['0.3', '-1.1', '2.5', '0.7'][: row.num_params])})" if row.num_params else ""
    operands = ", ".join(f"q[{k}]" for k in range(row.num_qubits))
    text = f"{HEAD}qreg q[{row.num_qubits}]; {name}{angles} {operands};"
    np.testing.assert_allclose(unitary(from_qasm(text)), qiskit_unitary(text), atol=1e-12)


@pytest.mark.parametrize("name", BUILT_IN)
def test_gates_beside_qelib1_need_no_include_and_may_be_defined(name: str) -> None:
    row = LEGACY[name]
    angles = f"({', '.join(['0.3', '-1.1', '2.5', '0.7'][: row.num_params])})" if row.num_params else ""
    operands = ", ".join(f"q[{k}]" for k in range(row.num_qubits))
    call = f"qreg q[{row.num_qubits}]; {name}{angles} {operands};"
    plain = from_qasm(f"OPENQASM 2.0; {call}")
    assert plain == from_qasm(HEAD + call)
    formal = f"({', '.join('abcd'[: row.num_params])})" if row.num_params else ""
    qubits = ", ".join(f"q{k}" for k in range(row.num_qubits))
    own = from_qasm(f"{HEAD}gate {name}{formal} {qubits} {{ h q0; }} {call}")
    assert own.instructions == (Instruction("h", (0,)),)


def test_a_definition_goes_before_a_gate_that_was_used_already() -> None:
    calls = "swap q[0],q[1]; rzz(0.5) q[0],q[1]; swap q[0],q[1]; rzz(0.5) q[0],q[1];"
    own = read(f"{calls} gate swap a, b {{ h a; }} gate rzz(t) a, b {{ rx(t) b; }} {calls}")
    assert own.instructions[:4] == Circuit(2).swap(0, 1).rzz(0.5, 0, 1).swap(0, 1).rzz(0.5, 0, 1).instructions
    assert own.instructions[4:] == Circuit(2).h(0).rx(0.5, 1).h(0).rx(0.5, 1).instructions


def test_u_and_cx_are_built_in() -> None:
    text = "OPENQASM 2.0; qreg q[2]; U(0.3, -1.1, 2.5) q[1]; CX q[1], q[0]; U(0.3,-1.1,2.5) q[1];"
    np.testing.assert_allclose(unitary(from_qasm(text)), qiskit_unitary(text), atol=1e-12)


GATES = [(name, row.num_params, row.num_qubits) for name, row in LEGACY.items()]


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Programs of gates, definitions and expressions on five qubits."""
    number = st.sampled_from(["pi", "pi/2", "-pi/4", "0.25", "3*pi/8", "1.5e-1", "2", "sin(0.3)", "-2^2/3", "(1-pi)"])
    lines = ["gate own(a, b) x, y { rx(a*b) x; cu1(-a/2) x, y; u2(cos(b), ln(2)+a) y; barrier x; }"]
    for name, n_angles, n_qubits in draw(st.lists(st.sampled_from([*GATES, ("own", 2, 2)]), min_size=1, max_size=8)):
        angles = ",".join(draw(number) for _ in range(n_angles))
        places = draw(st.permutations(range(5)))[:n_qubits]
        lines.append(f"{name}{f'({angles})' if angles else ''} {','.join(f'q[{k}]' for k in places)};")
    return "\n".join([HEAD + "qreg q[5];", *lines])


@settings(deadline=None, max_examples=60)
@given(programs())
def test_programs_mean_what_qiskit_reads(text: str) -> None:
    ours = from_qasm(text)
    np.testing.assert_allclose(unitary(ours), qiskit_unitary(text), atol=1e-10)
    assert from_qasm(to_qasm(ours)) == ours


# what is read


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [("1/2", 0.5), ("-2^2", -4), ("2^3^2", 512), ("2^-1", 0.5), ("--2", 2), ("ln(exp(2))", 2), ("sqrt(4)", 2),
     ("sin(pi/2) + cos(0) - tan(0)", 2), ("asin(1) + acos(1) + atan(0)", np.pi / 2), ("8/2/2", 2), ("2-3-4", -5),
     ("2*-3", -6), ("-pi*2", -2 * np.pi), ("1.5e1", 15), (".5", 0.5), ("3.", 3), ("-(1+2)*3", -9)],
)  # fmt: skip
def test_expressions(expression: str, wanted: float) -> None:
    assert float(read(f"rx({expression}) q[0];").instructions[0].angles[0]) == pytest.approx(wanted, rel=1e-15)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("h q;", Circuit(3).h(0).h(1).h(2)),
        ("qreg r[3]; cx q, r; cx q[0], r;",
         Circuit(6).cx(0, 3).cx(1, 4).cx(2, 5).cx(0, 3).cx(0, 4).cx(0, 5)),
        ("creg c[3]; measure q -> c;", Circuit(3).measure_all()),
        ("creg c[2]; creg d[1]; measure q[2] -> d[0]; x q[2]; reset q[2];",
         Circuit(3, n_bits=3).measure(2, 2).x(2).reset(2)),
        ("reset q; barrier q[0], q[2]; barrier q;", Circuit(3).reset(0).reset(1).reset(2).barrier(0, 2).barrier()),
        ("creg c[2]; if (c == 2) x q[1];",
         Circuit(3, n_bits=2).extend([If(Condition((1, 0), 2), (Instruction("x", (1,)),))])),
        ("creg c[1]; if(c==1) measure q[0] -> c[0]; if(c==0)h q;",
         Circuit(3, n_bits=1).if_(0, 1, Circuit(3, n_bits=1).measure(0, 0)).if_(0, 0, Circuit(3).h(0).h(1).h(2))),
        ("gate g a, b { cx a, b; barrier a, b; h b; } g q[2], q[0];", Circuit(3).cx(2, 0).h(0)),
        ("gate g() a { x a; } g() q[0]; g q[1];", Circuit(3).x(0).x(1)),
        ("gate in(tau, e) input { rz(tau - e) input; } in(1, 0.25) q[0];", Circuit(3).rz(0.75, 0)),
        ("qreg input[1]; qreg ctrl[1]; cx input[0], ctrl[0];", Circuit(5).cx(3, 4)),
        ("// rx(1) q[0];\n/* no */ x q[0]; // end", Circuit(3).x(0)),
        ("creg unused[4]; x q[0];", Circuit(3, n_bits=4).x(0)),
        ("creg c[2]; if (c == 9) x q[0];", Circuit(3, n_bits=2)),
    ],
)  # fmt: skip
def test_accepted(body: str, wanted: Circuit) -> None:
    assert read(body) == wanted


def test_the_version_line_may_lack_before_qelib1() -> None:
    assert from_qasm('// note\n\ninclude "qelib1.inc";\nqreg q[1]; u1(0.5) q[0];') == Circuit(1).p(0.5, 0)
    assert from_qasm("/* v */ OPENQASM 2;\nqreg q[1]; p(1) q[0];") == Circuit(1).p(1, 0)


# what is refused


@pytest.mark.parametrize(
    ("text", "line", "column", "match"),
    [
        ("OPENQASM 2.0;\nqreg q[1];\n  h q[0];", 3, 3, 'include "qelib1.inc"; first'),
        ('OPENQASM 2.0; include "stdgates.inc";', 1, 15, "qelib1.inc"),
        (f'{HEAD}include "qelib1.inc";', 3, 1, "twice"),
        (f"{HEAD}qreg q[1]; foo q[0];", 3, 12, "define it first"),
        (f"{HEAD}opaque foo(a) q;", 3, 1, "Opaque"),
        (f"{HEAD}qreg q[0];", 3, 8, "elements"),
        (f"{HEAD}qreg q[1.5];", 3, 8, "integer"),
        (f"{HEAD}qreg q;", 3, 7, "size in brackets"),
        (f"{HEAD}qreg q[2]; qreg q[3];", 3, 12, "twice"),
        (f"{HEAD}qreg q[2]; creg q[3];", 3, 12, "twice"),
        (f"{HEAD}creg c[2];", 1, 1, "no qubits"),
        (f"{HEAD}qreg q[2]; x q[2];", 3, 16, "outside"),
        (f"{HEAD}qreg q[2]; x q[-1];", 3, 16, "integer"),
        (f"{HEAD}qreg q[2]; x r[0];", 3, 14, "No qubit register is named 'r'"),
        (f"{HEAD}qreg q[2]; cx q[0], q[0];", 3, 12, "one qubit twice"),
        (f"{HEAD}qreg q[2]; cx q, q;", 3, 12, "one qubit twice"),
        (f"{HEAD}qreg q[2]; qreg r[3]; cx q, r;", 3, 23, "different sizes"),
        (f"{HEAD}qreg q[2]; cx q[0];", 3, 12, "2 qubits"),
        (f"{HEAD}qreg q[2]; rx q[0];", 3, 12, "1 angles"),
        (f"{HEAD}qreg q[2]; x;", 3, 13, "no qubit"),
        (f"{HEAD}qreg q[2]; rx(theta) q[0];", 3, 15, "named 'theta'"),
        (f"{HEAD}qreg q[2]; rx(tau) q[0];", 3, 15, "named 'tau'"),
        (f"{HEAD}qreg q[2]; rx(1/0) q[0];", 3, 15, "zero"),
        (f"{HEAD}qreg q[2]; rx(ln(-1)) q[0];", 3, 15, "no real value"),
        (f"{HEAD}qreg q[2]; rx(sqrt(-1)) q[0];", 3, 15, "no real value"),
        (f"{HEAD}qreg q[2]; rx(1e999) q[0];", 3, 15, "finite"),
        (f"{HEAD}qreg q[2]; rx(2**2) q[0];", 3, 16, "'\\*\\*'"),
        (f"{HEAD}qreg q[2]; rx(0x1F) q[0];", 3, 15, "number of OpenQASM 2"),
        (f"{HEAD}qreg q[2]; rx(1_0) q[0];", 3, 15, "number of OpenQASM 2"),
        (f"{HEAD}qreg q[2]; rx(10ns) q[0];", 3, 15, "no times"),
        (f"{HEAD}qreg q[2]; rx(arcsin(1)) q[0];", 3, 15, "named 'arcsin'"),
        (f"{HEAD}qreg q[2]; x q[0]", 3, 18, "';'"),
        (f"{HEAD}qreg q[2]; measure q[0];", 3, 12, "needs bits"),
        (f"{HEAD}qreg q[2]; creg c[3]; measure q -> c;", 3, 23, "2 qubits are measured into 3 bits"),
        (f"{HEAD}qreg q[2]; measure q -> q;", 3, 25, "No bit register is named 'q'"),
        (f"{HEAD}qreg q[2]; creg c[2]; if (c[0] == 1) x q[0];", 3, 27, "whole register"),
        (f"{HEAD}qreg q[2]; creg c[2]; if (c != 1) x q[0];", 3, 29, "'=='"),
        (f"{HEAD}qreg q[2]; creg c[2]; if (c == 1) if (c == 1) x q[0];", 3, 35, "inside a condition"),
        (f"{HEAD}qreg q[2]; creg c[2]; if (c == 1) barrier q;", 3, 35, "inside a condition"),
        (f"{HEAD}qreg q[2]; creg c[2]; if (d == 1) x q[0];", 3, 27, "named 'd'"),
        (f"{HEAD}gate g a {{ reset a; }}", 3, 12, "Only gate calls"),
        (f"{HEAD}gate g a {{ g a; }}", 3, 12, "not defined"),
        (f"{HEAD}gate g a {{ x b; }} qreg q[1]; g q[0];", 3, 14, "qubits a only"),
        (f"{HEAD}gate x a {{ }}", 3, 1, "twice"),
        (f"{HEAD}gate g(a) a {{ }}", 3, 1, "names of their own"),
        (f"{HEAD}gate g(sin) a {{ }}", 3, 1, "names of their own"),
        (f"{HEAD}gate g(pi) a {{ }}", 3, 8, "reserved"),
        (f"{HEAD}gate g(t) a {{ rx(s) a; }}", 3, 18, "named 's'"),
        (f"{HEAD}qreg q[2]; ctrl @ x q[0], q[1];", 3, 17, "'@'"),
        (f"{HEAD}qubit q;", 3, 1, "not defined|register"),
        (f"{HEAD}qreg q[2]; bit c;", 3, 12, "not defined|register"),
    ],
)  # fmt: skip
def test_refused_at(text: str, line: int, column: int, match: str) -> None:
    with pytest.raises(QasmError, match=match) as caught:
        from_qasm(text)
    assert (caught.value.line, caught.value.column) == (line, column) or "|" in match
    assert caught.value.line == line


# size and damage


def test_reading_is_linear_and_quick() -> None:
    """Some 1 us for a known call, 10 us for new numbers; the limits leave room for a busy machine."""
    numbers = random.Random(3)
    for n_lines, limit_us, line in [
        (100_000, 20, lambda k: f"cx q[{k % 27}],q[{(k + 1) % 27}];"),
        (20_000, 100, lambda k: f"rz({numbers.uniform(-4, 4)}) q[{k % 27}];"),
    ]:
        text = HEAD + "qreg q[27];\n" + "\n".join(map(line, range(n_lines)))
        started = time.thread_time()
        assert from_qasm(text).n_instructions == n_lines
        assert (time.thread_time() - started) * 1e6 / n_lines < limit_us


FRAGMENTS = [
    "OPENQASM 2.0;", HEAD, "qreg q[2];", "creg c[2];", "q", "q[0]", "c", "measure", "->", "gate", "g", "opaque", "(",
    ")", "{", "}", "[", "]", ",", ";", "h", "cx", "rx", "u3", "U", "CX", "if", "==", "+", "-", "*", "/", "^", "pi", "1",
    "0.5", "sin", "ln", "barrier", "reset", "//", "/*", "*/", '"', "π", "c3x q[0],q[1],q[2],q[3];", "if(c==1)", "\n",
]  # fmt: skip
WHOLE = (
    HEAD + "qreg q[2]; creg c[2]; gate g(a) x, y { cu1(a/2) x, y; u3(a, -a, sin(a)^2) y; }\n"
    "g(pi/4) q[0], q[1]; h q; barrier q;\nmeasure q[0] -> c[0]; if (c == 1) g(0.5) q[1], q[0]; "
    "reset q[0]; u2(0,pi) q[1];\n"
)


@settings(deadline=None, max_examples=400)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25).map(" ".join) | st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(QasmError):
        from_qasm(HEAD + "qreg q[2]; creg c[2]; " + text)
    with contextlib.suppress(QasmError):
        from_qasm("OPENQASM 2.0; " + text)


@settings(deadline=None, max_examples=400)
@given(
    st.lists(
        st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 8), st.sampled_from(["", *FRAGMENTS])),
        min_size=1, max_size=4,
    )
)  # fmt: skip
def test_damaged_text_is_read_or_refused(changes: list[tuple[int, int, str]]) -> None:
    text = WHOLE
    for place, cut, new in changes:
        text = text[:place] + new + text[place + cut :]
    with contextlib.suppress(QasmError):
        from_qasm(text, max_instructions=10_000)


def test_hostile_texts_end_soon() -> None:
    for text in [
        "gate g0 a { x a; } "
        + "".join(f"gate g{k} a {{{f' g{k - 1} a;' * 2} }} " for k in range(1, 49))
        + "qreg q[1]; g48 q;",
        "qreg q[9999]; " + "x q; " * 3,
        "qreg q[2]; " + "(" * 50_000,
        "qreg q[2]; rx(" + "-" * 50_000 + "1) q[0];" + "x q;" * 20_000,
        "qreg q[2]; rx(" + "2^" * 50_000 + "1) q[0];",
        "qreg q[1]; creg c[1]; " + "if(c==1)" * 50_000,
        "qreg q[1]; " + "x q[0];" * 30_000,
    ]:
        started = time.thread_time()
        with pytest.raises(QasmError):
            from_qasm(HEAD + text, max_instructions=20_000)
        assert time.thread_time() - started < 10
