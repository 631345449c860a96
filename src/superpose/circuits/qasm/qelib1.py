"""The gates of OpenQASM 2: U and CX, those of qelib1.inc, and those that Qiskit's reader has beside them.

The standard leaves global phases open; they are those of Qiskit's gates of the same names: ``U`` and ``u3`` have a real
upper left entry, ``u1`` is ``diag(1, exp(i lam))``, ``rx``, ``ry`` and ``rz`` have determinant 1.

Source: Cross, Bishop, Smolin, Gambetta, arXiv:1707.03429; the names that `qiskit.qasm2` lists as legacy instructions,
against whose matrices a test compares every gate. Relative-phase Toffoli gates: Maslov, arXiv:1508.03273.
"""

from __future__ import annotations

from math import pi

from superpose.circuits.gates import GATES, Gate, Step
from superpose.circuits.parameters import Parameter
from superpose.circuits.qasm.expansion import GPHASE, Library, Template

__all__ = ["LIBRARY_2"]

_theta, _phi, _lam = (Parameter(name) for name in ("theta", "phi", "lam"))
_UP, _DOWN = (pi / 4,), (-pi / 4,)


def _phase_of_ones(angle: float, n_qubits: int) -> list[Step]:
    """Steps that multiply the basis state of ones alone by ``exp(i angle)``.

    The product of bits is ``2**(1-n)`` times the sum over non-empty sets of qubits of their parity, odd sets with sign
    +1 and even ones with -1; a Gray code walks through the sets with one cx for each.
    """
    steps: list[Step] = []
    for target in range(n_qubits):
        for count in range(1 << target):
            gray = count ^ (count >> 1)
            sign = -1 if gray.bit_count() % 2 else 1
            steps.append(Step("p", (target,), (sign * angle / 2 ** (n_qubits - 1),)))
            if target:
                changed = min(((count + 1) & -(count + 1)).bit_length() - 1, target - 1)
                steps.append(Step("cx", (changed, target)))
    return steps


def _controlled_root_of_x(angle: float, n_controls: int) -> Template:
    """X to the power ``angle / pi``, with 1 kept, under so many controls: a phase between two Hadamards."""
    h = Step("h", (n_controls,))
    return (), n_controls + 1, (h, *_phase_of_ones(angle, n_controls + 1), h)


def _relative_phase_cx(control: int, target: int) -> list[Step]:
    return [Step("p", (target,), _UP), Step("cx", (control, target)), Step("p", (target,), _DOWN)]


def _rccx() -> Template:
    h, first = Step("h", (2,)), _relative_phase_cx(1, 2)
    return (), 3, (h, *first, Step("cx", (0, 2)), *first, h)


def _rc3x() -> Template:
    h, outer = Step("h", (3,)), _relative_phase_cx(2, 3)
    inner = [step for _ in range(2) for step in (Step("cx", (0, 3)), *_relative_phase_cx(1, 3))]
    return (), 4, (h, *outer, h, *inner, h, *outer, h)


_U3: Template = (
    ("theta", "phi", "lam"), 1, (Step("u", (0,), (_theta, _phi, _lam)), Step(GPHASE, (), (-_theta / 2,))),
)  # fmt: skip
_U2: Template = (
    ("phi", "lam"), 1, (Step("u", (0,), (pi / 2, _phi, _lam)), Step(GPHASE, (), (-pi / 4,))),
)  # fmt: skip

_INCLUDED: dict[str, Gate | Template] = {
    **{
        name: GATES[name]
        for name in ("cx", "id", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "rx", "ry", "rz", "cz", "cy", "ch")
    },
    "ccx": GATES["ccx"],
    "crz": GATES["crz"],
    "u1": (("lam",), 1, (Step("p", (0,), (_lam,)),)),
    "u2": _U2,
    "u3": _U3,
    "cu1": (("lam",), 2, (Step("cp", (0, 1), (_lam,)),)),
    "cu3": (("theta", "phi", "lam"), 2, (Step("cu", (0, 1), (_theta, _phi, _lam, 0.0)),)),
}

_EXTENSION: dict[str, Gate | Template] = {
    **{name: GATES[name] for name in ("p", "cp", "sx", "sxdg", "swap", "cswap", "crx", "cry", "cu", "rxx", "rzz")},
    "u": _U3,
    "u0": (("gamma",), 1, (Step("id", (0,)),)),
    "csx": _controlled_root_of_x(pi / 2, 1),
    "c3x": _controlled_root_of_x(pi, 3),
    "c4x": _controlled_root_of_x(pi, 4),
    "c3sqrtx": _controlled_root_of_x(pi / 2, 3),
    "rccx": _rccx(),
    "rc3x": _rc3x(),
}

LIBRARY_2 = Library("qelib1.inc", {"U": _U3, "CX": GATES["cx"]}, _INCLUDED, _EXTENSION)
