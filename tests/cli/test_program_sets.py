"""`superpose program-sets`: here, over the service, and what both print."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from superpose import Circuit, Observable, Parameter, ProgramGrid, ProgramSet
from superpose.circuits import program_set_to_json, program_set_to_npz

A = Parameter("a")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """One set in both forms."""
    made = ProgramSet(
        [
            ProgramGrid(Circuit(1).ry(A, 0), {"a": [[0.0, 1.0, 2.0]]}, Observable("Z"), name="energy"),
            ProgramGrid(Circuit(2).x(0), shots=10),
            ProgramGrid(Circuit(1).x(0)),
        ],
        seed=1,
    )
    (tmp_path / "set.json").write_text(json.dumps(program_set_to_json(made)))
    (tmp_path / "set.npz").write_bytes(program_set_to_npz(made))
    return tmp_path / "set.json", tmp_path / "set.npz"


def test_here(at_home: Callable[..., Any], files: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out.zip"
    said = at_home("program-sets", "run", files[0], "--output", out, "--json")
    assert said.code == 0, said.err
    assert [grid["shape"] for grid in said.json["grids"]] == [[1, 3], [], []]
    assert said.json["failures"] == []
    shown = at_home("program-sets", "run", files[1])
    assert "energy" in shown.out
    assert "1x3" in shown.out
    values = at_home("program-sets", "values", out, "--grid", "energy", "--at", "0,1:,0", "--json").json["values"]
    assert values == pytest.approx([0.5403023058681398, -0.4161468365471424])
    assert at_home("program-sets", "values", out, "--grid", "1", "--json").json["values"] == {"10": 10}
    assert at_home("program-sets", "values", out, "--grid", "2", "--json").json["values"] == [[0.0, 0.0], [1.0, 0.0]]
    for grid, at in (("9", "..."), ("energy", "5"), ("energy", "x")):
        refused = at_home("program-sets", "values", out, "--grid", grid, "--at", at, "--json")
        assert refused.code in (1, 2)
    assert at_home("program-sets", "run", tmp_path / "no.txt", "--json").json["error"]["code"] == "circuit.format"


def test_over_the_service(at_home: Callable[..., Any], files: tuple[Path, Path], tmp_path: Path) -> None:
    said = at_home("program-sets", "submit", files[1], "--output", tmp_path / "out.zip", "--json")
    assert said.code == 0, said.err
    set_id = said.json["id"]
    assert said.json["result"]["n_failed"] == 0
    assert (tmp_path / "out.zip").exists()
    assert set_id in at_home("program-sets", "list").out
    assert "5 in 3 grids" in at_home("program-sets", "show", set_id).out
    values = at_home("program-sets", "values", set_id, "--grid", "0", "--at", "0,2,0", "--json").json["values"]
    assert values == pytest.approx(-0.4161468365471424)
    again = at_home("program-sets", "download", set_id, "--output", tmp_path / "again.zip", "--json").json
    assert (tmp_path / "again.zip").stat().st_size == again["size_bytes"]
    assert at_home("program-sets", "remove", set_id, "--json").json == {"removed": set_id}
    for command in ("submit", "run"):
        nowhere = at_home("program-sets", command, files[0], "--output", tmp_path / "none" / "out.zip")
        assert "there is no folder" in nowhere.err and "job" not in nowhere.err
    detached = at_home("program-sets", "submit", files[0], "--detach")
    assert detached.out.startswith("submitted job_")
