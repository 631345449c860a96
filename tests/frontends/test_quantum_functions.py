"""A quantum function from a file of each toolkit: built shut in, then called without the toolkit."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator

import pytest

from superpose.sandbox import probe
from superpose.service import CallRequest, FunctionAsked, Principal, Service, ServiceConfig
from superpose.trust import read_key_file

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not probe().holds, reason="this machine has no Landlock or seccomp"),
]

BELLS = {
    "qiskit": "from qiskit import QuantumCircuit\ncircuit = QuantumCircuit(2)\ncircuit.h(0)\ncircuit.cx(0, 1)\n",
    "cirq": "import cirq\na, b = cirq.LineQubit.range(2)\ncircuit = cirq.Circuit(cirq.H(a), cirq.CNOT(a, b))\n",
    "braket": "from braket.circuits import Circuit\ncircuit = Circuit().h(0).cnot(0, 1)\n",
    "pennylane": "def circuit():\n    import pennylane as qml\n    qml.Hadamard(0)\n    qml.CNOT([0, 1])\n",
    "pyquil": "from pyquil import Program\nfrom pyquil.gates import CNOT, H\ncircuit = Program(H(0), CNOT(0, 1))\n",
    "pytket": "from pytket import Circuit\ncircuit = Circuit(2).H(0).CX(0, 1)\n",
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Principal]]:
    with Service.open(ServiceConfig(data_dir=tmp_path_factory.mktemp("service") / "data")) as service:
        yield service, service.authenticate(read_key_file(service.admin_key_path))


@pytest.mark.parametrize("toolkit", BELLS)
def test_python_of_each_toolkit(opened: tuple[Service, Principal], toolkit: str) -> None:
    pytest.importorskip({"braket": "braket.circuits"}.get(toolkit, toolkit), reason=f"{toolkit} is not installed")
    service, admin = opened
    made = service.functions.deploy(admin, toolkit, f"{toolkit}.py", BELLS[toolkit], FunctionAsked(shots=200))
    assert made.current.summary["toolkit"] == toolkit
    answer = asyncio.run(service.calls.call(admin, toolkit, CallRequest({}, seed=1), wait_s=60.0))
    assert set(answer.output["counts"][0]) == {"00", "11"}  # type: ignore[index]


@pytest.mark.parametrize("inside", [True, False])
def test_a_quantum_function_of_pennylane_keeps_its_parameters(opened: tuple[Service, Principal], inside: bool) -> None:
    pytest.importorskip("pennylane", reason="PennyLane is not installed")
    service, admin = opened
    line = "import pennylane as qml\n"
    head, within = ("", f"    {line}") if inside else (line, "")
    source = f"{head}OBSERVABLES = ['Z']\ndef circuit(turn):\n{within}    qml.RY(2 * turn, wires=0)\n"
    name = f"turn-{inside}"
    service.functions.deploy(admin, name, "turn.py", source)
    answer = asyncio.run(service.calls.call(admin, name, CallRequest({"turn": [0.0, 0.3]}), wait_s=60.0))
    found = answer.output["expectations"]  # type: ignore[index]
    assert found == [[pytest.approx(1.0)], [pytest.approx(math.cos(0.6))]]


def test_quil(opened: tuple[Service, Principal]) -> None:
    pytest.importorskip("pyquil", reason="pyQuil is not installed")
    service, admin = opened
    service.functions.deploy(admin, "quil", "bell.quil", "H 0\nCNOT 0 1\n")
    answer = asyncio.run(service.calls.call(admin, "quil", CallRequest({}), wait_s=60.0))
    assert set(answer.output["counts"][0]) == {"00", "11"}  # type: ignore[index]
