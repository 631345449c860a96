"""A circuit's picture: columns folded into rows, drawn with Matplotlib as an SVG or PNG file's content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from superpose.circuits import Circuit
from superpose.circuits.drawing import Edge, Layout, check_rows, lay_out
from superpose.errors import DrawingError, ExtraMissingError
from superpose.pictures.cells import Cell, cell_of
from superpose.pictures.style import BOX, GAP, LABEL_POINTS, MARGIN, PITCH, ROW_GAP

if TYPE_CHECKING:
    from superpose.pictures.canvas import Canvas

__all__ = ["FORMATS", "Picture", "draw_picture"]

FORMATS: Final = ("svg", "png")
MAX_CELLS: Final = 5_000
MAX_INCHES: Final = 320.0
DPI: Final = 200
MAX_PIXELS: Final = 32_000


@dataclass(frozen=True)
class Picture:
    """What was drawn.

    Attributes:
        path: The file.
        format: "svg" or "png".
        width_in, height_in: Its size in inches.
        n_columns: Columns of operations.
        n_rows: Rows into which they are folded.
    """

    path: Path
    format: str
    width_in: float
    height_in: float
    n_columns: int
    n_rows: int


def draw_picture(
    circuit: Circuit, path: str | Path, *, fold: int | None = None, width_in: float = 12.0
) -> tuple[Picture, bytes]:
    """Return a circuit's picture and the content of its file, which is not written; equal circuits give equal files.

    Args:
        circuit: What to draw. Parameters keep their names; numbers are shown to five digits, multiples of pi as such.
        path: The file, ``.svg`` or ``.png``.
        fold: Columns in a row at most; None takes as many as ``width_in`` has room for, 0 puts all into one row.
        width_in: Inches that a row may take, unless one operation alone needs more.

    Raises:
        DrawingError: Another suffix, a fold below 0 or a width below 2 inches, or more than a picture can hold (5,000
            operations and edges of conditions, 320 inches).
        ExtraMissingError: Matplotlib is not installed.

    Cost: about a millisecond per operation.
    """
    check_rows(fold, width_in, 2, "inches")
    path = Path(path)
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise DrawingError(f"Pictures are files named .svg or .png, got {path.name}; rename it.", allowed=list(FORMATS))
    layout = lay_out(circuit)
    if len(layout.placed) > MAX_CELLS:
        raise DrawingError(
            f"The circuit has {len(layout.placed):,} operations to draw; a picture holds {MAX_CELLS:,}. "
            "Draw it as text, or a part of it.",
            n_operations=len(layout.placed),
        )
    try:
        from superpose.pictures.canvas import Canvas, text_width
    except ImportError:
        raise ExtraMissingError("Pictures need Matplotlib: pip install 'superpose[plots]'", extra="plots") from None

    cells = [cell_of(placed, text_width) for placed in layout.placed]
    plan = _plan(circuit, layout, cells, fold, width_in, text_width(f"q{circuit.n_qubits - 1}", LABEL_POINTS))
    if max(plan.width_in, plan.height_in) > MAX_INCHES:
        raise DrawingError(
            f"The picture would be {plan.width_in:.0f} x {plan.height_in:.0f} inches, at most {MAX_INCHES:.0f} are "
            "drawn; fold it into shorter rows, draw it as text, or draw a part of it."
        )
    canvas = Canvas(plan.width_in, plan.height_in)
    for row in plan.rows:
        _draw_row(canvas, circuit, cells, row)
    dpi = min(DPI, int(MAX_PIXELS / max(plan.width_in, plan.height_in)))
    size = (round(plan.width_in, 3), round(plan.height_in, 3))
    return Picture(path, form, *size, layout.n_columns, len(plan.rows)), canvas.content(form, dpi)


@dataclass(frozen=True)
class _Row:
    """A row of columns: where each begins, where the qubits' lines are, and whether the circuit goes on."""

    first: int
    lefts: tuple[float, ...]  # of each column, and the end of the last
    left: float
    top: float
    goes_on: bool

    @property
    def columns(self) -> range:
        return range(self.first, self.first + len(self.lefts) - 1)


@dataclass(frozen=True)
class _Plan:
    width_in: float
    height_in: float
    rows: tuple[_Row, ...]


def _plan(
    circuit: Circuit, layout: Layout, cells: Sequence[Cell], fold: int | None, width_in: float, label_in: float
) -> _Plan:
    """Fold the columns into rows, and say where all of them stand."""
    widths = [0.0] * layout.n_columns
    for cell in cells:
        widths[cell.placed.column] = max(widths[cell.placed.column], cell.width + GAP)
    left = MARGIN + label_in + 0.14
    room = width_in - left - MARGIN - 2 * GAP
    groups: list[list[float]] = [[]]
    for width in widths:
        full = len(groups[-1]) >= fold if fold else fold is None and sum(groups[-1]) + width > room
        if groups[-1] and full:
            groups.append([])
        groups[-1].append(width)
    rows, first = [], 0
    tall = (circuit.n_qubits - 1) * PITCH + BOX + ROW_GAP
    for place, group in enumerate(groups):
        lefts = [left + GAP]
        for width in group:
            lefts.append(lefts[-1] + width)
        top = MARGIN + BOX / 2 + place * tall
        rows.append(_Row(first, tuple(lefts), left, top, place < len(groups) - 1))
        first += len(group)
    longest = max(row.lefts[-1] for row in rows)
    return _Plan(max(longest + GAP + MARGIN, 1.0), 2 * MARGIN + len(rows) * tall - ROW_GAP, tuple(rows))


def _draw_row(canvas: Canvas, circuit: Circuit, cells: Sequence[Cell], row: _Row) -> None:
    for qubit in range(circuit.n_qubits):
        canvas.line_of(qubit, row.left, row.lefts[-1] + GAP, row.top, goes_on=row.goes_on, comes_from=row.first > 0)
    shown = [cell for cell in cells if cell.placed.column in row.columns]
    spots = [(cell, _middle(row, cell)) for cell in shown]
    for low, high, depth, begin, end in _frames(cells, row):
        canvas.frame(low, high, depth, begin, end, row.top)
    for cell, middle in spots:
        canvas.cell(cell, middle, row.top)


def _middle(row: _Row, cell: Cell) -> float:
    place = cell.placed.column - row.first
    return (row.lefts[place] + row.lefts[place + 1]) / 2


def _frames(cells: Sequence[Cell], row: _Row) -> list[tuple[int, int, int, float, float]]:
    """Backgrounds of the conditions seen in a row: qubits from and to, depth, and where they begin and end."""
    found, open_ = [], []
    for cell in cells:
        edge = cell.placed.item
        if not isinstance(edge, Edge) or edge.kind == "else":
            continue
        if edge.kind == "if":
            open_.append(cell)
            continue
        start = open_.pop()
        first, last = start.placed.column, cell.placed.column
        if first > row.columns[-1] or last < row.columns[0]:
            continue
        begin = _middle(row, start) if first in row.columns else row.lefts[0] - GAP / 2
        end = _middle(row, cell) if last in row.columns else row.lefts[-1] + GAP / 2
        found.append((cell.placed.low, cell.placed.high, edge.depth, begin, end))
    return sorted(found, key=lambda one: one[2])
