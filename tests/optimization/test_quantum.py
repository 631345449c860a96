"""QAOA and VQE: known values, mixers that keep their promise, all optimisers."""

from __future__ import annotations

import numpy as np
import pytest

import superpose
from superpose.errors import ProblemTooLargeError
from superpose.optimization import Ising, LinearConstraint, MaxCut, Pairs, QuadraticProblem, Qubo, SolveOptions, solve
from superpose.optimization.budgets import Budget
from superpose.optimization.examples import example
from superpose.optimization.quantum import QaoaSampler, VqeSampler, qaoa_circuit, vqe_circuit
from superpose.optimization.quantum.relaxation import relaxed_solution
from superpose.optimization.quantum.variational import interpolated, ramp
from superpose.optimization.samplers import Drawn, Sampler, Setting

EDGE = Ising(np.zeros(2), Pairs([0], [1], [1.0], 2))
BOUND_MS = 1000.0


def drawn(sampler: Sampler, problem: QuadraticProblem) -> Drawn:
    setting = Setting(None, 16, Budget(BOUND_MS), 1)
    return sampler.draw(sampler.form(problem, setting), setting)


@pytest.mark.parametrize(("beta", "gamma"), [(0.3, 0.2), (-0.7, 1.1), (0.0, 0.4)])
def test_one_layer_on_one_edge_has_the_published_expectation(beta: float, gamma: float) -> None:
    circuit = qaoa_circuit(EDGE, 1)
    found = superpose.run(circuit, {"beta0": beta, "gamma0": gamma}, observables=EDGE.observable()).expectations
    assert found is not None
    assert found[0, 0] == pytest.approx(np.sin(4 * beta) * np.sin(2 * gamma), abs=1e-12)


def test_one_layer_cuts_a_ring_by_three_quarters() -> None:
    """Farhi, Goldstone and Gutmann: p = 1 on a ring reaches 3/4 of the edges."""
    ring = MaxCut(8, [[k, (k + 1) % 8] for k in range(8)])
    sampler = QaoaSampler(SolveOptions(layers=1, shots=20_000))
    found = drawn(sampler, ring.problem)
    cuts = [ring.value(bits) for bits in found.bits]
    assert float(found.counts @ cuts) / 20_000 == pytest.approx(6.0, abs=0.06)  # six standard errors


def test_w_states_and_the_xy_mixer_stay_one_hot() -> None:
    groups = [np.array([0, 2, 3]), np.array([1, 4])]
    ising = Qubo.of_matrix(np.random.default_rng(3).normal(size=(6, 6))).ising()
    circuit = qaoa_circuit(ising, 2, groups=groups)
    start = superpose.run(circuit, np.zeros(4)).state_vectors
    moved = superpose.run(circuit, np.array([0.4, -0.8, 0.9, -0.3])).state_vectors
    assert start is not None
    assert moved is not None
    bits = np.arange(64)[:, None] >> np.arange(5, -1, -1)[None] & 1
    one_hot = np.all([bits[:, group].sum(axis=1) == 1 for group in groups], axis=0)
    assert np.allclose(np.abs(start[0][one_hot]) ** 2, 1 / 12)
    assert np.sum(np.abs(moved[0][~one_hot]) ** 2) < 1e-12
    assert np.abs(moved[0][one_hot]).std() > 0.01


def test_a_warm_start_is_its_mixers_own_state() -> None:
    relaxed = np.array([0.25, 0.7])
    circuit = qaoa_circuit(Ising(np.zeros(2), EDGE.couplings), 1, relaxed=relaxed)
    for beta in (0.0, 0.9):
        state = superpose.run(circuit, {"beta0": beta, "gamma0": 0.0}).state_vectors
        assert state is not None
        chances = np.abs(state[0].reshape(2, 2)) ** 2
        assert chances.sum(axis=1)[1] == pytest.approx(0.25)
        assert chances.sum(axis=0)[1] == pytest.approx(0.7)


def test_the_relaxation_leans_towards_the_optimum_and_stays_off_the_walls() -> None:
    found = relaxed_solution(Qubo.of_matrix([[-2.0, 0.5, 0.0], [0.0, 3.0, -1.0], [0.0, 0.0, 0.1]]))
    assert found[0] == 0.75
    assert found[1] == 0.25
    assert np.all((found >= 0.25) & (found <= 0.75))


