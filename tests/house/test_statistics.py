"""The page of statistics: its tests exist, and no file that takes a distribution from SciPy is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "superpose"
ROWS = re.findall(
    r"^\| ([^|]+) \| `([^`|]+)` \| [^|]+ \| `([^`|]+)::([^`|]+)` \|$",
    (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)
DISTRIBUTIONS = re.compile(r"from scipy\.stats import|from scipy import stats|import .*\b(ndtri|stdtr|stdtrit)\b")


@pytest.mark.parametrize(("statistic", "where", "file", "test"), ROWS)
def test_each_statistic_is_where_the_page_says_with_the_test_that_it_names(
    statistic: str, where: str, file: str, test: str
) -> None:
    assert (SOURCES / where).is_file(), statistic
    assert f"\ndef {test}(" in (ROOT / file).read_text(encoding="utf-8"), statistic


def test_no_file_with_a_distribution_is_missing() -> None:
    assert len(ROWS) > 40
    named = {where for _, where, _, _ in ROWS}
    using = {
        path.relative_to(SOURCES).as_posix()
        for path in SOURCES.rglob("*.py")
        if DISTRIBUTIONS.search(path.read_text(encoding="utf-8"))
    }
    assert using <= named
