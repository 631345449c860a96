"""Mitigated expectations are nearer to those without noise at equal shots, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

import superpose
from superpose.backends import LocalBackend
from superpose.backends.mitigation import (
    EXTRAPOLATIONS,
    CliffordDataRegression,
    PauliTwirling,
    ZeroNoiseExtrapolation,
    extrapolate,
    fold,
    twirled,
)
from superpose.backends.mitigation.provider import CliffordDataProvider, TwirlingProvider, ZeroNoiseProvider
from superpose.circuits import (
    GATES,
    Backend,
    Capabilities,
    Circuit,
    Instruction,
    NoiseModel,
    Observable,
    Operation,
    Parameter,
    Program,
    ProgramResult,
    Provider,
    z_all,
)
from superpose.circuits.reference import state_vector
from superpose.errors import BackendUnknownError, UnsupportedProgramError


class Noisy:
    """The engine with a processor's noise: depolarising, and every CX turned too far by 0.08 rad about ZX."""

    name = "noisy"

    def __init__(self, depolarizing: float = 0.004, overturn: float = 0.0) -> None:
        self._noise = NoiseModel(
            one_qubit=[("depolarizing", (depolarizing / 4,))], two_qubit=[("depolarizing2", (2 * depolarizing,))]
        )
        self._overturn = overturn
        self.programs: list[Program] = []

    def capabilities(self) -> Capabilities:
        return LocalBackend().capabilities()

    def run(self, program: Program) -> ProgramResult:
        self.programs.append(program)
        circuit = Circuit(program.n_qubits, n_bits=program.circuit.n_bits)
        for item in program.circuit.instructions:
            circuit.extend([item])
            if self._overturn and isinstance(item, Instruction) and item.gate == "cx":
                control, target = item.qubits
                circuit.h(target).rzz(self._overturn, control, target).h(target)
        noisy = Program(
            self._noise.apply(circuit), program.params, program.observables, shots=program.shots, seed=program.seed
        )
        return LocalBackend().run(noisy)


def random_circuit(seed: int, n_qubits: int = 4, depth: int = 6) -> Circuit:
    rng = np.random.default_rng(seed)
    circuit = Circuit(n_qubits)
    for _ in range(depth):
        for qubit in range(n_qubits):
            circuit.ry(float(rng.uniform(-1, 1)), qubit).rz(float(rng.uniform(-1, 1)), qubit)
        for qubit in range(0, n_qubits - 1):
            circuit.cx(qubit, qubit + 1)
    return circuit


def error(backend: Backend, programs: list[Program]) -> float:
    """Mean error of the expectations."""
    out = []
    for program in programs:
        exact = LocalBackend().run(Program(program.circuit, program.params, program.observables)).expectations
        found = backend.run(program).expectations
        assert found is not None and exact is not None and found.shape == exact.shape
        out.append(np.abs(found - exact).mean())
    return float(np.mean(out))


PROGRAMS = [Program(random_circuit(seed), {}, z_all(4), shots=40_000, seed=seed) for seed in range(6)]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda backend: ZeroNoiseExtrapolation(backend),
        lambda backend: ZeroNoiseExtrapolation(backend, (1, 3), "linear"),
        lambda backend: CliffordDataRegression(backend, 8),
    ],
    ids=["exponential", "linear", "clifford data"],
)
def test_the_error_at_least_halves_at_equal_shots(wrap: Callable[[Backend], Backend]) -> None:
    """Seeds are given, so the figures are the same each time."""
    noisy = Noisy()
    without = error(noisy, PROGRAMS)
    noisy.programs.clear()
    mitigated = wrap(noisy)
    assert error(mitigated, PROGRAMS) < without / 2
    assert sum(program.shots or 0 for program in noisy.programs) <= sum(program.shots or 0 for program in PROGRAMS)
    assert mitigated.n_shots(PROGRAMS[0]) == 40_000  # type: ignore[attr-defined]


def test_richardson_has_more_variance_and_no_bias_to_speak_of() -> None:
    exact = [Program(program.circuit, {}, program.observables) for program in PROGRAMS[:2]]
    assert error(ZeroNoiseExtrapolation(Noisy(), (1, 3, 5), "richardson"), exact) < error(Noisy(), exact) / 20


@pytest.mark.slow
def test_twirling_makes_turned_gates_harmless_for_extrapolation() -> None:
    noisy = Noisy(0.001, overturn=0.08)
    programs = [Program(random_circuit(seed, 3, 4), {}, z_all(3), seed=seed) for seed in range(2)]
    alone = error(ZeroNoiseExtrapolation(noisy, (1, 3), "linear"), programs)
    assert error(ZeroNoiseExtrapolation(PauliTwirling(noisy, 32), (1, 3), "linear"), programs) < alone


def test_by_name() -> None:
    result = superpose.run(Circuit(2).x(0).cx(0, 1), observables=z_all(2), backend="zne:twirling:local")
    assert result.expectations is not None and np.allclose(result.expectations, -1.0, atol=1e-9)
    assert result.provenance["backend"] == "local+twirling+zne"
    for provider in (ZeroNoiseProvider(), TwirlingProvider(), CliffordDataProvider()):
        assert isinstance(provider, Provider) and provider.list() == ()
        assert provider.backend("local").name.startswith("local+")
        with pytest.raises(BackendUnknownError):
            provider.backend("nowhere")


