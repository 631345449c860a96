"""OpenQASM 2: what is read, what the gates of its library mean, what is refused, and the whole of QASMBench."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import qasm2
from qiskit.quantum_info import Operator

from superpose.circuits import Circuit, Instruction, from_qasm
from superpose.circuits.qasm.qelib1 import QELIB1, QELIB1_STEPS
from superpose.circuits.reference import unitary
from superpose.errors import QasmError

HEAD = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
QASMBENCH = Path(__file__).parents[3] / "shared" / "data" / "circuits" / "qasmbench"


def read(body: str) -> Circuit:
    return from_qasm(HEAD + "qreg q[3];\n" + body)


def qiskit_unitary(text: str) -> np.ndarray:
    return Operator(
        qasm2.loads(text, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS).reverse_bits()
    ).data  # qiskit's qubit 0 is the least significant


@pytest.mark.parametrize("name", [*QELIB1, *(name for name in QELIB1_STEPS if name != "u0")])  # qiskit's u0 is a wait
def test_a_library_gate_is_qiskits(name: str) -> None:
    if name in QELIB1:
        n_angles, n_qubits = QELIB1[name].n_angles, QELIB1[name].n_qubits
    else:
        n_angles, n_qubits = len(QELIB1_STEPS[name][0]), QELIB1_STEPS[name][1]
    angles = f"({', '.join(['0.3', '1.1', '-0.7', '0.45'][:n_angles])})" if n_angles else ""
    qubits = ", ".join(f"q[{q}]" for q in range(n_qubits))
    text = f"{HEAD}qreg q[{n_qubits}];\n{name}{angles} {qubits};\n"
    np.testing.assert_allclose(unitary(from_qasm(text)), qiskit_unitary(text), atol=1e-12)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("h q;", Circuit(3).h(0).h(1).h(2)),
        ("qreg r[3]; cx q, r;", Circuit(6).cx(0, 3).cx(1, 4).cx(2, 5)),
        ("rx(3/2) q[0];", Circuit(3).rx(1.5, 0)),
        ("rx(2^3 - ln(exp(2)) + sqrt(4)*sin(pi/2)) q[0];", Circuit(3).rx(8.0, 0)),
        ("rx(-pi/4) q[0]; rx(cos(0)*tan(0)) q[1];", Circuit(3).rx(-np.pi / 4, 0).rx(0.0, 1)),
        ("U(0.1, 0.2, 0.3) q[0]; CX q[0], q[1];", Circuit(3).p(0.3, 0).ry(0.1, 0).p(0.2, 0).cx(0, 1)),
        ("gate g(t) a, b { cx a, b; rz(t/2) b; barrier a, b; } g(pi) q[2], q[0];",
         Circuit(3).cx(2, 0).rz(np.pi / 2, 0)),
        ("gate let(angle) input { rx(angle) input; } let(1) q[1];", Circuit(3).rx(1.0, 1)),
        ("creg c[2]; measure q[0] -> c[1]; reset q[0]; barrier q;",
         Circuit(3, n_bits=2).measure(0, 1).reset(0).barrier()),
        ("creg c[3]; measure q -> c;", Circuit(3).measure_all()),
        ("creg c[2]; if (c == 2) x q[0];", Circuit(3, n_bits=2).if_((1, 0), 2, Circuit(3).x(0))),
        ("creg c[1]; creg d[1]; if(d==1) measure q[0] -> c[0];",
         Circuit(3, n_bits=2).if_(1, 1, Circuit(3, n_bits=1).measure(0, 0))),
        ("creg c[2]; if (c == 9) x q[0];", Circuit(3, n_bits=2)),
    ],
)  # fmt: skip
def test_accepted(body: str, wanted: Circuit) -> None:
    assert read(body) == wanted


@pytest.mark.parametrize(
    ("body", "line", "column", "match"),
    [
        ("opaque g a;", 4, 1, "Opaque gates"),
        ("foo q[0];", 4, 1, "'foo' is not defined"),
        ("measure r -> q;", 4, 9, "named 'r'"),
        ("creg c[1]; if (c[0]) x q[0];", 4, 20, "compares a whole register"),
        ("inv @ x q[0];", 4, 5, "a qubit"),
        ("qubit r;", 4, 7, "named 'r'"),
        ("rx(2**3) q[0];", 4, 5, "Expected"),
        ("rx(log(2)) q[0];", 4, 7, "Expected"),
        ("rx(1/0) q[0];", 4, 4, "zero"),
        ("h q[3];", 4, 3, "outside"),
        ("cx q[0], q[0];", 4, 1, "twice"),
        ('include "stdgates.inc";', 4, 1, "qelib1.inc"),
        ("h q[0]", 4, 7, "end of text"),
    ],
)
def test_refused_at(body: str, line: int, column: int, match: str) -> None:
    with pytest.raises(QasmError, match=match) as caught:
        read(body)
    assert (caught.value.line, caught.value.column) == (line, column)


PIECES = ["qreg", "creg r[2];", "if(", "==", "measure", "->", "gate", "U(0,0,0)", "{", "}", "[", "2^", "ln(", ")", ";"]


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_damaged_text_is_read_or_refused(data: st.DataObject) -> None:
    text = (
        HEAD + "qreg q[2]; creg c[2];\ngate g(a) x, y { cx x, y; u1(a/2) y; }\ng(pi) q[0], q[1];\nif (c==1) x q[0];\n"
    )
    place, cut = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 8))
    with contextlib.suppress(QasmError):
        from_qasm(text[:place] + data.draw(st.sampled_from(["", *PIECES])) + text[place + cut :])


needs_qasmbench = pytest.mark.skipif(not QASMBENCH.is_dir(), reason="QASMBench is not beside this repository")


def files() -> list[Path]:
    return sorted(QASMBENCH.rglob("*.qasm"))


def is_broken(path: Path) -> bool:
    return path.name.startswith("vqe_uccsd")


@needs_qasmbench
def test_the_broken_files_are_refused_with_line_and_reason() -> None:
    broken = [path for path in files() if is_broken(path)]
    assert len(broken) == 6
    for path in broken:
        text = path.read_text(encoding="utf-8")
        with pytest.raises(QasmError, match="named 'q'") as caught:
            from_qasm(text)
        assert "measure" in text.splitlines()[caught.value.line - 1]


@needs_qasmbench
@pytest.mark.parametrize("path", [path for path in files() if not is_broken(path)], ids=lambda path: path.stem)
def test_every_other_file_is_read_as_qiskit_reads_it(path: Path) -> None:
    circuit = from_qasm(path.read_text(encoding="utf-8"), path.stem)
    theirs = qasm2.load(path, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    assert (circuit.n_qubits, circuit.n_bits) == (theirs.num_qubits, theirs.num_clbits)
    n_gates = sum(isinstance(item, Instruction) for item in circuit.instructions)
    counted = theirs.count_ops()
    assert n_gates >= sum(counted.get(name, 0) for name in ("cx", "h", "x", "rz", "u3", "ccx"))
    assert sum(type(item).__name__ == "Measure" for item in circuit.instructions) == counted.get("measure", 0)
