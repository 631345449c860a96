"""One test per column of the gate table, over all rows; and what hangs on the table."""

import inspect
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from superpose.circuits import GATES, Circuit, Step, gate
from superpose.circuits.write_stub import STUB, stub_text
from superpose.errors import GateArityError, GateUnknownError
from superpose.testing.gates import GATE_CHECKS, check_gate

ASKED_FOR = {
    *("id", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "sxdg", "rx", "ry", "rz", "p", "u"),
    *("cx", "cy", "cz", "ch", "crx", "cry", "crz", "cp", "cu", "rxx", "ryy", "rzz", "swap", "ecr", "cswap", "ccx"),
}


@pytest.mark.parametrize("check", GATE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("row", GATES.values(), ids=lambda row: row.name)
def test_column_of_row(row, check):
    check(row)


def test_table_has_every_gate_asked_for():
    assert set(GATES) == ASKED_FOR
    assert all(name == row.name for name, row in GATES.items())


@pytest.mark.parametrize(
    "wrong",
    [
        {"inverse": Step("s", (0,))},
        {"decomposition": (Step("u", (0,), (0, 0, 0.1)),)},
        {"controlled": Step("cp", (0, 1), (0.1,))},
        {"matrix_of": lambda: np.ones((2, 2), complex)},
        {"symbols": ()},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_check_gate_notices_a_wrong_column(wrong):
    with pytest.raises(AssertionError, match="gate s"):
        check_gate(replace(gate("s"), **wrong))


def test_check_gate_notices_a_wrong_generator_and_a_wrong_phase():
    with pytest.raises(AssertionError, match=r"generator|derivative"):
        check_gate(replace(gate("rx"), generator=(("Y", 0.5),)))
    with pytest.raises(AssertionError, match="phase"):
        check_gate(replace(gate("rx"), exact=True))


def test_known_matrices():
    """Spot checks against matrices written out by hand, so that the columns are not wrong together."""
    i = 1j
    np.testing.assert_array_equal(gate("cx").matrix(), [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
    np.testing.assert_allclose(gate("sx").matrix() @ gate("sx").matrix(), gate("x").matrix(), atol=1e-15)
    np.testing.assert_allclose(gate("t").matrix(), np.diag([1, np.exp(i * np.pi / 4)]), atol=1e-15)
    theta = 0.3
    np.testing.assert_allclose(
        gate("ry").matrix([theta]), [[np.cos(0.15), -np.sin(0.15)], [np.sin(0.15), np.cos(0.15)]]
    )
    np.testing.assert_allclose(gate("rz").matrix([theta]), np.diag(np.exp([-i * 0.15, i * 0.15])))
    np.testing.assert_allclose(gate("crx").matrix([theta])[2:, 2:], gate("rx").matrix([theta]))
    phi, lam = 0.7, -1.1
    e = np.exp(i * theta)  # OpenQASM 3 live specification, built-in gate U
    wanted = [
        [1 + e, -i * np.exp(i * lam) * (1 - e)],
        [i * np.exp(i * phi) * (1 - e), np.exp(i * (phi + lam)) * (1 + e)],
    ]
    np.testing.assert_allclose(gate("u").matrix([theta, phi, lam]), np.array(wanted) / 2, atol=1e-15)
    assert np.argmax(np.abs(gate("ccx").matrix()[:, 6])) == 7
    assert np.argmax(np.abs(gate("cswap").matrix()[:, 0b101])) == 0b110


def test_matrix_is_not_shared():
    gate("h").matrix()[0, 0] = 5
    assert gate("h").matrix()[0, 0] != 5


def test_matrix_with_wrong_number_of_angles():
    with pytest.raises(GateArityError, match="rx takes 1 angles, got 2"):
        gate("rx").matrix([0.1, 0.2])


def test_unknown_gate_names_the_closest():
    with pytest.raises(GateUnknownError, match=r"did you mean.*cx") as caught:
        gate("cxx")
    assert caught.value.code == "circuit.gate_unknown"


@pytest.mark.parametrize("row", GATES.values(), ids=lambda row: row.name)
def test_builder_method_follows_from_the_table(row):
    method = getattr(Circuit, row.name)
    names = (*row.angle_names, *row.qubit_names)
    assert tuple(inspect.signature(method).parameters) == ("self", *names)
    assert row.title.lower() in method.__doc__
    angles, qubits = [0.1 * (k + 1) for k in range(row.n_angles)], list(range(row.n_qubits))
    by_place = method(Circuit(row.n_qubits), *angles, *qubits)
    by_name = method(Circuit(row.n_qubits), **dict(zip(names, [*angles, *qubits], strict=True)))
    assert by_place == by_name == Circuit(row.n_qubits).append(row.name, qubits, angles)
    with pytest.raises(TypeError):
        method(Circuit(row.n_qubits))


def test_stub_is_what_the_table_asks_for():
    assert STUB.read_text(encoding="utf-8") == stub_text(), "run python -m superpose.circuits.write_stub"


def test_circuits_import_numpy_only():
    code = (
        "import sys; import superpose.circuits; "
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'numba', 'pandas', 'sklearn', 'scipy'}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
