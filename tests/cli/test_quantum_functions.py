"""`superpose functions` against a real service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

TURN = 'OPENQASM 3.0; include "stdgates.inc"; input float theta; qubit[1] q; ry(theta) q[0];'


def test_deploy_call_roll_back_and_delete(at_home: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "turn.qasm"
    file.write_text(TURN)
    said = at_home("functions", "deploy", file, "--observable", "Z")
    assert said.out.startswith("turn: version 1 answers at http://")
    file.write_text(TURN.replace("ry(theta)", "ry(2*theta)"))
    made = at_home("functions", "deploy", file, "--observable", "Z", "--json").json
    assert (made["name"], made["version"], made["parameters"]) == ("turn", 2, ["theta"])

    called = at_home("functions", "call", "turn", "--input", '{"theta": 0.0}', "--json").json
    assert called["output"]["expectations"] == [[1.0]]
    given = tmp_path / "input.json"
    given.write_text('{"theta": [0.0, 0.0]}')
    assert at_home("functions", "call", "turn", "--input", f"@{given}", "--json").json["output"]["shots"] is None
    counted = at_home("functions", "call", "turn", "--input", '{"theta": 0}', "--version", "1", "--json").json
    assert counted["version"] == 1

    assert at_home("functions", "rollback", "turn").out == "turn: version 1 answers\n"
    shown = at_home("functions", "show", "turn").out
    assert "1 of 2" in shown
    assert "1 expectations, exact" in shown
    assert at_home("functions", "show", "turn", "--source").out.strip() == TURN
    assert [f["name"] for f in at_home("functions", "list", "--json").json] == ["turn"]
    assert at_home("functions", "logs", "turn", "--json").json == []

    job = at_home("functions", "call", "turn", "--input", '{"theta": 0.0}', "--submit", "--json").json
    state = at_home("functions", "call", "turn", "--job", job["job_id"], "--json").json
    assert state["status"] in {"queued", "running", "waiting", "succeeded"}

    assert at_home("functions", "delete", "turn").out == "deleted function turn\n"
    gone = at_home("functions", "show", "turn", "--json")
    assert (gone.code, gone.json["error"]["code"]) == (1, "service.not_found")


def test_what_is_wrong_is_said(at_home: Callable[..., Any], tmp_path: Path) -> None:
    def code(*arguments: object) -> str:
        said = at_home("functions", *map(str, arguments), "--json")
        assert said.code == 1
        return str(said.json["error"]["code"])

    assert code("deploy", tmp_path / "none.qasm") == "quantum_function.file"
    (tmp_path / "a.txt").write_text(TURN)
    assert code("deploy", tmp_path / "a.txt") == "quantum_function.file"
    (tmp_path / "bad.qasm").write_text("OPENQASM 3.0; nothing of it")
    assert code("deploy", tmp_path / "bad.qasm") == "circuit.qasm"
    assert code("call", "nobody") == "service.not_found"
    assert code("call", "nobody", "--input", "{") == "service.request"
