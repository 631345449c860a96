"""Parametric compilation: one compile per structure, any number of runs."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import superpose
from superpose.backends import LocalBackend, LocalExecutable
from superpose.circuits import (
    Circuit,
    CompilingBackend,
    Executable,
    Observable,
    Parameter,
    Program,
    ProgramExecutable,
    Template,
    result_from_json,
    result_to_json,
    z_all,
)
from superpose.engine import compile_count, warm
from superpose.errors import ObservableError, ParameterUnboundError, ProgramError, ShapeError, UnsupportedProgramError


def ansatz(n_qubits=3, salt=0.0):
    """RY of ``x`` and weights, entangled; ``salt`` makes the structure one of its own."""
    circuit = Circuit(n_qubits)
    for q in range(n_qubits):
        circuit.ry(Parameter("x"), q).rz(Parameter(f"w{q}") * 2 + salt, q).ry(Parameter(f"v{q}"), q)
        circuit.cx(q, (q + 1) % n_qubits)
    return circuit


class Plain:
    """A backend that does not compile."""

    name = "plain"

    def capabilities(self):
        return LocalBackend().capabilities()

    def run(self, program):
        return LocalBackend().run(program)


def test_a_thousand_steps_compile_once():
    circuit, rng = ansatz(salt=0.123), np.random.default_rng(0)
    before = compile_count()
    executable = superpose.compile(circuit, observables=z_all(3))
    assert compile_count() == before + 1
    params, energies = rng.normal(size=circuit.n_params), []
    for _ in range(1000):
        values, _, grad = executable.value_and_grad(params)
        params -= 0.05 * grad
        energies.append(values.sum())
    assert executable.n_runs == 1000
    assert compile_count() == before + 1
    assert energies[-1] < energies[0] - 0.5
    again = superpose.compile(ansatz(salt=0.123), observables=z_all(3))
    assert again.n_runs == 0
    assert compile_count() == before + 1
    for step in range(3):
        superpose.run(circuit, params + step, observables=z_all(3))
    assert compile_count() == before + 1


def test_a_thousand_runs_of_sampled_and_batched_programs_compile_once():
    circuit = ansatz(salt=0.5)
    before = compile_count()
    sampled = superpose.compile(circuit, inputs=["x"])
    for step in range(500):
        sampled.run({"x": [0.1, step], **dict.fromkeys(sampled.template.weight_names, 0.3)}, shots=3, seed=step)
    assert sampled.n_runs == 500
    assert compile_count() == before + 1
    estimated = superpose.compile(circuit, observables=Observable({"XXI": 1.0, "IZZ": 0.5}))
    for step in range(500):
        estimated.run(np.full(circuit.n_params, step), shots=3, seed=step)
    assert compile_count() == before + 4  # as it is, and in the two settings that it is measured in


@pytest.mark.parametrize("backend", ["local", Plain()], ids=["local", "plain"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_runs_are_those_of_programs(backend, dtype):
    circuit, rng = ansatz(), np.random.default_rng(1)
    columns = rng.normal(size=(4, circuit.n_params))
    place = circuit.parameters.index("x")
    columns[1:, :place], columns[1:, place + 1 :] = columns[0, :place], columns[0, place + 1 :]
    named = {name: columns[0, k] for k, name in enumerate(circuit.parameters)} | {"x": columns[:, place]}
    for observables, shots in (((), None), ((), 20), (z_all(3), None), ((Observable("XYZ"), *z_all(3)), 20)):
        executable = superpose.compile(circuit, observables=observables, inputs=["x"], dtype=dtype, backend=backend)
        assert isinstance(executable, Executable)
        assert isinstance(executable, LocalExecutable if backend == "local" else ProgramExecutable)
        want = LocalBackend().run(Program(circuit, named, observables, shots=shots, seed=5, dtype=dtype))
        for params in (named, {Parameter(name): value for name, value in named.items()}, columns):
            got = executable.run(params, shots=shots, seed=5)
            assert got.counts == want.counts
            for found, wanted in ((got.expectations, want.expectations), (got.state_vectors, want.state_vectors)):
                assert (found is None) == (wanted is None)
                assert found is None or np.array_equal(found, wanted)
        assert executable.n_runs == 3


def test_gradients_are_exact():
    circuit, executable = ansatz(), superpose.compile(ansatz(), observables=z_all(3), inputs=["x"])
    rng = np.random.default_rng(2)
    weights = dict(zip(executable.template.weight_names, rng.normal(size=6), strict=True))
    values, inputs, grad = executable.value_and_grad({"x": [0.3, -1.0], **weights}, np.array([[1, 2, 3], [0, 1, 0]]))
    assert values.shape == (2, 3)
    assert inputs.shape == (2, 1)

    def loss(x=(0.3, -1.0), **changed):
        found = superpose.run(circuit, {"x": np.array(x), **weights, **changed}, observables=z_all(3)).expectations
        return float((found * [[1, 2, 3], [0, 1, 0]]).sum())

    for name, got in zip(executable.template.weight_names, grad, strict=True):
        near = [loss(**{name: weights[name] + step}) for step in (1e-5, -1e-5)]
        assert got == pytest.approx((near[0] - near[1]) / 2e-5, abs=1e-8)
    assert inputs[1, 0] == pytest.approx((loss((0.3, -1.0 + 1e-5)) - loss((0.3, -1.0 - 1e-5))) / 2e-5, abs=1e-8)


def test_initial_states_and_measurements():
    flip = superpose.compile(Circuit(2).x(0))
    state = np.eye(4)[[1, 2]]
    assert np.array_equal(flip.run(initial_state=state).state_vectors, np.eye(4)[[3, 0]])
    assert flip.run(initial_state=state[0], shots=3).counts == ({"11": 3},)
    measured = superpose.compile(Circuit(2, n_bits=1).x(1).measure(1, 0))
    assert measured.run(shots=5).counts == ({"1": 5},)


def test_provenance_says_what_ran():
    executable = superpose.compile(ansatz(), observables=z_all(3))
    result = executable.run(np.zeros(7), shots=10)
    stated = dict(result.provenance)
    assert stated["template_digest"] == executable.template.digest == Template(ansatz(), z_all(3)).digest
    assert json.loads(json.dumps(stated)) == stated
    assert result_from_json(result_to_json(result)) == result
    again = executable.run(np.zeros(7), shots=10, seed=stated["seed"])
    assert np.array_equal(again.expectations, result.expectations)


def test_templates_tell_structures_apart():
    base = Template(ansatz(), z_all(3), ["x"])
    assert base == Template(ansatz(), list(z_all(3)), [Parameter("x")])
    assert hash(base) == hash(Template(ansatz(), z_all(3), ["x"]))
    others = [
        Template(ansatz(salt=1.0), z_all(3), ["x"]),
        Template(ansatz(), z_all(3)[:2], ["x"]),
        Template(ansatz(), z_all(3)),
        Template(ansatz(), z_all(3), ["x"], "float32"),
    ]
    assert len({base.digest, *(other.digest for other in others)}) == 5
    assert all(base != other for other in others)


@pytest.mark.parametrize(
    ("params", "error", "said"),
    [
        ([1.0], ParameterUnboundError, "needs 7 parameters"),
        (None, ParameterUnboundError, "needs 7 parameters"),
        ({"x": 1.0}, ParameterUnboundError, "have no value"),
        ({**dict.fromkeys(ansatz().parameters, 0.1), "y": 1.0}, ParameterUnboundError, "no parameters y"),
        (np.arange(14.0).reshape(2, 7), ShapeError, "one value per run"),
        ({name: [0.1, 0.2] for name in ansatz().parameters}, ShapeError, "Weights are numbers"),
        (dict.fromkeys(ansatz().parameters, "a"), ShapeError, "Weights are numbers"),
        (np.full(7, np.nan), ShapeError, "must be finite"),
    ],
)
def test_values_that_do_not_fit(params, error, said):
    executable = superpose.compile(ansatz(), observables=z_all(3), inputs=["x"])
    with pytest.raises(error, match=said):
        executable.run(params)
    assert executable.n_runs == 0


def test_what_cannot_be_compiled():
    with pytest.raises(ParameterUnboundError, match="distinct parameters"):
        superpose.compile(ansatz(), inputs=["nothing"])
    with pytest.raises(ObservableError):
        superpose.compile(ansatz(), observables=z_all(2))
    with pytest.raises(ProgramError, match="dtype"):
        superpose.compile(ansatz(), dtype="float16")
    with pytest.raises(ProgramError, match="use load for files"):
        superpose.compile("circuit.qasm")
    with pytest.raises(UnsupportedProgramError, match="at most 10,000,000 shots"):
        superpose.compile(Circuit(1).h(0)).run(shots=10**8)
    assert isinstance(LocalBackend(), CompilingBackend)
    assert not isinstance(Plain(), CompilingBackend)


def test_threads_share_an_executable():
    executable = superpose.compile(ansatz(), observables=z_all(3))
    want = executable.run(np.full(7, 0.3)).expectations
    wrong = []

    def call():
        for _ in range(50):
            if not np.array_equal(executable.run(np.full(7, 0.3)).expectations, want):
                wrong.append(1)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert executable.n_runs == 201


def test_a_run_with_new_values_costs_less_than_the_goal():
    executable = superpose.compile(ansatz(4), observables=z_all(4))
    params, times = np.zeros(executable.template.circuit.n_params), []
    for _ in range(300):
        params += 0.01
        begin = time.thread_time()
        executable.run(params)
        times.append(time.thread_time() - begin)
    assert min(times[10:]) < 0.4e-3


def test_a_plain_run_enters_only_the_rooms_it_needs():
    code = """
import sys
import superpose
from superpose import Circuit, Observable
superpose.run(Circuit(2).h(0).cx(0, 1), observables=Observable("XX"))
heavy = ("numba", "torch", "superpose.engine.dynamic", "superpose.engine.gradients", "superpose.circuits.qasm",
         "superpose.circuits.documents", "superpose.backends.timing")
print([name for name in heavy if name in sys.modules])
"""
    warm(dtypes=("float64",))
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
