"""Estimates against emulated processors, whose circuits Qiskit's transpiler places: the emulators' own, which know the
placed circuit, and those of the model of placement, which stands in where a backend tells nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from tests.backends.estimates.processors import hellinger, random_circuit

from superpose.backends import LocalBackend
from superpose.backends.estimates import calibrated_estimate
from superpose.circuits import Circuit, Program

NAMES = ("ibm_manila", "ibm_nairobi", "ibm_guadalupe", "ibm_fez", "ibm_brisbane")
SHOTS = 2000


@pytest.mark.slow
def test_the_order_of_200_circuits_is_that_of_emulation() -> None:
    pytest.importorskip("qiskit_ibm_runtime", reason="the calibrations of IBM's processors are in that package")
    from superpose.backends.providers import find_backend

    emulators = [find_backend(f"emulator:{name}") for name in NAMES]
    own, model, true = [], [], []
    for number in range(200):
        random = np.random.default_rng(number)
        n_qubits = int(random.integers(2, 6))
        half = random_circuit(n_qubits, int(random.integers(1, 5)), number)
        circuit = half.compose(Circuit(n_qubits).barrier()).compose(half.inverse()).measure_all()
        program = Program(circuit, shots=SHOTS, seed=number)
        backend = emulators[number % len(emulators)]
        counts = backend.run(program).counts
        exact = LocalBackend().run(program).counts
        assert counts is not None and exact is not None
        shares = [{bits: n / SHOTS for bits, n in one[0].items()} for one in (exact, counts)]
        true.append(hellinger(*shares))
        own.append(backend.estimate(program).fidelity)  # type: ignore[attr-defined]
        model.append(calibrated_estimate(program, backend.calibration()).total)  # type: ignore[attr-defined]
    assert spearmanr(own, true)[0] >= 0.9  # 0.944 when this was written
    assert spearmanr(model, true)[0] >= 0.8  # 0.856