def test_angles_are_ramped_and_interpolated() -> None:
    assert ramp(2).tolist() == [0.1875, -0.5625, 0.5625, -0.1875]
    assert interpolated(np.array([0.4, -0.2])).tolist() == [0.4, -0.2, 0.4, -0.2]
    assert interpolated(np.array([0.2, -0.6, 0.4, -0.2])) == pytest.approx([0.2, -0.6, 0.3, -0.4, 0.4, -0.2])


@pytest.mark.parametrize(
    "options",
    [
        {"mixer": "x"},
        {"mixer": "warm"},
        {"start": "interp", "layers": 3},
        {"cvar": 0.2, "shots": 300, "max_evaluations": 25},
        {"cvar": 1.0, "shots": 300, "max_evaluations": 25},
    ],
)
def test_qaoa_is_better_than_its_start_and_finds_petersens_cut(options: dict[str, object]) -> None:
    model = example("maxcut")
    found = drawn(QaoaSampler(SolveOptions(**options)), model.problem)  # type: ignore[arg-type]
    values = model.problem.objective(found.bits)
    assert values.max() == 12
    assert float(found.counts @ values) / found.counts.sum() > 8.5  # coins cut 7.5
    assert 1 < found.facts["n_evaluations"] <= 3 * 60
    assert int(found.counts.sum()) == SolveOptions(**options).shots  # type: ignore[arg-type]


def test_the_same_seed_draws_the_same() -> None:
    first, second = (drawn(QaoaSampler(SolveOptions(layers=1)), example("maxcut").problem) for _ in range(2))
    assert np.array_equal(first.bits, second.bits)
    assert np.array_equal(first.counts, second.counts)


def test_vqe_finds_petersens_cut() -> None:
    model = example("maxcut")
    found = drawn(VqeSampler(SolveOptions(layers=2, max_evaluations=150)), model.problem)
    assert model.problem.objective(found.bits).max() >= 11
    assert vqe_circuit(3, 2).n_params == 9


def test_fewer_evaluations_than_parameters_are_kept_to_without_a_warning() -> None:
    answer = solve(example("maxcut"), "vqe", layers=2, cvar=0.5, max_evaluations=9, shots=50, compare=False)
    assert (len(answer.rows[0].facts["params"]), answer.rows[0].facts["n_evaluations"]) == (30, 9)


def test_qaoa_keeps_one_hot_constraints_without_penalty() -> None:
    rows = [
        LinearConstraint("first", [0, 1, 2], 1, "==", 1),
        LinearConstraint("second", [3, 4], 1, "==", 1),
        LinearConstraint("not these", [0, 3], 1, "<=", 1),
    ]
    problem = QuadraticProblem([-3.0, -1.0, 0.0, -2.0, 0.0], constraints=rows)
    sampler = QaoaSampler(SolveOptions())
    form = sampler.form(problem, Setting(None, 16, Budget(BOUND_MS), 1))
    assert [term.constraint for term in form.terms] == ["not these"]
    found = drawn(sampler, problem)
    assert np.all(found.bits[:, :3].sum(axis=1) == 1)
    assert np.all(found.bits[:, 3:].sum(axis=1) == 1)
    feasible = found.bits[problem.is_feasible(found.bits)]
    assert problem.objective(feasible).min() == -3.0


def test_a_constant_cost_and_one_variable_are_no_trouble() -> None:
    assert len(drawn(QaoaSampler(SolveOptions()), QuadraticProblem([0.0, 0.0])).bits) == 4
    assert drawn(QaoaSampler(SolveOptions()), QuadraticProblem([-1.0])).bits.max() == 1


def test_circuits_beyond_the_limit_are_refused() -> None:
    with pytest.raises(ProblemTooLargeError, match="needs 10 qubits"):
        drawn(QaoaSampler(SolveOptions(max_qubits=8)), example("maxcut").problem)


@pytest.mark.slow  # loads PennyLane
def test_another_backend_by_its_name_gives_shots() -> None:
    pytest.importorskip("pennylane", reason="the backend is PennyLane's simulator")
    triangle = MaxCut(3, [[0, 1], [1, 2], [0, 2]])
    options = SolveOptions(layers=1, backend="pennylane:default.qubit", shots=200, max_evaluations=8)
    found = drawn(QaoaSampler(options), triangle.problem)
    assert triangle.problem.objective(found.bits).max() == 2
    assert found.facts["backend"] == "pennylane:default.qubit"
