"""First pass: gates become rotations and Clifford gates.

The gate table's generator column says which rotations a gate with one angle is; the few others stand here. What has
neither is taken apart by its table decomposition.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

from superpose.circuits import GATES, Affine, Circuit
from superpose.engine.frame import METHODS, Frame, anticommute, pauli_string
from superpose.engine.passes.form import Form, Item
from superpose.errors import UnsupportedProgramError

__all__ = ["translate"]

_HALF_TURN = Affine((), math.pi)
_Qubits = tuple[int, ...]
_Angles = tuple[Affine, ...]


class _Output:
    """What the gates so far have become."""

    __slots__ = ("items", "phase", "top")

    def __init__(self, n_qubits: int) -> None:
        self.items: list[Item] = []
        self.phase: list[tuple[Affine, float]] = []
        self.top = n_qubits - 1

    def rotate(self, letter: str, qubit: int, angle: Affine, factor: float = 1.0) -> None:
        """Append ``exp(-i factor angle/2 P)`` for P one of X, Y, Z on one qubit."""
        bit = 1 << (self.top - qubit)
        self.items.append((bit if letter != "Z" else 0, bit if letter != "X" else 0, ((angle, factor),)))


_Rule = Callable[[_Output, _Qubits, _Angles], None]


def _clifford(name: str) -> _Rule:
    def rule(out: _Output, qubits: _Qubits, angles: _Angles) -> None:
        out.items.append((name, qubits))

    return rule


def _turn(letter: str, angle: float, phase: float) -> _Rule:
    """A fixed rotation of one qubit times ``exp(i phase)``."""
    turn, shift = Affine((), angle), (Affine((), phase), 1.0)

    def rule(out: _Output, qubits: _Qubits, angles: _Angles) -> None:
        out.rotate(letter, qubits[0], turn)
        out.phase.append(shift)

    return rule


def _h(out: _Output, qubits: _Qubits, angles: _Angles) -> None:
    """H = RY(pi/2) Z."""
    out.items.append(("z", qubits))
    out.rotate("Y", qubits[0], _HALF_TURN, 0.5)


def _u(out: _Output, qubits: _Qubits, angles: _Angles) -> None:
    """U = exp(i (theta + phi + lam)/2) RZ(phi) RY(theta) RZ(lam)."""
    theta, phi, lam = angles
    out.rotate("Z", qubits[0], lam)
    out.rotate("Y", qubits[0], theta)
    out.rotate("Z", qubits[0], phi)
    out.phase += [(angle, 0.5) for angle in angles]


def _cu(out: _Output, qubits: _Qubits, angles: _Angles) -> None:
    """CU = P(gamma + (phi + lam)/2) on the control, controlled RZ(lam), RY(theta), RZ(phi)."""
    theta, phi, lam, gamma = angles
    _rule("p")(out, qubits[:1], (gamma + 0.5 * phi + 0.5 * lam,))
    _rule("crz")(out, qubits, (lam,))
    _rule("cry")(out, qubits, (theta,))
    _rule("crz")(out, qubits, (phi,))


def _ccx(out: _Output, qubits: _Qubits, angles: _Angles) -> None:
    """CCX = H CCZ H on the target; CCZ = exp(i pi/8 (1 - Z_a)(1 - Z_b)(1 - Z_t))."""
    a, b, t = (1 << (out.top - q) for q in qubits)
    _h(out, qubits[2:], ())
    for z in (a, b, t, a | b, a | t, b | t, a | b | t):
        out.items.append((0, z, ((_HALF_TURN, 0.25 if z.bit_count() % 2 else -0.25),)))
    out.phase.append((_HALF_TURN, 0.125))
    _h(out, qubits[2:], ())


def _cswap(out: _Output, qubits: _Qubits, angles: _Angles) -> None:
    """CSWAP = CX CCX CX."""
    c, a, b = qubits
    out.items.append(("cx", (b, a)))
    _ccx(out, (c, a, b), ())
    out.items.append(("cx", (b, a)))


def _ch(out: _Output, qubits: _Qubits, angles: _Angles) -> None:
    """CH = RY(pi/4) CZ RY(-pi/4) on the target."""
    out.rotate("Y", qubits[1], _HALF_TURN, -0.25)
    out.items.append(("cz", qubits))
    out.rotate("Y", qubits[1], _HALF_TURN, 0.25)


_RULES: dict[str, _Rule] = {
    "id": lambda out, qubits, angles: None,
    **{name: _clifford(name) for name in METHODS},
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


def _one_string(pauli: str, factor: float) -> _Rule:
    """A rotation about one string on one or two qubits."""
    in_x, in_z = (tuple(letter in letters for letter in pauli) for letters in ("XY", "ZY"))

    def one(out: _Output, qubits: _Qubits, angles: _Angles) -> None:
        bit = 1 << (out.top - qubits[0])
        out.items.append((bit * in_x[0], bit * in_z[0], ((angles[0], factor),)))

    def two(out: _Output, qubits: _Qubits, angles: _Angles) -> None:
        a, b = 1 << (out.top - qubits[0]), 1 << (out.top - qubits[1])
        out.items.append((a * in_x[0] | b * in_x[1], a * in_z[0] | b * in_z[1], ((angles[0], factor),)))

    return one if len(pauli) == 1 else two


def _generated(generator: Sequence[tuple[str, float]]) -> _Rule:
    """``exp(-i angle sum(coefficient P))`` for strings P that commute."""
    rules, phase = [], 0.0
    for pauli, coefficient in generator:
        if set(pauli) == {"I"}:
            phase -= coefficient
            continue
        sign = -1.0 if pauli.count("Y") & 2 else 1.0  # i^k of the normal string counts k modulo 2
        rules.append(_string(pauli, 2 * coefficient * sign))
    if len(rules) == 1 and not phase:
        return rules[0]

    def rule(out: _Output, qubits: _Qubits, angles: _Angles) -> None:
        for one in rules:
            one(out, qubits, angles)
        if phase:
            out.phase.append((angles[0], phase))

    return rule


def _string(pauli: str, factor: float) -> _Rule:
    if len(pauli) <= 2:
        return _one_string(pauli, factor)

    def rule(out: _Output, qubits: _Qubits, angles: _Angles) -> None:
        x, z, _ = pauli_string(zip(qubits, pauli, strict=True), out.top + 1)
        out.items.append((x, z, ((angles[0], factor),)))

    return rule


def _decomposed(name: str) -> _Rule:
    row = GATES[name]

    def rule(out: _Output, qubits: _Qubits, angles: _Angles) -> None:
        for step in row.decomposition:
            part, places, values = row.call(step, qubits, angles)
            _rule(part)(out, places, tuple(map(Affine.of, values)))

    return rule


@cache
def _rule(name: str) -> _Rule:
    """Return how a gate is translated."""
    if name in _RULES:
        return _RULES[name]
    row = GATES[name]
    if row.generator is not None and row.n_angles == 1 and _commuting(row.generator):
        return _generated(row.generator)
    if not row.decomposition:
        raise UnsupportedProgramError(
            f"The engine has no rule for gate {name!r}, and its table row has neither generator nor decomposition.",
            gate=name,
        )
    return _decomposed(name)


def _commuting(generator: Sequence[tuple[str, float]]) -> bool:
    """Return whether the strings commute, so that the exponential of the sum is the product of the exponentials."""
    strings = [pauli_string(enumerate(letters), len(letters)) for letters, _ in generator]
    return not any(anticommute(*a[:2], *b[:2]) for a in strings for b in strings)


def translate(circuit: Circuit) -> Form:
    """Return the circuit's gates as rotations and Clifford gates, in their order, before an empty frame.

    X, Y, Z, S, CX, CY, CZ, SWAP stay as they are; a gate with a generator becomes one rotation per Pauli string of it;
    H = RY(pi/2) Z, T, SX, U and their like follow their own rule; other gates follow their table decomposition.

    Raises:
        UnsupportedProgramError: A gate has no rule, generator or decomposition, or the circuit has more than gates.

    Cost: linear in the number of gates.
    """
    out = _Output(circuit.n_qubits)
    for item in circuit.gate_calls():
        _rule(item.gate)(out, item.qubits, item.angles)
    return Form(circuit.n_qubits, out.items, Frame(circuit.n_qubits), tuple(out.phase))
