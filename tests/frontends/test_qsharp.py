"""Q#: texts, files, operations with arguments; what is written runs in Q#'s own simulator."""

from __future__ import annotations

import gc
import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("QDK_PYTHON_TELEMETRY", "none")
qdk = pytest.importorskip("qdk", reason="needs superpose[qsharp]")

import superpose  # noqa: E402  # after what says whether there is anything to test
from superpose.circuits import Circuit, Measure, reference  # noqa: E402
from superpose.errors import CircuitFormatError, ConversionError  # noqa: E402
from superpose.frontends.qsharp import QSharpOperation  # noqa: E402

from .conftest import random_circuit, values_of  # noqa: E402

ANSATZ = """
namespace Samples {
    import Std.Math.*;
    operation Layer(angle : Double, q : Qubit[]) : Unit is Adj + Ctl {
        for one in q { Ry(angle / 2.0, one); }
        CNOT(q[0], q[1]);
    }
    operation Main() : Result[] {
        use q = Qubit[2];
        Layer(PI() / 3.0, q);
        return MResetEachZ(q);
    }
    operation Ansatz(theta : Double, w : Double[], n : Int) : Unit {
        use q = Qubit[3];
        for k in 0..n - 1 { Layer(2.0 * theta - w[k] + 0.1, q[0..1]); }
        Controlled Rz([q[0]], (w[1], q[2]));
        Adjoint Layer(theta, q[1..2]);
        Exp([PauliX, PauliY], w[0], q[0..1]);
        ResetAll(q);
    }
}
"""


def simulated(text: str, values: dict[str, float]) -> np.ndarray:
    """The state that Q#'s simulator has before the resets of a text that `convert` wrote."""
    context: Any = qdk.Context()
    lines = text.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("operation Circuit"))
    names = dict(line.split()[-1:-4:-2] for line in lines if line.startswith("// superpose: parameter"))
    own = {plain: name for name, plain in names.items()}
    arguments = [one.split(":")[0].strip() for one in lines[start].split("(")[1].split(")")[0].split(",") if one]
    for argument in arguments:
        context.eval(f"let {argument} = {values[own.get(argument, argument)]!r};")
    context.eval("\n".join(line for line in lines[start + 1 : lines.index("    ResetAll(q);")]))
    n_qubits = int(lines[start + 1].split("[")[1].split("]")[0])
    dump = context.dump_machine()
    assert dump.qubit_count == n_qubits
    return np.array(dump.as_dense_state())


def assert_same_up_to_phase(got: np.ndarray, want: np.ndarray) -> None:
    assert abs(np.vdot(got, want)) == pytest.approx(np.linalg.norm(want) ** 2, abs=1e-9)


def test_what_is_written_runs_in_the_simulator_of_qsharp() -> None:
    for seed in range(8):
        circuit = random_circuit(seed, symbolic=True, n_qubits=1 + seed % 4)
        got = simulated(superpose.convert(circuit, to="qsharp"), values_of(circuit))
        assert_same_up_to_phase(got, reference.unitary(circuit, values_of(circuit))[:, 0])


def test_bits_come_back_in_order() -> None:
    text = superpose.convert(Circuit(3, n_bits=3).x(1).measure(1, 2).measure(0, 0).measure(2, 1), to="qsharp")
    context = qdk.Context()
    context.eval(text)
    assert [str(bit) for bit in context.run("Circuit()", 1)[0]] == ["Zero", "Zero", "One"]
    assert superpose.run(superpose.load(text), shots=2, seed=1).counts == ({"001": 2},)


def test_arguments_stay_symbolic() -> None:
    circuit = superpose.load(QSharpOperation(ANSATZ, "Ansatz", {"w": 2, "n": 2}))
    assert circuit.parameters == ("theta", "w_0", "w_1")
    theta, w = 0.3, (0.7, -0.4)
    want = Circuit(3)
    for k in range(2):
        angle = 2 * theta - w[k] + 0.1
        want.ry(angle / 2, 0).ry(angle / 2, 1).cx(0, 1)
    want.crz(w[1], 0, 2).cx(1, 2).ry(-theta / 2, 1).ry(-theta / 2, 2)
    want.sdg(1).h(0).h(1).cx(0, 1).rz(-2 * w[0], 1).cx(0, 1).h(0).h(1).s(1)
    got = reference.unitary(circuit, {"theta": theta, "w_0": w[0], "w_1": w[1]})
    assert abs(np.trace(got.conj().T @ reference.unitary(want, {}))) == pytest.approx(8, abs=1e-9)


