"""What reading, gates and waits take off is measured and given back, at equal total shots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import superpose
from superpose.backends import LocalBackend
from superpose.backends.measured import MeasuredProgram
from superpose.backends.mitigation import (
    CliffordNormalisation,
    PauliTwirling,
    ReadoutMitigation,
    ZeroNoiseExtrapolation,
)
from superpose.backends.mitigation.provider import NormalisationProvider, ReadoutProvider
from superpose.circuits import (
    Backend,
    Capabilities,
    Circuit,
    NoiseModel,
    Observable,
    Parameter,
    Program,
    ProgramResult,
    Provider,
    z_all,
)
from superpose.errors import UnsupportedProgramError

SHOTS = 20_000


class Misreading:
    """The engine with gates that depolarise and relax, and readout that errs more at 1; all qubits are joined."""

    name = "misreading"

    def __init__(self, error: float = 0.01, flips: tuple[float, float] = (0.02, 0.06), **able: object) -> None:
        self._noise = NoiseModel(
            two_qubit=[("depolarizing2", (error,)), ("amplitude_damping", (error,))] if error else (), readout=flips
        )
        self._able = replace(LocalBackend().capabilities(), **able)  # type: ignore[arg-type]
        self.programs: list[Program] = []

    def capabilities(self) -> Capabilities:
        return self._able

    def run(self, program: Program) -> ProgramResult:
        self.programs.append(program)
        if program.observables:  # from counts, which are misread
            measured = MeasuredProgram(program)
            ran = [self._counted(Program(one, shots=program.shots, seed=program.seed)) for one in measured.circuits]
            return measured.result([(one.counts or ())[0] for one in ran], ran[0].provenance)
        return self._counted(program)

    def _counted(self, program: Program) -> ProgramResult:
        noisy = self._noise.apply(program.circuit)
        return LocalBackend().run(Program(noisy, program.params, shots=program.shots, seed=program.seed))

    @property
    def shots(self) -> int:
        return sum((program.shots or 0) * program.batch for program in self.programs)


def random_circuit(seed: int, n_qubits: int = 4, depth: int = 5) -> Circuit:
    rng = np.random.default_rng(seed)
    circuit = Circuit(n_qubits)
    for _ in range(depth):
        for qubit in range(n_qubits):
            circuit.ry(float(rng.uniform(-1, 1)), qubit).rz(float(rng.uniform(-1, 1)), qubit)
        for qubit in range(n_qubits - 1):
            circuit.cx(qubit, qubit + 1)
    return circuit


def exact(program: Program) -> np.ndarray:
    found = LocalBackend().run(Program(program.circuit, program.params, program.observables)).expectations
    assert found is not None
    return found


def error(backend: Backend, programs: list[Program]) -> float:
    """Mean error of the expectations."""
    out = []
    for program in programs:
        found = backend.run(program).expectations
        assert found is not None and found.shape == exact(program).shape
        out.append(np.abs(found - exact(program)).mean())
    return float(np.mean(out))


def programs_of(n: int, shots: int = SHOTS) -> list[Program]:
    return [Program(random_circuit(seed), {}, z_all(4), shots=shots, seed=seed) for seed in range(n)]


def test_normalisation_leaves_a_third_of_the_error_at_equal_shots() -> None:
    """Gates and readout together; seeds are given, so the figures are the same each time."""
    noisy, programs = Misreading(), programs_of(4)
    without = error(noisy, programs)
    noisy.programs.clear()
    mitigated = CliffordNormalisation(noisy)
    assert error(mitigated, programs) < without / 3
    assert len(noisy.programs) == len(programs)  # a submission each
    told = sum(mitigated.n_shots(program) for program in programs)
    assert 0.98 * SHOTS * len(programs) < noisy.shots <= told <= SHOTS * len(programs)


def test_readout_alone_is_taken_out_and_measured_once() -> None:
    noisy, programs = Misreading(error=0.0), programs_of(3)
    without = error(noisy, programs)
    noisy.programs.clear()
    mitigated = ReadoutMitigation(noisy)
    assert error(mitigated, programs) < without / 2
    assert noisy.shots <= SHOTS * len(programs)
    assert [len(program.circuit.without_final_measurements()[0].gate_calls()) < 20 for program in noisy.programs] == [
        True,  # what is read, once
        False,
        False,
        False,
    ]
    facts = mitigated.run(programs[0]).provenance["mitigation"]["readout"]
    assert facts["calibration_shots"] == 0
    assert facts["factors"][0] == pytest.approx([1 - 0.02 - 0.06] * 4, abs=0.06)  # 2000 shots: 4 sigma


def test_correlated_readout_and_products_of_bits() -> None:
    """Of a product, what is left is measured, not computed from its qubits."""
    program = Program(
        Circuit(3).h(0).cx(0, 1).cx(1, 2), {}, [Observable("ZZI"), Observable("XXX")], shots=60_000, seed=1
    )
    for wrap in (ReadoutMitigation, CliffordNormalisation):
        result = wrap(Misreading(error=0.0)).run(program)
        assert result.expectations is not None
        assert np.allclose(result.expectations, 1.0, atol=0.03)


def test_extrapolation_of_what_was_read_right() -> None:
    """Readout is not folded; taken out first, the line through the factors goes to the right place."""
    programs = programs_of(2, 100_000)
    alone = error(ZeroNoiseExtrapolation(Misreading(), (1, 3), "linear"), programs)
    assert error(ZeroNoiseExtrapolation(ReadoutMitigation(Misreading()), (1, 3), "linear"), programs) < 0.7 * alone


def test_batches_parameters_and_observables_of_many_strings() -> None:
    a, b = Parameter("a"), Parameter("b")
    circuit = Circuit(2).ry(a, 0).cx(0, 1).rx(b, 1).rz(0.5 * a + 0.2, 1).ry(0.3, 1)
    observables = [Observable({"ZI": 0.5, "XX": -1.0, "II": 2.0}), Observable("YZ")]
    program = Program(circuit, {"a": [0.2, 0.9, 2.0], "b": 0.4}, observables, shots=100_000, seed=2)
    for wrap in (ReadoutMitigation, CliffordNormalisation):
        backend = Misreading(error=0.004)
        result = wrap(backend).run(program)
        assert result.expectations is not None and np.abs(result.expectations - exact(program)).mean() < 0.02
        assert result.provenance["program_digest"] == program.digest and result.provenance["shots"] == 100_000
        assert backend.shots <= 100_000 * 3 * 3  # three entries, three settings


def test_a_seed_repeats_the_numbers() -> None:
    (program,) = programs_of(1, 1000)
    for wrap in (ReadoutMitigation, CliffordNormalisation):
        first, second = (wrap(Misreading()).run(program).expectations for _ in range(2))
        assert first is not None and np.array_equal(first, second)  # type: ignore[arg-type]


def test_rows_go_in_batches_as_large_as_the_backend_takes() -> None:
    backend = Misreading(max_batch=50)
    CliffordNormalisation(backend).run(*programs_of(1, 2000))
    assert max(program.batch for program in backend.programs) == 50 and len(backend.programs) > 2


def test_values_stay_in_their_range() -> None:
    program = Program(Circuit(1).x(0), {}, [Observable({"Z": 2.0, "I": 1.0})], shots=200, seed=3)
    for seed in range(5):
        found = CliffordNormalisation(Misreading()).run(replace(program, seed=seed)).expectations
        assert found is not None and found[0, 0] >= -1.0


def test_by_name() -> None:
    result = superpose.run(Circuit(2).x(0).cx(0, 1), observables=z_all(2), shots=100, backend="normalised:local")
    assert result.expectations is not None and np.allclose(result.expectations, -1.0)
    assert result.provenance["backend"] == "local+normalised"
    for provider in (NormalisationProvider(), ReadoutProvider()):
        assert isinstance(provider, Provider) and provider.list() == ()
        assert not provider.backend("local").capabilities().exact


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: CliffordNormalisation(LocalBackend(), 1.0), "between 0 and 1"),
        (lambda: CliffordNormalisation(LocalBackend(), 0.5, 1), "at least 2"),
        (lambda: ReadoutMitigation(LocalBackend(), 0.0), "between 0 and 1"),
        (lambda: ReadoutMitigation(LocalBackend(), 0.1, 0), "at least 2"),
        (lambda: ReadoutMitigation(Misreading(connectivity=frozenset({(0, 1)}))), "verbatim"),
        (lambda: CliffordNormalisation(Misreading(connectivity=frozenset({(0, 1)}))), "verbatim"),
    ],
)
def test_settings_that_cannot_be(make: Callable[[], object], told: str) -> None:
    with pytest.raises(UnsupportedProgramError, match=told):
        make()


@pytest.mark.parametrize("wrap", [CliffordNormalisation, ReadoutMitigation])
def test_programs_that_cannot_be_mitigated(wrap: Callable[[Backend], Backend]) -> None:
    backend = wrap(LocalBackend())
    middle = Circuit(1, n_bits=1).extend(Circuit(1, n_bits=1).measure(0, 0).h(0).instructions)
    for program, told in (
        (Program(Circuit(1).h(0), shots=10), "observables"),
        (Program(Circuit(1).h(0), {}, [Observable("Z")]), "give shots"),
        (Program(Circuit(1).h(0), {}, [Observable("Z")], shots=1), "shared"),
        (Program(middle, {}, [Observable("Z")], shots=10), "measure"),
        (Program(Circuit(1).h(0), {}, [Observable("I")], shots=10), "constants"),
    ):
        with pytest.raises(UnsupportedProgramError, match=told):
            backend.run(program)


def test_twirling_in_frames_costs_no_pulse() -> None:
    """Explicit Paulis do: on the same engine they are gates."""
    backend = Misreading()
    ReadoutMitigation(backend).run(*programs_of(1, 1000))
    framed = len(backend.programs[-1].circuit.without_final_measurements()[0].gate_calls())
    backend.programs.clear()
    PauliTwirling(backend, 1).run(*programs_of(1, 1000))
    pulses = [call for call in backend.programs[-1].circuit.gate_calls() if call.gate in ("x", "y", "z")]
    assert pulses and framed
