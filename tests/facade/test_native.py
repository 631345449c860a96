"""Circuits of other toolkits, handed over as they are."""

from __future__ import annotations

import math

import pytest

import superpose
from superpose.circuits import Circuit
from superpose.errors import ConversionError, ProgramError


def test_native_circuits_are_taken_everywhere() -> None:
    qiskit = pytest.importorskip("qiskit.circuit")
    theta = qiskit.Parameter("theta")
    native = qiskit.QuantumCircuit(1)
    native.ry(2 * theta, 0)
    ours = superpose.load(native)
    assert ours == Circuit(1).ry(2 * superpose.Parameter("theta"), 0)
    z = superpose.Observable("Z")
    assert superpose.run(native, [0.5], observables=z).expectations[0, 0] == pytest.approx(math.cos(1.0))
    assert superpose.gradient(native, [0.5], observables=z)[0, 0, 0] == pytest.approx(-2 * math.sin(1.0))
    assert superpose.compile(native, observables=z).run([0.5]).expectations[0, 0] == pytest.approx(math.cos(1.0))
    back = superpose.convert(ours, to="qiskit")
    assert [item.operation.name for item in back.data] == ["ry"]
    assert superpose.load(superpose.convert(native, to="openqasm3")) == ours
    with pytest.raises(ConversionError, match="known are"):
        superpose.convert(ours, to="quipper")
    with pytest.raises(ProgramError, match="is needed"):
        superpose.run(object())
