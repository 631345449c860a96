"""Circuits become Pauli rotations behind which a Clifford frame stands; `superpose.engine.passes` has the steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from superpose.circuits import Circuit, Observable
from superpose.engine.collector import collector_paused
from superpose.engine.frame import Frame
from superpose.engine.passes import PASSES, Pass, gather_diagonals, put_unseen_last, translate
from superpose.engine.passes.form import Angle, Form, Rotation, rotations_of

__all__ = ["Layer", "Lowered", "Strings", "lower"]

Strings = dict[tuple[int, int], dict[int, float]]
"""The Pauli strings (x, z) that are measured, and for each the observables it belongs to with their coefficients."""


_X_BITS, _Z_BITS = str.maketrans("IXYZ", "0110"), str.maketrans("IXYZ", "0011")


class Layer(NamedTuple):
    """Rotations that follow one another: all diagonal (then they commute), or none."""

    diagonal: bool
    items: list[Rotation]


class Lowered(NamedTuple):
    """The circuit as ``exp(i phase) F`` (the frame) after the layers of rotations.

    Attributes:
        n_qubits: Number of qubits.
        layers: The rotations.
        n_seen: How many layers at the start the observables see.
        strings: What is measured in front of the frame.
        n_observables: Number of observables.
        frame: F.
        phase: An angle, by its parts.
    """

    n_qubits: int
    layers: list[Layer]
    n_seen: int
    strings: Strings
    n_observables: int
    frame: Frame
    phase: Angle

    def phases(self, values: Mapping[str, Any], batch: int) -> npt.NDArray[np.float64]:
        """Return each sample's phase, float64 ``(batch,)``, for parameters' values, numbers or arrays ``(batch,)``.

        Constants are summed exactly: a plain sum over the 2353 gates of QASMBench's basis_trotter_n4 is off by 1e-11.
        """
        total = np.full(batch, math.fsum(factor * angle.constant for angle, factor in self.phase))
        for angle, factor in self.phase:
            for name, coefficient in angle.terms:
                total += factor * coefficient * values[name]
        return total


def lower(circuit: Circuit, observables: Sequence[Observable] = ()) -> Lowered:
    """Return the circuit as layers of Pauli rotations in front of a frame, and the observables behind it.

    Raises:
        UnsupportedProgramError: A gate has no rule, generator or decomposition.

    Cost: linear in the number of gates: 5 to 20 us each, fewest where angles are parameters.
    """
    with collector_paused():
        form = translate(circuit)
        given: dict[Pass, Form] = {}
        for one in PASSES:
            if given.get(one) is not form:  # else nothing has changed since that pass gave it
                form = given[one] = one(form)
        return arrange(form, observables)


def arrange(form: Form, observables: Sequence[Observable]) -> Lowered:
    """Return the form in layers, those first that the observables see."""
    strings = strings_of(form.frame, observables)
    form, n_seen = put_unseen_last(form, strings)
    rotations = rotations_of(form)
    seen, unseen = (
        layers_of(gather_diagonals(form._replace(items=part))) for part in (rotations[:n_seen], rotations[n_seen:])
    )
    return Lowered(form.n_qubits, seen + unseen, len(seen), strings, len(observables), form.frame, form.phase)


def layers_of(form: Form) -> list[Layer]:
    """Return the rotations as runs of diagonal ones and of others."""
    layers: list[Layer] = []
    for item in rotations_of(form):
        if not layers or layers[-1].diagonal != (item[0] == 0):
            layers.append(Layer(item[0] == 0, []))
        layers[-1].items.append(item)
    return layers


def strings_of(frame: Frame, observables: Sequence[Observable]) -> Strings:
    """Return what the frame turns the observables into: ``F^-1 P F`` for each of their strings P."""
    found: Strings = {}
    for place, observable in enumerate(observables):
        for letters, coefficient in observable.terms:
            own_x, own_z = int(letters.translate(_X_BITS), 2), int(letters.translate(_Z_BITS), 2)
            x, z, negative = frame.pull_masks(own_x, own_z)
            if negative != letters.count("Y") >> 1 & 1:  # the masks mean i^k X^x Z^z with k the parity of the Y
                coefficient = -coefficient
            row = found.setdefault((x, z), {})
            row[place] = row.get(place, 0.0) + coefficient
    return found
