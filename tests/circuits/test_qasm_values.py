"""OpenQASM 3: values that the text tells, loops, blocks, aliases and conditions, unrolled to what one writes."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import superpose
from superpose.circuits import Circuit, Condition, If, Instruction, Parameter, from_qasm, to_qasm
from superpose.errors import QasmError

HEAD = 'OPENQASM 3.0; include "stdgates.inc"; '
a = Parameter("a")


def read(body: str, qubits: int = 4) -> Circuit:
    return from_qasm(f"{HEAD} input float a; qubit[{qubits}] q; {body}")


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        # loops
        ("for int i in [0:3] { x q[i]; }", Circuit(4).x(0).x(1).x(2).x(3)),
        ("for uint i in [3:-2:0] x q[i];", Circuit(4).x(3).x(1)),
        ("for int[8] i in {2, 0} { rx(i * pi) q[i]; }", Circuit(4).rx(2 * np.pi, 2).rx(0, 0)),
        ("for float t in {0.5, a, 2 * a + 1} rx(t) q[0];", Circuit(4).rx(0.5, 0).rx(a, 0).rx(2 * a + 1, 0)),
        ("for int i in [1:0] { x q[0]; } h q[0];", Circuit(4).h(0)),
        ("const int n = 3; for int i in [0:n - 1] { cx q[i], q[i + 1]; }", Circuit(4).cx(0, 1).cx(1, 2).cx(2, 3)),
        ("for int i in [0:1] for int j in [i:1] cx q[i], q[j + 2];", Circuit(4).cx(0, 2).cx(0, 3).cx(1, 3)),
        ("for bool b in {true, false} if (b) x q[0]; else z q[0];", Circuit(4).x(0).z(0)),
        ("for int i in [0:1] { for int i in [2:3] { x q[i]; } z q[i]; }", Circuit(4).x(2).x(3).z(0).x(2).x(3).z(1)),
        # variables
        ("int k = 1; k += 2; x q[k]; k = 0; x q[k];", Circuit(4).x(3).x(0)),
        ("int k = 7; k -= 1; k *= 4; k /= 8; x q[k];", Circuit(4).x(3)),
        ("uint[8] k = 200; k <<= 1; x q[k >> 7];", Circuit(4).x(1)),
        ("uint[4] k = 5; k ^= 1; k |= 2; k &= 3; k %= 4; k **= 1; x q[k];", Circuit(4).x(2)),
        ("float t = pi; t /= 2; rx(t) q[0]; t = 1; rx(t) q[0];", Circuit(4).rx(np.pi / 2, 0).rx(1, 0)),
        ("float t = 0.1; rx(t) q[0]; t = 0.2; rx(t) q[0]; rx(t) q[0];", Circuit(4).rx(0.1, 0).rx(0.2, 0).rx(0.2, 0)),
        ("float t; t = 2 * a; t += 1; rx(t) q[0];", Circuit(4).rx(2 * a + 1, 0)),
        ("angle[16] t = 3; p(t) q[0];", Circuit(4).p(3, 0)),
        ("int k = 0; for int i in [1:3] { k += i; } rx(k) q[0];", Circuit(4).rx(6, 0)),
        ("int k = 0; for int i in [1:3] { int k = i; k += 1; } rx(k) q[0];", Circuit(4).rx(0, 0)),
        ("{ int k = 1; x q[k]; } { int k = 2; x q[k]; }", Circuit(4).x(1).x(2)),
        ("bool b = !(1 > 2) && 3 != 4; if (b) x q[0];", Circuit(4).x(0)),
        ("bool b = false || 2 <= 1; if (b) x q[0]; else y q[0];", Circuit(4).y(0)),
        ("uint[4] s = 6; for int i in [0:3] { if (bool(s[i])) x q[i]; }", Circuit(4).x(1).x(2)),
        ("uint[4] s = 6; if (s[1:2] == 3) x q[0];", Circuit(4).x(0)),
        ("bit[4] s = 10; for int i in [0:3] if (s[i]) x q[i];", Circuit(4).x(1).x(3)),
        ("const bit[2] s = 2; if (s[1] == 1) x q[0];", Circuit(4).x(0)),
        ("x q[~uint[2](1) % 4];", Circuit(4).x(2)),
        ("x q[int[2](bit[2](3)) + 3];", Circuit(4).x(2)),
        ("x q[int(3.9)]; x q[-7 % 4 + 3];", Circuit(4).x(3).x(0)),
        ("rx(float(2) / 4) q[0];", Circuit(4).rx(0.5, 0)),
        ("x q[popcount(uint[4](11))]; x q[mod(7, 4)]; rx(mod(7.5, 4)) q[0]; rx(pow(2, 3)) q[0];",
         Circuit(4).x(3).x(3).rx(3.5, 0).rx(8, 0)),
        ("x q[rotl(uint[2](1), 1)]; x q[rotr(uint[2](1), 1)]; rx(floor(1.5) + ceiling(1.5)) q[0];",
         Circuit(4).x(2).x(2).rx(3, 0)),
        # times
        ("duration t = 50ns; delay[2 * t] q[0]; delay[t + 1us] q[1]; delay[-t + t / 2 + 100 ns] q[2];",
         Circuit(4).delay(100, 0).delay(1050, 1).delay(75, 2)),
        ("const duration t = 1ms; for int i in [1:2] delay[i * t] q[0];", Circuit(4).delay(1e6, 0).delay(2e6, 0)),
        ("rx(10us / 4us) q[0]; if (1us < 2000ns) x q[0];", Circuit(4).rx(2.5, 0).x(0)),
        # aliases, ranges, sets
        ("let r = q[1:2]; x r; h r[0];", Circuit(4).x(1).x(2).h(1)),
        ("let r = q[2:3] ++ q[0]; cx r[0], r[2]; let s = r[0:2:2]; h s;", Circuit(4).cx(2, 0).h(2).h(0)),
        ("qubit[2] p; let r = q ++ p; x r[5]; x r[-1];", Circuit(6).x(5).x(5)),
        ("let r = q[{3, 1}]; x r; let s = q; y s[0]; let t = q[2]; z t;", Circuit(4).x(3).x(1).y(0).z(2)),
        ("x q[0:2]; y q[:1]; z q[2:]; h q[3:-1:2]; s q[{0, -1}];",
         Circuit(4).x(0).x(1).x(2).y(0).y(1).z(2).z(3).h(3).h(2).s(0).s(3)),
        ("cx q[0:1], q[2:3]; cx q[0], q[1:2]; x q[1:3][0];", Circuit(4).cx(0, 2).cx(1, 3).cx(0, 1).cx(0, 2).x(1)),
        ("for int i in [0:1] { let pair = q[{2 * i, 2 * i + 1}]; cx pair[0], pair[1]; }", Circuit(4).cx(0, 1).cx(2, 3)),
        ("reset q[0:1]; barrier q[1:2]; delay[1ns] q[{0}];", Circuit(4).reset(0).reset(1).barrier(1, 2).delay(1, 0)),
        ("bit[2] c; let d = c[1:-1:0]; measure q[0:1] -> d;", Circuit(4, n_bits=2).measure(0, 1).measure(1, 0)),
        ("bit[3] c; c[1:2] = measure q[0:1];", Circuit(4, n_bits=3).measure(0, 1).measure(1, 2)),
        # outputs, bits in blocks
        ("output bit[2] r; r = measure q[0:1];", Circuit(4, n_bits=2).measure(0, 0).measure(1, 1)),
        ("bit c = 0; c = measure q[1];", Circuit(4, n_bits=1).measure(1, 0)),
        ("for int i in [0:1] { bit c; c = measure q[i]; }", Circuit(4, n_bits=2).measure(0, 0).measure(1, 1)),
        ("bit c; if (c) { bit d; d = measure q[0]; }",
         Circuit(4, n_bits=2).if_(0, 1, Circuit(4, n_bits=2).measure(0, 1))),
        # trailing commas
        ("gate g(t, s,) b, c, { cx b, c; } g(1, 2,) q[0], q[1],; x q[{0, 2,}];", Circuit(4).cx(0, 1).x(0).x(2)),
        # angles that look alike but are not
        ("const float k = 0.5; gate g(t) r { rx(k * t) r; } for int i in [1:2] g(i) q[0];",
         Circuit(4).rx(0.5, 0).rx(1, 0)),
        ("input angle[20] b; rx(b) q[0];", Circuit(4).rx(Parameter("b"), 0)),
    ],
)  # fmt: skip
def test_unrolled(body: str, wanted: Circuit) -> None:
    got = read(body)
    assert got == wanted
    assert from_qasm(to_qasm(got)) == got


@pytest.mark.parametrize(
    ("body", "line", "column", "match"),
    [
        ("for int i in [0:3] {\n x q[i + 1]; }", 2, 6, "Index 4 lies outside 'q' of 4"),
        ("for int i in [0:0:3] x q[i];", 1, 14, "step must not be 0"),
        ("for int i in [0:] x q[i];", 1, 14, "both ends"),
        ("for int i in [0:1e3] x q[i];", 1, 17, "must be an integer"),
        ("for int i in [0:1000000000000] { }", 1, 1, "more than 1000000 steps"),
        ("for uint[2] i in [3:4] x q[0];", 1, 1, "4 is no value of type uint"),
        ("for int i in q { }", 1, 14, "Loops run over"),
        ("bit c; for int i in {0, c} x q[0];", 1, 25, "'c' is measured"),
        ("int[4] k = 8;", 1, 12, r"8 is no value of type int\[4\], which holds -8 .. 7"),
        ("uint[2] k = 3; k += 1;", 1, 16, "4 is no value of type uint"),
        ("int k = 0.5;", 1, 9, "0.5 is no value of type int"),
        ("angle k = -1;", 1, 11, "goes from 0 to"),
        ("const int k = 1; k = 2;", 1, 18, "no variable"),
        ("k = 2;", 1, 1, "no variable"),
        ("int k; x q[k];", 1, 12, "run-time"),
        ("int k = 1; int k = 2;", 1, 12, "declared twice"),
        ("int q = 1;", 1, 1, "declared twice"),
        ("for int q in [0:1] { }", 1, 1, "declared twice"),
        ("int[0] k;", 1, 5, "width is 1"),
        ("bool b = 1 < 2ns;", 1, 10, "time"),
        ("int k = 1ns;", 1, 9, "no value of type int"),
        ("duration t = 1;", 1, 14, "no value of type duration"),
        ("delay[a] q;", 1, 7, "lasts a time"),
        ("delay[10dt] q;", 1, 7, "10dt"),
        ("rx(1ns) q[0];", 1, 4, "An angle is a number"),
        ("int k = 5 & 2.0;", 1, 9, "takes integers"),
        ("int k = 1 << 65;", 1, 9, "Shifts go by"),
        ("int k = ~1;", 1, 9, "declared type"),
        ("bool b = !0.5;", 1, 10, "no condition"),
        ("if (a > 1) x q[0];", 1, 5, "must not hold inputs"),
        ("if (0.5) x q[0];", 1, 5, "no condition"),
        ("rx(mod(1)) q[0];", 1, 4, "takes 2 arguments"),
        ("rx(sizeof(q)) q[0];", 1, 11, "named 'q'"),
        ("rx(f(1)) q[0];", 1, 4, "subroutines"),
        ("bit c; int k = c;", 1, 16, "'c' is measured"),
        ("bit c; int k = 0; if (c) k = 1;", 1, 26, "under a condition on measured bits"),
        ("bit c; c = 1;", 1, 8, "Only measurements"),
        ("bit[2] c; c[0] = 1;", 1, 18, "Only measurements"),
        ("bit c = 1; c = measure q[0];", 1, 12, "a value that the text tells"),
        ('bit[2] c = "01";', 1, 12, "Bit strings"),
        ("int k = measure q[0];", 1, 9, "Measurements may be assigned to bits only"),
        ("let r = q[0] ++ q[0:1];", 1, 1, "twice"),
        ("let r = q[2:1];", 1, 11, "selects nothing"),
        ("let r = s;", 1, 9, "named 's'"),
        ("let r = q[0]; for int i in [0:1] { let r = q[i]; }", 1, 36, "meaning outside this block"),
        ("let r = q[0]; x r[0];", 1, 17, "of no elements"),
        ("x q[0, 1];", 1, 6, "several dimensions"),
        ("x q[0:1][5];", 1, 10, "outside"),
        ("cx q[0:1], q[1:3];", 1, 1, "different sizes"),
        ("cx q[0:1], q[1:2];", None, None, None),
        ("if (true) { qubit r; }", 1, 13, "inside a block"),
        ("{ gate g r { } }", 1, 3, "inside a block"),
        ("bit[2] c; if (int[2](c) == 2) x q[0];", 1, 15, r"int\[2\] holds -2 .. 1 and is never 2; write uint\[2\]"),
        ("bit[2] c; if (int[3](c) < 1) x q[0];", 1, 15, "widths must be equal"),
        ("bit[9] c; if (c < 5) x q[0];", 1, 15, "9 bits"),
        ("bit[2] c; if (c || true) x q[0];", 1, 15, "register is no condition"),
        ("bit[2] c; if (c + 1) x q[0];", None, None, None),
        ("bool[2] b;", 1, 5, "no width"),
        ("a + 1;", 1, 3, "an expression"),
        ("int(3);", 1, 1, "an expression"),
        ("pow(1/3) @ x q[0];", 1, 5, "divides integers"),
        ("pow(0.5) @ x q[0];", 1, 5, "must be an integer"),
    ],
)  # fmt: skip
def test_refused_at(body: str, line: int | None, column: int | None, match: str | None) -> None:
    text = f"{HEAD} input float a; qubit[4] q;\n{body}"
    if match is None:
        from_qasm(text)
        return
    with pytest.raises(QasmError, match=match) as caught:
        from_qasm(text)
    assert (caught.value.line, caught.value.column) == (1 + line, column)


X, Y = Instruction("x", (0,)), Instruction("y", (0,))


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("c[0] || c[1]", (If(Condition((0, 1), 0), (Y,), (X,)),)),
        ("c > 6", (If(Condition((0, 1, 2), 7), (X,), (Y,)),)),
        ("c >= 0", (X,)),
        ("c < 0", (Y,)),
        ("c[0] == c[0]", (X,)),
        ("3 == c", (If(Condition((2, 1, 0), 3), (X,), (Y,)),)),
        ("uint[3](c) == 6", (If(Condition((2, 1, 0), 6), (X,), (Y,)),)),
        ("int[3](c) == -2", (If(Condition((2, 1, 0), 6), (X,), (Y,)),)),
        ("c[1:2] == 1", (If(Condition((2, 1), 1), (X,), (Y,)),)),
        ("!c[0] == 1", (If(Condition((0,), 0), (X,), (Y,)),)),
        ("!(c[0] && c[1])", (If(Condition((0, 1), 3), (Y,), (X,)),)),
        ("c[0] ^ c[1]",
         (If(Condition((0,), 1), (If(Condition((1,), 0), (X,), (Y,)),), (If(Condition((1,), 1), (X,), (Y,)),)),)),
    ],
)  # fmt: skip
def test_conditions(condition: str, wanted: tuple[If, ...]) -> None:
    assert read(f"bit[3] c; if ({condition}) x q[0]; else y q[0];").instructions == wanted


def conditions() -> st.SearchStrategy[str]:
    """Boolean expressions over three bits, a register and numbers."""
    numbers = st.sampled_from(["c", "c[0:1]", "uint[3](c)", "(c ^ 5)", "(c >> 1)", "(int(c) - 3)", "2", "popcount(c)"])
    compared = st.builds("({} {} {})".format, numbers, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), numbers)
    bits = st.sampled_from(["c[0]", "c[1]", "(!c[2])", "bool(c[1])", "true"])
    return st.recursive(
        bits | compared,
        lambda inner: (
            st.builds("({} {} {})".format, inner, st.sampled_from(["&&", "||", "==", "!="]), inner)
            | st.builds("(!({}))".format, inner)
        ),
        max_leaves=5,
    )


class _Bits(int):
    """An integer whose elements are bits, as Python evaluates the same condition."""

    def __getitem__(self, index: int) -> bool:
        return bool(self >> index & 1)


def _in_python(condition: str, value: int) -> bool:
    text = (
        condition.replace("c[0:1]", "(c & 3)").replace("uint[3](c)", "int(c)").replace("popcount(c)", "c.bit_count()")
    )
    text = text.replace("&&", " and ").replace("||", " or ").replace("!=", "<>").replace("!", " not ")
    text = text.replace("<>", "!=").replace("true", "True")
    return bool(eval(text, {"c": _Bits(value), "bool": bool, "int": int}))


@settings(deadline=None, max_examples=20)
@given(conditions())
def test_any_condition_holds_where_it_should(condition: str) -> None:
    """For all values of three measured bits, the target is flipped exactly where Python finds the condition true."""
    for value in range(8):
        prepared = "".join(f"x q[{k}]; " for k in range(3) if value >> k & 1)
        asked = f"c = measure q[0:2]; if ({condition}) x q[3]; t = measure q[3];"
        text = f"{HEAD} qubit[4] q; bit[3] c; bit t; {prepared} {asked}"
        (counts,) = superpose.run(from_qasm(text), shots=1, seed=1).counts or ()
        (bits,) = counts
        assert int(bits[3]) == _in_python(condition, value), (condition, value)


def test_the_adder_adds() -> None:
    """A ripple-carry adder with loops over registers, for all sums of two bits and two bits."""
    text = """include "stdgates.inc";
    gate majority a, b, c { cx c, b; cx c, a; ccx a, b, c; }
    gate unmaj a, b, c { ccx a, b, c; cx c, a; cx a, b; }
    const int n = 2; qubit[1] cin; qubit[n] a; qubit[n] b; qubit[1] cout; bit[n + 1] ans;
    uint[n] a_in = %d; uint[n] b_in = %d;
    for uint i in [0:n - 1] { if (bool(a_in[i])) x a[i]; if (bool(b_in[i])) x b[i]; }
    let rest = a[0:n - 2];
    majority cin[0], b[0], a[0];
    for uint i in [0:n - 2] { majority rest[i], b[i + 1], a[i + 1]; }
    cx a[n - 1], cout[0];
    for uint i in [n - 2:-1:0] { unmaj a[i], b[i + 1], a[i + 1]; }
    unmaj cin[0], b[0], a[0];
    ans[0:n - 1] = measure b; ans[n] = measure cout[0];"""
    for one, other in itertools.product(range(4), repeat=2):
        (counts,) = superpose.run(from_qasm(text % (one, other)), shots=1, seed=1).counts or ()
        (bits,) = counts
        assert int(bits[::-1], 2) == one + other


@pytest.mark.parametrize(
    "body",
    [
        "for int i in [0:1000000000000000000] { }",
        "for int i in [0:9999] for int j in [0:9999] { }",
        "for int i in [0:999] for int j in [0:999] for int k in [0:999] x q[0];",
        "int k = 0; for int i in [0:19999] { k = " + "+".join(["k"] * 500) + "; }",
        "for int i in [0:9999] { let r = q; let s = r ++ q; }",
        "bit[8] c; for int i in [0:19999] { if (c > 3) x q[0]; }",
        "bit[8] c; " + "if (c[0] ^ c[1] ^ c[2] ^ c[3] ^ c[4] ^ c[5] ^ c[6] ^ c[7]) " * 5 + "x q[0];",
        "pow(1000000000) @ x q[0];",
        "{" * 5000,
        "for int i in [0:1] " * 5000 + "x q[0];",
        "if (" + "!" * 5000 + "true) x q[0];",
        "if (" + "(true || " * 500 + "true" + ")" * 500 + ") x q[0];",
        "bit[64] c; if (" + " || ".join(f"c[{k}]" for k in range(64)) + ") x q[0];",
    ],
    ids=lambda body: body[:40],
)
def test_hostile_texts_end_soon(body: str) -> None:
    started = time.thread_time()
    with pytest.raises(QasmError) as caught:
        from_qasm(f"{HEAD} qubit[4] q; {body}", max_instructions=20_000)
    assert caught.value.line == 1
    assert time.thread_time() - started < 10


def test_long_chains_are_read() -> None:
    text = f"{HEAD} qubit q; if ({' || '.join(['false'] * 20_000)}) x q; else y q;"
    assert from_qasm(text) == Circuit(1).y(0)
