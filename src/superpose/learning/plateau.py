"""Whether a circuit will train: derivatives of its expectations over random parameters.

Deep circuits that entangle everything have derivatives whose variance falls exponentially with the number of qubits;
training then starts on a barren plateau. Source: McClean et al., Nat. Commun. 9 (2018) 4812, arXiv 1803.11173.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superpose.engine import CompiledProgram, compile_program
from superpose.learning.quantum_block import QuantumBlock

__all__ = ["PLATEAU_RMS", "GradientReport", "block_gradients", "gradient_report"]

PLATEAU_RMS = 0.01
"""Root mean square of a derivative below which a warning is given: some 10,000 shots tell it from 0."""

_CONSTANT = 1e-20
_AMPLITUDES = 2**18
_FEWEST, _MOST = 16, 200


@dataclass(frozen=True)
class GradientReport:
    """Derivatives of the expectations over random parameters.

    Attributes:
        variance: mean over observables and parameters.
        smallest: that of the parameter that has the smallest, mean over observables.
    """

    variance: float
    smallest: float

    @property
    def rms(self) -> float:
        """Root mean square of a derivative."""
        return math.sqrt(self.variance)

    @property
    def warning(self) -> str | None:
        """What to mind before training, made from the numbers; None if there is nothing."""
        if self.variance < _CONSTANT:
            return "Nothing to train: the expectations do not depend on any parameter."
        if self.rms >= PLATEAU_RMS:
            return None
        return (
            f"Barren plateau: a derivative is {self.rms:.2g} on average (root mean square), so that some "
            f"{1.0 / self.variance:.2g} shots tell one from 0, and training may hardly move. Take fewer qubits or "
            "layers, or observables on fewer qubits."
        )


def gradient_report(program: CompiledProgram, values: NDArray[np.float64]) -> GradientReport:
    """Variances over parameter sets.

    Args:
        program: compiled with all of its parameters as inputs.
        values: ``(n_samples, n_inputs)``.

    Cost: a forward and a backward pass for each sample and observable.
    """
    variances = []
    for number in range(program.n_observables):
        wanted = np.zeros((len(values), program.n_observables))
        wanted[:, number] = 1.0
        slopes = np.asarray(program.value_and_grad(values, None, wanted)[1], dtype=np.float64)
        variances.append(slopes.var(axis=0))
    by_parameter = np.mean(variances, axis=0)
    return GradientReport(float(by_parameter.mean()), float(by_parameter.min()))


def block_gradients(block: QuantumBlock, seed: int = 0) -> GradientReport | None:
    """Of a model's circuit, by its weights and inputs, uniform in 0 .. 2 pi; None where it has neither.

    Cost: up to 200 samples, fewer beyond 10 qubits: some milliseconds up to 10 qubits, a second at 20.
    """
    names = block.circuit.parameters
    if not names:
        return None
    program = compile_program(block.circuit, block.observables, inputs=names)
    n_samples = max(_FEWEST, min(_MOST, _AMPLITUDES >> block.circuit.n_qubits))
    values = np.random.default_rng(seed).uniform(0.0, 2.0 * np.pi, (n_samples, len(names)))
    return gradient_report(program, values)
