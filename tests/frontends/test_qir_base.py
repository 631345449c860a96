"""QIR of the base profile: what is written is read as the same circuit, and runs in Q#'s simulator."""

from __future__ import annotations

import os

import numpy as np
import pytest

os.environ.setdefault("QDK_PYTHON_TELEMETRY", "none")
pytest.importorskip("pyqir", reason="needs superpose[qsharp]")
simulation = pytest.importorskip("qdk.simulation", reason="needs superpose[qsharp]")

from superpose.circuits import GATES, Circuit, Gate, Parameter, reference  # noqa: E402
from superpose.errors import ConversionError  # noqa: E402
from superpose.frontends import qir_base  # noqa: E402
from superpose.frontends.qir import circuit_of  # noqa: E402
from superpose.frontends.words import Refusal  # noqa: E402


@pytest.mark.parametrize("row", GATES.values(), ids=lambda row: row.name)
def test_every_gate_is_read_back_up_to_a_phase(row: Gate) -> None:
    circuit = Circuit(3, n_bits=3).ry(0.5, 0).ry(0.8, 1).ry(1.1, 2).rz(0.4, 0).rz(-1e-7, 1).rz(9e20, 2)
    circuit.append(row.name, [2, 0, 1][: row.n_qubits], [0.4 + 0.5 * k for k in range(row.n_angles)])
    read = circuit_of(qir_base.write(circuit.measure_all()), (), "circuit", Refusal("QIR"))
    bodies = [one.without_final_measurements()[0] for one in (circuit, read)]
    wanted, found = (reference.state_vector(Circuit(3).extend(body.instructions)) for body in bodies)
    assert abs(abs(np.vdot(wanted, found)) - 1.0) < 1e-12
    assert read.without_final_measurements()[1] == circuit.without_final_measurements()[1]


def test_its_output_is_the_measured_bits_in_order() -> None:
    circuit = Circuit(3, n_bits=5).x(0).x(2).barrier(0, 1).measure(0, 4).measure(1, 1).measure(2, 2)
    rows = simulation.run_qir(qir_base.write(circuit), 3, seed=1, type="cpu")
    assert [[str(bit) for bit in row] for row in rows] == [["Zero", "One", "One"]] * 3


@pytest.mark.parametrize(
    "circuit",
    [
        Circuit(1, n_bits=1).measure(0, 0).x(0),
        Circuit(1).reset(0),
        Circuit(1).rx(Parameter("a"), 0),
        Circuit(1).bit_flip(0.1, 0),
    ],
)
def test_what_the_profile_has_no_words_for_is_refused(circuit: Circuit) -> None:
    with pytest.raises(ConversionError, match="base profile"):
        qir_base.write(circuit)
