"""Qiskit Aer's noise model of the processor behind an emulator, cut to the qubits that a circuit uses.

`emulators.py` measures against it, `tests/backends/emulators/test_agreement.py` compares with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import chi2_contingency

from superpose.circuits import Circuit, parameters

__all__ = ["circuit_of", "cut", "fake_of", "noise_of", "on_its_qubits", "p_value", "values_of"]


def circuit_of() -> Circuit:
    """Two layers of RY on each of five qubits and CX along a line, so that some wait for others."""
    a = parameters("a", 10)
    circuit = Circuit(5)
    for layer in range(2):
        for qubit in range(5):
            circuit.ry(a[5 * layer + qubit], qubit)
        for qubit in range(4):
            circuit.cx(qubit, qubit + 1)
    return circuit


def values_of(seed: int) -> dict[str, float]:
    """Angles in 0 .. pi for its parameters."""
    found = np.random.default_rng(seed).uniform(0, np.pi, 10).tolist()
    return {parameter.name: value for parameter, value in zip(parameters("a", 10), found, strict=True)}


def fake_of(name: str) -> Any:
    """The fake backend of the same snapshot as the emulator ``name``, "ibm_fez"."""
    import qiskit_ibm_runtime.fake_provider as shipped

    own = "".join(map(str.capitalize, name.removeprefix("ibm_").split("_")))
    kind = getattr(shipped, f"Fake{own}V2", None) or getattr(shipped, f"Fake{own}")
    return kind()


def cut(fake: Any, qubits: tuple[int, ...]) -> Any:
    """A backend of these qubits of the fake one alone."""
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
        target = property(lambda self: target)

        @classmethod
        def _default_options(cls) -> Options:
            return Options()

        def run(self, run_input: Any, **options: Any) -> Any:
            raise NotImplementedError

    return Cut()


def noise_of(fake: Any, qubits: tuple[int, ...]) -> Any:
    """Aer's noise model of these qubits; readout errs by the two probabilities of its properties, as in ours."""
    from qiskit_aer.noise import NoiseModel
    from qiskit_aer.noise.device import basic_device_readout_errors

    model = NoiseModel.from_backend(cut(fake, qubits), readout_error=False)
    for (qubit,), error in basic_device_readout_errors(fake.properties()):
        if qubit in qubits:
            model.add_readout_error(error, [qubits.index(qubit)])
    return model


def on_its_qubits(placed: Any) -> Circuit:
    """A placed circuit of five bits over the qubits in use alone, for that noise model."""
    qubits = placed.qubits
    table = [qubits.index(q) if q in qubits else 0 for q in range(max(qubits) + 1)]
    return Circuit(len(qubits), n_bits=5).extend(item.moved(table) for item in placed.operations)


def p_value(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """Probability of such a difference between two samples of one distribution; rare strings taken together."""
    keys = sorted({*one, *other})
    table = np.array([[counts.get(key, 0) for key in keys] for counts in (one, other)], float)
    rare = table.sum(axis=0) < 20
    merged = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    return float(chi2_contingency(merged[:, merged.sum(axis=0) > 0]).pvalue)