@pytest.mark.parametrize("factor", [1, 3, 5])
def test_folded_circuits_do_the_same(factor: int) -> None:
    circuit = random_circuit(1).measure_all()
    folded = fold(circuit, factor)
    body, finals = folded.without_final_measurements()
    assert len(finals) == 4
    assert np.allclose(state_vector(body), state_vector(circuit.without_final_measurements()[0]), atol=1e-12)
    assert len(body.gate_calls()) == factor * len(circuit.without_final_measurements()[0].gate_calls())


def unitary(circuit: Circuit) -> npt.NDArray[np.complex128]:
    columns = []
    for index in range(2**circuit.n_qubits):
        start = Circuit(circuit.n_qubits)
        for qubit, bit in enumerate(format(index, f"0{circuit.n_qubits}b")):
            if bit == "1":
                start.x(qubit)
        columns.append(state_vector(start.extend(circuit.instructions)))
    return np.array(columns).T


@pytest.mark.parametrize("name", [row.name for row in GATES.values() if row.n_qubits == 2 and not row.n_angles])
def test_twirled_gates_do_the_same_up_to_a_phase(name: str) -> None:
    for qubits in ((0, 1), (1, 0)):
        circuit = Circuit(2).append(name, qubits)
        for seed in range(8):
            other = twirled(circuit, np.random.default_rng(seed))
            overlap = np.trace(unitary(circuit).conj().T @ unitary(other)) / 4
            assert abs(abs(overlap) - 1) < 1e-12


def test_some_gates_are_twirled_and_what_is_no_clifford_gate_is_not() -> None:
    rng = np.random.default_rng(3)
    assert any(len(twirled(Circuit(2).cx(0, 1), rng).instructions) > 1 for _ in range(5))
    circuit = Circuit(2).rzz(0.3, 0, 1)
    assert twirled(circuit, rng) == circuit


def test_batches_and_parameters_stay() -> None:
    a = Parameter("a")
    circuit = Circuit(2).ry(a, 0).cx(0, 1).ry(0.5 * a, 1)
    program = Program(circuit, {"a": [0.2, 0.9, 1.4]}, [Observable("ZI"), Observable("ZZ")])
    exact = LocalBackend().run(program).expectations
    for wrap in (ZeroNoiseExtrapolation, PauliTwirling, CliffordDataRegression):
        result = wrap(LocalBackend()).run(program)
        assert result.expectations is not None and np.allclose(result.expectations, exact, atol=1e-9)
        assert result.provenance["backend"] == wrap(LocalBackend()).name
        assert result.provenance["program_digest"] == program.digest


def test_a_seed_repeats_the_numbers() -> None:
    program = PROGRAMS[0]
    for wrap in (ZeroNoiseExtrapolation, PauliTwirling, CliffordDataRegression):
        first, second = (wrap(Noisy()).run(program).expectations for _ in range(2))
        assert first is not None and np.array_equal(first, second)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", EXTRAPOLATIONS)
def test_what_the_model_describes_is_found_exactly(method: str) -> None:
    factors = np.array([1.0, 3.0, 5.0])
    models: dict[str, npt.NDArray[np.float64]] = {
        "linear": 0.8 - 0.1 * factors,
        "quadratic": 0.8 - 0.1 * factors + 0.01 * factors**2,
        "richardson": 0.8 - 0.1 * factors + 0.01 * factors**2,
        "exponential": 0.8 * np.exp(-0.2 * factors),
    }
    assert extrapolate(factors.tolist(), models[method], method) == pytest.approx(0.8)


def test_exponentials_of_mixed_signs_fall_back_to_a_line() -> None:
    values = np.array([[0.1, 0.0], [-0.1, 0.0], [-0.3, 0.0]])
    assert extrapolate([1, 2, 3], values, "exponential") == pytest.approx([0.3, 0.0])
    assert extrapolate([1, 2, 3], [0.1, 0.2, 0.3], "exponential") == pytest.approx(0.0)  # grows: no decay


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: ZeroNoiseExtrapolation(LocalBackend(), (1, 2)), "odd number"),
        (lambda: ZeroNoiseExtrapolation(LocalBackend(), (1,)), "at least 2 different"),
        (lambda: ZeroNoiseExtrapolation(LocalBackend(), (1, 1, 3), "linear"), "different factors"),
        (lambda: ZeroNoiseExtrapolation(LocalBackend(), (1, 3), "quadratic"), "at least 3"),
        (lambda: ZeroNoiseExtrapolation(LocalBackend(), (1, 3), "magic"), "must be one of"),
        (lambda: PauliTwirling(LocalBackend(), 0), "at least 1"),
        (lambda: CliffordDataRegression(LocalBackend(), 1), "at least 2"),
    ],
)
def test_settings_that_cannot_be(make: Callable[[], object], told: str) -> None:
    with pytest.raises(UnsupportedProgramError, match=told):
        make()


def test_programs_that_cannot_be_mitigated() -> None:
    measured: list[Operation] = list(Circuit(1, n_bits=1).measure(0, 0).h(0).instructions)
    middle = Program(Circuit(1, n_bits=1).extend(measured), {}, [Observable("Z")])
    for wrap in (ZeroNoiseExtrapolation, PauliTwirling, CliffordDataRegression):
        backend = wrap(LocalBackend())
        with pytest.raises(UnsupportedProgramError, match="observables"):
            backend.run(Program(Circuit(1).h(0), shots=10))
        with pytest.raises(UnsupportedProgramError):
            backend.run(middle)
        with pytest.raises(UnsupportedProgramError, match="shared"):
            backend.run(Program(Circuit(1).h(0), {}, [Observable("Z")], shots=1))
        assert not backend.capabilities().state_vectors
