"""Circuits to OpenQASM 3 text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from math import pi
from types import MappingProxyType

from superpose.circuits.circuit import Circuit
from superpose.circuits.gates import GATES, Gate
from superpose.circuits.instruction import Instruction
from superpose.circuits.operations import Barrier, Condition, Delay, If, Measure, Operation, Reset, walk
from superpose.circuits.parameters import Affine, number_text
from superpose.circuits.qasm.expansion import ALIASES, STDGATES
from superpose.circuits.qasm.parser import PARAMETER_ANNOTATION
from superpose.errors import UnsupportedProgramError

__all__ = ["angle_text", "to_qasm"]


def to_qasm(circuit: Circuit, *, measure: bool = False) -> str:
    """Return the OpenQASM 3 text of ``circuit``, which `from_qasm` reads back to an equal circuit.

    Parameters become ``input float[64]`` declarations in the order of ``circuit.parameters``. One that is named like a
    gate gets another name, and an annotation that gives its own back. Gates that stdgates.inc lacks are defined first.
    The circuit's name is not kept.

    Args:
        circuit: What to write.
        measure: Whether to end with a measurement of all qubits, as `Circuit.measure_all` appends it.

    Raises:
        UnsupportedProgramError: It has noise channels or readout errors, for which OpenQASM has no words;
            ``details["operation"]`` says which. Send such a circuit as JSON, or a noise model beside it.

    Cost: linear in the number of instructions.

    >>> from superpose.circuits.parameters import Parameter
    >>> print(to_qasm(Circuit(2).h(0).crx(2 * Parameter("theta"), 0, 1).measure_all()), end="")
    OPENQASM 3.0;
    include "stdgates.inc";
    input float[64] theta;
    qubit[2] q;
    bit[2] c;
    h q[0];
    crx(2*theta) q[0], q[1];
    c = measure q;
    """
    if measure:
        circuit = circuit.copy().measure_all()
    operations = walk(circuit.instructions)
    defined = _definitions({item.gate for item in operations if isinstance(item, Instruction)})
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
    lines += _Body(circuit, qubits, bits, renamed).lines(circuit.instructions, "")
    return "\n".join([*lines, ""])


class _Body:
    """Writes operations line by line."""

    def __init__(self, circuit: Circuit, qubits: str, bits: str, renamed: dict[str, str]) -> None:
        self.circuit = circuit
        self.q = [f"{qubits}[{q}]" for q in range(circuit.n_qubits)]
        self.c = [f"{bits}[{b}]" for b in range(circuit.n_bits)]
        self.bits = bits
        self.measured_all = f"{bits} = measure {qubits};"
        self.renamed = renamed

    def lines(self, operations: Sequence[Operation], indent: str) -> list[str]:
        out: list[str] = []
        everything = [Measure(q, q) for q in range(self.circuit.n_qubits)]
        n, place = len(everything) if self.circuit.n_bits == self.circuit.n_qubits else 0, 0
        while place < len(operations):
            item = operations[place]
            if n and item == everything[0] and list(operations[place : place + n]) == everything:
                out.append(indent + self.measured_all)
                place += n
                continue
            out += self.condition(item, indent) if isinstance(item, If) else [indent + self.line(item)]
            place += 1
        return out

    def line(self, item: Operation) -> str:
        operands = ", ".join([self.q[q] for q in item.qubits])
        match item:
            case Instruction():
                return f"{_call(GATES[item.gate], item.angles, self.renamed)} {operands};"
            case Measure() if item.is_exact:
                return f"{self.c[item.bit]} = measure {operands};"
            case Reset():
                return f"reset {operands};"
            case Delay():
                return f"delay[{number_text(item.duration_ns)}ns] {operands};"
            case Barrier():
                return f"barrier {operands};"
        name = "Measure with a readout error" if isinstance(item, Measure) else type(item).__name__
        raise UnsupportedProgramError(
            f"OpenQASM 3 has no words for {name}; write the circuit as JSON, or without noise and send a noise model "
            "beside it.",
            operation=type(item).__name__,
        )

    def condition(self, item: If, indent: str) -> list[str]:
        inner = indent + "  "
        lines = [f"{indent}if ({self.asked(item.condition)}) {{", *self.lines(item.then, inner)]
        if item.otherwise:
            lines += [f"{indent}}} else {{", *self.lines(item.otherwise, inner)]
        return [*lines, f"{indent}}}"]

    def asked(self, condition: Condition) -> str:
        n = len(condition.bits)
        if n > 1 and condition.bits == tuple(reversed(range(self.circuit.n_bits))):  # the last bit weighs most
            return f"{self.bits} == {condition.value}"
        values = [(condition.value >> (n - 1 - place)) & 1 for place in range(n)]
        return " && ".join([f"{self.c[bit]} == {value}" for bit, value in zip(condition.bits, values, strict=True)])


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
    return f"{name}({', '.join([angle_text(angle, renamed) for angle in angles])})" if angles else name


def angle_text(angle: Affine, renamed: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return an angle as OpenQASM has it, multiples of pi as such, parameters by their new names."""
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
