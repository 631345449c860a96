"""The documentation's blocks are run."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from superpose.cli.app import run as superpose
from superpose.learning import TrainingSpec

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[tuple[str, str]]:
    """Every fenced block of a language, with its page."""
    return [
        (page.name, block)
        for page in PAGES
        for block in re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)
    ]


PYTHON = blocks("python")


@pytest.fixture(scope="module")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], tuple[int, str, str]]]:
    """A Python block's exit code and what it printed, run in a process of its own."""

    def run(block: str) -> tuple[int, str, str]:
        place = tmp_path_factory.mktemp("block")
        print(json.dumps([block, str(place)]), file=asked, flush=True)
        code = int(told.readline())  # of nothing where the server is gone, which says why on its own stderr
        return code, (place / "stdout").read_text("utf-8"), (place / "stderr").read_text("utf-8")

    forking = [sys.executable, str(Path(__file__).with_name("forking.py"))]
    with subprocess.Popen(forking, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        asked, told = server.stdin, server.stdout
        try:
            yield run
        finally:
            server.kill()


def test_whatever_a_page_imports_is_there() -> None:
    """Of all pages and blocks, also of those that are not run because they need a file or a service."""
    found = [
        (page.name, room, name)
        for page in PAGES
        for room, names in re.findall(r"^ *from (superpose[\w.]*) import ([\w, ]+)", page.read_text("utf-8"), re.M)
        for name in re.findall(r"\w+", names)
    ]
    assert len(found) > 50
    for page, room, name in found:
        assert hasattr(importlib.import_module(room), name), f"{page} imports {name} from {room}"


@pytest.mark.parametrize(("page", "block"), PYTHON)
def test_python_blocks_run_and_print_what_their_comments_say(
    page: str, block: str, run_of: Callable[[str], tuple[int, str, str]]
) -> None:
    code, printed, complaint = run_of(block)
    assert code == 0, complaint
    said = re.findall(r"print\(.*\)\s+#\s(.*)$", block, re.M)
    assert printed.splitlines() == said


@pytest.mark.parametrize(("page", "block"), blocks("yaml"))
def test_specs_are_good(page: str, block: str) -> None:
    TrainingSpec.from_yaml(block)


def test_the_spec_that_the_page_shows_is_the_default_one_with_every_field() -> None:
    """But for the sections that have a table or a page of their own."""
    shown = yaml.safe_load(next(block for page, block in blocks("yaml") if page == "learning.md"))
    default = TrainingSpec().to_dict()
    shown["split"]["column"] = None  # which the default kind has none of
    assert shown == {name: default[name] for name in shown}
    assert set(default) - set(shown) <= {"backend", "card", "privacy", "calibration", "fine_tune"}


@pytest.mark.parametrize(("page", "block"), blocks("text"))
def test_help_blocks_are_what_the_command_prints(
    page: str, block: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _, shown = block.partition("\n")
    program, *args = first.removeprefix("$ ").split()
    assert program == "superpose"
    monkeypatch.setenv("COLUMNS", "80")
    assert superpose(args) == 0
    assert capsys.readouterr().out.strip() == shown.strip()


def test_the_page_of_the_command_line_says_what_each_command_is_for() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    table, _, rest = text.partition("\n```text\n")
    commands = re.findall(r"^  ([a-z][a-z-]*)  ", rest.partition("Commands:")[2].partition("\n```\n")[0], re.M)
    assert len(commands) > 30
    assert [name for name in commands if f"`{name}`" not in table] == []


def test_readme_stays_short_and_links_lead_somewhere() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 120
    for page in PAGES:
        for target, place in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
            other = page.parent / target if target else page
            assert other.exists(), f"{page.name} links to {target}"
            assert not place or place in _places(other), f"{page.name} links to {target}#{place}"


def _places(page: Path) -> set[str]:
    """What a link can lead to within a page: its headings as GitHub names them."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    headings = [re.sub(r"\]\([^)]*\)", "", title) for title in re.findall(r"^#+ (.*)$", prose, re.M)]
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in headings}
