"""A program's lowered form as a list of Pauli rotations, each with an angle of its own."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from superpose.circuits import Parameter
from superpose.engine.arrays import Array
from superpose.engine.lowering import Layer, Lowered
from superpose.engine.program import CompiledProgram

__all__ = ["Rotations", "rotations_of"]


class Rotations(NamedTuple):
    """Rotations ``exp(-i angle/2 P)``, in order; behind them stand the frame and a global phase only.

    Attributes:
        masks: (x, z) of each; ``P = i^parity(x & z) X^x Z^z``.
        constant: Float64 ``(n_rotations,)``.
        by_input, by_weight: Float64 ``(n_rotations, n_inputs)`` and ``(n_rotations, n_weights)``:
            ``angle = constant + by_input @ inputs + by_weight @ weights``.
    """

    masks: tuple[tuple[int, int], ...]
    constant: Array
    by_input: Array
    by_weight: Array

    def angles(self, inputs: Array, weights: Array) -> Array:
        """Return the angles, float64 ``(batch, n_rotations)``."""
        out: Array = inputs @ self.by_input.T + (self.constant + self.by_weight @ weights)
        return out

    def names(self) -> tuple[str, ...]:
        """Return one parameter name per rotation, those of `separated`."""
        return tuple(f"angle_{k}" for k in range(len(self.masks)))

    def separated(self, lowered: Lowered) -> Lowered:
        """Return the lowered circuit with each rotation's angle a parameter of its own, and no global phase."""
        names = iter(self.names())
        layers = [
            Layer(layer.diagonal, [(x, z, ((Parameter(next(names)), 1.0),)) for x, z, _ in layer.items])
            for layer in lowered.layers
        ]
        return lowered._replace(layers=layers, n_seen=len(layers), strings={}, n_observables=0, phase=())


@lru_cache(maxsize=64)
def rotations_of(program: CompiledProgram) -> Rotations:
    """Return the rotations that a program runs as.

    Cost: ``n_rotations * (n_inputs + n_weights)`` numbers.
    """
    rotations = [item for layer in program.lowered.layers for item in layer.items]
    masks = tuple((x, z) for x, z, _ in rotations)
    places = [{name: k for k, name in enumerate(names)} for names in (program.input_names, program.weight_names)]
    by_input, by_weight = (np.zeros((len(masks), len(place))) for place in places)
    constant = np.zeros(len(masks))
    for row, angle in enumerate(angle for _, _, angle in rotations):
        for affine, factor in angle:
            constant[row] += factor * affine.constant
            for name, coefficient in affine.terms:
                for place, out in zip(places, (by_input, by_weight), strict=True):
                    if name in place:
                        out[row, place[name]] += factor * coefficient
    return Rotations(masks, constant, by_input, by_weight)
