"""run, load and resolve_backend; and the worked example that the mission starts from."""

import doctest
import json

import numpy as np
import pytest

import superpose
import superpose.testing
from superpose import facade
from superpose.backends import LocalBackend, grouping, local
from superpose.circuits import Circuit, Observable, Parameter, Program, circuit_to_json, parameters, to_qasm, z_all
from superpose.engine import compile_program
from superpose.errors import (
    BackendUnknownError,
    CircuitFormatError,
    ParameterUnboundError,
    ProgramError,
    QasmError,
)
from superpose.facade import load, resolve_backend, run

x, y = Parameter("x"), Parameter("y")


def ring():
    """RY on each of four qubits, each followed by a CNOT to the next in a ring."""
    circuit, angles = Circuit(4), parameters("theta", 4)
    for qubit in range(4):
        circuit.ry(angles[qubit], qubit).cx(qubit, (qubit + 1) % 4)
    return circuit


X = np.array([0.5, 0.1, -0.3, 0.8])
PARAMS = [0.2, 0.6, 0.1, 0.7]


def test_worked_example_of_the_mission():
    """Numbers computed with PennyLane; the output is linear in X, which never enters the circuit."""
    expectations = run(ring(), PARAMS, observables=z_all(4)).expectations
    np.testing.assert_allclose(expectations, [[0.62809787, 0.80888385, 0.80484280, 0.61557773]], atol=5e-9)
    assert expectations[0] @ X == pytest.approx(0.6459466621398504, abs=1e-14)


def test_gradient_of_the_worked_example():
    compiled = compile_program(ring(), z_all(4), dtype="float64")
    value, _, gradient = compiled.value_and_grad(None, PARAMS, X[None])
    np.testing.assert_allclose(gradient, [-0.067279, -0.441916, -0.056695, -0.679315], atol=1e-6)
    assert value[0] @ X == pytest.approx(0.6459466621398504, abs=1e-14)


@pytest.mark.parametrize(
    ("params", "batch"),
    [
        ({"x": 0.1, "y": 0.2}, 1),
        ({x: 0.1, y: [0.2, 0.3]}, 2),
        ([0.1, 0.2], 1),
        (np.array([[0.1, 0.2], [0.1, 0.3]]), 2),
    ],
)
def test_params_in_any_form(params, batch):
    circuit = Circuit(1).rx(x, 0).ry(y, 0)
    result = run(circuit, params, observables=Observable("Z"))
    assert result.expectations.shape == (batch, 1)
    assert result.expectations[0, 0] == pytest.approx(np.cos(0.1) * np.cos(0.2))


def test_params_of_wrong_shape():
    with pytest.raises(
        ParameterUnboundError, match=r"needs 2 parameters, got params.shape=\(3,\); the last axis must be 2"
    ):
        run(Circuit(1).rx(x, 0).ry(y, 0), [1, 2, 3])


def test_parts_replace_those_of_a_program():
    program = Program(Circuit(1).rx(x, 0), {"x": 0.1}, [Observable("Z")], shots=10, seed=1)
    assert run(program).provenance["program_digest"] == program.digest
    changed = run(program, {"x": np.pi}, shots=5, seed=2, observables=[Observable("Z"), Observable("X")])
    assert changed.expectations.shape == (1, 2)
    assert changed.expectations[0, 0] == -1
    assert (changed.provenance["shots"], changed.provenance["seed"]) == (5, 2)


def test_what_comes_back():
    circuit = Circuit(2).x(1)
    np.testing.assert_allclose(run(circuit).state_vectors, [[0, 1, 0, 0]], atol=1e-15)
    assert run(circuit, shots=7).counts == ({"01": 7},)
    assert run(circuit, initial_state=[0, 0, 1, 0], shots=7).counts == ({"11": 7},)


@pytest.mark.parametrize("program", ["circuit.qasm", None, 3])
def test_what_cannot_be_run(program):
    with pytest.raises(ProgramError, match="use load"):
        run(program)


