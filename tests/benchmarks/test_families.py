"""The circuit families: the judge against reference and finite differences; every way to compute them, judged."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rivals.circuit import Case, chain_signs, make_task, zz_signs
from rivals.exact import disagreement, exact_step
from rivals.families import FAMILIES, blocks, gates, weights_shape
from rivals.protocol import Candidate
from superpose.circuits import Circuit, reference, z_all

CASES = [Case(4, 3, 2, family, seed) for family in FAMILIES for seed in ((1, 5) if family == "varied" else (0,))]
CASES += [Case(2, 1, 1, family) for family in FAMILIES]


def _bound_circuit(case: Case, inputs: np.ndarray, weights: np.ndarray) -> Circuit:
    circuit, flat = Circuit(case.n_qubits), weights.ravel()
    for gate in gates(case):
        angle = inputs[gate.index] if gate.source == "input" else flat[gate.index]
        circuit.append(gate.name, list(gate.qubits), [float(angle)] if gate.source else [])
    return circuit


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_judge_agrees_with_the_reference_of_the_circuits_room(case: Case) -> None:
    task = make_task(case, 1)
    expectations = exact_step(replace(task, gradients=False))[0]
    for sample in range(case.batch):
        circuit = _bound_circuit(case, task.inputs[sample], task.weights)
        want = [reference.expectation(circuit, z) for z in z_all(case.n_qubits)]
        np.testing.assert_allclose(expectations[sample], want, atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_judges_gradients_are_finite_differences(family: str) -> None:
    task = make_task(Case(3, 2, 2, family), 1)
    _, grad_inputs, grad_weights = exact_step(task)
    wide = replace(task, inputs=task.inputs.astype(np.float64), weights=task.weights.astype(np.float64))
    for name, gradient in (("inputs", grad_inputs), ("weights", grad_weights)):
        numbers = getattr(wide, name)
        assert gradient.shape == numbers.shape
        for index in np.ndindex(*gradient.shape):
            losses = []
            for shift in (1e-5, -1e-5):
                moved = numbers.copy()
                moved[index] += shift
                losses.append(float((exact_step(replace(wide, **{name: moved}))[0] * task.upstream).sum()))
            assert gradient[index] == pytest.approx((losses[0] - losses[1]) / 2e-5, abs=1e-6)


def _run(candidate: Candidate, gradients: bool) -> tuple[np.ndarray, ...]:
    step = candidate.build()
    arrays = step.arrays(step.run())
    assert len(arrays) == (3 if gradients else 1)
    return tuple(np.asarray(array, np.float64) for array in arrays)


@pytest.mark.parametrize("gradients", [True, False], ids=["step", "forward"])
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("module", ["superpose_engine", "superpose_layer", "torch_by_hand"])
def test_every_way_to_compute_a_family_gives_the_exact_numbers(module: str, case: Case, gradients: bool) -> None:
    task = make_task(case, 2, gradients=gradients)
    exact = exact_step(task)
    candidates = importlib.import_module(f"rivals.{module}").candidates(task)
    assert len({candidate.variant for candidate in candidates}) == len(candidates)
    for candidate in candidates:
        assert disagreement(_run(candidate, gradients), exact, candidate.precision) is None, candidate.variant


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("module", ["pennylane_torch", "qulacs_backprop"])
def test_rivals_of_the_test_environment_give_the_exact_numbers(module: str, case: Case) -> None:
    pytest.importorskip("pennylane" if module == "pennylane_torch" else "qulacs")
    task = make_task(case, 1)
    for candidate in importlib.import_module(f"rivals.{module}").candidates(task):
        assert disagreement(_run(candidate, True), exact_step(task), candidate.precision) is None, candidate.variant


def test_weights_and_gates_fit_together() -> None:
    for case in CASES:
        count = int(np.prod(weights_shape(case)))
        used = [gate.index for gate in gates(case) if gate.source == "weight"]
        assert sorted(used) == list(range(count))
        inputs = [gate.index for gate in gates(case) if gate.source == "input"]
        assert set(inputs) == set(range(case.n_qubits))


def test_seeds_vary_the_structure_and_nothing_else() -> None:
    structures = {tuple(blocks(Case(6, 4, 1, "varied", seed))) for seed in range(20)}
    assert len(structures) > 15
    assert blocks(Case(6, 4, 1, "varied", 3)) == blocks(Case(6, 4, 7, "varied", 3))


def test_a_case_names_its_family() -> None:
    assert Case.parse("iqp:8x4x64") == Case(8, 4, 64, "iqp")
    assert Case.parse("strongly_entangling:8x4x64") == Case.parse("8x4x64")
    for text in ("8x4x64", "hardware_efficient:2x1x1", "varied@7:8x4x64"):
        assert str(Case.parse(text)) == text


def test_diagonals_of_a_chain() -> None:
    assert chain_signs(3).tolist() == [1, 1, 1, -1, 1, 1, -1, 1]
    assert zz_signs(2).tolist() == [[1], [-1], [-1], [1]]


def test_a_first_result_comes_from_a_process_of_its_own() -> None:
    script = Path(__file__).resolve().parents[2] / "benchmarks" / "rivals" / "first_result.py"
    command = [sys.executable, "-P", str(script), "superpose_engine", "iqp:3x1x2", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    milliseconds, value = (json.loads(word) for word in done.stdout.split())
    assert milliseconds > 0
    assert value == pytest.approx(float(exact_step(make_task(Case(3, 1, 2, "iqp"), 1))[0][0, 0]), abs=1e-5)
