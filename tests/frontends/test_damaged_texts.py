"""No text makes the readers of other languages fail otherwise than by a refusal of ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.robustness.mutations import broken, refused_or_read, short

from superpose import load

QUIL = """DECLARE theta REAL[2]
DECLARE ro BIT[2]
DEFGATE TURN(%a):
    cos(%a/2), -i*sin(%a/2)
    -i*sin(%a/2), cos(%a/2)
H 0
RX(theta[0]/2 + pi/4) 0
CONTROLLED TURN(0.3) 0 1
DAGGER PHASE(-theta[1]) 1
PRAGMA PRESERVE_BLOCK
MEASURE 0 ro[0]
MEASURE 1 ro[1]
"""
QASM2 = """OPENQASM 2.0;
include "qelib1.inc";
gate turn(a) q { rx(a/2) q; u3(0, sin(a), pi) q; }
qreg q[2];
creg c[2];
turn(0.3) q[0];
cx q[0], q[1];
if (c == 1) x q[1];
barrier q;
measure q -> c;
"""
WORDS = st.sampled_from(
    ["RX(", "%x", "DECLARE", "\0", "é", "\ud800", "9" * 5_000, "(" * 3_000, "DEFCIRCUIT A q:\n    X q\n"]
)


def texts(text: str) -> st.SearchStrategy[str]:
    """The text cut, with bytes changed and words put in."""
    damaged = broken(text.encode()).map(lambda content: content.decode("utf-8", "replace"))
    return st.tuples(damaged, st.integers(0, len(text)), st.just("") | WORDS).map(
        lambda found: found[0][: found[1]] + found[2] + found[0][found[1] :]
    )


def test_the_texts_are_right_before_they_are_broken() -> None:
    pytest.importorskip("pyquil", reason="pyQuil reads Quil")
    assert load(QUIL).n_qubits == load(QASM2).n_qubits == 2


@short(80)
@given(texts(QUIL))
def test_quil(text: str) -> None:
    pytest.importorskip("pyquil", reason="pyQuil reads Quil")
    refused_or_read(lambda: load("DECLARE x BIT\n" + text))


@short(120)
@given(texts(QASM2))
def test_openqasm_2(text: str) -> None:
    refused_or_read(lambda: load("OPENQASM 2.0;\n" + text))
