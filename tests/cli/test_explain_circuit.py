"""`superpose explain-circuit`: what the engine makes of a circuit, without running it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from superpose.circuits import Circuit, Observable, Parameter, Program, circuit_to_json, program_to_json

QASM = """OPENQASM 3.0;
include "stdgates.inc";
input float theta;
input float phi;
qubit[9] q;
bit[9] c;
rx(theta) q[0];
cx q[0], q[1];
cx q[0], q[1];
rx(phi) q[0];
ry(0.5) q[8];
ry(-0.5) q[8];
rz(phi) q[3];
c = measure q;
"""


@pytest.fixture
def circuit_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.qasm"
    path.write_text(QASM)
    return path


def test_report_in_json(superpose: Callable[..., Any], circuit_file: Path) -> None:
    said = superpose("explain-circuit", circuit_file, "--input", "phi", "--batch", 64, "--json")
    assert said.code == 0, said.err
    report = said.json
    assert (report["n_qubits"], report["n_gates"], report["n_params"]) == (9, 7, 2)
    assert report["gates"] == {"rx": 2, "cx": 2, "ry": 2, "rz": 1}
    left = {one["name"]: (one["n_cliffords"], one["n_rotations"]) for one in report["passes"]}
    assert left == {
        "translate": (2, 5),
        "fold_permutations": (0, 5),
        "fuse_rotations": (0, 3),
        "cancel": (0, 2),
        "fold_quarter_turns": (0, 2),
        "put_unseen_last": (0, 1),
        "gather_diagonals": (0, 1),
    }
    assert [tape["layout"] for tape in report["tapes"]] == ["tile", "wide"]
    assert all((tape["n_rotations"], tape["n_seen"]) == (2, 1) for tape in report["tapes"])
    assert report["layout"] == "tile"
    assert report["gradient_bytes"] > report["forward_bytes"] > 0
    assert report["tapes"][0]["flops_gradient"] > report["tapes"][0]["flops_forward"] > 0


def test_report_for_people_fits_80_columns(superpose: Callable[..., Any], circuit_file: Path) -> None:
    said = superpose("explain-circuit", circuit_file)
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0] == "small · 9 qubits, 7 gates, depth 4, 2 parameters"
    assert lines[1] == "  rx 2  cx 2  ry 2  rz 1"
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("fold permutations") for line in lines)
    assert any(line.startswith("  takes the wide layout") for line in lines)


def test_programs_and_circuits_in_json(superpose: Callable[..., Any], tmp_path: Path) -> None:
    circuit = Circuit(2, "two").ry(Parameter("a"), 0).ry(Parameter("b"), 1)
    files = {
        "circuit.json": circuit_to_json(circuit),
        "program.json": program_to_json(Program(circuit, {"a": 0.1, "b": 0.2}, [Observable({"ZI": 1.0})])),
    }
    seen = []
    for name, document in files.items():
        (tmp_path / name).write_text(json.dumps(document))
        seen.append(superpose("explain-circuit", tmp_path / name, "--json").json["tapes"][0]["n_seen"])
    assert seen == [2, 1]
    said = superpose("explain-circuit", tmp_path / "circuit.json", "--observable", "IZ", "--json")
    assert said.json["tapes"][0]["n_seen"] == 1


def test_large_circuits_have_passes_but_no_tape(superpose: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "chain.json"
    circuit = Circuit(200)
    for q in range(199):
        circuit.h(q).cx(q, q + 1)
    path.write_text(json.dumps(circuit_to_json(circuit)))
    report = superpose("explain-circuit", path, "--json").json
    assert report["tapes"] == []
    assert report["passes"][-1]["n_rotations"] == 199
    assert superpose("explain-circuit", path).code == 0


@pytest.mark.parametrize(
    ("text", "options", "code", "says"),
    [
        (QASM, ["--input", "psi"], "circuit.parameter_unbound", "'psi'"),
        (QASM.replace("rx(theta)", "nope(theta)"), [], "qasm", "nope"),
        (QASM.replace("cx q[0], q[1];", "reset q[0];"), [], "unsupported", "Reset"),
    ],
)
def test_errors_by_name(
    superpose: Callable[..., Any], tmp_path: Path, text: str, options: list[str], code: str, says: str
) -> None:
    path = tmp_path / "bad.qasm"
    path.write_text(text)
    said = superpose("explain-circuit", path, *options, "--json")
    assert said.code == 1
    assert code in said.json["error"]["code"]
    assert says in said.json["error"]["message"]
    assert superpose("explain-circuit", tmp_path / "absent.qasm").code == 1


def test_observable_of_another_size(superpose: Callable[..., Any], circuit_file: Path) -> None:
    said = superpose("explain-circuit", circuit_file, "--observable", "ZZ")
    assert said.code == 2
    assert "2 qubits" in said.err
