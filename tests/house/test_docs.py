"""The documentation's blocks are run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(("page", "block"), blocks("python"))
def test_python_blocks_run_and_print_what_their_comments_say(page: str, block: str, tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    said = re.findall(r"print\(.*\)\s+#\s(.*)$", block, re.M)
    assert run.stdout.splitlines() == said


@pytest.mark.parametrize(("page", "block"), blocks("yaml"))
def test_specs_are_good(page: str, block: str) -> None:
    TrainingSpec.from_yaml(block)


@pytest.mark.parametrize(("page", "block"), blocks("text"))
def test_help_blocks_are_what_the_command_prints(page: str, block: str) -> None:
    first, _, shown = block.partition("\n")
    program, *args = first.removeprefix("$ ").split()
    assert program == "superpose"
    run = subprocess.run(
        [sys.executable, "-m", "superpose", *args], capture_output=True, text=True, check=True, env=None
    )
    assert run.stdout.strip() == shown.strip()


def test_readme_stays_short_and_links_lead_somewhere() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 120
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
