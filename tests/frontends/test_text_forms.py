"""Text forms of circuits, there and back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.frontends.conftest import assert_same, installed, random_circuit

import superpose
from superpose.circuits import Circuit
from superpose.cli.convert import read_circuit
from superpose.errors import CircuitFormatError, ConversionError
from superpose.frontends.text_forms import TEXTS, text_form

PACKAGE = {"quil": "pyquil", "cirq": "cirq", "pytket": "pytket", "braket": "braket", "qsharp": "qsharp"}
"""Toolkits whose own parsers and writers stand behind a form."""


@pytest.mark.parametrize("name", list(TEXTS))
@pytest.mark.parametrize("symbolic", [False, True], ids=["numbers", "symbols"])
def test_circuits_survive_every_form(name: str, symbolic: bool) -> None:
    if name in PACKAGE:
        installed(PACKAGE[name])
    form = TEXTS[name]
    if form.read is None or form.write is None:
        pytest.skip(f"{form.title} goes one way only")
    if name == "openqasm2" and symbolic:
        pytest.skip("OpenQASM 2 has no parameters")
    for seed in range(4):
        circuit = random_circuit(seed, symbolic=symbolic, n_qubits=4)
        circuit = Circuit(4).id(0).id(1).id(2).id(3).extend(circuit.instructions)  # so that every qubit is named
        back = form.read(form.write(circuit), "circuit")
        if name == "braket":  # its text measures all qubits where the circuit measures none
            back, measured = back.without_final_measurements()
            assert [(item.qubit, item.bit) for item in measured] == [(0, 0), (1, 1), (2, 2), (3, 3)]
            back = Circuit(4).extend(back.instructions)
        assert_same(circuit, back, phase=name != "qsharp")


@pytest.mark.parametrize("name", list(TEXTS))
def test_measured_circuits_in_a_process_of_their_own(name: str, tmp_path: Path) -> None:
    if name in PACKAGE:
        installed(PACKAGE[name])
    form = TEXTS[name]
    if form.write is None:
        pytest.skip(f"{form.title} is read only")
    source, target, back = tmp_path / "a.json", tmp_path / "b.txt", tmp_path / "c.json"
    source.write_text(TEXTS["superpose"].write(Circuit(2).h(0).cx(0, 1).measure_all()))
    for arguments in ([source, target, "--to", name], ["--from", name, target, back]):
        command = [sys.executable, "-W", "ignore", "-m", "superpose", "convert", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
    counts = superpose.run(superpose.load(back), shots=100, seed=1).counts
    assert counts is not None and set(counts[0]) == {"00", "11"}


@pytest.mark.parametrize("name", [name for name in TEXTS if name != "braket"])
def test_nonsense_is_refused(name: str) -> None:
    if name in PACKAGE:
        installed(PACKAGE[name])
    reader = TEXTS[name].read
    if reader is None:
        pytest.skip("not read")
    with pytest.raises((CircuitFormatError, ConversionError, superpose.errors.QasmError)):
        reader("{ this is ] nothing", "circuit")


def test_suffixes_name_one_form_each() -> None:
    suffixes = [suffix for row in TEXTS.values() for suffix in row.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    assert all(text_form(suffix) for suffix in suffixes) and text_form(".txt") is None


def test_quil_files_are_converted(tmp_path: Path) -> None:
    installed("pyquil")
    path = tmp_path / "bell.quil"
    path.write_text("DECLARE ro BIT[2]\nDECLARE theta REAL\nRX(theta/2) 0\nCNOT 0 1\nMEASURE 0 ro[0]\n")
    circuit = read_circuit(str(path), None)
    assert circuit == Circuit(2, n_bits=2).rx(superpose.Parameter("theta") / 2, 0).cx(0, 1).measure(0, 0)
    assert circuit.name == "bell"
    path.write_text("RX(theta 0\n")
    with pytest.raises(ConversionError, match="no Quil that pyQuil reads"):
        read_circuit(str(path), None)
