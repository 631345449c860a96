"""Counts and expectations agree with Qiskit Aer's noise model of the same processor, on the same placed circuit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aer_noise import circuit_of, fake_of, noise_of, on_its_qubits, p_value, values_of
from superpose.backends.emulators import EmulatorProvider
from superpose.circuits import Circuit, Delay, Instruction, Program, Template, z_all
from superpose.testing import ConformanceReport

pytest.importorskip("qiskit_aer", reason="qiskit-aer is not installed")
pytest.importorskip("qiskit_ibm_runtime", reason="qiskit-ibm-runtime is not installed")

SHOTS = 40_000
FAILURE_PROBABILITY = 1e-6
"""Of each chi-square test, were the seeds not fixed."""

ENTANGLER = {"ibm_manila": "cx", "ibm_sherbrooke": "ecr", "ibm_fez": "cz"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "name", ["ibm_fez", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ibm_manila", "ibm_sherbrooke"))]
)
def test_it_agrees_with_aer(name: str) -> None:
    from qiskit_aer import AerSimulator

    from superpose.frontends.qiskit import write

    circuit, values = circuit_of(), values_of(5)
    backend = EmulatorProvider().backend(name)
    placed = backend.lowered(Template(circuit)).settings[0].placed
    assert len(placed.qubits) == 5 and any(isinstance(item, Delay) for item in placed.operations)
    entangler = {item.gate for item in placed.operations if isinstance(item, Instruction) and len(item.qubits) == 2}
    assert entangler == {ENTANGLER[name]}
    theirs = write(on_its_qubits(placed).bind(values))
    aer = AerSimulator(method="density_matrix", noise_model=noise_of(fake_of(name), placed.qubits))
    (ours,) = backend.run(Program(circuit, values, shots=SHOTS, seed=1)).counts or ()
    counts = aer.run(theirs, shots=SHOTS, seed_simulator=2).result().get_counts()
    found = {key[::-1]: number for key, number in counts.items()}
    assert p_value(ours, found) > FAILURE_PROBABILITY
    (ideal,) = sampled(circuit, values)
    assert p_value(ideal, found) < FAILURE_PROBABILITY  # so that the test above sees noise

    exact = backend.run(Program(circuit, values, z_all(5))).expectations
    assert exact is not None
    theirs.remove_final_measurements()
    theirs.save_density_matrix()
    density = np.asarray(aer.run(theirs).result().data()["density_matrix"])
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


@pytest.mark.slow
@pytest.mark.parametrize("name", ENTANGLER)
def test_it_keeps_every_contract_within_what_its_calibration_allows(
    name: str, conforms: Callable[..., ConformanceReport]
) -> None:
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
    conforms(backend, tolerance=tolerance)
