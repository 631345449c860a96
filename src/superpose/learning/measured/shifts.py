"""Which circuits a gradient needs, and how it follows from their expectations: linearly, for each method here.

For a row with parameters ``t`` the expectations ``E_k`` at points ``t + offset_k`` give the derivatives
``dE/dt_p = sum_k M[k, p] E_k``. Parameter shift and SPSA differ in offsets and matrix alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superpose.circuits import Circuit
from superpose.engine.gradients.occurrences import frequencies, occurrences
from superpose.engine.gradients.parameter_shift import shift_rule
from superpose.learning.quantum_block import QuantumBlock

__all__ = ["GradientCircuits", "ParameterShifts", "RandomDirections", "Shifts"]

Array = NDArray[np.float64]

_SPSA_REACH = 0.6
_SPSA_LONGEST = 0.4


@dataclass(frozen=True, eq=False)
class Shifts:
    """The points of one step's gradient.

    Attributes:
        offsets: what is added to the circuit's parameters, ``(n_points, n_own)``, or ``(batch, n_points, n_own)``.
        matrix: from expectations at the points to derivatives by inputs and weights, ``(n_points, n_params)``, or
            ``(batch, n_points, n_params)``.
    """

    offsets: Array
    matrix: Array

    def offsets_of(self, rows: NDArray[np.int64]) -> Array:
        """Offsets of these rows, ``(n_rows, n_points, n_own)``."""
        if self.offsets.ndim == 3:
            return self.offsets[rows]
        return np.broadcast_to(self.offsets, (len(rows), *self.offsets.shape))

    def derivatives(self, slopes: Array) -> Array:
        """``(batch, n_points)`` to ``(batch, n_params)``."""
        if self.matrix.ndim == 2:
            return slopes @ self.matrix
        found: Array = np.einsum("bk,bkp->bp", slopes, self.matrix)
        return found

    def squares(self, params: slice) -> float:
        """``sum_kp M[k, p]**2`` over some parameters, of one row on average."""
        total = float((self.matrix[..., params] ** 2).sum())
        return total if self.matrix.ndim == 2 else total / len(self.matrix)


class GradientCircuits:
    """What the methods share: which parameters are differentiated, and the circuit that is run.

    Args:
        block: the layer's circuit; parameters are its angles, then its weights.
        inputs: whether derivatives by the angles of inputs are needed.
        weights: whether derivatives by the weights are needed.
    """

    circuit: Circuit
    n_points: int

    def __init__(self, block: QuantumBlock, *, inputs: bool, weights: bool) -> None:
        self.names = (*block.angle_names, *block.weight_names)
        n_angles = len(block.angle_names)
        self.needed = np.array([inputs] * n_angles + [weights] * block.n_weights, dtype=bool)

    def own_values(self, values: Array) -> Array:
        """Values of the circuit's own parameters, ``(batch, n_own)``, from those of the block's."""
        raise NotImplementedError

    def shifts(self, batch: int, generator: np.random.Generator) -> Shifts:
        """The points of a step."""
        raise NotImplementedError


class ParameterShifts(GradientCircuits):
    """Parameter shift: each angle that holds a needed parameter alone, by the rule that its gate's generator asks for.

    Source: Wierichs, Izaac, Wang and Lin 2022, arXiv 2107.12390; see `superpose.engine.gradients.shift_rule`.
    """

    def __init__(self, block: QuantumBlock, *, inputs: bool, weights: bool) -> None:
        super().__init__(block, inputs=inputs, weights=weights)
        own = occurrences(block.circuit)
        self.circuit = own.circuit
        self._jacobian = own.jacobian(self.names)  # (n_own, n_params)
        nothing = {name: np.zeros(1) for name in self.names}
        self._constants = np.array([float(np.ravel(angle.evaluate(nothing))[0]) for angle in own.angles])
        offsets, rows = [], []
        for place, call in enumerate(own.calls):
            derivative = self._jacobian[place] * self.needed
            if not derivative.any():
                continue
            for shift, coefficient in shift_rule(frequencies(*call)):
                for sign in (1.0, -1.0):
                    offset = np.zeros(len(own.angles))
                    offset[place] = sign * shift
                    offsets.append(offset)
                    rows.append(sign * coefficient * derivative)
        self.n_points = len(offsets)
        shape = (self.n_points, len(own.angles)), (self.n_points, len(self.names))
        self._shifts = Shifts(np.reshape(offsets, shape[0]), np.reshape(rows, shape[1]))

    def own_values(self, values: Array) -> Array:
        """See `GradientCircuits`."""
        found: Array = values @ self._jacobian.T + self._constants
        return found

    def shifts(self, batch: int, generator: np.random.Generator) -> Shifts:
        """The same points for every row and step."""
        return self._shifts


class RandomDirections(GradientCircuits):
    """SPSA: ``n_directions`` random directions of +1 and -1 for each row, drawn anew in each step.

    Steps are ``0.6 / sqrt(n)`` radians with n parameters, 0.4 at most. Shot noise enters a slope as ``1 / (2 step)``;
    the other parameters' steps shrink slopes by up to ``cos(step)**(n - 1)``, which is then about 0.83.

    Source: Spall 1992, IEEE Trans. Autom. Control 37(3):332.
    """

    def __init__(self, block: QuantumBlock, *, inputs: bool, weights: bool, n_directions: int) -> None:
        super().__init__(block, inputs=inputs, weights=weights)
        self.circuit = block.circuit
        self.n_points = 2 * n_directions
        self._step = min(_SPSA_LONGEST, _SPSA_REACH / math.sqrt(max(1, int(self.needed.sum()))))
        self._order = [self.names.index(name) for name in self.circuit.parameters]

    def own_values(self, values: Array) -> Array:
        """See `GradientCircuits`."""
        return values[:, self._order]

    def shifts(self, batch: int, generator: np.random.Generator) -> Shifts:
        """Points ``t + step d``, then ``t - step d``."""
        n = self.n_points // 2
        directions = 1.0 - 2.0 * generator.integers(0, 2, (batch, n, len(self.names)))
        directions *= self.needed
        both = np.concatenate([directions, -directions], axis=1)  # (batch, n_points, n_params)
        return Shifts(self._step * both[:, :, self._order], both / (2.0 * self._step * n))
