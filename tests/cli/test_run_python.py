"""`superpose run` on Python files: the circuit that one defines, and scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

OURS = """
from superpose.circuits import Circuit, Parameter

print("made")
circuit = Circuit(2).rx(Parameter("theta"), 0).cx(0, 1)
other = Circuit(1).x(0)

def made():
    return other

def needs(n):
    return n

if __name__ == "__main__":
    raise SystemExit("not run as a circuit")
"""


@pytest.fixture
def python_file(tmp_path: Path) -> Path:
    path = tmp_path / "bell.py"
    path.write_text(OURS)
    return path


def test_the_circuit_called_circuit_is_run(superpose: Callable[..., Any], python_file: Path) -> None:
    said = superpose("run", python_file, "--param", "theta=pi/3", "--observable", "ZI", "--json")
    assert said.code == 0, said.err
    assert said.json["expectations"][0][0] == pytest.approx(0.5)  # and what the file printed is not on stdout


def test_one_by_name_and_one_that_a_function_makes(superpose: Callable[..., Any], python_file: Path) -> None:
    for name in ("other", "made"):
        said = superpose("run", f"{python_file}:{name}", "--shots", "10", "--seed", "1", "--json")
        assert said.json["counts"] == [{"1": 10}], said.err


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("x = 1", "", "it defines no circuit at its top level"),
        (OURS.replace("circuit =", "bell ="), "", "it defines 2 circuits (bell, other); say which as FILE.py:NAME"),
        (OURS, "absent", "it defines no 'absent'; its circuits are circuit, other"),
        ("1/0", "", "ended with exit code 1 before it gave a circuit"),
        ("circuit = 3", "circuit", "A circuit of superpose or of"),
    ],
)
def test_what_a_file_lacks_is_said(
    superpose: Callable[..., Any], tmp_path: Path, text: str, name: str, words: str
) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(text)
    said = superpose("run", f"{path}:{name}" if name else path, "--shots", "10")
    assert said.code == 1
    assert words in " ".join(said.err.split())
    missing = superpose("run", tmp_path / "absent.py", "--shots", "10", "--json")
    assert (missing.code, missing.json["error"]["code"]) == (1, "circuit.format")


@pytest.mark.slow
def test_a_qnode_gives_its_own_observables_and_a_qiskit_circuit_its_counts(
    superpose: Callable[..., Any], tmp_path: Path
) -> None:
    pytest.importorskip("pennylane", reason="needs superpose[pennylane]")
    pytest.importorskip("qiskit", reason="needs superpose[qiskit]")
    path = tmp_path / "toolkits.py"
    path.write_text(
        """
import pennylane as qml
from qiskit import QuantumCircuit

bell = QuantumCircuit(2)
bell.h(0)
bell.cx(0, 1)
bell.measure_all()

@qml.qnode(qml.device("default.qubit"))
def node(theta):
    qml.RY(theta, wires=0)
    return qml.expval(qml.X(0)), qml.expval(2 * qml.Z(0))
"""
    )
    found = superpose("run", f"{path}:node", "--param", "theta=pi/2", "--json").json["expectations"]
    assert found == [[pytest.approx(1.0), pytest.approx(0.0, abs=1e-12)]]
    assert set(superpose("run", f"{path}:bell", "--shots", "100", "--json").json["counts"][0]) == {"00", "11"}


def test_a_script_runs_as_python_would_run_it(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(
        "import sys\nfrom neighbour import word\nif __name__ == '__main__':\n    print(word, sys.argv[1:])\n"
    )
    (tmp_path / "neighbour.py").write_text("word = 'hello'\n")
    command = [sys.executable, "-m", "superpose", "run", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    assert said.stdout == "hello []\n" and "device ran 0 circuits" in said.stderr
    as_json = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(as_json.stdout) == {"printed": "hello []\n", "device_executions": 0}
    path.write_text("raise SystemExit(3)")
    assert subprocess.run(command, capture_output=True).returncode == 3


def test_quil(superpose: Callable[..., Any], tmp_path: Path) -> None:
    pytest.importorskip("pyquil", reason="needs superpose[pyquil]")
    path = tmp_path / "bell.quil"
    path.write_text("DECLARE ro BIT[2]\nH 0\nCNOT 0 1\nMEASURE 0 ro[0]\nMEASURE 1 ro[1]\n")
    assert set(superpose("run", path, "--shots", "200", "--seed", "1", "--json").json["counts"][0]) == {"00", "11"}
