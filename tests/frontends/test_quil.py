"""Gates and circuits that a Quil program defines itself; Quil in texts and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import expm

import superpose
from superpose.circuits import reference
from superpose.errors import ConversionError

pytest.importorskip("pyquil", reason="needs superpose[pyquil]")

T = 0.37
X, Y, Z, ONE = np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1]), np.eye(2)
HEAD = """DEFGATE FLIP:
    0, 1
    1, 0

DEFGATE TURN(%theta):
    COS(%theta/2), -i*SIN(%theta/2)
    -i*SIN(%theta/2), COS(%theta/2)

DEFGATE TWO(%a, %b):
    CIS(%a), 0, 0, 0
    0, CIS(%b), 0, 0
    0, 0, 0, CIS(%a-%b)
    0, 0, CIS(%a-%b), 0

DEFGATE FREE(%a, %b):
    COS(%a), -SIN(%a)*CIS(%b)
    SIN(%a), COS(%a)*CIS(%b)

DEFGATE SWAPPED AS PERMUTATION:
    0, 1, 3, 2

DEFGATE CYCLE AS PERMUTATION:
    1, 2, 3, 0

DEFGATE SUM(%a, %b) p q AS PAULI-SUM:
    ZZ(-%a/4) p q
    Y(%a/4 + 0.5*%b) p
    X(%b) q

DEFGATE PARTNERS(%a) p q AS PAULI-SUM:
    ZY(-%a/4) p q
    YX(%a/4) p q

DEFGATE TILTED(%a) p AS PAULI-SUM:
    Z(%a) p
    X(%a/2) p

DEFCIRCUIT OUTER(%t) a b:
    RY(%t) a
    INNER(%t*2) b
    CNOT a b

DEFCIRCUIT INNER(%s) c:
    CONTROLLED RX(%s+0.1) 2 c

DECLARE t REAL
I 0
I 1
I 2
"""


def unitary(body: str) -> np.ndarray:
    circuit = superpose.load(HEAD + body)
    return reference.unitary(circuit, dict.fromkeys(circuit.parameters, T))


def placed(matrix: np.ndarray, *qubits: int) -> np.ndarray:
    """The matrix on these of three qubits, the first one most significant."""
    order = [*qubits, *(qubit for qubit in range(3) if qubit not in qubits)]
    at = [order.index(qubit) for qubit in range(3)]
    full = np.kron(matrix, np.eye(2 ** (3 - len(qubits)))).reshape([2] * 6)
    return full.transpose([*at, *(3 + place for place in at)]).reshape(8, 8)


def two(a: float, b: float) -> np.ndarray:
    out = np.diag([np.exp(1j * a), np.exp(1j * b), 0, 0])
    out[2, 3] = out[3, 2] = np.exp(1j * (a - b))
    return out


def test_gates_that_a_program_defines() -> None:
    zz, yi, ix = np.kron(Z, Z), np.kron(Y, ONE), np.kron(ONE, X)
    turned = expm(1j * (2 * T + 0.1) / 2 * X)
    for body, want in (
        ("FLIP 1", placed(X, 1)),
        ("TURN(2*t+0.1) 1", placed(turned.conj().T, 1)),
        ("DAGGER CONTROLLED TURN(2*t+0.1) 0 1", placed(np.block([[ONE, 0 * ONE], [0 * ONE, turned]]), 0, 1)),
        ("TWO(2*t, 0.3) 2 0", placed(two(2 * T, 0.3), 2, 0)),
        ("TWO(2*t, -t) 2 0", placed(two(2 * T, -T), 2, 0)),
        ("SWAPPED 2 1", placed(np.eye(4)[[0, 1, 3, 2]], 2, 1)),
        ("SUM(0.2, 0.3) 1 0", placed(expm(-1j * (-0.05 * zz + 0.2 * yi + 0.3 * ix)), 1, 0)),
        ("PARTNERS(t) 1 0", placed(expm(-1j * T / 4 * (-np.kron(Z, Y) + np.kron(Y, X))), 1, 0)),
        ("TILTED(t+1) 1", placed(expm(-1j * (T + 1) * (Z + X / 2)), 1)),
        ("FREE(0.4, t) 2", placed(np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
                                   @ np.diag([1, np.exp(1j * T)]), 2)),
        ("OUTER(t+1) 1 0", unitary("RY(t+1) 1\nCONTROLLED RX(2*t+2.1) 2 0\nCNOT 1 0\n")),
    ):  # fmt: skip
        np.testing.assert_allclose(unitary(body), want, atol=1e-9, err_msg=body)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("CYCLE 0 1", "not its own inverse"),
        ("SUM(t, 0.3) 0 1", "not an exponential of commuting"),
        ("FREE(t, t) 0", "not an exponential of commuting"),
        ("DAGGER OUTER(0.1) 0 1", "a modifier on a circuit"),
        ("OUTER(0.1) 0", "does not fit its circuit"),
        ("FLIP(0.1) 0", "1 angles of a gate with 0"),
        ("MISSING 1", "not defined"),
        ("H 0 +", "line 5[0-9]"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(body: str, said: str) -> None:
    with pytest.raises(ConversionError, match=said):
        superpose.load(HEAD + body)


def test_circuits_that_never_end_are_refused() -> None:
    with pytest.raises(ConversionError, match="deep"):
        superpose.load("DEFCIRCUIT A q:\n    B q\n\nDEFCIRCUIT B q:\n    A q\n\nA 0\n")


def test_a_file_of_quil_with_two_registers(tmp_path: Path) -> None:
    """pyQuil gives declarations in any order; bits stand in the order of the text."""
    path = tmp_path / "two.quil"
    path.write_text(
        "DECLARE zz BIT[2]\nDECLARE a BIT\nDECLARE ro BIT\nX 0\nX 2\nMEASURE 0 ro\nMEASURE 1 a\nMEASURE 2 zz[1]\n"
    )
    assert superpose.run(superpose.load(path), shots=3, seed=1).counts == ({"0101": 3},)


@pytest.mark.parametrize(
    "text",
    [
        "DECLARE t REAL\nRX(t + pi/0) 0",
        "DEFGATE TURN:\n    COS(%a/2), -i*SIN(%a/2)\n    -i*SIN(%a/2), COS(%a/2)\nTURN 0",
    ],
    ids=["a division by zero", "a name that nothing defines"],
)
def test_expressions_that_cannot_be_worked_out_are_refused(text: str) -> None:
    with pytest.raises(ConversionError, match="cannot work out an expression"):
        superpose.load(text)
