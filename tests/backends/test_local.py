"""The local backend: the published suite, and what is its own."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from superpose.backends import LocalBackend
from superpose.circuits import Circuit, Observable, Parameter, Program, ProgramResult, z_all
from superpose.circuits.reference import expectation, state_vector
from superpose.engine import get_threads, set_threads
from superpose.errors import StateTooLargeError, UnsupportedProgramError
from superpose.testing.backends import BACKEND_CONTRACTS, check_backend
from superpose.testing.contracts import Trial
from superpose.testing.strategies import programs

x = Parameter("x")


@pytest.mark.parametrize("contract", BACKEND_CONTRACTS, ids=lambda contract: contract.name)
def test_published_contract(contract):
    if contract.offered is None or contract.offered(LocalBackend()):
        contract.check(LocalBackend(), Trial())


def test_all_contracts_together(conforms):
    conforms(LocalBackend())


class Wrong(LocalBackend):
    """A backend that changes its answers."""

    def __init__(self, change):
        self.change = change

    def run(self, program):
        return self.change(super().run(program))


def reversed_bits(result):
    counts = result.counts and tuple({bits[::-1]: n for bits, n in entry.items()} for entry in result.counts)
    return replace(result, counts=counts)


@pytest.mark.parametrize(
    "change",
    [
        lambda result: replace(
            result, expectations=None if result.expectations is None else result.expectations + 1e-6
        ),
        lambda result: replace(result, expectations=None if result.expectations is None else -result.expectations),
        lambda result: replace(result, provenance={}),
        lambda result: replace(result, counts=result.counts or ({},)),
        lambda result: ProgramResult(),
        reversed_bits,
    ],
)
def test_the_suite_notices_a_wrong_backend(change):
    with pytest.raises(AssertionError, match="does not keep its contract"):
        check_backend(Wrong(change))


def size(angle, params):
    """The sum of what the angle is made of."""
    return abs(angle.constant) + sum(abs(k * params[name]) for name, k in angle.terms)


@settings(deadline=None, max_examples=60)
@given(programs())
def test_any_program_agrees_with_the_reference(program):
    result = LocalBackend().run(replace(program, shots=None))
    tolerance = 1e-9 if program.dtype == "float64" else 1e-3
    names = program.circuit.parameters
    for entry, row in enumerate(program.param_matrix()):
        params = dict(zip(names, row.tolist(), strict=True))
        if max((size(a, params) for i in program.circuit.instructions for a in i.angles), default=0) > 1e3:
            continue  # the sine of a large angle is rounding, and so is a small difference of large ones
        state = program.initial_state
        state = state[entry % len(state)] if state is not None and state.ndim == 2 else state
        if program.observables:
            wanted = [expectation(program.circuit, o, params, state) for o in program.observables]
            scale = 1 + max(sum(abs(k) for _, k in o.terms) for o in program.observables)
            np.testing.assert_allclose(result.expectations[entry], wanted, atol=tolerance * scale)
        else:
            wanted = state_vector(program.circuit, params, state)
            np.testing.assert_allclose(result.state_vectors[entry], wanted, atol=tolerance)


@pytest.mark.parametrize("n_qubits", [40, 200, 5000])
@pytest.mark.parametrize("question", [{}, {"shots": 10}, {"observables": True}, {"observables": True, "shots": 10}])
def test_too_many_qubits_are_refused_at_once(n_qubits, question):
    observables = [Observable.z(0, n_qubits)] if question.get("observables") else ()
    program = Program(Circuit(n_qubits).h(0), {}, observables, shots=question.get("shots"))
    started = time.thread_time()
    with pytest.raises(StateTooLargeError, match="memory") as caught:
        LocalBackend().run(program)
    assert time.thread_time() - started < 1
    assert caught.value.code == "engine.state_too_large"
    assert caught.value.details["needed_bytes"] > caught.value.details["available_bytes"] > 0
    assert caught.value.details["n_qubits"] == n_qubits


def test_too_large_a_batch_is_refused():
    program = Program(Circuit(24).rx(x, 0), {"x": np.zeros(100_000)})
    with pytest.raises(StateTooLargeError, match="100000 batch entries"):
        LocalBackend().admit(program)


def test_too_many_shots_are_refused():
    with pytest.raises(UnsupportedProgramError, match="10,000,000 shots"):
        LocalBackend().run(Program(Circuit(1).h(0), shots=10_000_001))


def test_admission_of_what_runs():
    LocalBackend().admit(Program(Circuit(10).h(0), {}, z_all(10)))


def test_capabilities_are_those_of_this_machine():
    capabilities = LocalBackend().capabilities()
    assert 10 < capabilities.max_qubits < 60
    assert capabilities.exact and capabilities.state_vectors and capabilities.initial_state


def test_results_do_not_depend_on_threads():
    rng = np.random.default_rng(0)
    circuit = Circuit(8)
    for qubit in range(8):
        circuit.ry(x * (qubit + 1), qubit).cx(qubit, (qubit + 1) % 8)
    questions = [{"observables": z_all(8)}, {"observables": [Observable("XYZIXYZI")], "shots": 50}, {"shots": 50}, {}]
    made = [Program(circuit, {"x": rng.normal(size=100)}, seed=3, **question) for question in questions]
    before, results = get_threads(), []
    try:
        for threads in (1, 2):
            set_threads(threads)
            results.append([LocalBackend().run(program) for program in made])
    finally:
        set_threads(before)
    for one, two in zip(*results, strict=True):
        assert replace(one, provenance={}) == replace(two, provenance={})


def test_batches_are_sampled_in_pieces_with_seeds_of_their_own():
    """More entries than one piece holds; equal entries must not get equal samples."""
    program = Program(Circuit(16).h(0).rx(x, 1), {"x": np.zeros(40)}, shots=64, seed=1)
    counts = LocalBackend().run(program).counts
    assert len(counts) == 40
    assert all(sum(entry.values()) == 64 for entry in counts)
    assert len({tuple(sorted(entry.items())) for entry in counts}) > 5
    assert counts[:16] != counts[16:32]


def test_terms_that_commute_are_measured_together():
    observables = [Observable({"ZZI": 1, "IZZ": 1, "III": 1}), Observable({"XXI": 1, "IIX": 1}), Observable("ZZI")]
    result = LocalBackend().run(Program(Circuit(3).h(0), {}, observables, shots=100, seed=0))
    assert sorted(result.provenance["measured_bases"]) == ["XXX", "ZZZ"]
    assert result.expectations[0, 0] == pytest.approx(1 + 1 + result.expectations[0, 2])


def test_a_seed_is_drawn_and_told():
    program = Program(Circuit(1).h(0), shots=50)
    seeds = {LocalBackend().run(program).provenance["seed"] for _ in range(5)}
    assert len(seeds) == 5
    assert LocalBackend().run(Program(Circuit(1).h(0))).provenance["seed"] is None


def test_wide_observables_of_sampled_estimates():
    """Parity of many qubits: a GHZ state has XX...X = 1 in every shot."""
    n = 12
    circuit = Circuit(n).h(0)
    for qubit in range(n - 1):
        circuit.cx(qubit, qubit + 1)
    result = LocalBackend().run(Program(circuit, {}, [Observable("X" * n), Observable("Z" * n)], shots=20, seed=0))
    np.testing.assert_array_equal(result.expectations, [[1.0, 1.0]])


def test_a_matrix_and_a_projector_are_estimated_from_few_settings():
    """Five standard errors of each mean: failure probability below 1e-5 for all six together."""
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))
    observables = [Observable.hermitian(matrix + matrix.conj().T, [2, 0], 3), Observable.projector("0-1", "111")]
    circuit = Circuit(3).ry(x, 0).cx(0, 1).rx(0.4, 2).cz(1, 2).ry(-0.3, 0)
    result = LocalBackend().run(Program(circuit, {"x": [0.1, 0.9, 2.0]}, observables, shots=100_000, seed=5))
    assert len(result.provenance["measured_bases"]) == 9
    exact = LocalBackend().run(Program(circuit, {"x": [0.1, 0.9, 2.0]}, observables)).expectations
    spread = [sum(k * k for pauli, k in o.terms if set(pauli) != {"I"}) ** 0.5 * 3 for o in observables]
    assert (np.abs(result.expectations - exact) < 5 * np.array(spread) / 100_000**0.5).all()
