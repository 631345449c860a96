"""The gates of qelib1.inc, the library of OpenQASM 2, as rows of our table or exact steps.

Phases are those that qiskit gives these gates: ``rz``, ``rzz`` and ``rxx`` have determinant 1, ``u`` and its kin
have a real upper left entry. Source: Cross et al., arXiv 1707.03429, section 3, and Maslov, Phys. Rev. A 93, 022311
(2016) for the gates up to relative phases.
"""

from __future__ import annotations

from math import pi

from superpose.circuits.gates import GATES, Step
from superpose.circuits.parameters import Parameter
from superpose.circuits.qasm.expansion import controlled

__all__ = ["GENERAL", "QELIB1", "QELIB1_STEPS"]

_theta, _phi, _lam = (Parameter(name) for name in ("theta", "phi", "lam"))
_SAME = (
    "cx", "id", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "rx", "ry", "rz", "sx", "sxdg", "p", "cz", "cy",
    "swap", "ch", "ccx", "cswap", "crx", "cry", "crz", "cp", "cu", "rxx", "rzz",
)  # fmt: skip

GENERAL = (Step("p", (0,), (_lam,)), Step("ry", (0,), (_theta,)), Step("p", (0,), (_phi,)))
"""The general gate on one qubit, whose upper left entry is real; our own u has the phase of OpenQASM 3."""

QELIB1 = {
    **{name: GATES[name] for name in _SAME},
    "u1": GATES["p"],
    "cu1": GATES["cp"],
}
"""Gates of qelib1.inc that are rows of our table, by their name there."""


def _controlled(gate: str, n_qubits: int, n_controls: int) -> tuple[Step, ...]:
    """A gate on the last qubits under so many controls in front of it."""
    steps = [Step(gate, tuple(range(n_controls, n_controls + n_qubits)))]
    for control in range(n_controls - 1, -1, -1):
        steps = controlled(steps, control, lambda n_steps: None)
    return tuple(steps)


def _relative_phase(*calls: tuple[str, int, int]) -> tuple[Step, ...]:
    """Steps from (gate, control or -1, target): H, T and their like on the target, or CX."""
    return tuple(Step(gate, (target,) if control < 0 else (control, target)) for gate, control, target in calls)


QELIB1_STEPS: dict[str, tuple[tuple[str, ...], int, tuple[Step, ...]]] = {
    "u0": (("gamma",), 1, (Step("id", (0,)),)),
    "u": (("theta", "phi", "lam"), 1, GENERAL),
    "u3": (("theta", "phi", "lam"), 1, GENERAL),
    "u2": (("phi", "lam"), 1, (Step("p", (0,), (_lam,)), Step("ry", (0,), (pi / 2,)), Step("p", (0,), (_phi,)))),
    "cu3": (("theta", "phi", "lam"), 2, (Step("cu", (0, 1), (_theta, _phi, _lam, 0)),)),
    "csx": ((), 2, _controlled("sx", 1, 1)),
    "c3x": ((), 4, _controlled("ccx", 3, 1)),
    "c4x": ((), 5, _controlled("ccx", 3, 2)),
    "c3sqrtx": ((), 4, _controlled("sx", 1, 3)),
    "rccx": ((), 3, _relative_phase(
        ("h", -1, 2), ("t", -1, 2), ("cx", 1, 2), ("tdg", -1, 2), ("cx", 0, 2), ("t", -1, 2), ("cx", 1, 2),
        ("tdg", -1, 2), ("h", -1, 2),
    )),
    "rc3x": ((), 4, _relative_phase(
        ("h", -1, 3), ("t", -1, 3), ("cx", 2, 3), ("tdg", -1, 3), ("h", -1, 3), ("cx", 0, 3), ("t", -1, 3),
        ("cx", 1, 3), ("tdg", -1, 3), ("cx", 0, 3), ("t", -1, 3), ("cx", 1, 3), ("tdg", -1, 3), ("h", -1, 3),
        ("t", -1, 3), ("cx", 2, 3), ("tdg", -1, 3), ("h", -1, 3),
    )),
}  # fmt: skip
"""The other gates of qelib1.inc, as angle names, number of qubits, and exact steps."""
