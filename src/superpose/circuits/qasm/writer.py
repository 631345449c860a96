"""Circuits to OpenQASM 3 text."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from math import pi
from typing import NamedTuple

from superpose.circuits.circuit import Circuit
from superpose.circuits.gates import GATES, Gate
from superpose.circuits.instruction import Instruction
from superpose.circuits.operations import Barrier, Delay, If, Measure, Operation, Reset, walk
from superpose.circuits.parameters import Affine, number_text
from superpose.circuits.qasm.expansion import ALIASES, STDGATES
from superpose.circuits.qasm.parser import PARAMETER_ANNOTATION
from superpose.errors import UnsupportedProgramError

__all__ = ["to_qasm"]


def to_qasm(circuit: Circuit, *, measure: bool = False) -> str:
    """Return the OpenQASM 3 text of ``circuit``, which `from_qasm` reads back to an equal circuit.

    Parameters become ``input float[64]`` declarations in the order of ``circuit.parameters``. One that is named like a
    gate gets another name, and an annotation that gives its own back. Gates that stdgates.inc lacks are defined first.
    The circuit's name is not kept.

    Args:
        circuit: What to write.
        measure: Whether to end with a measurement of all qubits into a bit register, where the circuit has no bits.

    Cost: linear in the number of instructions.

    >>> from superpose.circuits.parameters import Parameter
    >>> print(to_qasm(Circuit(2).h(0).crx(2 * Parameter("theta"), 0, 1)), end="")
    OPENQASM 3.0;
    include "stdgates.inc";
    input float[64] theta;
    qubit[2] q;
    h q[0];
    crx(2*theta) q[0], q[1];
    """
    defined = _definitions({item.gate for item in walk(circuit.instructions) if isinstance(item, Instruction)})
    taken = {"U", *STDGATES, *ALIASES, *(row.name for row in defined), *circuit.parameters}
    qubits, bits = _free("q", taken), _free("c", taken)
    renamed = {}
    for name in circuit.parameters:
        if name in STDGATES or name in ALIASES or GATES.get(name) in defined:
            renamed[name] = _free(name, taken)
    lines = ["OPENQASM 3.0;", 'include "stdgates.inc";']
    for name in circuit.parameters:
        if name in renamed:
            lines.append(f"{PARAMETER_ANNOTATION} {name}")
        lines.append(f"input float[64] {renamed.get(name, name)};")
    lines += [_definition(row) for row in defined]
    lines.append(f"qubit[{circuit.n_qubits}] {qubits};")
    if circuit.n_bits:
        lines.append(f"bit[{circuit.n_bits}] {bits};")
    names = _Names(qubits, bits, renamed)
    for item in circuit.instructions:
        lines += _statement(item, names)
    if measure and not circuit.n_bits:
        lines += [f"bit[{circuit.n_qubits}] {bits};", f"{bits} = measure {qubits};"]
    return "\n".join([*lines, ""])


class _Names(NamedTuple):
    """What the text calls the registers, and parameters where that differs from their names."""

    qubits: str
    bits: str
    renamed: dict[str, str]


def _statement(item: Operation, names: _Names) -> list[str]:
    """The lines of one operation."""
    operands = ", ".join([f"{names.qubits}[{q}]" for q in item.qubits])
    match item:
        case Instruction():
            return [f"{_call(GATES[item.gate], item.angles, names.renamed)} {operands};"]
        case Measure() if item.is_exact:
            return [f"{names.bits}[{item.bit}] = measure {operands};"]
        case Reset():
            return [f"reset {operands};"]
        case Delay():
            return [f"delay[{number_text(item.duration_ns)}ns] {operands};"]
        case Barrier():
            return [f"barrier {operands};"]
        case If():
            return _condition(item, names)
    what = "A measurement with a readout error" if isinstance(item, Measure) else type(item).__name__
    raise UnsupportedProgramError(
        f"{what} has no form in OpenQASM; write the circuit without noise, or as JSON.", operation=type(item).__name__
    )


def _condition(item: If, names: _Names) -> list[str]:
    """An ``if`` on every bit of the condition."""
    digits = format(item.condition.value, f"0{len(item.condition.bits)}b")
    tests = [f"{names.bits}[{bit}] == {digit}" for bit, digit in zip(item.condition.bits, digits, strict=True)]
    then, otherwise = (
        [f"  {line}" for inner in branch for line in _statement(inner, names)] for branch in (item.then, item.otherwise)
    )
    return [f"if ({' && '.join(tests)}) {{", *then, *(["} else {", *otherwise] if otherwise else []), "}"]


def _definitions(gates: Iterable[str]) -> list[Gate]:
    """The rows among ``gates``, and among their decompositions, that OpenQASM has no name for; simplest first."""
    found: dict[str, Gate] = {}

    def visit(name: str) -> None:
        row = GATES[name]
        if row.qasm is None and name not in found:
            for step in row.decomposition:
                visit(step.gate)
            found[name] = row

    for name in sorted(gates):
        visit(name)
    return list(found.values())


def _definition(row: Gate) -> str:
    angles = f"({', '.join(row.angle_names)})" if row.n_angles else ""
    body = []
    for step in row.decomposition:
        call = _call(GATES[step.gate], tuple(map(Affine.of, step.angles)), {})
        body.append(f"{call} {', '.join(f'q{q}' for q in step.qubits)};")
    return f"gate {row.name}{angles} {', '.join(f'q{q}' for q in range(row.n_qubits))} {{ {' '.join(body)} }}"


def _call(row: Gate, angles: tuple[Affine, ...], renamed: dict[str, str]) -> str:
    name = row.qasm or row.name
    return f"{name}({', '.join([_angle(angle, renamed) for angle in angles])})" if angles else name


def _angle(angle: Affine, renamed: dict[str, str]) -> str:
    if not angle.terms:
        return _number(angle.constant)
    pieces = []
    for name, coefficient in angle.terms:
        symbol = renamed.get(name, name)
        if coefficient in (1.0, -1.0):
            pieces.append(symbol if coefficient > 0 else f"-{symbol}")
        else:
            pieces.append(f"{number_text(coefficient)}*{symbol}")
    if angle.constant:
        pieces.append(_number(angle.constant))
    return " + ".join(pieces).replace("+ -", "- ")


@cache
def _fractions_of_pi() -> dict[float, str]:
    """Text of the multiples of pi that people write, by their exact value as OpenQASM evaluates it."""
    table = {}
    for divisor in (16, 12, 8, 6, 5, 4, 3, 2, 1):
        for multiple in range(2 * divisor, 0, -1):
            text = ("pi" if multiple == 1 else f"{multiple}*pi") + (f"/{divisor}" if divisor > 1 else "")
            table[multiple * pi / divisor] = text
            table[-(multiple * pi / divisor)] = f"-{text}"
    return table


def _number(value: float) -> str:
    return _fractions_of_pi().get(value) or number_text(value)


def _free(name: str, taken: set[str]) -> str:
    """``name`` with as many underscores as make it new, noted in ``taken``."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name
