"""Where each operation of a circuit stands in a drawing: a column and a span of qubits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from superpose.circuits.operations import If, Measure, Operation
from superpose.errors import DrawingError

if TYPE_CHECKING:
    from superpose.circuits.circuit import Circuit

__all__ = ["Edge", "Layout", "Placed", "check_rows", "lay_out"]


@dataclass(frozen=True, slots=True)
class Edge:
    """Where the operations of a condition begin ("if"), change sides ("else") or end ("end").

    Attributes:
        kind: Which of the three.
        condition: The condition itself.
        depth: How many conditions stand around it.
    """

    kind: Literal["if", "else", "end"]
    condition: If
    depth: int

    @property
    def qubits(self) -> tuple[int, ...]:
        """Qubits of all operations inside."""
        return self.condition.qubits

    @property
    def bits(self) -> tuple[int, ...]:
        """Classical bits of the condition and of all inside."""
        return self.condition.bits


@dataclass(frozen=True, slots=True)
class Placed:
    """An operation, or an edge of a condition, in a column in which nothing else stands from ``low`` to ``high``."""

    column: int
    low: int
    high: int
    item: Operation | Edge


@dataclass(frozen=True, slots=True)
class Layout:
    """All that is drawn.

    Attributes:
        placed: In order of time.
        n_columns: Number of columns.
        n_left_out: Operations of the circuit that found no place within the limit.
    """

    placed: tuple[Placed, ...]
    n_columns: int
    n_left_out: int = 0


def lay_out(circuit: Circuit, max_columns: int | None = None) -> Layout:
    """Return a place for every operation: the first column in which its qubits, and those between, are free.

    What reads a classical bit stands right of what wrote it. A condition is drawn as its edges with its operations
    between them; one without operations is left out, since it does nothing.

    Args:
        circuit: What to draw.
        max_columns: Where to stop; operations from the first on that does not fit are counted as left out.

    Cost: linear in operations times the qubits they span.
    """
    grid = _Grid(circuit.n_qubits, circuit.n_bits)
    n_placed = 0
    for item in circuit.instructions:
        before = len(grid.placed)
        grid.put(item, 0)
        if max_columns is not None and max((one.column for one in grid.placed[before:]), default=-1) >= max_columns:
            del grid.placed[before:]
            break
        n_placed += 1
    n_columns = 1 + max((one.column for one in grid.placed), default=-1)
    return Layout(tuple(grid.placed), n_columns, circuit.n_instructions - n_placed)


def check_rows(fold: int | None, width: float, least: float, unit: str) -> None:
    """Refuse rows that hold nothing.

    Raises:
        DrawingError: A negative fold, or less width than ``least``.
    """
    if fold is not None and fold < 0:
        raise DrawingError(f"fold is a number of columns from 0 (no folding) on, got {fold}.")
    if not width >= least:
        raise DrawingError(f"A row needs a width of at least {least:g} {unit}, got {width:g}.")


class _Grid:
    """The first free column of each qubit and bit, and what stands already."""

    def __init__(self, n_qubits: int, n_bits: int) -> None:
        self.qubits = [0] * n_qubits
        self.bits = [0] * n_bits
        self.placed: list[Placed] = []

    def put(self, item: Operation, depth: int) -> None:
        if not isinstance(item, If):
            self._stand(item, item.qubits, item.bits if isinstance(item, Measure) else ())
            return
        if not item.qubits:
            return
        self._edge("if", item, depth)
        self._all(item.then, depth + 1)
        if any(inner.qubits for inner in item.otherwise):
            self._edge("else", item, depth)
            self._all(item.otherwise, depth + 1)
        self._edge("end", item, depth)

    def _all(self, items: Sequence[Operation], depth: int) -> None:
        for item in items:
            self.put(item, depth)

    def _edge(self, kind: Literal["if", "else", "end"], item: If, depth: int) -> None:
        self._stand(Edge(kind, item, depth), item.qubits, item.bits)

    def _stand(self, item: Operation | Edge, qubits: Sequence[int], bits: Sequence[int]) -> None:
        low, high = min(qubits), max(qubits)
        column = max(*self.qubits[low : high + 1], *(self.bits[bit] for bit in bits), 0)
        self.qubits[low : high + 1] = [column + 1] * (high + 1 - low)
        for bit in bits:
            self.bits[bit] = column + 1
        self.placed.append(Placed(column, low, high, item))
