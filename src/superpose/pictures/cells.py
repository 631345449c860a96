"""What one column's operation is drawn of, and how wide it is: from operations to shapes, without a canvas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from superpose.circuits import GATES, Barrier, Channel, Delay, Instruction, KrausChannel, Measure, Operation
from superpose.circuits.drawing import Edge, Placed, angle_label, condition_label
from superpose.pictures.style import BOX, NAME_POINTS, PITCH, SMALL_POINTS

__all__ = ["Cell", "Shape", "TextWidth", "cell_of"]

TextWidth = Callable[[str, float], float]
"""Width in inches of a text of so many points."""

PADDING = 0.11
MERGED = frozenset({"rxx", "ryy", "rzz"})
"""Gates of two qubits alike, which share one box where the qubits are neighbours."""

Kind = Literal["box", "dot", "plus", "cross", "meter", "barrier"]


@dataclass(frozen=True, slots=True)
class Shape:
    """One thing on a qubit's line, or a box over the lines from ``low`` to ``high``."""

    kind: Kind
    low: int
    high: int
    name: str = ""
    small: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """An operation or edge as shapes.

    Attributes:
        placed: Where it stands.
        shapes: What stands there.
        width: Inches that it needs.
        link: Whether a line joins its qubits.
    """

    placed: Placed
    shapes: tuple[Shape, ...]
    width: float
    link: bool = False


def cell_of(placed: Placed, text_width: TextWidth) -> Cell:
    """Return the shapes of what stands in a place."""
    item = placed.item
    if isinstance(item, Edge):
        return _edge_cell(placed, item, text_width)
    shapes = _gate_shapes(item) if isinstance(item, Instruction) else _other_shapes(item)
    link = len(item.qubits) > 1 and len(shapes) > 1 and not isinstance(item, Barrier)
    return Cell(placed, shapes, max(_width(shape, text_width) for shape in shapes), link)


def _edge_cell(placed: Placed, edge: Edge, text_width: TextWidth) -> Cell:
    name = {"if": f"if {condition_label(edge.condition.condition)}", "else": "else", "end": ""}[edge.kind]
    width = max(0.09, text_width(name, SMALL_POINTS + 1) + PADDING) if name else 0.09
    if placed.high > placed.low and name:  # the text stands upright
        width = 0.22
    return Cell(placed, (Shape("box", placed.low, placed.high, name),), width)


def _gate_shapes(item: Instruction) -> tuple[Shape, ...]:
    small = ", ".join(map(partial(angle_label, times="·"), item.angles))
    low, high = min(item.qubits), max(item.qubits)
    if item.gate in MERGED and high == low + 1:
        return (Shape("box", low, high, item.gate.upper(), small),)
    shapes = []
    for place, (q, symbol) in enumerate(zip(item.qubits, GATES[item.gate].symbols, strict=True)):
        is_last = place == len(item.qubits) - 1
        if symbol == "●":
            shapes.append(Shape("dot", q, q))
        elif symbol == "×":
            shapes.append(Shape("cross", q, q))
        elif symbol == "X" and len(item.qubits) > 1:
            shapes.append(Shape("plus", q, q))
        else:
            shapes.append(Shape("box", q, q, symbol, small if is_last else ""))
    return tuple(shapes)


def _other_shapes(item: Operation) -> tuple[Shape, ...]:
    match item:
        case Measure():
            readout = "" if item.is_exact else f" ±({item.flip0:g}, {item.flip1:g})"
            return (Shape("meter", item.qubit, item.qubit, small=f"c{item.bit}{readout}"),)
        case Delay():
            return (Shape("box", item.qubit, item.qubit, "delay", f"{item.duration_ns:g} ns"),)
        case Barrier():
            return tuple(Shape("barrier", q, q) for q in item.qubits)
        case Channel():
            small = ", ".join(f"{value:g}" for value in item.values)
            return tuple(Shape("box", q, q, item.name.replace("_", " "), small) for q in item.qubits)
        case KrausChannel():
            n = len(item.operators)
            return tuple(Shape("box", q, q, "Kraus", f"{n} operator{'s' * (n > 1)}") for q in item.qubits)
    return tuple(Shape("box", q, q, "|0⟩") for q in item.qubits)


def _width(shape: Shape, text_width: TextWidth) -> float:
    if shape.kind in ("dot", "cross", "plus"):
        return BOX * 0.7
    if shape.kind == "barrier":
        return 0.12
    names = text_width(shape.name, NAME_POINTS), text_width(shape.small, SMALL_POINTS)
    return max(BOX, max(names) + PADDING)


def height(shape: Shape) -> float:
    """Return how high a shape's box is, in inches."""
    return BOX + (shape.high - shape.low) * PITCH
