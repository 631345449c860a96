"""`superpose run`: circuits and programs from files, on this machine."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superpose.circuits import Circuit, Observable, Parameter, Program, circuit_to_json, program_to_json

QASM = """OPENQASM 3.0;
include "stdgates.inc";
input float theta;
qubit[2] q;
rx(theta) q[0];
cx q[0], q[1];
"""


@pytest.fixture
def circuit_file(tmp_path: Path) -> Path:
    path = tmp_path / "bell.qasm"
    path.write_text(QASM)
    return path


def test_expectations_of_one_value_and_of_a_batch(superpose: Callable[..., Any], circuit_file: Path) -> None:
    said = superpose("run", circuit_file, "--param", "theta=pi/3", "--observable", "ZI", "--observable", "0.5*ZZ - XX")
    assert said.code == 0, said.err
    head, values = said.out.splitlines()
    assert head.split(maxsplit=1) == ["<ZI>", "<0.5*ZZ - XX>"]
    assert [float(value) for value in values.split()] == pytest.approx([0.5, 0.5], abs=1e-6)
    batch = superpose("run", circuit_file, "--param", "theta=0,pi/2,-pi,3*pi/2,1e-3", "--observable", "ZI", "--json")
    angles = np.array([0, math.pi / 2, -math.pi, 3 * math.pi / 2, 1e-3])
    assert np.allclose(np.array(batch.json["expectations"])[:, 0], np.cos(angles))
    table = superpose("run", circuit_file, "--param", "theta=0,pi", "--observable", "ZI").out
    assert table.splitlines()[0].split() == ["entry", "<ZI>"]
    assert len(table.splitlines()) == 3


def test_counts_and_probabilities(superpose: Callable[..., Any], circuit_file: Path) -> None:
    arguments = ("run", circuit_file, "--param", "theta=pi/2", "--shots", "1000", "--seed", "7")
    said = superpose(*arguments)
    rows = [line.split() for line in said.out.splitlines()[1:]]
    assert {row[0] for row in rows} == {"00", "11"}
    assert sum(int(row[1]) for row in rows) == 1000
    assert superpose(*arguments).out == said.out
    state = superpose("run", circuit_file, "--param", "theta=pi/2").out.splitlines()
    assert state[1].split() == ["00", "0.500000", "+0.707107", "+0.000000i"]
    assert state[2].split() == ["11", "0.500000", "+0.000000", "-0.707107i"]


def test_openqasm_2_with_feed_forward(superpose: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "old.qasm"
    path.write_text(
        'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nu2(0,pi) q[0];\nmeasure q[0] -> c[0];\n'
        "if (c == 1) x q[1];\nmeasure q[1] -> c[1];\n"
    )
    said = superpose("run", path, "--shots", "1000", "--seed", "7", "--json")
    assert said.code == 0, said.err
    (counts,) = said.json["counts"]
    assert set(counts) == {"00", "11"} and sum(counts.values()) == 1000
    path.write_text("OPENQASM 2.0;\nqreg q[2];\nopaque magic a;\n")
    refused = superpose("run", path, "--shots", "10")
    assert refused.code != 0
    assert "line 3, column 1" in refused.err and "Opaque" in refused.err


def test_circuits_and_programs_in_json(superpose: Callable[..., Any], tmp_path: Path) -> None:
    theta = Parameter("theta")
    circuit = Circuit(1).ry(theta, 0)
    path = tmp_path / "circuit.json"
    path.write_text(json.dumps(circuit_to_json(circuit)))
    assert superpose("run", path, "--param", "theta=pi", "--observable", "Z", "--json").json["expectations"] == [[-1.0]]
    path.write_text(json.dumps(program_to_json(Program(circuit, {"theta": 0.0}, (Observable("Z"),)))))
    assert superpose("run", path, "--json").json["expectations"] == [[1.0]]
    assert superpose("run", path, "--param", "theta=pi", "--json").json["expectations"] == [[-1.0]]
    counted = superpose("run", path, "--shots", "10", "--seed", "1", "--json").json
    assert np.allclose(counted["expectations"], 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--param", "theta"], "not NAME=VALUE"),
        (["--param", "theta=two"], "not NAME=VALUE"),
        (["--param", "theta=pi/0"], "not NAME=VALUE"),
        (["--param", "theta=pi2"], "not NAME=VALUE"),
        (["--observable", "ZQ"], "not a Pauli sum"),
        (["--observable", ""], "at least one Pauli"),
        (["--shots", "0"], "--shots"),
    ],
)
def test_wrong_options_are_usage_errors(
    superpose: Callable[..., Any], circuit_file: Path, arguments: list[str], words: str
) -> None:
    said = superpose("run", circuit_file, *arguments)
    assert (said.code, said.out) == (2, "")
    assert words in said.err


def test_circuits_that_cannot_run_say_why(superpose: Callable[..., Any], circuit_file: Path, tmp_path: Path) -> None:
    assert superpose("run", circuit_file).err.startswith("error[circuit.parameter_unbound]")
    extra = superpose("run", circuit_file, "--param", "theta=1", "--param", "phi=1", "--json")
    assert (extra.code, extra.json["error"]["code"]) == (1, "circuit.parameter_unbound")
    said = superpose("run", circuit_file, "--param", "theta=1", "--observable", "ZZZ")
    assert said.err.startswith("error[circuit.observable]")
    assert superpose("run", tmp_path / "absent.qasm").err.startswith("error[circuit.format]")
    circuit_file.write_text("OPENQASM 3.0; qubit[2] q; rx(1 q[0];")
    assert superpose("run", circuit_file).err.startswith("error[circuit.qasm]: line 1, column")
    wide = tmp_path / "wide.json"
    wide.write_text(json.dumps(circuit_to_json(Circuit(40).h(0))))
    refused = superpose("run", wide, "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "engine.state_too_large")


def test_what_mitigation_takes_is_said_before(superpose: Callable[..., Any], circuit_file: Path) -> None:
    arguments = ("run", circuit_file, "--param", "theta=0.4", "--observable", "ZZ", "--shots", "20000", "--seed", "1")
    said = superpose(*arguments, "--backend", "normalised:local", "--json")
    assert said.code == 0 and "local+normalised takes at most 19,987 shots of each measurement setting" in said.err
    assert said.json["provenance"]["backend"] == "local+normalised"
    assert "takes at most" not in superpose(*arguments).err