def test_files_and_entry_points(tmp_path: Path) -> None:
    path = tmp_path / "sample.qs"
    path.write_text(ANSATZ)
    circuit = superpose.load(path)
    assert (circuit.n_qubits, circuit.n_bits, circuit.name) == (2, 2, "sample")
    marked = (
        "operation A() : Unit {} @EntryPoint() operation B() : Result { use q = Qubit(); X(q); return MResetZ(q); }"
    )
    assert superpose.run(superpose.load(marked), shots=2, seed=1).counts == ({"1": 2},)
    with pytest.raises(CircuitFormatError, match=r"\.qs"):
        superpose.load(tmp_path / "sample.q")


def test_conditions_on_several_results() -> None:
    text = """operation Main() : (Result[], Bool) {
        use q = Qubit[3];
        H(q[0]); X(q[1]);
        let m = [M(q[0]), M(q[1])];
        if m[0] == One and m[1] == One { X(q[2]); } else { Y(q[0]); }
        if m[0] != m[1] { X(q[1]); } elif m[0] == One { X(q[0]); }
        return (MResetEachZ(q), m[0] == One);
    }"""
    circuit = superpose.load(text)
    assert sum(isinstance(item, Measure) for item in circuit.instructions) == circuit.n_bits == 5
    counts = superpose.run(circuit, shots=400, seed=3).counts[0]
    # m = 11: X(q2), then X(q0), which read 1: q = 011; m = 01: Y(q0), then X(q1): q = 100
    assert set(counts) == {"01111", "10001"}


def test_nothing_of_an_earlier_text_is_seen() -> None:
    superpose.load(
        "operation Inner(q : Qubit) : Unit { X(q); } operation Main() : Unit { use q = Qubit(); Inner(q); Reset(q); }"
    )
    superpose.load("operation Only() : Unit { use q = Qubit(); X(q); Reset(q); }")
    with pytest.raises(ConversionError, match="`Only` not found"):
        superpose.load("operation Other() : Unit { use q = Qubit(); Only(); Reset(q); }")


# ruff: noqa: E501  # programs of one line
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("operation A() : Unit {\n use q = Qubit();\n Hx(q); }", "line 3, column 2: .*`Hx` not found"),
        ("operation A() : Unit { use q = Qubit(); repeat { H(q); } until M(q) == One; }", "loop with a dynamic condition"),
        ("operation A(a : Double) : Unit { use q = Qubit(); if a > 0.0 { X(q); } Reset(q); }", "a condition on an angle"),
        ("operation A(a : Double) : Unit { use q = Qubit(); Rx(a * a, q); Reset(q); }", "not affine"),
        ("operation A(a : Double) : Unit { use q = Qubit(); Rx(Std.Math.Cos(a), q); Reset(q); }", "Cos"),
        ("operation A(n : Int) : Unit { use q = Qubit(); Reset(q); }", "type Int without a value"),
        ("operation A() : Unit {}", "without qubits"),
        ("operation A() : Unit {} operation B() : Unit {}", "There are A, B"),
        ("operation A() : Int { use q = Qubit(); return M(q) == One ? 1 | 0; }", "a returned number"),
        ("operation A() : Unit { use q = Qubit(); Rx(M(q) == One ? 1.0 | 0.5, q); Reset(q); }", "depends on measurements"),
        ("operation G(q : Qubit) : Unit { body intrinsic; } operation Main() : Unit { use q = Qubit(); G(q); }", "no gate"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ConversionError, match=said):
        superpose.load(text)


def test_what_qsharp_has_no_words_for() -> None:
    with pytest.raises(ConversionError, match="bit 1, which nothing writes"):
        superpose.convert(Circuit(1, n_bits=2).measure(0, 0), to="qsharp")
    inner = Circuit(1, n_bits=2).measure(0, 1)
    with pytest.raises(ConversionError, match="a measurement inside a condition"):
        superpose.convert(Circuit(1, n_bits=2).measure(0, 0).if_(0, 1, inner), to="qsharp")


def test_a_compiler_is_freed_in_the_thread_that_made_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python frees rings in any thread; the compiler's objects may be freed only in their own."""
    complaints: list[object] = []
    refusals: list[ConversionError] = []

    def read() -> None:
        superpose.load("operation First() : Result { use q = Qubit(); return M(q); }")
        superpose.load(
            "namespace A { struct P { x : Int } operation Main() : Result { use q = Qubit(); return M(q); } }"
        )
        try:
            superpose.load("operation First() : Result { use q = Qubit(); Nothing(q); return M(q); }")
        except ConversionError as refusal:
            refusals.append(refusal)

    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    gc.disable()
    try:
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        assert len(refusals) == 1
        refusals.clear()
        gc.collect()
    finally:
        gc.enable()
    assert complaints == []
