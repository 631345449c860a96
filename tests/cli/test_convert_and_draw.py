"""`superpose convert` and `superpose draw`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.full_disk import room_for

from superpose.circuits import Circuit, Observable, Parameter, Program, circuit_to_json, program_to_json
from superpose.facade import load

QASM = """OPENQASM 3.0;
include "stdgates.inc";
input float θ;
gate mine(a) x, y { h x; ctrl @ rx(a/2) x, y; }
qubit[3] q;
bit[2] c;
mine(θ) q[0], q[2];
c[1] = measure q[0];
if (c[1]) { x q[1]; }
"""
WANTED = Circuit(3, n_bits=2).h(0).crx(Parameter("θ") / 2, 0, 2).measure(0, 1).if_(1, 1, Circuit(3).x(1))


@pytest.fixture
def circuit_file(tmp_path: Path) -> Path:
    path = tmp_path / "some.qasm"
    path.write_text(QASM, encoding="utf-8")
    return path


def test_there_and_back(superpose: Callable[..., Any], circuit_file: Path, tmp_path: Path) -> None:
    assert superpose("convert", circuit_file, tmp_path / "a.json").code == 0
    assert json.loads((tmp_path / "a.json").read_text()) == circuit_to_json(WANTED.copy("some"))
    said = superpose("convert", tmp_path / "a.json", tmp_path / "b.txt", "--to", "openqasm3", "--json")
    assert said.json == {
        "input": str(tmp_path / "a.json"), "output": str(tmp_path / "b.txt"), "form": "openqasm3",
        "n_qubits": 3, "n_bits": 2, "parameters": ["θ"],
    }  # fmt: skip
    said = superpose("convert", "--from", "openqasm3", tmp_path / "b.txt", "-", "--to", "superpose")
    assert json.loads(said.out)["instructions"] == circuit_to_json(WANTED)["instructions"]


@pytest.mark.parametrize("text", [QASM, json.dumps(circuit_to_json(WANTED))])
def test_streams(superpose: Callable[..., Any], text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    said = superpose("convert", "-", "-", "--to", "openqasm3")
    assert (said.code, said.err) == (0, "")
    assert load(said.out) == WANTED
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    said = superpose("convert", "-", "-", "--to", "openqasm3", "--json")
    assert load(said.json["text"]) == WANTED
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert superpose("draw", "-").out.splitlines()[1].endswith("IF(1=1)──X──END──")


def test_what_finds_no_room_leaves_what_was_there(
    superpose: Callable[..., Any], circuit_file: Path, tmp_path: Path
) -> None:
    target, kept = tmp_path / "out.qasm", "// the user's own\n"
    target.write_text(kept)
    target.chmod(0o600)
    (linked := tmp_path / "linked.qasm").symlink_to(target)
    with room_for(64):
        said = superpose("convert", circuit_file, linked)
    assert said.code == 1 and "cannot be written: File too large" in said.err
    assert target.read_text() == kept and {*tmp_path.iterdir()} == {circuit_file, target, linked}
    assert superpose("convert", circuit_file, linked).code == 0
    assert load(target.read_text()) == WANTED and linked.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o600  # who could not read it still cannot


def test_what_cannot_be_kept_is_refused_by_name_and_nothing_is_written(
    superpose: Callable[..., Any], tmp_path: Path
) -> None:
    source, target = tmp_path / "noisy.json", tmp_path / "out.qasm"
    source.write_text(json.dumps(circuit_to_json(Circuit(1).h(0).channel("depolarizing", [0.01], [0]))))
    said = superpose("convert", source, target, "--json")
    assert said.code == 1
    assert said.json["error"]["code"] == "circuit.conversion"
    assert "noise" in said.json["error"]["message"]
    assert not target.exists()


def test_wrong_calls(superpose: Callable[..., Any], circuit_file: Path, tmp_path: Path) -> None:
    said = superpose("convert", circuit_file, tmp_path / "a.txt", "--json")
    assert (said.code, said.json["error"]["code"]) == (1, "circuit.format")
    assert ".qasm" in said.err and "--to" in said.err
    assert superpose("convert", circuit_file, "-").code == 2
    assert superpose("convert", circuit_file, tmp_path / "a.qasm", "--to", "quipper").code == 2
    for command in (["convert", tmp_path / "none.qasm", tmp_path / "a.qasm"], ["draw", tmp_path / "none.qasm"]):
        said = superpose(*command, "--json")
        assert (said.code, said.json["error"]["code"]) == (1, "circuit.format")
        assert "No such file" in said.err
    (tmp_path / "bad.qasm").write_text("OPENQASM 3.0;\nqubit q;\nnonsense q;\n")
    for command in (["convert", tmp_path / "bad.qasm", tmp_path / "a.json"], ["draw", tmp_path / "bad.qasm"]):
        said = superpose(*command, "--json")
        assert (said.code, said.json["error"]["code"], said.json["error"]["details"]["line"]) == (1, "circuit.qasm", 3)
    assert superpose("convert", circuit_file, tmp_path / "missing" / "a.json").code == 1


def test_text_on_the_terminal(
    superpose: Callable[..., Any], circuit_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = superpose("draw", circuit_file)
    assert said.out == WANTED.draw(width=80) + "\n"
    assert superpose("draw", circuit_file, "--json").json == {
        "n_qubits": 3, "n_bits": 2, "parameters": ["θ"], "text": WANTED.draw(width=80)
    }  # fmt: skip
    assert superpose("draw", circuit_file, "--fold", "2").out == WANTED.draw(fold=2) + "\n"
    monkeypatch.setenv("COLUMNS", "30")
    assert max(map(len, superpose("draw", circuit_file).out.splitlines())) <= 30


def test_pictures(superpose: Callable[..., Any], circuit_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs superpose[plots]")
    said = superpose("draw", circuit_file, "--out", tmp_path / "a.png")
    assert (said.code, said.out) == (0, "")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    document = superpose("draw", circuit_file, "--out", tmp_path / "a.svg", "--fold", "3", "--json").json
    assert (document["format"], document["n_columns"], document["n_rows"]) == ("svg", 6, 2)
    assert "θ/2" in (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert superpose("draw", circuit_file, "--out", tmp_path / "a.gif", "--json").json["error"]["code"] == (
        "circuit.drawing"
    )


def test_a_programs_circuit_is_drawn(superpose: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "program.json"
    program = Program(Circuit(2).h(0).rx(Parameter("a"), 1), {"a": 0.5}, (Observable("ZZ"),))
    path.write_text(json.dumps(program_to_json(program)))
    assert superpose("draw", path).out == program.circuit.draw() + "\n"
    assert superpose("convert", path, tmp_path / "a.qasm").code == 1  # it would lose values and observables
