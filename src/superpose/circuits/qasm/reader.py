"""OpenQASM 2 and 3 text to circuits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from superpose.circuits.circuit import Circuit
from superpose.circuits.gates import Step
from superpose.circuits.instruction import Instruction
from superpose.circuits.operations import Barrier, Condition, Delay, If, Measure, Operation, Reset
from superpose.circuits.parameters import Affine, Parameter
from superpose.circuits.qasm.expansion import GPHASE
from superpose.circuits.qasm.gate_scope import GateScope
from superpose.circuits.qasm.language import Language
from superpose.circuits.qasm.lexer import Source
from superpose.circuits.qasm.parser import parse
from superpose.circuits.qasm.syntax import (
    BarrierStatement,
    BitDeclaration,
    BitTest,
    Call,
    ConstDeclaration,
    DelayStatement,
    Expression,
    GateDefinition,
    IfStatement,
    Include,
    InputDeclaration,
    Measurement,
    Operand,
    QubitDeclaration,
    ResetStatement,
    Statement,
)
from superpose.circuits.qasm.values import Value, evaluate, evaluate_integer
from superpose.errors import CircuitError, QasmError

__all__ = ["MAX_QUBITS", "from_qasm"]

MAX_QUBITS = 10_000
TOKENS_PER_INSTRUCTION = 20  # ``rx(2*a + 0.1) q[0];`` has 13; a text of more is long before it is wrong
TOKENS_LEAST = 10_000
NO_PHASE = 1e-13  # what rounding may leave of global phases that cancel


def from_qasm(text: str, name: str = "circuit", *, max_instructions: int = 1_000_000) -> Circuit:
    """Return the circuit that OpenQASM 2 or 3 ``text`` describes; see `superpose.circuits.qasm` for what is read.

    Without a version in its first line a text is taken for OpenQASM 3.

    A global phase (``gphase``) is kept exactly, as the pair ``rz(-2 g)``, ``p(2 g)`` on qubit 0 at the end.

    Args:
        text: The program.
        name: Name of the circuit; OpenQASM has none.
        max_instructions: Most steps to which gate calls may expand, so that a short text cannot ask for endless work;
            long angles and modifiers inside definitions count too. The text may have 20 words and signs for each.

    Raises:
        QasmError: The text is neither, or says something that a `Circuit` cannot keep; with line and column.

    Cost: linear in the text and in the gate calls after expansion, some 30 us each.

    >>> from_qasm('OPENQASM 3; include "stdgates.inc"; input float x; qubit[2] q; h q[0]; cp(2*x + pi) q[0], q[1];')
    Circuit(n_qubits=2, name='circuit', n_instructions=2, n_params=1)
    """
    source = Source(text.removeprefix("\ufeff"))
    language, statements = parse(source, TOKENS_LEAST + TOKENS_PER_INSTRUCTION * max_instructions)
    reader = _Reader(source, language, max_instructions)
    for statement in statements:
        try:
            reader.read(statement)
        except QasmError:
            raise
        except CircuitError as error:
            raise source.error(statement.offset, error.message) from error
    return reader.circuit(name)


@dataclass(frozen=True, slots=True)
class _Register:
    start: int
    size: int | None  # None for a single one

    def places(self) -> range:
        return range(self.start, self.start + (1 if self.size is None else self.size))


class _Reader:
    def __init__(self, source: Source, language: Language, max_instructions: int) -> None:
        self.source, self.language = source, language
        self.constants: dict[str, Value] = {}
        self.names: dict[str, Value] = {}  # constants and inputs
        self.gates = GateScope(source, self.constants, max_instructions, language)
        self.parameters: set[str] = set()
        self.qubits: dict[str, _Register] = {}
        self.bits: dict[str, _Register] = {}
        self.n_qubits = self.n_bits = 0
        self.operations: list[Operation] = []
        self.is_conditional = False
        self.phase = Affine()
        self.thrown_away: dict[int, int] = {}  # qubits measured into no bit, and where

    def read(self, statement: object) -> None:
        _READ[type(statement)](self, statement)

    def circuit(self, name: str) -> Circuit:
        if not self.n_qubits:
            raise self.source.error(0, "The program declares no qubits; declare qubit[n] q;")
        circuit = Circuit(self.n_qubits, name, n_bits=self.n_bits).extend(self.operations)
        if self.phase.terms or abs(math.remainder(self.phase.constant, math.tau)) > NO_PHASE:
            circuit.append("rz", (0,), (-2 * self.phase,)).append("p", (0,), (2 * self.phase,))
        return circuit

    # declarations

    def include(self, statement: Include) -> None:
        self.gates.include(statement.path, statement.offset)

    def declare(self, name: str, offset: int) -> None:
        if name in self.names or name in self.qubits or name in self.bits:
            raise self.source.error(offset, f"{name!r} is declared twice.")
        if name in self.language.reserved:
            raise self.source.error(offset, f"{name!r} is a name of OpenQASM itself and cannot be declared.")

    def input(self, statement: InputDeclaration) -> None:
        self.declare(statement.name, statement.offset)
        parameter = Parameter(statement.name if statement.parameter is None else statement.parameter)
        if parameter.name in self.parameters:
            raise self.source.error(statement.offset, f"Parameter {parameter.name!r} is declared twice.")
        self.parameters.add(parameter.name)
        self.names[statement.name] = parameter

    def const(self, statement: ConstDeclaration) -> None:
        self.declare(statement.name, statement.offset)
        value = evaluate(self.source, statement.value, self.names)
        if isinstance(value, Affine):
            raise self.source.error(statement.value.offset, "A constant must not hold inputs.")
        if statement.type == "float":
            value = float(value)
        elif not isinstance(value, int) or (statement.type == "uint" and value < 0):
            raise self.source.error(statement.value.offset, f"{value} is no value of type {statement.type}.")
        self.names[statement.name] = self.constants[statement.name] = value

    def size(self, expression: Expression | None) -> int | None:
        if expression is None:
            return None
        size = evaluate_integer(self.source, expression, self.names, "A register's size")
        if not 1 <= size <= MAX_QUBITS:
            raise self.source.error(expression.offset, f"A register has 1 .. {MAX_QUBITS} elements, got {size}.")
        return size

    def qubit(self, statement: QubitDeclaration) -> None:
        self.declare(statement.name, statement.offset)
        register = _Register(self.n_qubits, self.size(statement.size))
        self.n_qubits += len(register.places())
        if self.n_qubits > MAX_QUBITS:
            raise self.source.error(statement.offset, f"A program may declare {MAX_QUBITS} qubits.")
        self.qubits[statement.name] = register

    def bit(self, statement: BitDeclaration) -> None:
        self.declare(statement.name, statement.offset)
        register = _Register(self.n_bits, self.size(statement.size))
        self.n_bits += len(register.places())
        if self.n_bits > MAX_QUBITS:
            raise self.source.error(statement.offset, f"A program may declare {MAX_QUBITS} classical bits.")
        self.bits[statement.name] = register

    def definition(self, statement: GateDefinition) -> None:
        self.gates.define(statement)

    # gate calls

    def call(self, statement: Call) -> None:
        operands = [self.resolve(operand, self.qubits, "qubit") for operand in statement.operands]
        sizes = {len(o) for o in operands if isinstance(o, range)}
        if len(sizes) > 1:
            raise self.source.error(statement.offset, f"Registers of different sizes {sorted(sizes)} in one gate call.")
        angles = tuple(Affine.of(evaluate(self.source, angle, self.names)) for angle in statement.angles)
        for k in range(sizes.pop() if sizes else 1):
            qubits = tuple(o[k] if isinstance(o, range) else o for o in operands)
            for step in self.gates.expand(statement, angles, qubits, self.names):
                self.emit(step, statement.offset)

    def emit(self, step: Step, offset: int) -> None:
        if step.gate == GPHASE:
            if self.is_conditional:
                raise self.source.error(offset, "Global phases inside a condition are not supported.")
            self.phase = self.phase + step.angles[0]
            return
        self.append(Instruction(step.gate, step.qubits, tuple(map(Affine.of, step.angles))), offset)

    def append(self, item: Operation, offset: int) -> None:
        late = self.thrown_away.keys() & set(item.qubits) if self.thrown_away else ()
        if late and not isinstance(item, Barrier | Delay):
            raise self.source.error(
                offset, "Operations behind a measurement into no bit are not supported; measure into a bit."
            )
        self.operations.append(item)

    def resolve(self, operand: Operand, registers: Mapping[str, _Register], what: str) -> range | int:
        """The places that ``operand`` names: a range for a whole register, one index otherwise."""
        register = registers.get(operand.name)
        if register is None:
            raise self.source.error(operand.offset, f"No {what} register is named {operand.name!r}; declare it first.")
        if operand.index is None:
            return register.start if register.size is None else register.places()
        index = evaluate_integer(self.source, operand.index, self.names, "An index")
        if register.size is None or not -register.size <= index < register.size:
            raise self.source.error(
                operand.offset, f"Index {index} lies outside {operand.name!r} of {register.size or 'no'} elements."
            )
        return register.places()[index]

    # what is no gate

    def places(self, operand: Operand) -> list[int]:
        return _list(self.resolve(operand, self.qubits, "qubit"))

    def all_places(self, operands: Sequence[Operand]) -> list[int]:
        """The qubits of all operands, each once; all qubits without any."""
        if not operands:
            return list(range(self.n_qubits))
        return list(dict.fromkeys(place for operand in operands for place in self.places(operand)))

    def measurement(self, statement: Measurement) -> None:
        qubits = self.places(statement.qubits)
        if statement.bits is None:
            self.thrown_away.update(dict.fromkeys(qubits, statement.offset))
            return
        bits = _list(self.resolve(statement.bits, self.bits, "bit"))
        if len(bits) != len(qubits):
            raise self.source.error(statement.offset, f"{len(qubits)} qubits are measured into {len(bits)} bits.")
        for qubit, bit in zip(qubits, bits, strict=True):
            self.append(Measure(qubit, bit), statement.offset)

    def reset(self, statement: ResetStatement) -> None:
        for qubit in self.places(statement.qubits):
            self.append(Reset(qubit), statement.offset)

    def delay(self, statement: DelayStatement) -> None:
        for qubit in self.all_places(statement.operands):
            self.append(Delay(qubit, statement.duration_ns), statement.offset)

    def barrier(self, statement: BarrierStatement) -> None:
        qubits = self.all_places(statement.operands)
        if qubits:
            self.append(Barrier(tuple(qubits)), statement.offset)

    def condition(self, statement: IfStatement) -> None:
        branches = [self.branch(statement.then), self.branch(statement.otherwise)]
        first = statement.tests[0]
        if len(statement.tests) == 1 and not first.equal:
            branches.reverse()
            first = replace(first, equal=True)
        condition = self.bit_tests((first, *statement.tests[1:]))
        if condition is None:
            self.operations += branches[1]
        else:
            self.append(If(condition, *branches), statement.offset)

    def branch(self, statements: Sequence[Statement]) -> tuple[Operation, ...]:
        outside, before = self.operations, self.is_conditional
        self.operations, self.is_conditional = [], True
        for inner in statements:
            self.read(inner)
        inside, self.operations, self.is_conditional = self.operations, outside, before
        return tuple(inside)

    def bit_tests(self, tests: Sequence[BitTest]) -> Condition | None:
        """The condition, or None where it never holds; element 0 of a register is the least significant."""
        wanted: dict[int, int] = {}
        possible = True
        for test in tests:
            bits, value = _list(self.resolve(test.bits, self.bits, "bit")), test.value
            possible = possible and value < 1 << len(bits)
            if not test.equal:
                if len(bits) > 1:
                    raise self.source.error(test.offset, "A register compared with != stands alone in a condition.")
                value ^= 1
            for place in range(len(bits) - 1, -1, -1):
                digit = value >> place & 1
                possible = possible and wanted.setdefault(bits[place], digit) == digit
        digits = "".join(map(str, wanted.values()))
        return Condition(tuple(wanted), int(digits, 2)) if possible else None


def _list(places: range | int) -> list[int]:
    return [places] if isinstance(places, int) else list(places)


_READ: dict[type, Callable[..., None]] = {
    Include: _Reader.include,
    InputDeclaration: _Reader.input,
    ConstDeclaration: _Reader.const,
    QubitDeclaration: _Reader.qubit,
    BitDeclaration: _Reader.bit,
    GateDefinition: _Reader.definition,
    Call: _Reader.call,
    Measurement: _Reader.measurement,
    BarrierStatement: _Reader.barrier,
    ResetStatement: _Reader.reset,
    DelayStatement: _Reader.delay,
    IfStatement: _Reader.condition,
}
