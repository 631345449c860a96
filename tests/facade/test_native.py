"""Circuits of other toolkits, handed over as they are."""

from __future__ import annotations

import math

import numpy as np
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


def test_program_sets_take_native_circuits_as_they_are() -> None:
    qiskit = pytest.importorskip("qiskit")
    from qiskit.circuit import Parameter as QiskitParameter

    theta = QiskitParameter("theta")
    native = qiskit.QuantumCircuit(1)
    native.ry(theta, 0)
    text = 'OPENQASM 3.0; include "stdgates.inc"; input float theta; qubit q; ry(theta) q;'
    values = {"theta": np.linspace(0, 1, 5)}
    made = superpose.program_set(
        (native, values, superpose.Observable("Z")), (text, values, superpose.Observable("Z"), None), seed=1
    )
    result = superpose.run(made)
    np.testing.assert_allclose(result[0].expectations[:, 0], np.cos(values["theta"]), atol=1e-12)
    np.testing.assert_array_equal(result[0].expectations, result[1].expectations)
