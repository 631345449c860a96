"""Effective dimension: how many directions of its parameters a model can tell apart with a given number of data.

    d(gamma, n) = 2 log( mean over theta of sqrt(det(1 + k F(theta))) ) / log k,   k = gamma n / (2 pi log n)

with the Fisher information ``F`` normalised so that its mean trace is the number of parameters d. For large n it
tends to the largest rank of F; it bounds the generalisation error. Source: Abbas, Sutter, Zoufal, Lucchi, Figalli and
Woerner, Nat. Comput. Sci. 1 (2021) 403, arXiv 2011.00027, equations 2 and 3.

Of a circuit, the model is its distribution of bit strings, ``p(b | x, theta)``: parameters are uniform in 0 .. 2 pi,
inputs standard normal, as in the paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superpose.circuits import Circuit
from superpose.engine import CompiledProgram, compile_program
from superpose.errors import ExplanationError

__all__ = ["EffectiveDimension", "circuit_fisher", "effective_dimension", "of_circuit", "scale_of"]

Floats = NDArray[np.float64]

DATA, GAMMA = 10_000, 1.0
MOST_DATA = 10**18
MOST_QUBITS = 12
_SETS, _INPUTS = 100, 10
_FEWEST_SETS = 4
_AMPLITUDES = 2**25
"""Of all states together, beyond which fewer parameter sets are taken."""

_CHUNK_AMPLITUDES = 2**22
_STEP = 1e-3
_STENCIL = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))
"""First derivatives of fourth order; errors stay near 1e-11."""

_PRESENT = 1e-14


@dataclass(frozen=True)
class EffectiveDimension:
    """The effective dimension of a circuit's distribution of bit strings.

    Attributes:
        value: between 0 and a little above ``n_params``.
        n_params: parameters that are no inputs.
        n_data: data that the model would see.
        gamma: 0 .. 1, of the paper's bound.
        n_sets: random parameter sets.
    """

    value: float
    n_params: int
    n_data: int
    gamma: float
    n_sets: int

    @property
    def share(self) -> float:
        """Of the number of parameters."""
        return self.value / self.n_params


def effective_dimension(fisher: ArrayLike, n_data: int = DATA, gamma: float = GAMMA) -> float:
    """The effective dimension from Fisher informations at parameter sets drawn uniformly.

    Args:
        fisher: ``(n_sets, n_params, n_params)``, symmetric and not negative; not normalised.
        n_data: number of data, up to 10**18, so many that ``gamma n / (2 pi log n) > 1``.
        gamma: above 0, at most 1.

    Returns:
        0 where all informations are 0.

    Raises:
        ExplanationError: the matrices have another shape, or gamma or n_data are out of their range.

    >>> round(effective_dimension(np.eye(3)[None], 1_000_000), 3)  # 3 log(1 + k) / log k
    3.0
    """
    matrices = np.asarray(fisher, dtype=np.float64)
    if matrices.ndim != 3 or matrices.shape[1] != matrices.shape[2] or not matrices.size:
        raise ExplanationError(f"fisher must have shape (n_sets, n_params, n_params), got {matrices.shape}.")
    scale = scale_of(n_data, gamma)
    n_params = matrices.shape[1]
    trace = float(np.trace(matrices, axis1=1, axis2=2).mean())
    if trace <= _PRESENT:
        return 0.0
    normalised = n_params * matrices / trace
    halves = 0.5 * np.linalg.slogdet(np.eye(n_params) + scale * normalised)[1]  # (n_sets,)
    mean = float(halves.max() + np.log(np.mean(np.exp(halves - halves.max()))))
    return 2.0 * mean / math.log(scale)


def scale_of(n_data: int, gamma: float = GAMMA) -> float:
    """The factor ``k = gamma n / (2 pi log n)`` of the informations, above 1.

    Raises:
        ExplanationError: gamma or n_data are out of their range.
    """
    if not 0.0 < gamma <= 1.0:
        raise ExplanationError(f"gamma must be above 0 and at most 1, got {gamma:g}.", field="gamma")
    given: object = n_data
    if isinstance(given, bool) or not isinstance(given, int | float | np.integer) or not given <= MOST_DATA:
        raise ExplanationError(f"n_data must be a number up to {MOST_DATA:.0e}, got {_short(n_data)}.", field="n_data")
    scale = gamma * n_data / (2.0 * math.pi * math.log(n_data)) if n_data > 1 else 0.0
    if scale <= 1.0:
        raise ExplanationError(
            f"n_data must be so large that gamma n / (2 pi log n) is above 1, got {n_data} at gamma {gamma:g}; take "
            "more, such as 1000.",
            field="n_data",
        )
    return scale


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:20]}... ({len(shown)} characters)"


def circuit_fisher(circuit: Circuit, inputs: Sequence[str], angles: Floats, weights: Floats) -> Floats:
    """Fisher informations of a circuit's bit strings, mean over inputs, ``(n_sets, n_params, n_params)``.

    Args:
        circuit: of gates only.
        inputs: parameters that are data.
        angles: their values, ``(n_inputs, len(inputs))``.
        weights: values of the others, in the circuit's order, ``(n_sets, n_params)``.

    Cost: ``4 * n_params + 1`` states for each input and set.
    """
    names = [name for name in circuit.parameters if name not in inputs]
    program = compile_program(circuit, [], inputs=[*inputs, *names], dtype="float64")
    n_sets, n_params = weights.shape
    shifts = [np.zeros(n_params)]
    shifts += [turn * _STEP * row for row in np.eye(n_params) for turn, _ in _STENCIL]
    moved = np.stack(shifts)  # (1 + 4 n_params, n_params)
    found = np.zeros((n_sets, n_params, n_params))
    for place in range(n_sets):
        around = weights[place] + moved
        for data in angles:
            rows = np.concatenate([np.tile(data, (len(shifts), 1)), around], axis=1)
            shares = _probabilities(program, rows)
            own, rest = shares[0], shares[1:].reshape(n_params, len(_STENCIL), -1)
            slopes = np.einsum("k,pkb->pb", np.array([weight for _, weight in _STENCIL]), rest) / _STEP
            seen = own > _PRESENT
            found[place] += (slopes[:, seen] / own[seen]) @ slopes[:, seen].T / len(angles)
    return found


def of_circuit(
    circuit: Circuit, inputs: Sequence[str], rng: np.random.Generator, n_data: int = DATA, gamma: float = GAMMA
) -> EffectiveDimension | None:
    """The effective dimension of a circuit; None without parameters beside its inputs, or where it is too large.

    It is too large beyond 12 qubits, and with so many parameters that 2**25 amplitudes, or as many entries of
    informations (some 2,900 parameters), make fewer than 4 sets of them.

    Raises:
        ExplanationError: gamma or n_data are out of their range.

    Cost: up to 2**25 amplitudes, a second; fewer parameter sets for large circuits.
    """
    n_params = circuit.n_params - len(inputs)
    if n_params < 1 or circuit.n_qubits > MOST_QUBITS:
        return None
    n_inputs = _INPUTS if inputs else 1
    per_set = n_inputs * (4 * n_params + 1) << circuit.n_qubits
    n_sets = min(_SETS, _AMPLITUDES // per_set, _AMPLITUDES // n_params**2)  # informations: 256 MB at most
    if n_sets < _FEWEST_SETS:
        return None
    weights = rng.uniform(0.0, 2.0 * np.pi, (n_sets, n_params))
    angles = rng.normal(size=(n_inputs, len(inputs)))
    fisher = circuit_fisher(circuit, inputs, angles, weights)
    return EffectiveDimension(effective_dimension(fisher, n_data, gamma), n_params, n_data, gamma, n_sets)


def _probabilities(program: CompiledProgram, rows: Floats) -> Floats:
    step = max(1, _CHUNK_AMPLITUDES >> program.n_qubits)
    parts = [program.probabilities(rows[i : i + step], None) for i in range(0, len(rows), step)]
    return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])
