"""JSON documents: exact round trips, golden files, and refusal of everything that is not one."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superpose.circuits import (
    GATES,
    Circuit,
    Measure,
    NoiseModel,
    Observable,
    Parameter,
    Program,
    ProgramGrid,
    ProgramResult,
    ProgramSet,
    circuit_from_json,
    circuit_to_json,
    feature_map,
    noise_model_from_json,
    noise_model_to_json,
    observable_from_json,
    observable_to_json,
    parameters,
    program_from_json,
    program_set_from_json,
    program_set_to_json,
    program_to_json,
    result_from_json,
    result_to_json,
)
from superpose.errors import CircuitError, CircuitFormatError, QasmError
from superpose.testing.strategies import circuits, dynamic_circuits, observables, programs

GOLDEN = Path(__file__).parent / "golden"


def every_gate():
    """A circuit with every gate of the table."""
    x, theta = Parameter("x"), Parameter("θ")
    circuit = Circuit(3, "every gate")
    for row in sorted(GATES.values(), key=lambda row: row.name):
        angles = [0.25, 2 * x - 0.1 * theta, theta / 4 + np.pi, -x][: row.n_angles]
        circuit.append(row.name, range(row.n_qubits)[::-1], angles)
    return circuit


def every_operation():
    """A circuit with every kind of operation."""
    theta = Parameter("theta")
    inner = Circuit(3, n_bits=3).x(0).if_(2, 0, [], Circuit(3).depolarizing(0.1, 1)).measure(0, 1)
    return (
        Circuit(3, "every operation", n_bits=3)
        .h(0)
        .barrier(0, 2)
        .delay(12.5, 1)
        .measure(0, 2)
        .reset(0)
        .amplitude_damping(0.25, 1)
        .kraus([[[0, -1j], [1j, 0]]], 2)
        .if_((0, 2), 2, Circuit(3).rx(2 * theta + 0.5, 1), inner)
        .extend([Measure(1, 0, 0.125, 0.25)])
    )


def full_noise_model():
    """A noise model with every part."""
    flip = ("bit_flip", (0.25,))
    return NoiseModel(
        one_qubit=[flip, ("phase_damping", (0.5,))],
        two_qubit=[("depolarizing2", (0.1,))],
        gates={"x": [flip], "h": []},
        local={("cx", (0, 1)): [flip]},
        readout={0: (0.1, 0.2), 3: (0.0, 0.5)},
        t1_ns={0: 5e4},
        t2_ns=4e4,
        gate_times_ns={"cx": 300.0},
        excited=0.125,
    )


def full_program():
    """A program with every part."""
    x, w = parameters("x", 3), Parameter("w")
    circuit = Circuit(2, "template").h(0).rx(2 * x[0] + 0.1, 1).rzz(x[2], 0, 1).ry(w - x[1], 0)
    return Program(
        circuit,
        {"w": [0.1, 0.2]},
        (Observable({"ZI": 1, "XX": -0.5}), Observable({}, 2)),
        shots=100,
        seed=7,
        initial_state=np.array([[1, 0, 0, 0], [0, 0.6j, 0, -0.8]]),
        feature_map=feature_map("products", 2),
        inputs=[[1.0, 2.0], [3.0, 0.1]],
        input_names=x,
        dtype="float32",
    )


def full_result():
    """A result with every part."""
    return ProgramResult(
        expectations=np.array([[0.1, -1.0]]),
        counts=({"00": 3, "11": 5},),
        state_vectors=np.array([[0.6, 0.8j]]),
        provenance={"backend": "local", "seed": 7, "elapsed_s": 0.5, "versions": {"superpose": "0.1.0"}},
    )


def full_program_set():
    """A program set with every part."""
    a, b, c = parameters("p", 3)
    circuit = Circuit(2).ry(a, 0).rx(2 * b, 1).rz(c, 0)
    energy = ProgramGrid(
        circuit,
        {(a, c): [[0.5, 1.0], [0.25, -1.0]], b: 0.125},
        [Observable("ZI"), Observable({"XX": 0.5, "II": 2.0})],
        name="energy",
        observe="zip",
    )
    counted = ProgramGrid(circuit, {a: [1, 2], b: [[3.5]], c: 0}, shots=100, combine="product", dtype="float32")
    return ProgramSet([energy, counted, ProgramGrid(Circuit(1, name="plain").h(0))], seed=7)


CASES = {
    "circuit_v1.json": (every_gate, circuit_to_json, circuit_from_json),
    "circuit_v2.json": (every_operation, circuit_to_json, circuit_from_json),
    "noise_model_v1.json": (full_noise_model, noise_model_to_json, noise_model_from_json),
    "observable_v1.json": (lambda: Observable({"ZI": 1, "XY": -0.5}), observable_to_json, observable_from_json),
    "program_set_v1.json": (full_program_set, program_set_to_json, program_set_from_json),
    "program_v1.json": (full_program, program_to_json, program_from_json),
    "result_v1.json": (full_result, result_to_json, result_from_json),
}
"""Golden files: the newest version of each kind is also what is written today; older ones only stay readable."""


@pytest.mark.parametrize("name", CASES)
def test_golden_file_is_read(name):
    make, _, read = CASES[name]
    assert read((GOLDEN / name).read_bytes()) == make()


@pytest.mark.parametrize("name", CASES)
def test_golden_file_is_what_is_written(name):
    make, write, _ = CASES[name]
    assert json.loads((GOLDEN / name).read_text(encoding="utf-8")) == write(make())


def test_every_golden_document_has_a_case():
    assert {path.name for path in GOLDEN.glob("*.json")} == set(CASES)


@settings(deadline=None, max_examples=60)
@given(circuits())
def test_circuits_round_trip(circuit):
    back = circuit_from_json(json.dumps(circuit_to_json(circuit), allow_nan=False))
    assert back == circuit
    assert (back.name, back.digest) == (circuit.name, circuit.digest)


@settings(deadline=None, max_examples=100)
@given(dynamic_circuits())
def test_circuits_of_any_operations_round_trip(circuit):
    document = circuit_to_json(circuit)
    back = circuit_from_json(json.dumps(document, allow_nan=False))
    assert back == circuit
    assert (back.n_bits, back.digest, back.parameters) == (circuit.n_bits, circuit.digest, circuit.parameters)
    assert document["version"] == (2 if circuit.n_bits or len(circuit.instructions) > n_gates(circuit) else 1)


def n_gates(circuit):
    return sum(type(item).__name__ == "Instruction" for item in circuit.instructions)


@given(st.integers(1, 4).flatmap(observables))
def test_observables_round_trip(observable):
    assert observable_from_json(json.dumps(observable_to_json(observable), allow_nan=False)) == observable


@settings(deadline=None, max_examples=60)
@given(programs())
def test_programs_round_trip(program):
    document = program_to_json(program)
    assert program_from_json(document) == program
    assert program_from_json(json.dumps(document, allow_nan=False).encode()) == program


def test_single_precision_states_come_back_with_equal_values():
    states = np.array([[0.6, 0.8j]], dtype=np.complex64)
    back = result_from_json(result_to_json(ProgramResult(state_vectors=states)))
    np.testing.assert_array_equal(back.state_vectors, states)


def test_program_with_openqasm():
    text = 'OPENQASM 3.0; include "stdgates.inc"; input float x; qubit[2] q; rx(x) q[0]; cx q[0], q[1];'
    document = {"format": "superpose.program", "version": 1, "circuit": text, "params": {"x": 1}}
    assert program_from_json(document).circuit == Circuit(2).rx(Parameter("x"), 0).cx(0, 1)
    with pytest.raises(QasmError, match="circuit: line 1, column 9") as caught:
        program_from_json(document | {"circuit": "nonsense"})
    assert caught.value.details["field"] == "circuit"


GOOD = {
    "circuit": circuit_to_json(Circuit(1).rx(Parameter("a"), 0)),
    "program": program_to_json(Program(Circuit(1).rx(Parameter("a"), 0), {"a": 0.5})),
    "dynamic": circuit_to_json(every_operation()),
    "noise": noise_model_to_json(full_noise_model()),
    "observable": observable_to_json(Observable("Z")),
    "result": result_to_json(ProgramResult()),
}
READ = {
    "circuit": circuit_from_json,
    "program": program_from_json,
    "dynamic": circuit_from_json,
    "noise": noise_model_from_json,
    "observable": observable_from_json,
    "result": result_from_json,
}


def call(**changes):
    return {"gate": "rx", "qubits": [0], "angles": [0.5]} | changes


def measured(**changes):
    return {"operation": "measure", "qubit": 0, "bit": 0} | changes


def channel(name, values):
    return {"operation": "channel", "channel": name, "qubits": [0], "values": values}


def kraus(operators):
    return {"operation": "kraus", "qubits": [0], "operators": operators}


def feed(then, **changes):
    return {"operation": "if", "bits": [0], "value": 1, "then": then} | changes


def nested(depth):
    return feed([nested(depth - 1)] if depth > 1 else [call()])


@pytest.mark.parametrize(
    ("kind", "field", "changes"),
    [
        *[(kind, "extra", {"extra": 1}) for kind in GOOD],
        *[(kind, "format", {"format": "superpose.other"}) for kind in GOOD],
        *[(kind, "version", {"version": 3}) for kind in GOOD],
        *[(kind, "version", {"version": True}) for kind in GOOD],
        *[(kind, "version", {"version": None}) for kind in GOOD],
        ("circuit", "n_qubits", {"n_qubits": 0}),
        ("circuit", "n_qubits", {"n_qubits": 1.0}),
        ("circuit", "n_qubits", {"n_qubits": 10**9}),
        ("circuit", "name", {"name": 3}),
        ("circuit", "instructions", {"instructions": {}}),
        ("circuit", "instructions[0]", {"instructions": ["h"]}),
        ("circuit", "instructions[0]", {"instructions": [call(gate="nope")]}),
        ("circuit", "instructions[0]", {"instructions": [call(qubits=[0, 1])]}),
        ("circuit", "instructions[0]", {"instructions": [call(angles=[])]}),
        ("circuit", "instructions[0].extra", {"instructions": [call(extra=1)]}),
        ("circuit", "instructions[1].qubits", {"instructions": [call(), call(qubits=[1])]}),
        ("circuit", "instructions[0].qubits[0]", {"instructions": [call(qubits=["0"])]}),
        ("circuit", "instructions[0].qubits[0]", {"instructions": [call(qubits=[True])]}),
        ("circuit", "instructions[0].angles[0]", {"instructions": [call(angles=["x"])]}),
        ("circuit", "instructions[0].angles[0]", {"instructions": [call(angles=[10**400])]}),
        ("circuit", "instructions[0].angles[0]", {"instructions": [call(angles=[{"terms": {"pi": 1}}])]}),
        ("circuit", "instructions[0].angles[0].terms.x", {"instructions": [call(angles=[{"terms": {"x": "1"}}])]}),
        ("circuit", "instructions[0].angles[0].power", {"instructions": [call(angles=[{"power": 2}])]}),
        ("circuit", "n_bits", {"n_bits": 2}),
        ("circuit", "instructions[0].gate", {"instructions": [{"operation": "reset", "qubit": 0}]}),
        ("dynamic", "n_bits", {"n_bits": -1}),
        ("dynamic", "n_bits", {"n_bits": 10**9}),
        ("dynamic", "instructions[0].operation", {"instructions": [{"operation": "teleport"}]}),
        ("dynamic", "instructions[0].operation", {"instructions": [{}]}),
        ("dynamic", "instructions[0].bit", {"instructions": [{"operation": "measure", "qubit": 0}]}),
        ("dynamic", "instructions[0]", {"instructions": [measured(bit=9)]}),
        ("dynamic", "instructions[0]", {"instructions": [measured(qubit=9)]}),
        ("dynamic", "instructions[0]", {"instructions": [measured(flip0=1.5)]}),
        ("dynamic", "instructions[0].extra", {"instructions": [measured(extra=1)]}),
        ("dynamic", "instructions[0]", {"instructions": [{"operation": "delay", "qubit": 0, "duration_ns": -1}]}),
        ("dynamic", "instructions[0]", {"instructions": [{"operation": "barrier", "qubits": [0, 0]}]}),
        ("dynamic", "instructions[0]", {"instructions": [channel("depolarise", [0.1])]}),
        ("dynamic", "instructions[0]", {"instructions": [channel("bit_flip", [1.1])]}),
        ("dynamic", "instructions[0]", {"instructions": [kraus([[[[1, 0]]]])]}),
        ("dynamic", "instructions[0].operators", {"instructions": [kraus([[[[1]]]])]}),
        ("dynamic", "instructions[0].operators", {"instructions": [kraus([[[1, 0]]])]}),
        ("dynamic", "instructions[0].then[0].gate", {"instructions": [feed([call(gate=1)])]}),
        ("dynamic", "instructions[0].then[0]", {"instructions": [feed([measured(flip1=-1)])]}),
        ("dynamic", "instructions[0]", {"instructions": [feed([], value=9)]}),
        ("dynamic", "instructions[0].otherwise", {"instructions": [feed([], otherwise=3)]}),
        ("noise", "one_qubit[0].values", {"one_qubit": [{"channel": "bit_flip"}]}),
        ("noise", "readout", {"readout": [0.1]}),
        ("noise", "readout", {"readout": {"q0": [0.1, 0.2]}}),
        ("noise", "t1_ns.0", {"t1_ns": {"0": "long"}}),
        ("noise", "local[0].channels", {"local": [{"gate": "x", "qubits": [0]}]}),
        ("observable", "terms", {"terms": {"A": 1}}),
        ("observable", "terms.Z", {"terms": {"Z": None}}),
        ("program", "circuit", {"circuit": 3}),
        ("program", "circuit.n_qubits", {"circuit": GOOD["circuit"] | {"n_qubits": -1}}),
        ("program", "circuit.format", {"circuit": {}}),
        ("program", "circuit.instructions[0]", {"circuit": GOOD["circuit"] | {"instructions": [call(gate="q")]}}),
        ("program", "params", {"params": [1]}),
        ("program", "params.a", {"params": {"a": "1"}}),
        ("program", "params.a[1]", {"params": {"a": [1, "2"]}}),
        ("program", "observables", {"observables": "Z"}),
        ("program", "observables[0]", {"observables": [{"ZZ": 1}]}),
        ("program", "observables[0].Z", {"observables": [{"Z": [1, 0]}]}),
        ("program", "shots", {"shots": "many"}),
        ("program", "seed", {"seed": 1.5}),
        ("program", "initial_state", {"initial_state": [1, 0]}),
        ("program", "initial_state", {"initial_state": [[1, 0, 0], [0, 0, 0]]}),
        ("program", "initial_state", {"initial_state": [[1, 0], [0]]}),
        ("program", "feature_map", {"feature_map": {"name": "nope", "n_inputs": 1}}),
        ("program", "feature_map.file", {"feature_map": {"name": "products", "n_inputs": 1, "file": "x"}}),
        ("program", "inputs", {"inputs": [[1], [2, 3]]}),
        ("program", "inputs[0][1]", {"inputs": [[1, "2"]]}),
        ("program", "input_names[0]", {"input_names": [1]}),
        ("program", "dtype", {"dtype": 64}),
        ("result", "counts[0].0", {"counts": [{"0": 0.5}]}),
        ("result", "expectations", {"expectations": [1]}),
    ],
)
def test_wrong_field_is_named(kind, field, changes):
    document = {key: value for key, value in (GOOD[kind] | changes).items() if value is not None}
    for form in (document, json.dumps(document)):
        with pytest.raises(CircuitError) as caught:
            READ[kind](form)
        assert caught.value.details["field"].startswith(field)
        assert field in str(caught.value)


NO_DOCUMENTS = [
    *("", "{", "null", "[]", "3", '"x"', "[" * 100_000, "9" * 5000, b"\xff\xfe\x00"),
    *('{"version": 1, "version": 1}', '{"version": NaN}', '{"format": 1e999}'),
]


@pytest.mark.parametrize("kind", READ)
@pytest.mark.parametrize("text", NO_DOCUMENTS, ids=lambda text: repr(text[:30]))
def test_what_is_no_document(kind, text):
    with pytest.raises(CircuitFormatError):
        READ[kind](text)


@pytest.mark.parametrize(
    "changes",
    [
        {"shots": 0},
        {"shots": 10**30},
        {"seed": -1},
        {"dtype": "float16"},
        {"params": {"b": 1}},
        {"params": {}},
        {"params": {"a": [0.1, 0.2]}, "initial_state": [[[1, 0], [0, 0]]] * 3},
        {"initial_state": [[2, 0], [0, 0]]},
        {"feature_map": {"name": "products", "n_inputs": 10**9}, "inputs": [[1]], "input_names": ["a"]},
    ],
    ids=str,
)
def test_parts_that_do_not_fit(changes):
    with pytest.raises(CircuitError):
        program_from_json(GOOD["program"] | changes)


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(sorted(READ)),
    st.sampled_from(["circuit", "params", "observables", "inputs", "initial_state", "instructions", "terms", "counts"]),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    ),
)
def test_any_value_is_read_or_refused(kind, field, value):
    """Nothing but circuits' own errors comes out, whatever JSON goes in."""
    with contextlib.suppress(CircuitError):
        READ[kind](GOOD[kind] | {field: value})


