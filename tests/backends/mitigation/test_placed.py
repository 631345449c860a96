"""What needs a calibration and places: errors undone by signed draws, waiting filled with pulses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pytest

from superpose.backends import LocalBackend
from superpose.backends.mitigation import (
    CliffordNormalisation,
    DynamicalDecoupling,
    ProbabilisticErrorCancellation,
    ReadoutMitigation,
)
from superpose.backends.mitigation.provider import DecouplingProvider, ErrorCancellationProvider
from superpose.circuits import (
    Backend,
    Calibration,
    Capabilities,
    Circuit,
    Delay,
    GateCalibration,
    NoiseModel,
    Observable,
    Parameter,
    Program,
    ProgramResult,
    QubitCalibration,
    VerbatimBackend,
    z_all,
)
from superpose.errors import UnsupportedProgramError
from superpose.testing import check_backend

N = 3
ERROR = 0.01


class Chip:
    """Three qubits with RZ, SX, X and CX between all. Its CX depolarise by ``error``, and while a qubit waits its
    frequency is off by ``detuning`` radians per nanosecond, up in one half of the shots and down in the other."""

    name = "chip"

    def __init__(self, error: float = ERROR, flips: float = 0.03, detuning: float = 0.0) -> None:
        gates = [
            GateCalibration(gate=gate, qubits=(qubit,), duration_ns=0.0 if gate == "rz" else 30.0)
            for gate in ("rz", "sx", "x")
            for qubit in range(N)
        ]
        gates += [
            GateCalibration(gate="cx", qubits=(a, b), error=error, duration_ns=300.0)
            for a in range(N)
            for b in range(N)
            if a != b
        ]
        self._calibration = Calibration(
            backend="chip",
            taken_at=datetime(2026, 1, 1, tzinfo=UTC),
            qubits=(QubitCalibration(),) * N,
            gates=tuple(gates),
        )
        # the average infidelity e of depolarisation by p on d = 4 is p (d - 1) / d
        self._noise = NoiseModel(gates={"cx": [("depolarizing2", (error * 4 / 3,))]}, readout=(flips, 2 * flips))
        self._detuning = detuning
        self.shots = 0

    def capabilities(self) -> Capabilities:
        return Capabilities(max_qubits=N, simulator=True, mid_circuit=True, reset=True, feed_forward=True)

    def calibration(self) -> Calibration:
        return self._calibration

    def transpiled(self, circuit: Circuit) -> Circuit:
        from superpose.backends.mitigation.lowering import in_turns_about_z

        wide = Circuit(N, n_bits=circuit.n_bits).extend(circuit.instructions)
        return in_turns_about_z(wide)

    def verbatim(self) -> Backend:
        return self

    def run(self, program: Program) -> ProgramResult:
        assert program.shots is not None
        self.shots += program.shots * program.batch
        up = program.shots // 2
        added: list[Counter[str]] = [Counter() for _ in range(program.batch)]
        for sign, shots in ((1, program.shots - up), (-1, up)):
            if shots:
                drifting = self._drifting(program.circuit, sign)
                result = LocalBackend().run(Program(drifting, program.params, shots=shots, seed=program.seed))
                for one, more in zip(added, result.counts or (), strict=True):
                    one.update(more)
        return ProgramResult(counts=tuple(added), provenance=result.provenance)

    def _drifting(self, circuit: Circuit, sign: int) -> Circuit:
        out = Circuit(circuit.n_qubits, n_bits=circuit.n_bits)
        for item in self._noise.apply(circuit).instructions:
            out.extend([item])
            if isinstance(item, Delay) and self._detuning:
                out.rz(sign * self._detuning * item.duration_ns, item.qubit)
        return out


def circuit_of(seed: int, depth: int = 4) -> Circuit:
    rng = np.random.default_rng(seed)
    circuit = Circuit(N)
    for _ in range(depth):
        for qubit in range(N):
            circuit.ry(float(rng.uniform(-1, 1)), qubit)
        circuit.cx(0, 1).cx(1, 2)
    return circuit


def exact(program: Program) -> npt.NDArray[np.float64]:
    found = LocalBackend().run(Program(program.circuit, program.params, program.observables)).expectations
    assert found is not None
    return found


def measured(backend: Backend, program: Program) -> npt.NDArray[np.float64]:
    found = backend.run(program).expectations
    assert found is not None
    return found


def test_errors_that_the_calibration_tells_are_undone() -> None:
    """ZZZ of 8 CX keeps three quarters; most of the rest is back, with readout too."""
    program = Program(circuit_of(1), {}, [Observable("ZZZ"), Observable("ZII")], shots=100_000, seed=1)
    error = 0.03
    chip = Chip(error)
    backend = ProbabilisticErrorCancellation(chip)
    gamma = backend.overhead(program) ** 0.5
    assert gamma == pytest.approx((1 + 2 * 15 / 16 * (error * 4 / 3) / (1 - error * 4 / 3)) ** 8, rel=1e-6)
    raw = measured(ReadoutMitigation(Chip(error)), program)
    found = measured(backend, program)
    assert np.abs(found - exact(program)).mean() < np.abs(raw - exact(program)).mean() / 2
    assert chip.shots <= program.shots == pytest.approx(backend.n_shots(program), rel=0.02)  # type: ignore[operator]


def test_the_overhead_is_told_before_and_taken_if_asked_for() -> None:
    program = Program(circuit_of(2), {}, z_all(N), shots=1000, seed=1)
    chip = Chip()
    backend = ProbabilisticErrorCancellation(chip, same_shots=False)
    told = backend.n_shots(program)
    assert chip.shots == 0 and told == pytest.approx(1000 * backend.overhead(program), rel=0.01) and told > 1300
    result = backend.run(program)
    assert chip.shots <= told
    assert result.provenance["mitigation"]["error_cancellation"]["gammas"][0] ** 2 == pytest.approx(
        backend.overhead(program)
    )


def waiting() -> Program:
    """Qubit 0 waits in a superposition while the others are busy."""
    circuit = Circuit(N).h(0).cx(0, 1)
    for _ in range(6):
        circuit.cx(1, 2)
    return Program(circuit.cx(0, 1).h(0), {}, [Observable("ZII")], shots=4000, seed=1)


@pytest.mark.parametrize("sequence", ["XX", "XY4"])
def test_slow_drifts_of_frequency_cancel(sequence: str) -> None:
    """1800 ns at 1 mrad/ns turn qubit 0 by 1.8 rad one way or the other: cos(1.8) is left of <Z> = 1."""
    chip = Chip(error=0.0, flips=0.0, detuning=1e-3)
    backend = DynamicalDecoupling(chip, sequence)
    assert isinstance(backend, VerbatimBackend)
    without = measured(DynamicalDecoupling(chip, sequence, min_ns=1e9), waiting())
    assert without[0, 0] == pytest.approx(np.cos(1.8), abs=0.06)
    assert measured(backend, waiting())[0, 0] > 0.99
    pulses = [item for item in backend.transpiled(waiting().circuit).gate_calls() if item.gate == "x"]
    assert len(pulses) >= len(sequence.replace("XY4", "XYXY"))


def test_other_mitigations_go_around_decoupling() -> None:
    chip = Chip(error=0.005, flips=0.03, detuning=1e-3)
    for wrap in (CliffordNormalisation, ReadoutMitigation, ProbabilisticErrorCancellation):
        assert measured(wrap(DynamicalDecoupling(chip)), waiting())[0, 0] > 0.85


def test_a_decoupled_backend_keeps_the_contract() -> None:
    check_backend(DynamicalDecoupling(Chip(error=0.0, flips=0.0)))


def test_batches_go_through_decoupling() -> None:
    a = Parameter("a")
    circuit = Circuit(2).ry(a, 0).cx(0, 1)
    observables = [Observable("ZI"), Observable("XX")]
    program = Program(circuit, {"a": [0.3, 1.4]}, observables, shots=10_000, seed=3)
    found = measured(DynamicalDecoupling(Chip(error=0.0, flips=0.0)), program)
    assert np.abs(found - exact(program)).max() < 0.05


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: DynamicalDecoupling(Chip(), "XYZ"), "one of XX, XY4"),
        (lambda: DynamicalDecoupling(LocalBackend()), "verbatim"),
        (lambda: ProbabilisticErrorCancellation(LocalBackend()), "no calibration"),
        (lambda: ProbabilisticErrorCancellation(Chip(), share=1.0), "between 0 and 1"),
    ],
)
def test_settings_that_cannot_be(make: Callable[[], object], told: str) -> None:
    with pytest.raises(UnsupportedProgramError, match=told):
        make()


def test_by_name() -> None:
    for provider, told in ((DecouplingProvider, "+decoupling"), (ErrorCancellationProvider, "+pec")):
        assert provider(lambda name: Chip()).backend("chip").name == f"chip{told}"
