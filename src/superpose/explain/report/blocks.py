"""What a report's page is made of. Texts are plain: the page escapes every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

__all__ = ["Block", "Figure", "Page", "Points", "Section", "Table", "Text"]


@dataclass(frozen=True)
class Text:
    """A paragraph; ``strong`` for what must be read."""

    kind: ClassVar[str] = "text"
    text: str
    strong: bool = False


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    kind: ClassVar[str] = "points"
    lines: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table with a caption; the first cell of each row is its head. ``words``: cells are texts, not numbers."""

    kind: ClassVar[str] = "table"
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: bool = False


@dataclass(frozen=True)
class Figure:
    """A drawing: SVG made by this package, what it shows in words, and what stands below it."""

    kind: ClassVar[str] = "figure"
    svg: str = field(repr=False)
    alt: str
    caption: str
    wide: bool = False


Block = Text | Points | Table | Figure


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading; ``name`` is its anchor."""

    name: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A whole report.

    Attributes:
        title: the page's heading.
        subtitle: a line below it.
        notice: what must stand on top, such as "Not for clinical use."; None for nothing.
        verdict: the sentence that the comparisons allow; None where nothing was compared.
        figures: the few numbers of the top: title and value.
        sections: in order.
        caution: what speaks against believing the figures; "" for nothing.
        made_from: the document that the page is made from.
    """

    title: str
    subtitle: str
    notice: str | None
    verdict: str | None
    figures: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    caution: str = ""
    made_from: str = "the job's document"
