"""Every reason why a program does not fit a backend is told at once."""

from __future__ import annotations

import pytest

from superpose.backends import LocalBackend
from superpose.backends.fitting import misfits, require_fit
from superpose.circuits import Capabilities, Circuit, Observable, Program
from superpose.errors import UnsupportedProgramError

ABLE = Capabilities(max_qubits=3, max_shots=100, max_batch=2)
SHOTS = 10


@pytest.mark.parametrize(
    ("program", "able", "reason"),
    [
        (Program(Circuit(4).h(0), shots=SHOTS), ABLE, "4 qubits"),
        (Program(Circuit(1).h(0), shots=101), ABLE, "101 shots"),
        (Program(Circuit(1).h(0)), ABLE, "state vectors"),
        (Program(Circuit(1).h(0), {}, [Observable("Z")]), ABLE, "exact"),
        (Program(Circuit(1).h(0), shots=SHOTS, initial_state=[0, 1]), ABLE, "state of its own"),
        (Program(Circuit(1).h(0), shots=SHOTS), Capabilities(gates=frozenset({"rz", "sx"})), "gates h"),
        (Program(Circuit(1).depolarizing(0.1, 0), shots=SHOTS), ABLE, "noise channels"),
        (Program(Circuit(1).reset(0), shots=SHOTS), ABLE, "resets"),
        (Program(Circuit(1, n_bits=1).measure(0, 0).h(0), shots=SHOTS), ABLE, "in the middle"),
        (Program(Circuit(1, n_bits=1).measure(0, 0).if_(0, 1, Circuit(1).x(0)), shots=SHOTS), ABLE, "branches"),
    ],
)
def test_a_reason(program: Program, able: Capabilities, reason: str) -> None:
    assert any(reason in found for found in misfits(program, able))
    with pytest.raises(UnsupportedProgramError, match=reason) as refused:
        require_fit(program, able, "some")
    assert refused.value.details["backend"] == "some"


def test_what_fits_has_none() -> None:
    middle = Circuit(2, n_bits=2).h(0).measure(0, 0).reset(0).measure(1, 1)
    require_fit(Program(middle, shots=SHOTS), Capabilities(mid_circuit=True, reset=True), "some")
    require_fit(Program(Circuit(2).h(0).measure_all(), shots=SHOTS), ABLE, "some")
    require_fit(Program(Circuit(1).depolarizing(0.1, 0), {}, [Observable("Z")]), LocalBackend().capabilities(), "local")
