"""Counts and expectations agree with Qiskit Aer's noise model of the same processor, on the same placed circuit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from superpose.backends.emulators import EmulatorProvider
from superpose.circuits import Circuit, Delay, Instruction, Program, Template, parameters, z_all
from superpose.testing import check_backend

pytest.importorskip("qiskit_aer", reason="qiskit-aer is not installed")
pytest.importorskip("qiskit_ibm_runtime", reason="qiskit-ibm-runtime is not installed")

SHOTS = 40_000
FAILURE_PROBABILITY = 1e-6
"""Of each chi-square test, were the seeds not fixed."""

DEVICES = {"ibm_manila": "FakeManilaV2", "ibm_sherbrooke": "FakeSherbrooke", "ibm_fez": "FakeFez"}
"""Of CX, ECR and CZ."""


def circuit_and_values() -> tuple[Circuit, dict[str, float]]:
    """Five qubits, entangled twice along a line, so that some wait for others."""
    a = parameters("a", 10)
    circuit = Circuit(5)
    for layer in range(2):
        for qubit in range(5):
            circuit.ry(a[5 * layer + qubit], qubit)
        for qubit in range(4):
            circuit.cx(qubit, qubit + 1)
    values = np.random.default_rng(5).uniform(0, np.pi, 10)
    return circuit, {parameter.name: float(value) for parameter, value in zip(a, values, strict=True)}


class Aer:
    """Aer's noise model of a fake backend, cut to the qubits in use; readout errs by its properties, as in hers."""

    def __init__(self, fake: Any, qubits: tuple[int, ...]) -> None:
        from qiskit_aer.noise import NoiseModel
        from qiskit_aer.noise.device import basic_device_readout_errors

        self.model = NoiseModel.from_backend(cut(fake, qubits), readout_error=False)
        for (qubit,), error in basic_device_readout_errors(fake.properties()):
            if qubit in qubits:
                self.model.add_readout_error(error, [qubits.index(qubit)])

    def run(self, circuit: Any, **options: Any) -> Any:
        from qiskit_aer import AerSimulator

        simulator = AerSimulator(method="density_matrix", noise_model=self.model)
        return simulator.run(circuit, **options).result()


def cut(fake: Any, qubits: tuple[int, ...]) -> Any:
    """A backend of the fake one's qubits ``qubits`` alone."""
    from qiskit.providers import BackendV2, Options
    from qiskit.transpiler import Target

    whole = fake.target
    properties = [whole.qubit_properties[qubit] for qubit in qubits]
    target = Target(num_qubits=len(qubits), dt=whole.dt, qubit_properties=properties)
    for name in whole.operation_names:
        rows = {} if whole[name] is None else whole[name]
        kept = {
            tuple(qubits.index(q) for q in key): row
            for key, row in rows.items()
            if key is not None and set(key) <= set(qubits)
        }
        if kept:
            target.add_instruction(whole.operation_from_name(name), kept)

    class Cut(BackendV2):
        max_circuits = None

        @property
        def target(self) -> Target:
            return target

        @classmethod
        def _default_options(cls) -> Options:
            return Options()

        def run(self, run_input: Any, **options: Any) -> Any:
            raise NotImplementedError

    return Cut()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "name", ["ibm_fez", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ibm_manila", "ibm_sherbrooke"))]
)
def test_it_agrees_with_aer(name: str) -> None:
    import qiskit_ibm_runtime.fake_provider as shipped

    from superpose.frontends.qiskit import write

    circuit, values = circuit_and_values()
    backend = EmulatorProvider().backend(name)
    placed = backend.lowered(Template(circuit)).settings[0].placed
    assert len(placed.qubits) == 5 and any(isinstance(item, Delay) for item in placed.operations)
    entangler = {item.gate for item in placed.operations if isinstance(item, Instruction) and len(item.qubits) == 2}
    assert entangler == {{"ibm_manila": "cx", "ibm_sherbrooke": "ecr", "ibm_fez": "cz"}[name]}
    compact = Circuit(5, n_bits=5).extend(
        item.moved([placed.qubits.index(q) if q in placed.qubits else 0 for q in range(max(placed.qubits) + 1)])
        for item in placed.operations
    )
    theirs = write(compact.bind(values))
    aer = Aer(getattr(shipped, DEVICES[name])(), placed.qubits)
    (ours,) = backend.run(Program(circuit, values, shots=SHOTS, seed=1)).counts or ()
    found = {key[::-1]: number for key, number in aer.run(theirs, shots=SHOTS, seed_simulator=2).get_counts().items()}
    assert p_value(ours, found) > FAILURE_PROBABILITY
    (ideal,) = sampled(circuit, values)
    assert p_value(ideal, found) < FAILURE_PROBABILITY  # so that the test above sees noise

    exact = backend.run(Program(circuit, values, z_all(5))).expectations
    assert exact is not None
    theirs.remove_final_measurements()
    theirs.save_density_matrix()
    density = np.asarray(aer.run(theirs).data()["density_matrix"])
    np.testing.assert_allclose(exact[0], read(backend, circuit, np.diag(density).real), rtol=0, atol=1e-7)


def sampled(circuit: Circuit, values: dict[str, float]) -> tuple[Any, ...]:
    from superpose.backends import LocalBackend

    found = LocalBackend().run(Program(circuit, values, shots=SHOTS, seed=3)).counts
    return tuple(found or ())


def read(backend: Any, circuit: Circuit, probabilities: np.ndarray) -> np.ndarray:
    """The means of the signs read of each qubit, from probabilities by Aer's numbering (qubit 0 weighs least)."""
    placed = backend.lowered(Template(circuit)).settings[0].placed
    _, finals = placed.noisy.without_final_measurements()
    out = np.empty(5)
    for item in finals:
        of_1 = probabilities.reshape((2,) * 5).sum(axis=tuple(k for k in range(5) if k != 4 - item.qubit))[1]
        out[item.bit] = 1.0 - 2.0 * ((1.0 - of_1) * item.flip0 + of_1 * (1.0 - item.flip1))
    return out


def p_value(one: Any, other: Any) -> float:
    """Probability of such a difference between two samples of the same distribution; rare strings taken together."""
    keys = sorted({*one, *other}, key=lambda key: one.get(key, 0) + other.get(key, 0))
    table = np.array([[counts.get(key, 0) for key in keys] for counts in (one, other)], float)
    rare = table.sum(axis=0) < 20
    merged = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    return float(chi2_contingency(merged[:, merged.sum(axis=0) > 0]).pvalue)


@pytest.mark.slow
@pytest.mark.parametrize("name", DEVICES)
def test_it_keeps_the_contract_within_what_its_calibration_allows(name: str) -> None:
    """Expectations stray by at most 2 (1 - F) times the observable's norm, F the probability that nothing goes wrong.

    F is that of the longest program of the checks, a Fredkin gate behind rotations; no norm there exceeds 2.45.
    """
    backend = EmulatorProvider().backend(name)
    longest = Circuit(3)
    for qubit in range(3):
        longest.ry(0.5, qubit).rz(0.5, qubit)
    fidelity = backend.estimate(Program(longest.cswap(2, 0, 1), {}, z_all(3))).fidelity
    assert fidelity is not None
    tolerance = 2.0 * (1.0 - fidelity) * 2.45
    assert tolerance < 1.5  # so that the checks below can fail
    check_backend(backend, tolerance=tolerance)
