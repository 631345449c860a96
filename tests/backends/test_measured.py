"""Programs taken apart into measured circuits give, put together again, what the local backend gives."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.backends import LocalBackend
from superpose.backends.measured import MeasuredProgram
from superpose.circuits import Circuit, Observable, Parameter, Program, ProgramResult, feature_map, parameters, z_all
from superpose.errors import ProviderError, UnsupportedProgramError

SHOTS = 20_000
ERROR = 0.06
"""How far a mean of SHOTS signs strays with probability 1e-15 at most (Hoeffding): 0.06 > sqrt(2 ln(2e15) / 20000)."""


def counted(program: Program) -> ProgramResult:
    """The program's circuits, each counted by the local backend on its own."""
    measured = MeasuredProgram(program)
    counts = [
        (LocalBackend().run(Program(circuit, shots=measured.shots, seed=place)).counts or ({},))[0]
        for place, circuit in enumerate(measured.circuits)
    ]
    return measured.result(counts, {"backend": "one by one"})


def test_estimates_of_a_batch_in_several_settings() -> None:
    a = Parameter("a")
    circuit = Circuit(3).ry(a, 0).cx(0, 1).rx(2 * a + 0.1, 2).cx(1, 2)
    observables = [Observable({"ZII": 1.0, "IXI": 0.5, "III": 0.25}), Observable({"XYZ": 1.0}), Observable({}, 3)]
    program = Program(circuit, {"a": [0.3, 1.2]}, observables, shots=SHOTS)
    result = counted(program)
    exact = LocalBackend().run(Program(circuit, {"a": [0.3, 1.2]}, observables)).expectations
    assert result.expectations is not None and exact is not None
    assert np.abs(result.expectations - exact).max() < 2 * ERROR
    assert result.expectations[:, 2].tolist() == [0.0, 0.0]
    assert len(result.provenance["measured_bases"]) == MeasuredProgram(program).n_settings


def test_feature_maps_reach_the_circuits() -> None:
    x = parameters("x", 3)
    mapped = Circuit(2).ry(x[0], 0).ry(x[1], 1).cx(0, 1).rx(x[2], 1)
    parts = {"feature_map": feature_map("products", 2), "inputs": np.array([[0.3, 0.4], [1, -1]]), "input_names": x}
    exact = LocalBackend().run(Program(mapped, {}, z_all(2), **parts)).expectations
    found = counted(Program(mapped, {}, z_all(2), shots=SHOTS, **parts)).expectations
    assert exact is not None and found is not None and np.abs(found - exact).max() < ERROR


def test_observables_of_a_circuit_with_bits_of_its_own() -> None:
    circuit = Circuit(2, n_bits=1).ry(0.7, 0).measure(0, 0).if_(0, 1, Circuit(2).x(1))
    observables = (Observable("ZI"), Observable("IZ"), Observable("ZZ"))
    exact = LocalBackend().run(Program(circuit, {}, observables)).expectations
    found = counted(Program(circuit, {}, observables, shots=SHOTS)).expectations
    assert exact is not None and found is not None and np.abs(found - exact).max() < ERROR


def test_counts_are_over_bits_or_all_qubits() -> None:
    assert counted(Program(Circuit(3).x(1), shots=5)).counts == ({"010": 5},)
    assert counted(Program(Circuit(3, n_bits=2).x(1).measure(1, 0), shots=5)).counts == ({"10": 5},)


def test_wide_circuits_have_no_index_to_overflow() -> None:
    program = Program(Circuit(100).x(99), {}, [Observable.z(99, 100)], shots=3)
    measured = MeasuredProgram(program)
    assert measured.n_shots == 3
    found = measured.result([{"0" * 99 + "1": 3}], {}).expectations
    assert found is not None and found.tolist() == [[-1.0]]


@pytest.mark.parametrize(
    ("counts", "what"),
    [
        ([], "counts of 0 circuits"),
        ([{"00": 9}], "9 counts"),
        ([{"0": 10}], "not over its 2 bits"),
        ([{"0x": 10}], "not over its 2 bits"),
        ([{"00": 11, "11": -1}], "10 counts"),
    ],
)
def test_counts_that_cannot_be_are_refused(counts: list[dict[str, int]], what: str) -> None:
    with pytest.raises(ProviderError, match=what) as refused:
        MeasuredProgram(Program(Circuit(2).h(0), shots=10)).result(counts, {"backend": "liar"})
    assert refused.value.provider == "liar" and refused.value.retryable


def test_what_cannot_be_measured_is_refused() -> None:
    for program in (Program(Circuit(1).h(0)), Program(Circuit(1).h(0), shots=5, initial_state=[0, 1])):
        with pytest.raises(UnsupportedProgramError, match="give shots"):
            MeasuredProgram(program)
