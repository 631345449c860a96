"""Where a circuit is cut: what can be cut is what the gate table says, and the search finds the cheapest way."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from superpose.backends.cutting import GateCut, QubitCut, plan_cuts
from superpose.backends.cutting.rotations import ROTATIONS, zz_rotation
from superpose.circuits import GATES, Circuit, Instruction, Observable, z_all
from superpose.circuits.reference import unitary


@pytest.mark.parametrize("name", ROTATIONS)
def test_a_gate_is_its_rotation(name: str) -> None:
    angles = np.random.default_rng(1).uniform(-3, 3, GATES[name].n_angles)
    for qubits in ((0, 1), (1, 0)):
        call = Instruction(name, qubits, tuple(angles.tolist()))
        found = zz_rotation(call)
        assert found is not None
        ours = Circuit(2).extend(found.before).rzz(found.angle, 0, 1).extend(found.after)
        overlap = np.trace(unitary(Circuit(2).extend([call])).conj().T @ unitary(ours))
        assert abs(overlap) == pytest.approx(4.0, abs=1e-9)


@pytest.mark.parametrize("name", [name for name, row in GATES.items() if row.n_qubits == 2 and name != "swap"])
def test_every_two_qubit_gate_can_be_cut(name: str) -> None:
    circuit = Circuit(2).h(0).h(1).append(name, [0, 1], [0.3 + 0.1 * k for k in range(GATES[name].n_angles)])
    plan = plan_cuts(circuit, [Observable("XX")], 1, reads_by_qubits=False)
    assert plan.fits and plan.n_qubits == 1 and plan.cuts


def test_a_swap_costs_nothing() -> None:
    plan = plan_cuts(Circuit(2).h(0).swap(0, 1).ry(0.3, 1), z_all(2), 1, reads_by_qubits=True)
    assert plan.cuts == () and plan.overhead == 1.0


def test_what_no_observable_sees_is_left_out() -> None:
    circuit = Circuit(6)
    for qubit in range(5):
        circuit.cx(qubit, qubit + 1)
    assert plan_cuts(circuit, [Observable.z(0, 6)], 2, reads_by_qubits=True).cuts == ()
    assert plan_cuts(circuit, [Observable.z(2, 6)], 4, reads_by_qubits=True).cuts == ()
    assert len(plan_cuts(circuit, [Observable.z(5, 6)], 5, reads_by_qubits=False).cuts) == 1


def test_overheads_are_those_of_the_cuts() -> None:
    angle = plan_cuts(Circuit(2).rzz(0.3, 0, 1), [Observable("XX")], 1, reads_by_qubits=False)
    assert angle.overhead == pytest.approx((1 + 2 * math.sin(0.3)) ** 2)
    cx = plan_cuts(Circuit(2).cx(0, 1), [Observable("XX")], 1, reads_by_qubits=False)
    assert cx.overhead == pytest.approx(9.0) and isinstance(cx.cuts[0], GateCut)
    far = Circuit(3)
    for _ in range(3):  # three gates on either side of qubit 1: cheaper between them than at them
        far.ry(0.3, 0).cx(0, 1)
    for _ in range(3):
        far.ry(0.3, 2).cx(1, 2)
    between = plan_cuts(far, [Observable("ZZZ")], 2, reads_by_qubits=False)
    assert between.cuts == (QubitCut(1),) and between.overhead == 16.0


@pytest.mark.parametrize("seed", range(8))
def test_no_other_way_is_cheaper(seed: int) -> None:
    """All ways to cut circuits of four qubits and four gates, against what is found."""
    rng = np.random.default_rng(seed)
    circuit, calls = Circuit(4), []
    for _ in range(4):
        a, b = map(int, rng.choice(4, 2, replace=False))
        calls.append(((a, b), float(rng.uniform(0.1, 1.5))))
        circuit.rzz(calls[-1][1], a, b)
    reads = seed % 2 == 0
    ends = sorted((qubit, place) for place, (pair, _) in enumerate(calls) for qubit in pair)
    best = math.inf
    for labels in itertools.product(range(3), repeat=len(ends)):
        part = dict(zip(ends, labels, strict=True))
        width, cost = [0, 0, 0], 0.0
        for before, now in itertools.pairwise([(-1, -1), *ends]):
            if before[0] != now[0]:
                width[part[now]] += 1
            elif part[before] != part[now]:
                width[part[now]] += 1
                cost += math.log(16)
        for place, ((a, b), angle) in enumerate(calls):
            if part[a, place] != part[b, place]:
                cost += 2 * math.log(1 + 2 * math.sin(angle))
                for qubit in (a, b):
                    width[part[qubit, place]] += reads
        if max(width) <= 3:
            best = min(best, cost)
    found = plan_cuts(circuit, [Observable("XXXX")], 3, reads_by_qubits=reads)
    assert found.fits and math.log(found.overhead) == pytest.approx(best, abs=1e-9)


def test_weak_links_are_found_among_shuffled_qubits() -> None:
    rng = np.random.default_rng(3)
    places = rng.permutation(12).tolist()
    circuit = Circuit(12)
    for _ in range(2):
        for qubit in range(11):
            if qubit != 5:
                circuit.ry(0.3, places[qubit]).cx(places[qubit], places[qubit + 1])
    circuit.rzz(0.2, places[5], places[6])
    for qubit in range(12):
        circuit.ry(0.2, qubit)
    plan = plan_cuts(circuit, z_all(12), 6, reads_by_qubits=False)
    assert plan.fits and plan.overhead == pytest.approx((1 + 2 * math.sin(0.2)) ** 2)
    assert sorted(len(one.qubits) for one in plan.fragments) == [6, 6]
