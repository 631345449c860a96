"""Shapes on a Matplotlib figure whose coordinates are inches from the upper left corner."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import Arc, Circle, FancyBboxPatch, Rectangle
from matplotlib.textpath import TextPath

from superpose.circuits.drawing import Edge
from superpose.pictures.cells import Cell, Shape, height
from superpose.pictures.style import (
    BOX,
    CONDITION,
    FONTS,
    INK,
    LABEL_POINTS,
    LINE,
    NAME_POINTS,
    PITCH,
    SMALL_POINTS,
    WIRE,
    Colours,
    colours_of,
)

__all__ = ["Canvas", "text_width"]

_FONT = FontProperties(family=list(FONTS))
_POINTS = 72.0


@lru_cache(4096)
def text_width(text: str, points: float) -> float:
    """Return the width of a text in inches, by the font that draws it."""
    if not text:
        return 0.0
    return float(TextPath((0, 0), _drawable(text), size=points, prop=_FONT).get_extents().width) / _POINTS


@lru_cache(4096)
def _drawable(text: str) -> str:
    """The text with what the font has no glyph for written as code points, and nothing taken for mathematics."""
    font = get_font(findfont(_FONT))
    shown = (c if font.get_char_index(ord(c)) else f"U+{ord(c):04X}" for c in text)
    return "".join(shown).replace("$", r"\$")


class Canvas:
    """A white page of some inches."""

    def __init__(self, width_in: float, height_in: float) -> None:
        self._figure = Figure(figsize=(width_in, height_in), facecolor="white")
        self._axes = self._figure.add_axes((0, 0, 1, 1))
        self._axes.set_xlim(0, width_in)
        self._axes.set_ylim(height_in, 0)
        self._axes.set_axis_off()

    def content(self, form: str, dpi: int) -> bytes:
        """Return the page as a file's content."""
        metadata = {"Date": None} if form == "svg" else {"Software": None}  # equal circuits give equal files
        with matplotlib.rc_context({"svg.hashsalt": "superpose", "svg.fonttype": "path"}):
            written = io.BytesIO()
            self._figure.savefig(written, format=form, dpi=dpi, metadata=metadata)
        return written.getvalue()

    def line_of(self, qubit: int, left: float, right: float, top: float, *, goes_on: bool, comes_from: bool) -> None:
        """Draw a qubit's line with its name; dots where it goes on in another row."""
        y = top + qubit * PITCH
        self._text(left - 0.1, y, f"q{qubit}", LABEL_POINTS, INK, ha="right")
        self._line((left, right), (y, y), WIRE, 1)
        for ends, x in ((goes_on, right), (comes_from, left)):
            if ends:
                sign = 1 if x == right else -1
                self._line((x, x + sign * 0.09), (y, y), WIRE, 1, linestyle=(0, (1, 1.4)))

    def frame(self, low: int, high: int, depth: int, begin: float, end: float, top: float) -> None:
        """Tint what a condition holds."""
        y, tall = top + low * PITCH - BOX / 2 - 0.05, BOX + (high - low) * PITCH + 0.1
        self._add(Rectangle((begin, y), end - begin, tall, facecolor=CONDITION.fill, alpha=0.10, linewidth=0, zorder=2))
        for edge in (y, y + tall):
            self._line((begin, end), (edge, edge), CONDITION.border, 2.5, linewidth=0.8, alpha=0.6)

    def cell(self, cell: Cell, x: float, top: float) -> None:
        """Draw an operation, or an edge of a condition, around the middle of its column."""
        item = cell.placed.item
        if isinstance(item, Edge):
            self._edge(cell, x, top)
            return
        colours = colours_of(item)
        if cell.link:
            ys = (top + cell.placed.low * PITCH, top + cell.placed.high * PITCH)
            self._line((x, x), ys, colours.border, 3, linewidth=1.6)
        for shape in cell.shapes:
            self._shape(shape, x, top + shape.low * PITCH, cell.width, colours)

    def _edge(self, cell: Cell, x: float, top: float) -> None:
        (shape,) = cell.shapes
        y, tall = top + shape.low * PITCH - BOX / 2 - 0.05, height(shape) + 0.1
        self._box(x - cell.width / 2, y, cell.width, tall, CONDITION, rounding=0.03)
        if shape.name:
            turn = 90 if shape.high > shape.low else 0
            self._text(x, y + tall / 2, shape.name, SMALL_POINTS + 1, CONDITION.text, rotation=turn)

    def _shape(self, shape: Shape, x: float, y: float, width: float, colours: Colours) -> None:
        match shape.kind:
            case "dot":
                self._add(Circle((x, y), 0.055, facecolor=colours.border, linewidth=0, zorder=5))
            case "cross":
                for sign in (1, -1):
                    ends = (x - 0.08, x + 0.08), (y - sign * 0.08, y + sign * 0.08)
                    self._line(*ends, colours.border, 5, linewidth=1.8)
            case "plus":
                self._add(Circle((x, y), 0.13, facecolor=colours.border, linewidth=0, zorder=5))
                self._line((x - 0.08, x + 0.08), (y, y), "white", 6, linewidth=1.5)
                self._line((x, x), (y - 0.08, y + 0.08), "white", 6, linewidth=1.5)
            case "barrier":
                self._add(Rectangle((x - 0.06, y - PITCH / 2), 0.12, PITCH, facecolor="#e4e7eb", linewidth=0, zorder=2))
                self._line((x, x), (y - PITCH / 2, y + PITCH / 2), colours.border, 5, linestyle=(0, (3, 2)))
            case "meter":
                self._meter(shape, x, y, width, colours)
            case "box":
                tall = height(shape)
                self._box(x - width / 2, y - BOX / 2, width, tall, colours)
                self._words(shape, x, y - BOX / 2 + tall / 2, colours)

    def _words(self, shape: Shape, x: float, y: float, colours: Colours) -> None:
        if not shape.small:
            self._text(x, y, shape.name, NAME_POINTS, colours.text)
            return
        self._text(x, y - 0.068, shape.name, NAME_POINTS, colours.text)
        self._text(x, y + 0.105, shape.small, SMALL_POINTS, colours.text)

    def _meter(self, shape: Shape, x: float, y: float, width: float, colours: Colours) -> None:
        self._box(x - width / 2, y - BOX / 2, width, BOX, colours)
        middle = y + 0.025
        self._add(Arc((x, middle), 0.24, 0.24, theta1=180, theta2=360, color=colours.border, linewidth=LINE, zorder=6))
        self._line((x, x + 0.085), (middle, middle - 0.145), colours.border, 6)
        self._text(x, y + 0.115, shape.small, SMALL_POINTS, colours.text)

    def _box(self, x: float, y: float, width: float, tall: float, colours: Colours, rounding: float = 0.05) -> None:
        style = f"round,pad=0,rounding_size={rounding}"
        self._add(
            FancyBboxPatch(
                (x, y), width, tall, boxstyle=style, facecolor=colours.fill, edgecolor=colours.border,
                linewidth=LINE, zorder=4,
            )
        )  # fmt: skip

    def _line(self, xs: tuple[float, float], ys: tuple[float, float], colour: str, zorder: float, **more: Any) -> None:
        self._axes.plot(xs, ys, color=colour, zorder=zorder, solid_capstyle="butt", **({"linewidth": LINE} | more))

    def _text(self, x: float, y: float, text: str, points: float, colour: str, **more: Any) -> None:
        placing: dict[str, Any] = {"ha": "center", "va": "center_baseline"} | more
        if placing.get("rotation"):
            placing["va"] = "center"
        self._axes.text(x, y, _drawable(text), fontproperties=_FONT, fontsize=points, color=colour, zorder=7, **placing)

    def _add(self, patch: Any) -> None:
        self._axes.add_patch(patch)
