"""`superpose modules export`: what a user's own file does wrong, and prints, is told as its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NET = "import torch\n\nprint('hello')\nnet = torch.nn.Linear(4, 2)\nnumber = 3\n"
DEMANDING = "class Net:\n    def __init__(self, depth):\n        self.depth = depth\n"


@pytest.mark.parametrize(
    ("code", "name", "said"),
    [
        ("def net(:\n", ":net", "own.py failed: SyntaxError: invalid syntax (own.py, line 1)"),
        ("x = 1\nimport nosuchpackage\n", ":net", "own.py line 2 failed: ModuleNotFoundError: No module named"),
        (DEMANDING, ":Net", "missing 1 required positional argument: 'depth'"),
        ("raise SystemExit(3)\n", ":net", "own.py line 1 failed: SystemExit: 3"),
        (NET, "", "Name it so: own.py:NAME."),
        (NET, ":nett", "own.py has no 'nett'."),
        (NET, ":number", "number of own.py is of type int, not a torch.nn.Module."),
    ],
)
def test_what_a_file_does_wrong_is_told_with_its_name(
    superpose: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, name: str, said: str
) -> None:
    (tmp_path / "own.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    refused = superpose("modules", "export", f"own.py{name}", "--json")
    assert refused.code == 1
    assert refused.json["error"]["code"] == "module.not_exportable"
    assert said in refused.json["error"]["message"]


def test_what_a_file_prints_is_no_part_of_the_document(superpose: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(NET)
    made = superpose("modules", "export", f"{tmp_path / 'own.py'}:net", "--output", tmp_path / "net.m", "--json")
    assert made.code == 0 and made.json["n_columns"] == 4
    assert "hello" in made.err