def test_conditions_hide_nothing():
    """Operations inside conditions count, and conditions stand in each other at most 20 deep."""
    document = GOOD["dynamic"] | {"instructions": [nested(20)]}
    assert circuit_from_json(document, max_instructions=21).n_instructions == 1
    for form, limit in [(document, 20), (GOOD["dynamic"] | {"instructions": [nested(21)]}, 100)]:
        with pytest.raises(CircuitError) as caught:
            circuit_from_json(form, max_instructions=limit)
        assert caught.value.details["field"].startswith("instructions[0]")
    deep_but_json = json.dumps(GOOD["dynamic"] | {"instructions": [nested(150)]})
    with pytest.raises(CircuitFormatError, match="stands in 20 conditions"):
        circuit_from_json(deep_but_json)
    deep = json.dumps(GOOD["dynamic"] | {"instructions": []}).replace(
        '"instructions": []', '"instructions": [' + '{"operation": "if", "then": [' * 50_000
    )
    with pytest.raises(CircuitFormatError):
        circuit_from_json(deep)


def test_instructions_are_limited():
    circuit = circuit_to_json(Circuit(1).h(0).h(0).h(0))
    assert circuit_from_json(circuit, max_instructions=3).n_instructions == 3
    text = 'include "stdgates.inc"; qubit q; h q; h q; h q;'
    for form in (circuit, text):
        program = {"format": "superpose.program", "version": 1, "circuit": form}
        assert program_from_json(program, max_instructions=3).circuit.n_instructions == 3
        with pytest.raises(CircuitError) as caught:
            program_from_json(program, max_instructions=2)
        assert caught.value.details["field"].startswith("circuit")
