"""`superpose diagnose`: circuits and models, with the labels that shots leave to chance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from superpose import HybridClassifier
from superpose.cli.diagnose import _Parts
from superpose.datasets import builtin_table


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = builtin_table("iris")
    model = HybridClassifier(n_qubits=2, layers=1, epochs=3, random_state=0).fit(table.features, table.target)
    path = tmp_path_factory.mktemp("model") / "iris.superpose"
    model.save(path)
    table.features.iloc[:4].to_csv(path.with_suffix(".csv"), index=False)
    return path


def test_a_model_that_cannot_be_read_says_why(superpose: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "folder.superpose").mkdir()
    (tmp_path / "loop.superpose").symlink_to("loop.superpose")
    for name, why in (("folder", "Is a directory"), ("loop", "Too many levels"), ("none", "No such file")):
        for command in ("diagnose", "report"):
            said = superpose(command, str(tmp_path / f"{name}.superpose"), "--json")
            assert (said.code, said.json["error"]["code"]) == (1, "service.request")
            message = said.json["error"]["message"]
            assert f"cannot be read: {why}" in message or "There is no model file" in message


def test_a_file_that_is_neither_circuit_nor_model_is_told_both(superpose: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n")
    said = superpose("diagnose", tmp_path / "rows.csv", "--json")
    assert said.json["error"]["code"] == "circuit.format"
    assert "neither as a circuit (.qasm, " in said.json["error"]["message"]
    assert "nor as a model (.superpose)" in said.json["error"]["message"]


def test_a_circuit_with_shots_tells_which_signs_are_noise(superpose: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "one.qasm"
    path.write_text('OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float a;\nqubit[1] q;\nry(a) q[0];\n')
    found = superpose("diagnose", path, "--samples", 64, "--shots", 100, "--json")
    assert found.code == 0, found.err
    (noise,) = found.json["sign_noise"]
    assert noise["shots"] == 100 and 0 < noise["expected_flips"] < noise["share_in_band"] < 0.5
    assert superpose("diagnose", path, "--samples", 64, "--json").json["sign_noise"] == []
    said = superpose("diagnose", path, "--samples", 64, "--shots", 100)
    assert "sign of expectation, 100 shots" in said.out
    refused = superpose("diagnose", path, "--rows", "rows.csv", "--json")
    assert refused.json["error"]["code"] == "service.request"


def test_what_takes_long_names_its_parts(
    superpose: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one.qasm"
    path.write_text('OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float a;\nqubit[1] q;\nry(a) q[0];\n')
    options = ("diagnose", path, "--samples", 64, "--input", "a", "--shots", 10)

    def at_once(parts: Any) -> Callable[[str], None]:
        parts.grow_impatient()  # as its timer does after some seconds
        return parts.tell  # type: ignore[no-any-return]

    monkeypatch.setattr("superpose.cli.diagnose._SILENT_S", 1e6)
    quiet = superpose(*options, "--json")
    assert (quiet.code, quiet.err) == (0, "")
    monkeypatch.setattr("superpose.cli.diagnose._Parts.__enter__", at_once)
    said = superpose(*options, "--json")
    assert said.json == quiet.json
    assert said.err.splitlines() == [
        "... states of 64 random parameter sets",
        "... shares of gates and qubits in what the circuit does",
        "... variance of derivatives",
        "... Fourier spectrum of a",
        "... gates and qubits left out, one by one",
        "... effective dimension",
        "... signs of expectations with 10 shots",
    ]


def test_a_part_under_way_is_named_when_the_time_is_up(capsys: pytest.CaptureFixture[str]) -> None:
    parts = _Parts()
    parts.grow_impatient()
    assert capsys.readouterr().err == ""  # nothing has begun
    parts = _Parts()
    parts.tell("first")
    parts.tell("second")
    assert capsys.readouterr().err == ""
    parts.grow_impatient()
    parts.tell("third")
    assert capsys.readouterr().err.splitlines() == ["... second", "... third"]


def test_a_model_with_rows_tells_which_labels_are_noise(superpose: Callable[..., Any], model_file: Path) -> None:
    rows = model_file.with_suffix(".csv")
    options = ("diagnose", model_file, "--rows", rows, "--shots", 20, "--samples", 16)
    found = superpose(*options, "--json")
    assert found.code == 0, found.err
    assert len(found.json["circuits"]) == 1 and len(found.json["shot_noise"]["rows"]) == 4
    said = superpose(*options)
    assert said.code == 0, said.err
    assert "of 4 labels flip more often than 5 % with 20 shots." in said.out
    assert max(map(len, said.out.splitlines())) <= 80
    alone = superpose("diagnose", model_file, "--rows", rows, "--json")
    assert alone.json["error"]["code"].startswith("explanation") or "shots" in alone.json["error"]["message"]
    table = rows.with_name("empty.csv")
    table.write_text(rows.read_text().splitlines()[0] + "\n")
    listed = rows.with_name("empty.json")
    listed.write_text("[]")
    for none, said_of_it in ((table, f"{table} has no rows; give one"), (listed, "There are no rows to tell about")):
        empty = superpose("diagnose", model_file, "--rows", none, "--shots", 20, "--samples", 16, "--json")
        assert empty.code == 1, empty.out
        assert said_of_it in empty.json["error"]["message"]
    refused = superpose("diagnose", model_file, "--input", "x", "--json")
    assert "own observables and inputs" in refused.json["error"]["message"]
