"""Circuits become Pauli rotations: every gate is permutations and signs (free, in the frame) and ``exp(-i angle/2 P)``.

The table's generator column says which rotations a gate with an angle is; the few others stand here. What has neither
is taken apart by its table decomposition.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from superpose.circuits import GATES, Affine, Circuit, Gate
from superpose.engine.frame import Frame, anticommute, pauli_string
from superpose.errors import UnsupportedProgramError

__all__ = ["Angle", "Layer", "Lowered", "lower"]

Angle = list[tuple[Affine, float]]
"""A sum of affine expressions, each times a factor."""

SEARCH_LAYERS = 8
"""How many layers back a rotation may move."""
SEARCH_ITEMS = 256
"""How many rotations it is compared with on the way."""

_HALF_TURN = Affine((), math.pi)


class Layer(NamedTuple):
    """Rotations that follow one another: all diagonal (then they commute), or none."""

    diagonal: bool
    masks: list[tuple[int, int]]
    """(x, z) of each rotation; its Pauli string is ``i^k X^x Z^z`` with k the parity of ``x & z``."""
    angles: list[Angle]


class Lowered(NamedTuple):
    """The circuit as ``exp(i phase) F`` (the frame) after the layers of rotations."""

    n_qubits: int
    layers: list[Layer]
    frame: Frame
    phase: Angle


class _Lowering:
    def __init__(self, n_qubits: int) -> None:
        self.n_qubits = n_qubits
        self.frame = Frame(n_qubits)
        self.layers: list[Layer] = []
        self.phase: Angle = []

    def apply(self, name: str, qubits: tuple[int, ...], angles: tuple[Affine, ...]) -> None:
        """Append a gate."""
        rule = _RULES.get(name)
        if rule is not None:
            rule(self, qubits, angles)
            return
        row = GATES[name]
        if row.generator is not None and row.n_angles == 1 and _commuting(row.generator):
            for pauli, coefficient in row.generator:
                self.rotate(zip(qubits, pauli, strict=True), angles[0], 2 * coefficient)
            return
        if not row.decomposition:
            raise UnsupportedProgramError(
                f"The engine has no rule for gate {name!r}, and its table row has neither generator nor decomposition.",
                gate=name,
            )
        self.decompose(row, qubits, angles)

    def decompose(self, row: Gate, qubits: tuple[int, ...], angles: tuple[Affine, ...]) -> None:
        for step in row.decomposition:
            name, places, values = row.call(step, qubits, angles)
            self.apply(name, places, tuple(map(Affine.of, values)))

    def rotate(self, letters: object, angle: Affine, factor: float = 1.0) -> None:
        """Append ``exp(-i factor angle/2 P)``."""
        x, z, k = self.frame.pull(letters)  # type: ignore[arg-type]  # pairs (qubit, letter)
        if (k - ((x & z).bit_count() & 1)) & 2:  # the string is minus the normal one
            factor = -factor
        if x == 0 and z == 0:
            self.phase.append((angle, -0.5 * factor))
        elif x == 0:
            self._place_diagonal(z, (angle, factor))
        else:
            self._place(x, z, (angle, factor))

    def _place_diagonal(self, z: int, term: tuple[Affine, float]) -> None:
        """Put the rotation into the earliest layer of diagonal ones that it can move back to."""
        best, compared = None, 0
        for layer in self.layers[-1 : -SEARCH_LAYERS - 1 : -1]:
            if layer.diagonal:
                best = layer
                continue
            compared += len(layer.masks)
            if compared > SEARCH_ITEMS or any((x & z).bit_count() & 1 for x, _ in reversed(layer.masks)):
                break
        if best is None:
            self.layers.append(Layer(True, [(0, z)], [[term]]))
            return
        try:
            best.angles[best.masks.index((0, z))].append(term)
        except ValueError:
            best.masks.append((0, z))
            best.angles.append([term])

    def _place(self, x: int, z: int, term: tuple[Affine, float]) -> None:
        layer = None
        for candidate in self.layers[-1:-3:-1]:
            if not candidate.diagonal:
                layer = candidate
                break
            if len(candidate.masks) > SEARCH_ITEMS or any((x & z2).bit_count() & 1 for _, z2 in candidate.masks):
                break
        if layer is None:
            self.layers.append(Layer(False, [(x, z)], [[term]]))
            return
        for place in range(len(layer.masks) - 1, max(-1, len(layer.masks) - SEARCH_ITEMS), -1):
            x2, z2 = layer.masks[place]
            if x2 == x and z2 == z:
                layer.angles[place].append(term)
                return
            if anticommute(x, z, x2, z2):
                break
        layer.masks.append((x, z))
        layer.angles.append([term])


@cache
def _commuting(generator: tuple[tuple[str, float], ...]) -> bool:
    """Return whether the strings commute, so that the exponential of the sum is the product of the exponentials."""
    strings = [pauli_string(enumerate(letters), len(letters)) for letters, _ in generator]
    return not any(anticommute(*a[:2], *b[:2]) for a in strings for b in strings)


_Rule = Callable[[_Lowering, tuple[int, ...], tuple[Affine, ...]], None]


def _clifford(name: str) -> _Rule:
    """Append to the frame; the Frame's own methods are looked up by gate name."""
    method = getattr(Frame, f"gate_{name}")
    return lambda low, qubits, angles: method(low.frame, *qubits)


