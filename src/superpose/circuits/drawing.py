"""Circuits drawn as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from superpose.circuits.gates import GATES
from superpose.circuits.instruction import Instruction
from superpose.circuits.operations import Barrier, Channel, Delay, If, KrausChannel, Measure, Operation

if TYPE_CHECKING:
    from superpose.circuits.circuit import Circuit

__all__ = ["draw"]

MAX_QUBITS = 64
MAX_COLUMNS = 60


def draw(circuit: Circuit) -> str:
    """Return the circuit as text, a line per qubit; gates that overlap stand in columns of their own.

    Long or wide circuits are cut after 60 columns or 64 qubits, and the cut is told in the last line.

    Cost: linear in what is shown.
    """
    n_shown = min(circuit.n_qubits, MAX_QUBITS)
    label_width = len(f"q{n_shown - 1}: ")
    lines = [f"q{q}: ".ljust(label_width) + "─" for q in range(n_shown)]
    columns, n_drawn = _columns(circuit)
    for column in columns:
        cells = [""] * circuit.n_qubits
        for item in column:
            _fill(cells, item)
        width = max(map(len, cells[:n_shown]), default=0)
        lines = [line + f"─{cell}{'─' * (width - len(cell))}─" for line, cell in zip(lines, cells, strict=False)]
    notes = []
    if n_drawn < circuit.n_instructions:
        notes.append(f"{circuit.n_instructions - n_drawn} more instructions")
    if n_shown < circuit.n_qubits:
        notes.append(f"{circuit.n_qubits - n_shown} more qubits")
    return "\n".join([line + "─" for line in lines] + ([f"... and {', '.join(notes)}"] if notes else []))


def _columns(circuit: Circuit) -> tuple[list[list[Operation]], int]:
    """Instructions by column, and how many there are in the columns shown."""
    columns: list[list[Operation]] = []
    free = [0] * circuit.n_qubits  # first free column per qubit
    n_drawn = 0
    for item in circuit.instructions:
        if not item.qubits:  # a condition that holds nothing
            n_drawn += 1
            continue
        low, high = min(item.qubits), max(item.qubits)
        place = max(free[low : high + 1])
        if place >= MAX_COLUMNS:
            break
        free[low : high + 1] = [place + 1] * (high + 1 - low)
        if place == len(columns):
            columns.append([])
        columns[place].append(item)
        n_drawn += 1
    return columns, n_drawn


def _fill(cells: list[str], item: Operation) -> None:
    for q in range(min(item.qubits), max(item.qubits) + 1):
        cells[q] = "│"
    for q, symbol in zip(item.qubits, _symbols(item), strict=True):
        cells[q] = symbol
    if isinstance(item, Instruction) and item.angles:
        cells[item.qubits[-1]] += f"({', '.join(map(str, item.angles))})"


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
        case If():
            read = ",".join(map(str, item.condition.bits))
            return (f"IF({read}={item.condition.value})",) * len(item.qubits)
    return ("|0>",)
