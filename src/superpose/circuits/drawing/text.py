"""Circuits drawn as text, a line per qubit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from superpose.circuits.drawing.labels import angle_label
from superpose.circuits.drawing.layout import Edge, Layout, check_rows, lay_out
from superpose.circuits.gates import GATES
from superpose.circuits.instruction import Instruction
from superpose.circuits.operations import Barrier, Channel, Delay, KrausChannel, Measure, Operation

if TYPE_CHECKING:
    from superpose.circuits.circuit import Circuit

__all__ = ["draw", "draw_text"]

MAX_QUBITS = 64
MAX_COLUMNS = 60


def draw(circuit: Circuit) -> str:
    """Return the circuit as text for a glance, as ``str(circuit)`` gives it: in one piece, at most so large.

    Long or wide circuits are cut after 60 columns or 64 qubits, and the cut is told in the last line.

    Cost: linear in what is shown.
    """
    layout = lay_out(circuit, MAX_COLUMNS)
    n_shown = min(circuit.n_qubits, MAX_QUBITS)
    columns = _columns(layout, circuit.n_qubits)
    notes = []
    if layout.n_left_out:
        notes.append(f"{layout.n_left_out} more instructions")
    if n_shown < circuit.n_qubits:
        notes.append(f"{circuit.n_qubits - n_shown} more qubits")
    lines = _lines([column[:n_shown] for column in columns], n_shown)
    return "\n".join([*lines, *([f"... and {', '.join(notes)}"] if notes else [])])


def draw_text(circuit: Circuit, *, fold: int | None = None, width: int = 100) -> str:
    """Return the whole circuit as text, folded into as many rows as it takes.

    A row's lines end with ``»`` where it goes on below, and begin with ``«`` there.

    Args:
        circuit: What to draw.
        fold: Columns in a row at most; None takes as many as ``width`` has room for, 0 puts all into one row.
        width: Characters in a line at most, unless one operation alone needs more.

    Raises:
        DrawingError: ``fold`` is negative, or ``width`` less than 20.

    Cost: linear in qubits times columns.
    """
    check_rows(fold, width, 20, "characters")
    columns = _columns(lay_out(circuit), circuit.n_qubits)
    rows = _folded(columns, fold, width - len(_label(circuit.n_qubits - 1)) - 4)
    drawn = []
    for place, row in enumerate(rows):
        begin, end = "«" if place else "", "»" if place < len(rows) - 1 else ""
        drawn.append("\n".join(line + end for line in _lines(row, circuit.n_qubits, begin)))
    return "\n\n".join(drawn)


def _columns(layout: Layout, n_qubits: int) -> list[list[str]]:
    """What stands in each column on each qubit; nothing where only the qubit's line runs."""
    columns = [[""] * n_qubits for _ in range(layout.n_columns)]
    for placed in layout.placed:
        cells = columns[placed.column]
        cells[placed.low : placed.high + 1] = ["│"] * (placed.high + 1 - placed.low)
        if isinstance(placed.item, Edge):
            cells[placed.low : placed.high + 1] = ["║"] * (placed.high + 1 - placed.low)
            cells[placed.low] = _edge_symbol(placed.item)
            continue
        for q, symbol in zip(placed.item.qubits, _symbols(placed.item), strict=True):
            cells[q] = symbol
        if isinstance(placed.item, Instruction) and placed.item.angles:
            cells[placed.item.qubits[-1]] += f"({', '.join(map(angle_label, placed.item.angles))})"
    return columns


def _folded(columns: list[list[str]], fold: int | None, room: int) -> list[list[list[str]]]:
    """Columns by row."""
    if fold == 0:
        return [columns]
    rows: list[list[list[str]]] = [[]]
    used = 0
    for column in columns:
        width = 2 + max(map(_room, column))
        full = len(rows[-1]) >= fold if fold is not None else used + width > room
        if rows[-1] and full:
            rows.append([])
            used = 0
        rows[-1].append(column)
        used += width
    return rows


def _lines(columns: Sequence[Sequence[str]], n_qubits: int, begin: str = "") -> list[str]:
    label_width = len(_label(n_qubits - 1))
    lines = [_label(q).ljust(label_width) + begin + "─" for q in range(n_qubits)]
    for column in columns:
        width = max(map(_room, column), default=0)
        lines = [f"{line}─{cell}{'─' * (width - _room(cell))}─" for line, cell in zip(lines, column, strict=True)]
    return [line + "─" for line in lines]


def _room(text: str) -> int:
    """Character cells that a text takes on a terminal."""
    return len(text) if text.isascii() else len(text) + sum(east_asian_width(c) in "WF" for c in text)


def _label(qubit: int) -> str:
    return f"q{qubit}: "


def _edge_symbol(edge: Edge) -> str:
    if edge.kind == "if":
        return f"IF({','.join(map(str, edge.condition.condition.bits))}={edge.condition.condition.value})"
    return edge.kind.upper()


def _symbols(item: Operation) -> tuple[str, ...]:
    """Return what stands on each of the operation's qubits."""
    match item:
        case Instruction():
            return GATES[item.gate].symbols
        case Measure():
            return (f"M→{item.bit}",)
        case Delay():
            return (f"DELAY({item.duration_ns:g} ns)",)
        case Barrier():
            return ("░",) * len(item.qubits)
        case Channel():
            return (f"{item.name}({', '.join(f'{value:g}' for value in item.values)})",) * len(item.qubits)
        case KrausChannel():
            return ("KRAUS",) * len(item.qubits)
    return ("|0>",)
