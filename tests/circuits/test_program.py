"""Programs: what fits together, what is refused, identity."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from superpose.circuits import Circuit, Observable, Parameter, Program, ProgramResult, feature_map, parameters, z_all
from superpose.errors import ObservableError, ParameterUnboundError, ProgramError
from superpose.testing.strategies import programs

a, b = Parameter("a"), Parameter("b")
ONE = Circuit(1).rx(a, 0)
TWO = Circuit(2).rx(b, 0).rx(a, 1)


def test_param_matrix_in_the_circuits_order():
    program = Program(TWO, {"a": [1.0, 2.0], b: 3})
    assert program.batch == 2
    np.testing.assert_array_equal(program.param_matrix(), [[3.0, 1.0], [3.0, 2.0]])
    assert Program(Circuit(1)).param_matrix().shape == (1, 0)


def test_inputs_go_through_the_feature_map():
    x = parameters("x", 3)
    circuit = Circuit(2).rz(x[2], 0).rz(b, 0).rz(x[0], 0).rz(x[1], 1)
    program = Program(circuit, {b: 9}, feature_map=feature_map("products", 2), inputs=[[2, 3], [4, 5]], input_names=x)
    np.testing.assert_array_equal(program.param_matrix(), [[6, 9, 2, 3], [20, 9, 4, 5]])
    plain = Program(ONE, inputs=[[1.0], [2.0]], input_names=["a"])
    np.testing.assert_array_equal(plain.param_matrix(), [[1.0], [2.0]])


def test_batch_of_initial_states():
    program = Program(ONE, {"a": 0.1}, initial_state=np.eye(2))
    assert program.batch == 2
    assert program.param_matrix().shape == (2, 1)
    assert Program(ONE, {"a": 0.1}, initial_state=[0, 1]).batch == 1


def test_values_are_copied_and_read_only():
    values, circuit = np.array([1.0, 2.0]), ONE.copy()
    program = Program(circuit, {"a": values})
    digest = program.digest
    values[0] = 5
    circuit.h(0)
    assert program.param_matrix()[0, 0] == 1.0
    assert program.circuit.n_instructions == 1
    with pytest.raises(ValueError, match="read-only"):
        program.params["a"][0] = 3
    with pytest.raises(TypeError):
        program.params["a"] = 3
    with pytest.raises(AttributeError):
        program.shots = 3
    with pytest.raises(ProgramError, match="append to its copy"):
        program.circuit.h(0)
    assert program.circuit.copy().h(0).n_instructions == 2
    assert Program(program.circuit, program.params).circuit is program.circuit
    assert Program(ONE, {"a": [1.0, 2.0]}).digest == digest


def test_digest_tells_programs_apart():
    base = {"params": {"a": 0.5}, "observables": z_all(1), "shots": 10, "seed": 1}
    others = [
        {"params": {"a": 0.6}},
        {"params": {"a": [0.5]}},
        {"observables": ()},
        {"observables": [Observable({"Z": 2})]},
        {"shots": 11},
        {"seed": 2},
        {"seed": None},
        {"dtype": "float32"},
        {"initial_state": [1, 0]},
        {"params": {}, "inputs": [[0.5]], "input_names": ["a"]},
        {"params": {}, "inputs": [[0.5]], "input_names": ["a"], "feature_map": feature_map("identity", 1)},
        {"params": {}, "inputs": [[0.5]], "input_names": ["a"], "feature_map": feature_map("arctan", 1)},
    ]
    made = [Program(ONE, **base), *(Program(ONE, **(base | other)) for other in others)]
    made.append(Program(Circuit(1).ry(a, 0), **base))
    assert len({program.digest for program in made}) == len(made)
    assert len(set(made)) == len(made)
    assert Program(ONE.copy("other"), **base) == made[0]
    assert made[0] != "program"


@settings(deadline=None, max_examples=50)
@given(programs())
def test_programs_of_all_kinds(program):
    assert program.param_matrix().shape == (program.batch, program.circuit.n_params)
    assert copy.deepcopy(program) == pickle.loads(pickle.dumps(program)) == program
    assert replace(program) == program


@pytest.mark.parametrize(
    ("error", "match", "changes"),
    [
        (ProgramError, "Circuit", {"circuit": "h"}),
        (ParameterUnboundError, "Parameters a have no value", {"params": {}}),
        (ParameterUnboundError, "no parameters z; it has a", {"params": {"a": 1, "z": 1}}),
        (ParameterUnboundError, "named by", {"params": {0: 1}}),
        (ProgramError, "real numbers", {"params": {"a": "1"}}),
        (ProgramError, "real numbers", {"params": {"a": 1j}}),
        (ProgramError, "real numbers", {"params": {"a": [[1], [1, 2]]}}),
        (ProgramError, "finite", {"params": {"a": float("nan")}}),
        (ProgramError, "shape", {"params": {"a": [[1.0]]}}),
        (ProgramError, "shape", {"params": {"a": []}}),
        (ObservableError, "acts on 2 qubits", {"observables": [Observable("ZZ")]}),
        (ProgramError, "must be an Observable", {"observables": ["Z"]}),
        (ProgramError, "shots", {"shots": 0}),
        (ProgramError, "shots", {"shots": 1.5}),
        (ProgramError, "shots", {"shots": True}),
        (ProgramError, "seed", {"seed": -1}),
        (ProgramError, "seed", {"seed": 2**63}),
        (ProgramError, "dtype", {"dtype": "float16"}),
        (ProgramError, "initial_state must have shape", {"initial_state": [1, 0, 0]}),
        (ProgramError, "initial_state must have shape", {"initial_state": [1, 0, 0, 0]}),
        (ProgramError, "initial_state must have shape", {"initial_state": np.empty((0, 2))}),
        (ProgramError, "normalised", {"initial_state": [1, 1]}),
        (ProgramError, "complex numbers", {"initial_state": "ab"}),
        (ProgramError, "batch", {"params": {"a": [1, 2]}, "initial_state": np.eye(2)[[0, 1, 0]]}),
        (ProgramError, "need inputs", {"feature_map": feature_map("identity", 1)}),
        (ProgramError, "need inputs", {"input_names": ["a"]}),
        (ProgramError, "inputs must have shape", {"params": {}, "inputs": [[1, 2]], "input_names": ["a"]}),
        (ProgramError, "inputs must have shape", {"params": {}, "inputs": np.empty((0, 1)), "input_names": ["a"]}),
        (ProgramError, "gives 3 angles",
         {"params": {}, "inputs": [[1, 2]], "input_names": ["a"], "feature_map": feature_map("products", 2)}),
        (ProgramError, "twice", {"inputs": [[1]], "input_names": ["a"]}),
    ],
)  # fmt: skip
def test_refused(error, match, changes):
    with pytest.raises(error, match=match):
        Program(**({"circuit": ONE, "params": {"a": 0.5}} | changes))


def test_forty_qubits_are_a_program():
    """Whether it fits is the backend's to say."""
    assert Program(Circuit(40).h(0)).n_qubits == 40


def test_results_compare_by_value():
    one = ProgramResult(expectations=np.ones((1, 1)), provenance={"seed": 1})
    assert one == ProgramResult(expectations=np.ones((1, 1)), provenance={"seed": 1})
    assert one != ProgramResult(expectations=np.zeros((1, 1)), provenance={"seed": 1})
    assert one != ProgramResult(counts=({"0": 1},), provenance={"seed": 1})
    assert one != 1
