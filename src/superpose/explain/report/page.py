"""A page as HTML: one file, no script, nothing loaded from anywhere, every text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

from superpose.explain.report.blocks import Block, Page
from superpose.explain.report.drawing import require_drawing

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["FORMATS", "render_page"]

FORMATS: Final = ("html", "pdf")
"""How reports can be had."""


def render_page(page: Page) -> bytes:
    """The page as HTML in UTF-8; equal pages give equal bytes.

    Raises:
        ExtraMissingError: Jinja2 or Matplotlib is not installed.
    """
    require_drawing()
    return _template().render(page=page).encode("utf-8")


def _runs(blocks: Sequence[Block]) -> list[tuple[str, list[Block]]]:
    """Neighbouring blocks of one kind together: figures stand side by side."""
    return [(kind, list(run)) for kind, run in groupby(blocks, key=lambda block: block.kind)]


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["groupby_runs"] = _runs
    return environment.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