def test_backends_by_name_and_as_they_are():
    assert isinstance(resolve_backend("local"), LocalBackend)
    own = LocalBackend()
    assert resolve_backend(own) is own
    assert run(Circuit(1), backend=own).provenance["backend"] == "local"
    with pytest.raises(BackendUnknownError, match="known are local"):
        run(Circuit(1), backend="nowhere")
    with pytest.raises(BackendUnknownError, match="got int"):
        resolve_backend(3)


def test_load_files_and_texts(tmp_path):
    circuit = Circuit(2, "bell").h(0).crx(2 * x, 0, 1)
    qasm, document = tmp_path / "bell.qasm", tmp_path / "bell.JSON"
    qasm.write_text(to_qasm(circuit), encoding="utf-8")
    document.write_text(json.dumps(circuit_to_json(circuit)), encoding="utf-8")
    for source in (qasm, str(qasm), document, to_qasm(circuit), json.dumps(circuit_to_json(circuit))):
        assert load(source) == circuit
    assert load(qasm).name == "bell"
    assert superpose.load(qasm) == circuit


MEASURED = {
    "OpenQASM 3": 'include "stdgates.inc"; qubit[2] q; bit[2] c; x q[0]; c = measure q;',
    "OpenQASM 2": 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; x q[0]; measure q -> c;',
}


@pytest.mark.parametrize("text", MEASURED.values(), ids=MEASURED)
def test_texts_that_measure_at_the_end(text):
    """Exact answers are those before the measurements; counts are over the bits."""
    circuit = load(text)
    assert run(circuit, observables=Observable("ZI")).expectations.tolist() == [[-1.0]]
    assert run(circuit, observables=Observable("ZI"), shots=10).expectations.tolist() == [[-1.0]]
    np.testing.assert_allclose(run(circuit).state_vectors, [[0, 0, 1, 0]], atol=1e-15)
    assert run(circuit, shots=10).counts == ({"10": 10},)
    crossed = load(text.replace("c = measure q;", "c[1] = measure q[0];").replace("q -> c;", "q[0] -> c[1];"))
    assert run(crossed, shots=10).counts == ({"01": 10},)


def test_load_refuses(tmp_path):
    cases = {
        "missing.qasm": (None, "cannot be read"),
        "circuit.py": (b"h q;", "is not named"),
        "binary.qasm": (b"\xff\xfe\x00", "UTF-8"),
        "broken.json": (b"{", "not JSON"),
        "program.json": (b'{"format": "superpose.program", "version": 1}', "superpose.program"),
    }
    for name, (content, match) in cases.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(CircuitFormatError, match=match):
            load(tmp_path / name)
    (tmp_path / "folder.qasm").mkdir()
    with pytest.raises(CircuitFormatError, match="cannot be read"):
        load(tmp_path / "folder.qasm")
    (tmp_path / "wrong.qasm").write_text("OPENQASM 3.0;\nqubit q;\nfoo q;\n")
    with pytest.raises(QasmError) as caught:
        load(tmp_path / "wrong.qasm")
    assert (caught.value.line, caught.value.column) == (3, 1)
    with pytest.raises(CircuitFormatError):
        load("no such thing")


def test_public_names_of_the_package():
    assert superpose.run is run
    assert superpose.run(superpose.Circuit(1).x(0), shots=3).counts == ({"1": 3},)


@pytest.mark.parametrize("module", [facade, local, grouping], ids=lambda module: module.__name__)
def test_examples_in_docstrings(module):
    assert doctest.testmod(module).failed == 0


def test_published_suites_are_loaded_by_name():
    testing = superpose.testing
    assert all(callable(getattr(testing, name)) for name in testing.__all__)
    with pytest.raises(AttributeError, match="no attribute 'check_qbit'"):
        testing.check_qbit  # noqa: B018
