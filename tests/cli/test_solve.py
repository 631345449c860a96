"""`superpose solve`."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.full_disk import room_for

QUICK = ("--layers", "1", "--max-rounds", "3", "--shots", "200", "--time-limit", "30")


def test_an_example_is_solved_and_told_as_json(superpose: Callable[..., Any]) -> None:
    said = superpose("solve", "maxcut", *QUICK, "--json")
    assert said.code == 0, said.err
    document = json.loads(said.out)
    assert document["value"] == 12
    assert document["bound"] == 12
    assert document["yardstick"] == "proven optimum"
    assert document["methods"][0]["method"] == "qaoa"
    assert document["methods"][0]["gap_percent"] == 0
    assert "quantum part did not help" in document["verdict"]
    stages = [line.strip().partition(" · ETA")[0] for line in said.err.splitlines()]
    assert stages[0] == "0 % · solving with qaoa, 1 of 5 methods"
    assert stages[4] == "80 % · beside it classical, 5 of 5 methods"


def test_a_file_is_solved_and_told_to_people(superpose: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "sack"
    path.write_text("4 20\n9 6\n11 5\n13 9\n15 7\n")
    said = superpose("solve", path, *QUICK, "--reference", "35")
    assert said.code == 0, said.err
    assert "sack: knapsack, 4 variables, maximise" in said.out
    assert "gap to the proven optimum, 35" in said.out
    assert "items: [1, 2, 4]" in said.out.replace("\n", " ")
    assert "capacity: weight" in said.out
    assert "5 slack bits" in said.out
    assert "The quantum part did not help" in said.out.replace("\n", " ")


def test_what_is_neither_file_nor_example_is_told_the_examples(superpose: Callable[..., Any]) -> None:
    assert "examples are maxcut, knapsack, tsp, cvrp, jobshop" in superpose("solve", "maxcutt").err


def test_a_services_verdict_is_told_once(at_home: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "sack"
    path.write_text("4 20\n9 6\n11 5\n13 9\n15 7\n")
    options = ("--option", "layers=1", "--option", "shots=200", "--option", "compare=false")
    said = at_home("solutions", "submit", path, *options)
    assert said.code == 0, said.err
    assert said.err.count("qaoa with 1 layer") == 1


def test_routes_are_drawn(superpose: Callable[..., Any], tmp_path: Path) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("Matplotlib draws")
    path = tmp_path / "route.png"
    said = superpose("solve", "tsp", *QUICK, "--alone", "--plot", path)
    assert said.code == 0, said.err
    drawn = path.read_bytes()
    assert drawn.startswith(b"\x89PNG")
    with room_for(100):  # the solution took its time, and is told all the same
        said = superpose("solve", "tsp", *QUICK, "--alone", "--plot", path, "--json")
    assert (said.code, path.read_bytes()) == (1, drawn) and said.json["methods"][0]["feasible"]
    assert f"{path} cannot be written: File too large. The solution is printed all the same." in said.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nowhere.tsp",), "optimization.format"),
        (("maxcut", "--method", "magic"), "optimization.problem"),
        (("maxcut", "--max-qubits", "99"), "optimization.problem"),
        (("maxcut", "--backend", "nobody:here"), "backend.unknown"),
        (("maxcut", "--plot", "cut.png"), "optimization.problem"),
    ],
)
def test_errors_have_their_codes(superpose: Callable[..., Any], arguments: tuple[str, ...], code: str) -> None:
    said = superpose("solve", *arguments, "--json")
    assert said.code == 1
    assert json.loads(said.out)["error"]["code"] == code