def _turn(letter: str, angle: float, phase: float) -> _Rule:
    """A fixed rotation of one qubit times ``exp(i phase)``."""
    turn, shift = Affine((), angle), (Affine((), phase), 1.0)

    def rule(low: _Lowering, qubits: tuple[int, ...], angles: tuple[Affine, ...]) -> None:
        low.rotate([(qubits[0], letter)], turn)
        low.phase.append(shift)

    return rule


def _h(low: _Lowering, qubits: tuple[int, ...], angles: tuple[Affine, ...]) -> None:
    """H = RY(pi/2) Z."""
    low.frame.gate_z(qubits[0])
    low.rotate([(qubits[0], "Y")], _HALF_TURN, 0.5)


def _u(low: _Lowering, qubits: tuple[int, ...], angles: tuple[Affine, ...]) -> None:
    """U = exp(i (theta + phi + lam)/2) RZ(phi) RY(theta) RZ(lam)."""
    theta, phi, lam = angles
    low.rotate([(qubits[0], "Z")], lam)
    low.rotate([(qubits[0], "Y")], theta)
    low.rotate([(qubits[0], "Z")], phi)
    low.phase += [(angle, 0.5) for angle in angles]


def _cu(low: _Lowering, qubits: tuple[int, ...], angles: tuple[Affine, ...]) -> None:
    """CU = P(gamma + (phi + lam)/2) on the control, controlled RZ(lam), RY(theta), RZ(phi)."""
    theta, phi, lam, gamma = angles
    low.apply("p", qubits[:1], (gamma + 0.5 * phi + 0.5 * lam,))
    low.apply("crz", qubits, (lam,))
    low.apply("cry", qubits, (theta,))
    low.apply("crz", qubits, (phi,))


def _ccx(low: _Lowering, qubits: tuple[int, ...], angles: tuple[Affine, ...]) -> None:
    """CCX = H CCZ H on the target; CCZ = exp(i pi/8 (1 - Z_a)(1 - Z_b)(1 - Z_t))."""
    a, b, t = qubits
    _h(low, (t,), ())
    for some in ((a,), (b,), (t,), (a, b), (a, t), (b, t), (a, b, t)):
        low.rotate([(q, "Z") for q in some], _HALF_TURN, 0.25 if len(some) % 2 else -0.25)
    low.phase.append((_HALF_TURN, 0.125))
    _h(low, (t,), ())


def _cswap(low: _Lowering, qubits: tuple[int, ...], angles: tuple[Affine, ...]) -> None:
    c, a, b = qubits
    low.frame.gate_cx(b, a)
    _ccx(low, (c, a, b), ())
    low.frame.gate_cx(b, a)


def _ch(low: _Lowering, qubits: tuple[int, ...], angles: tuple[Affine, ...]) -> None:
    """CH = RY(pi/4) CZ RY(-pi/4) on the target."""
    low.rotate([(qubits[1], "Y")], _HALF_TURN, -0.25)
    low.frame.gate_cz(*qubits)
    low.rotate([(qubits[1], "Y")], _HALF_TURN, 0.25)


_RULES: dict[str, _Rule] = {
    "id": lambda low, qubits, angles: None,
    **{name: _clifford(name) for name in ("x", "y", "z", "s", "sdg", "cx", "cy", "cz", "swap")},
    "t": _turn("Z", math.pi / 4, math.pi / 8),
    "tdg": _turn("Z", -math.pi / 4, -math.pi / 8),
    "sx": _turn("X", math.pi / 2, math.pi / 4),
    "sxdg": _turn("X", -math.pi / 2, -math.pi / 4),
    "h": _h,
    "u": _u,
    "cu": _cu,
    "ccx": _ccx,
    "cswap": _cswap,
    "ch": _ch,
}


def lower(circuit: Circuit) -> Lowered:
    """Return the circuit as layers of Pauli rotations in front of a frame.

    Rotations about one Pauli string that meet are merged; diagonal ones gather in as few layers as a bounded search
    finds.

    Cost: linear in the number of gates, some 10 us each.
    """
    lowering = _Lowering(circuit.n_qubits)
    for item in circuit.gate_calls():
        lowering.apply(item.gate, item.qubits, item.angles)
    return Lowered(circuit.n_qubits, lowering.layers, lowering.frame, lowering.phase)
