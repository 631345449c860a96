"""The gate table: a gate is one row of data, described in several independent ways that one test per column compares.

To add a gate, add a row to `_ROWS` and refresh the typed stub (``python -m superpose.circuits.write_stub``). Builder
methods, drawing, JSON, OpenQASM, the reference simulator and the engine read the table; the tests loop over it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from math import pi
from types import MappingProxyType

import numpy as np

from superpose.circuits import gate_matrices as m
from superpose.circuits.gate_matrices import Angle, Matrix
from superpose.circuits.gate_row import Gate, Step
from superpose.circuits.parameters import Parameter
from superpose.circuits.pauli import pauli_matrix
from superpose.circuits.wording import shown
from superpose.errors import GateUnknownError

__all__ = ["GATES", "Gate", "Step", "gate"]


def _u_tangents(theta: Angle, phi: Angle, lam: Angle) -> Matrix:
    """``G`` of theta, phi, lam, from u = p(phi) e^(i theta/2) ry(theta) p(lam)."""
    number = np.diag([0, -1]).astype(np.complex128)  # p(x) = exp(-i x number)
    left, whole = m.p(phi), m.u(theta, phi, lam)
    turn = (pauli_matrix("Y") - pauli_matrix("I")) / 2
    return np.stack([left @ turn @ left.conj().T, number, whole @ number @ whole.conj().T])


def _cu_tangents(theta: Angle, phi: Angle, lam: Angle, gamma: Angle) -> Matrix:
    """``G`` of theta, phi, lam, gamma: those of u on the controlled block, with its phase of theta taken out."""
    out = np.zeros((4, 4, 4), dtype=np.complex128)
    out[:3, 2:, 2:] = _u_tangents(theta, phi, lam)
    out[0, 2:, 2:] += np.eye(2) / 2
    out[3, 2:, 2:] = -np.eye(2)
    return out


_theta, _phi, _lam, _gamma = (Parameter(name) for name in ("theta", "phi", "lam", "gamma"))
_ANGLE, _PHASE, _U, _CU = ("theta",), ("lam",), ("theta", "phi", "lam"), ("theta", "phi", "lam", "gamma")
_ONE, _PAIR, _CONTROL = ("qubit",), ("qubit_a", "qubit_b"), ("control", "target")
_R = 0.5**0.5
_x, _y, _z, _h, _sx, _swap, _ecr = (
    m.constant(rows)
    for rows in (
        [[0, 1], [1, 0]],
        [[0, -1j], [1j, 0]],
        [[1, 0], [0, -1]],
        [[_R, _R], [_R, -_R]],
        [[0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j]],
        [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]],
        [[0, 0, _R, _R * 1j], [0, 0, _R * 1j, _R], [_R, _R * -1j, 0, 0], [_R * -1j, _R, 0, 0]],
    )
)

# fmt: off
_ROWS = (
    # the two gates that all others come down to
    Gate(
        name="u", title="General one-qubit gate", qubit_names=_ONE, angle_names=_U, matrix_of=m.u, tangents=_u_tangents,
        inverse=Step("u", (0,), (-_theta, -_lam, -_phi)),
        controlled=Step("cu", (0, 1), (_theta, _phi, _lam, _theta / 2)), qasm="U", symbols=("U",),
    ),
    Gate(
        name="cx", title="Controlled NOT", qubit_names=_CONTROL, matrix_of=m.controlled(_x), inverse=Step("cx", (0, 1)),
        controlled=Step("ccx", (0, 1, 2)), qasm="cx", symbols=("●", "X"),
    ),
    # one qubit, no angle
    Gate(
        name="id", title="Identity", qubit_names=_ONE, matrix_of=m.constant([[1, 0], [0, 1]]), inverse=Step("id", (0,)),
        decomposition=(Step("u", (0,), (0, 0, 0)),), qasm="id", symbols=("I",),
    ),
    Gate(
        name="x", title="Pauli X, bit flip", qubit_names=_ONE, matrix_of=_x, inverse=Step("x", (0,)),
        decomposition=(Step("u", (0,), (pi, 0, pi)),), exact=False, controlled=Step("cx", (0, 1)),
        qasm="x", symbols=("X",),
    ),
    Gate(
        name="y", title="Pauli Y", qubit_names=_ONE, matrix_of=_y, inverse=Step("y", (0,)),
        decomposition=(Step("u", (0,), (pi, pi / 2, pi / 2)),), exact=False, controlled=Step("cy", (0, 1)),
        qasm="y", symbols=("Y",),
    ),
    Gate(
        name="z", title="Pauli Z, phase flip", qubit_names=_ONE, matrix_of=_z, inverse=Step("z", (0,)),
        decomposition=(Step("u", (0,), (0, 0, pi)),), controlled=Step("cz", (0, 1)), qasm="z", symbols=("Z",),
    ),
    Gate(
        name="h", title="Hadamard", qubit_names=_ONE, matrix_of=_h, inverse=Step("h", (0,)),
        decomposition=(Step("u", (0,), (pi / 2, 0, pi)),), exact=False, controlled=Step("ch", (0, 1)),
        qasm="h", symbols=("H",),
    ),
    Gate(
        name="s", title="Square root of Z", qubit_names=_ONE, matrix_of=m.constant([[1, 0], [0, 1j]]),
        inverse=Step("sdg", (0,)), decomposition=(Step("u", (0,), (0, 0, pi / 2)),),
        controlled=Step("cp", (0, 1), (pi / 2,)), qasm="s", symbols=("S",),
    ),
    Gate(
        name="sdg", title="Inverse of S", qubit_names=_ONE, matrix_of=m.constant([[1, 0], [0, -1j]]),
        inverse=Step("s", (0,)), decomposition=(Step("u", (0,), (0, 0, -pi / 2)),),
        controlled=Step("cp", (0, 1), (-pi / 2,)), qasm="sdg", symbols=("S†",),
    ),
    Gate(
        name="t", title="Square root of S", qubit_names=_ONE, matrix_of=m.constant([[1, 0], [0, _R + _R * 1j]]),
        inverse=Step("tdg", (0,)), decomposition=(Step("u", (0,), (0, 0, pi / 4)),),
        controlled=Step("cp", (0, 1), (pi / 4,)), qasm="t", symbols=("T",),
    ),
    Gate(
        name="tdg", title="Inverse of T", qubit_names=_ONE, matrix_of=m.constant([[1, 0], [0, _R - _R * 1j]]),
        inverse=Step("t", (0,)), decomposition=(Step("u", (0,), (0, 0, -pi / 4)),),
        controlled=Step("cp", (0, 1), (-pi / 4,)), qasm="tdg", symbols=("T†",),
    ),
    Gate(
        name="sx", title="Square root of X", qubit_names=_ONE, matrix_of=_sx, inverse=Step("sxdg", (0,)),
        decomposition=(Step("u", (0,), (pi / 2, -pi / 2, pi / 2)),), qasm="sx", symbols=("√X",),
    ),
    Gate(
        name="sxdg", title="Inverse of SX", qubit_names=_ONE, matrix_of=lambda: _sx().conj(), inverse=Step("sx", (0,)),
        decomposition=(Step("u", (0,), (-pi / 2, -pi / 2, pi / 2)),), symbols=("√X†",),
    ),
    # one qubit, one angle
    Gate(
        name="rx", title="Rotation about X", qubit_names=_ONE, angle_names=_ANGLE, matrix_of=m.rx,
        inverse=Step("rx", (0,), (-_theta,)), generator=(("X", 0.5),),
        decomposition=(Step("u", (0,), (_theta, -pi / 2, pi / 2)),), exact=False,
        controlled=Step("crx", (0, 1), (_theta,)), qasm="rx", symbols=("RX",),
    ),
    Gate(
        name="ry", title="Rotation about Y", qubit_names=_ONE, angle_names=_ANGLE, matrix_of=m.ry,
        inverse=Step("ry", (0,), (-_theta,)), generator=(("Y", 0.5),),
        decomposition=(Step("u", (0,), (_theta, 0, 0)),), exact=False,
        controlled=Step("cry", (0, 1), (_theta,)), qasm="ry", symbols=("RY",),
    ),
    Gate(
        name="rz", title="Rotation about Z", qubit_names=_ONE, angle_names=_ANGLE, matrix_of=m.rz,
        inverse=Step("rz", (0,), (-_theta,)), generator=(("Z", 0.5),),
        decomposition=(Step("u", (0,), (0, 0, _theta)),), exact=False,
        controlled=Step("crz", (0, 1), (_theta,)), qasm="rz", symbols=("RZ",),
    ),
    Gate(
        name="p", title="Phase of 1", qubit_names=_ONE, angle_names=_PHASE, matrix_of=m.p,
        inverse=Step("p", (0,), (-_lam,)), generator=(("I", -0.5), ("Z", 0.5)),
        decomposition=(Step("u", (0,), (0, 0, _lam)),), controlled=Step("cp", (0, 1), (_lam,)),
        qasm="p", symbols=("P",),
    ),
    # controlled
    Gate(
        name="cy", title="Controlled Y", qubit_names=_CONTROL, matrix_of=m.controlled(_y), inverse=Step("cy", (0, 1)),
        decomposition=(Step("sdg", (1,)), Step("cx", (0, 1)), Step("s", (1,))), qasm="cy", symbols=("●", "Y"),
    ),
    Gate(
        name="cz", title="Controlled Z", qubit_names=_CONTROL, matrix_of=m.controlled(_z), inverse=Step("cz", (0, 1)),
        decomposition=(Step("h", (1,)), Step("cx", (0, 1)), Step("h", (1,))), qasm="cz", symbols=("●", "●"),
    ),
    Gate(
        name="ch", title="Controlled Hadamard", qubit_names=_CONTROL, matrix_of=m.controlled(_h),
        inverse=Step("ch", (0, 1)),
        decomposition=(Step("ry", (1,), (-pi / 4,)), Step("cz", (0, 1)), Step("ry", (1,), (pi / 4,))),
        qasm="ch", symbols=("●", "H"),
    ),
    Gate(
        name="crx", title="Controlled rotation about X", qubit_names=_CONTROL, angle_names=_ANGLE,
        matrix_of=m.controlled(m.rx), inverse=Step("crx", (0, 1), (-_theta,)), generator=(("IX", 0.25), ("ZX", -0.25)),
        decomposition=(Step("h", (1,)), Step("crz", (0, 1), (_theta,)), Step("h", (1,))),
        qasm="crx", symbols=("●", "RX"),
    ),
    Gate(
        name="cry", title="Controlled rotation about Y", qubit_names=_CONTROL, angle_names=_ANGLE,
        matrix_of=m.controlled(m.ry), inverse=Step("cry", (0, 1), (-_theta,)), generator=(("IY", 0.25), ("ZY", -0.25)),
        decomposition=(
            Step("ry", (1,), (_theta / 2,)), Step("cx", (0, 1)), Step("ry", (1,), (-_theta / 2,)), Step("cx", (0, 1)),
        ),
        qasm="cry", symbols=("●", "RY"),
    ),
    Gate(
        name="crz", title="Controlled rotation about Z", qubit_names=_CONTROL, angle_names=_ANGLE,
        matrix_of=m.controlled(m.rz), inverse=Step("crz", (0, 1), (-_theta,)), generator=(("IZ", 0.25), ("ZZ", -0.25)),
        decomposition=(
            Step("rz", (1,), (_theta / 2,)), Step("cx", (0, 1)), Step("rz", (1,), (-_theta / 2,)), Step("cx", (0, 1)),
        ),
        qasm="crz", symbols=("●", "RZ"),
    ),
    Gate(
        name="cp", title="Phase of 11", qubit_names=_CONTROL, angle_names=_PHASE, matrix_of=m.controlled(m.p),
        inverse=Step("cp", (0, 1), (-_lam,)), generator=(("II", -0.25), ("IZ", 0.25), ("ZI", 0.25), ("ZZ", -0.25)),
        decomposition=(
            Step("p", (0,), (_lam / 2,)), Step("p", (1,), (_lam / 2,)),
            Step("cx", (0, 1)), Step("p", (1,), (-_lam / 2,)), Step("cx", (0, 1)),
        ),
        qasm="cp", symbols=("●", "P"),
    ),
    Gate(
        name="cu", title="Controlled general gate with a phase", qubit_names=_CONTROL, angle_names=_CU, matrix_of=m.cu,
        tangents=_cu_tangents, inverse=Step("cu", (0, 1), (-_theta, -_lam, -_phi, -_gamma)),
        decomposition=(
            Step("p", (0,), (_gamma + _phi / 2 + _lam / 2,)), Step("p", (1,), (_lam / 2 - _phi / 2,)),
            Step("cx", (0, 1)), Step("u", (1,), (-_theta / 2, 0, -_phi / 2 - _lam / 2)), Step("cx", (0, 1)),
            Step("u", (1,), (_theta / 2, _phi, 0)),
        ),
        qasm="cu", symbols=("●", "U"),
    ),
    # two qubits alike
    Gate(
        name="rxx", title="Rotation about XX", qubit_names=_PAIR, angle_names=_ANGLE, matrix_of=m.rxx,
        inverse=Step("rxx", (0, 1), (-_theta,)), generator=(("XX", 0.5),),
        decomposition=(
            Step("h", (0,)), Step("h", (1,)), Step("rzz", (0, 1), (_theta,)), Step("h", (0,)), Step("h", (1,)),
        ),
        symbols=("RXX", "RXX"),
    ),
    Gate(
        name="ryy", title="Rotation about YY", qubit_names=_PAIR, angle_names=_ANGLE, matrix_of=m.ryy,
        inverse=Step("ryy", (0, 1), (-_theta,)), generator=(("YY", 0.5),),
        decomposition=(
            Step("rx", (0,), (pi / 2,)), Step("rx", (1,), (pi / 2,)), Step("rzz", (0, 1), (_theta,)),
            Step("rx", (0,), (-pi / 2,)), Step("rx", (1,), (-pi / 2,)),
        ),
        symbols=("RYY", "RYY"),
    ),
    Gate(
        name="rzz", title="Rotation about ZZ", qubit_names=_PAIR, angle_names=_ANGLE, matrix_of=m.rzz,
        inverse=Step("rzz", (0, 1), (-_theta,)), generator=(("ZZ", 0.5),),
        decomposition=(Step("cx", (0, 1)), Step("rz", (1,), (_theta,)), Step("cx", (0, 1))), symbols=("RZZ", "RZZ"),
    ),
    Gate(
        name="swap", title="Exchange of two qubits", qubit_names=_PAIR, matrix_of=_swap, inverse=Step("swap", (0, 1)),
        decomposition=(Step("cx", (0, 1)), Step("cx", (1, 0)), Step("cx", (0, 1))),
        controlled=Step("cswap", (0, 1, 2)), qasm="swap", symbols=("×", "×"),
    ),
    Gate(
        name="ecr", title="Echoed cross-resonance, (XI - YX)/sqrt(2)", qubit_names=_PAIR, matrix_of=_ecr,
        inverse=Step("ecr", (0, 1)),
        decomposition=(Step("h", (1,)), Step("rzz", (0, 1), (pi / 2,)), Step("h", (1,)), Step("x", (0,))),
        symbols=("ECR", "ECR"),
    ),
    # three qubits
    Gate(
        name="cswap", title="Controlled exchange (Fredkin)", qubit_names=("control", "qubit_a", "qubit_b"),
        matrix_of=m.controlled(_swap), inverse=Step("cswap", (0, 1, 2)),
        decomposition=(Step("cx", (2, 1)), Step("ccx", (0, 1, 2)), Step("cx", (2, 1))),
        qasm="cswap", symbols=("●", "×", "×"),
    ),
    Gate(
        name="ccx", title="Doubly controlled NOT (Toffoli)", qubit_names=("control_a", "control_b", "target"),
        matrix_of=m.controlled(m.controlled(_x)), inverse=Step("ccx", (0, 1, 2)),
        decomposition=(
            Step("h", (2,)), Step("cx", (1, 2)), Step("tdg", (2,)), Step("cx", (0, 2)), Step("t", (2,)),
            Step("cx", (1, 2)), Step("tdg", (2,)), Step("cx", (0, 2)), Step("t", (1,)), Step("t", (2,)),
            Step("h", (2,)), Step("cx", (0, 1)), Step("t", (0,)), Step("tdg", (1,)), Step("cx", (0, 1)),
        ),
        qasm="ccx", symbols=("●", "●", "X"),
    ),
)
# fmt: on

GATES: Mapping[str, Gate] = MappingProxyType({row.name: row for row in _ROWS})
"""Every gate by name."""


def gate(name: str) -> Gate:
    """Return the row of this name.

    Raises:
        GateUnknownError: No such row; the message names the closest ones.
    """
    row = GATES.get(name) if isinstance(name, str) else None
    if row is None:
        close = difflib.get_close_matches(str(name)[:100], GATES, n=3)
        hint = f"; did you mean {', '.join(close)}?" if close else f"; known are {', '.join(GATES)}."
        raise GateUnknownError(f"There is no gate {shown(name)}{hint}", gate=str(name)[:100], allowed=list(GATES))
    return row
