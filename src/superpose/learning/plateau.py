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
"""Root mean square of a derivative, in units of its observable's size, below which a warning is given: some 10,000
shots tell it from 0."""

_CONSTANT = 1e-20
_AMPLITUDES = 2**18
_FEWEST, _MOST = 16, 200


@dataclass(frozen=True)
class GradientReport:
    """Derivatives of the expectations over random parameters.

    Attributes:
        variance: mean over observables and parameters.
        smallest: that of the parameter that has the smallest, mean over observables.
        rms: root mean square of a derivative in units of its observable's size, the root of the sum of squares of its
            coefficients without the identity's. Shots tell a derivative from 0 by how large it is in that unit.
    """

    variance: float
    smallest: float
    rms: float

    @property
    def warning(self) -> str | None:
        """What to mind before training, made from the numbers; None if there is nothing."""
        if self.rms**2 < _CONSTANT:
            return "Nothing to train: the expectations do not depend on any parameter."
        if self.rms >= PLATEAU_RMS:
            return None
        return (
            f"Barren plateau: a derivative is {self.rms:.2g} of its observable's size on average (root mean square), "
            f"so that some {self.rms**-2:.2g} shots tell one from 0, and training may hardly move. Take fewer qubits "
            "or layers, or observables on fewer qubits."
        )


def gradient_report(program: CompiledProgram, values: NDArray[np.float64]) -> GradientReport:
    """Variances over parameter sets.

    Args:
        program: compiled with all of its parameters as inputs.
        values: ``(n_samples, n_inputs)``.

    Cost: a forward and a backward pass for each sample and observable.
    """
    variances, squares = [], []
    for number, observable in enumerate(program.observables):
        size = math.hypot(*(coefficient for pauli, coefficient in observable.terms if set(pauli) != {"I"}))
        wanted = np.zeros((len(values), program.n_observables))
        wanted[:, number] = 1.0
        slopes = np.asarray(program.value_and_grad(values, None, wanted)[1], dtype=np.float64)
        variances.append(slopes.var(axis=0))
        squares.append(float(np.mean(slopes**2)) / size**2 if size else 0.0)
    by_parameter = np.mean(variances, axis=0)
    return GradientReport(float(by_parameter.mean()), float(by_parameter.min()), math.sqrt(float(np.mean(squares))))


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
