"""OpenQASM 2 and 3 text to circuits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from superpose.circuits.circuit import Circuit
from superpose.circuits.names import CONSTANTS, FUNCTIONS
from superpose.circuits.operations import Barrier, Delay, Measure, Operation, Reset, walk
from superpose.circuits.parameters import Affine, Parameter
from superpose.circuits.qasm.calls import CallReader
from superpose.circuits.qasm.conditions import Conditions
from superpose.circuits.qasm.expansion import LIBRARY_3
from superpose.circuits.qasm.gate_scope import TOKENS_PER_CHARGE, GateScope
from superpose.circuits.qasm.lexer import SKIPPED, Source
from superpose.circuits.qasm.operators import converted, loop_values
from superpose.circuits.qasm.parser import Parser3
from superpose.circuits.qasm.parser2 import KEYWORDS_2, Parser2
from superpose.circuits.qasm.qelib1 import LIBRARY_2
from superpose.circuits.qasm.registers import Registers
from superpose.circuits.qasm.scope import Scope, Variable
from superpose.circuits.qasm.syntax import (
    AliasDeclaration,
    Assignment,
    BarrierStatement,
    BitDeclaration,
    Block,
    Call,
    Chain,
    DelayStatement,
    Expression,
    ForStatement,
    GateDefinition,
    IfStatement,
    Include,
    InputDeclaration,
    Measurement,
    Name,
    Operand,
    Power,
    Product,
    QubitDeclaration,
    ResetStatement,
    Statement,
    Sum,
    VariableDeclaration,
)
from superpose.circuits.qasm.values import Duration, Value, evaluate, evaluate_integer
from superpose.errors import CircuitError, QasmError

__all__ = ["from_qasm"]

TOKENS_PER_INSTRUCTION = 20  # ``rx(2*a + 0.1) q[0];`` has 13; a text of more is long before it is wrong
TOKENS_LEAST = 10_000
MAX_WIDTH = 1024

_VERSION_2 = re.compile(SKIPPED + r"""(?:OPENQASM\s++2(?:\.0)?\s*+;|include\s*+["']qelib1\.inc["'])""")


def from_qasm(text: str, name: str = "circuit", *, max_instructions: int = 1_000_000) -> Circuit:
    """Return the circuit that OpenQASM ``text`` describes; see `superpose.circuits.qasm` for what is read.

    Text that starts with ``OPENQASM 2.0;`` or the inclusion of ``qelib1.inc`` is OpenQASM 2, any other OpenQASM 3. Bit
    ``i`` of the circuit is the ``i``-th bit that the text declares. A global phase is kept exactly, as a pair
    ``rz(-2 g)``, ``p(2 g)`` on qubit 0 behind the gates with which the circuit begins; inside a condition it could not
    be observed and is left out, as is a condition that can never hold.

    Args:
        text: The program.
        name: Name of the circuit; OpenQASM has none.
        max_instructions: Most steps to which gate calls and other statements may expand, so that a short text cannot
            ask for endless work; long angles and modifiers inside definitions count too. The text may have 20 words
            and signs for each.

    Raises:
        QasmError: The text is not OpenQASM, or says something that a `Circuit` cannot keep; with line and column.

    Cost: linear in the text and in the gate calls after expansion: some 4 us for a call that stood in the text before,
    11 to 16 us for one whose angles are plain numbers, up to 56 us for any other.

    >>> from_qasm('OPENQASM 3; include "stdgates.inc"; input float x; qubit[2] q; h q[0]; cp(2*x + pi) q[0], q[1];')
    Circuit(n_qubits=2, name='circuit', n_instructions=2, n_params=1)
    >>> from_qasm('OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; measure q -> c;')
    Circuit(n_qubits=2, name='circuit', n_instructions=3, n_params=0, n_bits=2)
    """
    return _Reader(text.removeprefix("\ufeff"), max_instructions).circuit(name)


class _Reader:
    def __init__(self, text: str, max_instructions: int) -> None:
        self.source = Source(text)
        is_2 = _VERSION_2.match(text) is not None
        self.reserved = (KEYWORDS_2 | Parser2.functions.keys()) if is_2 else (CONSTANTS | FUNCTIONS)
        self.constants: dict[str, Value] = {}
        self.names = Scope()  # constants, inputs and variables
        library = LIBRARY_2 if is_2 else LIBRARY_3
        self.gates = GateScope(self.source, library, self.reserved, self.constants, max_instructions)
        self.parameters: set[str] = set()
        self.qubits = Registers(self.source, self.names, "qubit")
        self.bits = Registers(self.source, self.names, "bit")
        self.names.bits = self.bits
        self.conditions = Conditions(self.source, self.names, self.bits)
        self.calls = CallReader(self.source, self.gates, self.qubits, self.names, has_integers=not is_2)
        parse = Parser2 if is_2 else Parser3
        self.parser = parse(
            self.source, TOKENS_LEAST + TOKENS_PER_INSTRUCTION * max_instructions, self.calls.take_plain
        )

    def circuit(self, name: str) -> Circuit:
        """Read everything and return the circuit."""
        for statement in self.parser.program():
            self.read(statement)
        if not self.qubits.n_places:
            raise self.source.error(0, "The program declares no qubits; declare qubit[n] q;")
        circuit = Circuit(self.qubits.n_places, name, n_bits=self.bits.n_places)
        return circuit.extend(self.calls.with_phase())

    def read(self, statement: Statement) -> None:
        try:
            _READ[type(statement)](self, statement)
        except QasmError:
            raise
        except CircuitError as error:
            raise self.source.error(statement.offset, error.message) from error

    # declarations

    def include(self, statement: Include) -> None:
        self.gates.include(statement.path, statement.offset)

    def declare(self, name: str, offset: int) -> None:
        if self.names.is_here(name) or name in self.qubits or name in self.bits:
            raise self.source.error(offset, f"{name!r} is declared twice.")
        if name in self.reserved:
            raise self.source.error(offset, f"{name!r} is a name of OpenQASM itself and cannot be declared.")

    def input(self, statement: InputDeclaration) -> None:
        self.declare(statement.name, statement.offset)
        parameter = Parameter(statement.name if statement.parameter is None else statement.parameter)
        if parameter.name in self.parameters:
            raise self.source.error(statement.offset, f"Parameter {parameter.name!r} is declared twice.")
        self.parameters.add(parameter.name)
        self.names.declare(statement.name, Variable(parameter))

    def variable(self, statement: VariableDeclaration) -> None:
        self.declare(statement.name, statement.offset)
        width = None
        if statement.width is not None:
            width = evaluate_integer(self.source, statement.width, self.names, "A type's width")
            if not 1 <= width <= MAX_WIDTH:
                raise self.source.error(statement.width.offset, f"A type's width is 1 .. {MAX_WIDTH}, got {width}.")
        found = Variable(None, statement.type, width, statement.is_const)
        if statement.value is not None:
            found.value = self.typed(found, statement.value)
        if statement.is_const and self.names.is_outermost and found.value is not None:
            self.constants[statement.name] = found.value
        self.names.declare(statement.name, found)
        self.calls.forget()

    def typed(self, variable: Variable, expression: Expression) -> Value:
        value = evaluate(self.source, expression, self.names)
        if variable.is_const and isinstance(value, Affine) and value.terms:
            raise self.source.error(expression.offset, "A constant must not hold inputs.")
        try:
            return converted(variable.kind or "float", variable.width, value)
        except CircuitError as error:
            raise self.source.error(expression.offset, error.message) from None

    def assignment(self, statement: Assignment) -> None:
        name, offset, operator = statement.name, statement.offset, statement.operator
        variable = self.names.found(name)
        if name in self.bits:
            raise self.source.error(offset, "Only measurements may be assigned to bits that are measured.")
        if variable is None or variable.is_const:
            raise self.source.error(
                offset, f"{name!r} is no variable; only int, float and the like may be assigned to."
            )
        if not self.names.may_change(name):
            raise self.source.error(
                offset, f"{name!r} changes under a condition on measured bits; run-time variables are not supported."
            )
        value, old = statement.value, Name(offset, name)
        if operator in ("+", "-"):
            value = Sum(offset, ((1, old), (1 if operator == "+" else -1, value)))
        elif operator in ("*", "/", "%"):
            value = Product(offset, (("*", old), (operator, value)))
        elif operator == "**":
            value = Power(offset, old, value)
        elif operator:
            value = Chain(offset, old, ((operator, value),))
        variable.value = self.typed(variable, value)
        self.calls.forget()

    def alias(self, statement: AliasDeclaration) -> None:
        name, offset = statement.name, statement.offset
        if (name in self.qubits or name in self.bits) and not self.names.is_outermost:
            raise self.source.error(
                offset,
                f"{name!r} has a meaning outside this block; whether an alias changes that is not said by "
                "OpenQASM. Use another name.",
            )
        self.declare(name, offset)
        registers = self.bits if all(part.name in self.bits for part in statement.parts) else self.qubits
        registers.alias(name, statement.parts, offset)
        self.calls.charge(sum(len(registers.places(part)) for part in statement.parts), offset)

    def qubit(self, statement: QubitDeclaration) -> None:
        self.declare(statement.name, statement.offset)
        self.qubits.declare(statement)

    def bit(self, statement: BitDeclaration) -> None:
        self.declare(statement.name, statement.offset)
        if statement.value is not None and evaluate(self.source, statement.value, self.names) != 0:
            known = VariableDeclaration(
                statement.offset, "bit", statement.size, statement.name, statement.value, is_const=False
            )
            self.variable(known)
            return
        self.bits.declare(statement)
        if statement.measured is not None:
            bits = Operand(statement.offset, statement.name)
            self.measurement(Measurement(statement.offset, statement.measured, bits))

    def definition(self, statement: GateDefinition) -> None:
        self.gates.define(statement)
        self.calls.forget()

    # operations

    def call(self, statement: Call) -> None:
        self.calls.read(statement, self.parser.lexer.offset if self.parser.is_done else None)

    def measurement(self, statement: Measurement) -> None:
        qubits = self.qubits.places(statement.qubits)
        if statement.bits is None:
            self.calls.unobserve(qubits, statement.offset)
            return
        bits = self.bits.places(statement.bits)
        if len(bits) != len(qubits):
            raise self.source.error(statement.offset, f"{len(qubits)} qubits are measured into {len(bits)} bits.")
        self.calls.emit([Measure(q, b) for q, b in zip(qubits, bits, strict=True)], statement.offset)

    def reset(self, statement: ResetStatement) -> None:
        places = [q for operand in statement.operands for q in self.qubits.places(operand)]
        self.calls.emit([Reset(q) for q in places], statement.offset)

    def delay(self, statement: DelayStatement) -> None:
        places = self.all_or(statement.operands)
        duration = evaluate(self.source, statement.duration, self.names)
        if not isinstance(duration, Duration):
            raise self.source.error(statement.duration.offset, f"A delay lasts a time such as 100ns, got {duration}.")
        self.calls.emit([Delay(q, duration.nanoseconds) for q in places], statement.offset)

    def barrier(self, statement: BarrierStatement) -> None:
        places = tuple(dict.fromkeys(self.all_or(statement.operands)))
        if places:
            self.calls.emit([Barrier(places)], statement.offset)

    def all_or(self, operands: tuple[Operand, ...]) -> list[int]:
        if not operands:
            return list(range(self.qubits.n_places))
        return [q for operand in operands for q in self.qubits.places(operand)]

    # blocks

    def condition(self, statement: IfStatement) -> None:
        cost = self.conditions.n_evaluations(statement.condition) * (1 + statement.n_tokens // TOKENS_PER_CHARGE)
        self.calls.charge(cost, statement.offset)
        question, is_negated = self.conditions.read(statement.condition)
        branches = (statement.then, statement.otherwise)[:: -1 if is_negated else 1]
        if isinstance(question, bool):
            self.block(branches[0 if question else 1])
            return
        then, otherwise = (self.apart(branch) for branch in branches)
        n_then, n_otherwise = question.n_leaves
        self.calls.charge((n_then - 1) * len(walk(then)) + (n_otherwise - 1) * len(walk(otherwise)), statement.offset)
        self.calls.emit(question.choice(then, otherwise), statement.offset)

    def apart(self, body: tuple[Statement, ...]) -> tuple[Operation, ...]:
        with self.calls.apart() as operations:
            self.block(body, is_conditional=True)
        return tuple(operations)

    def block(self, body: tuple[Statement, ...], *, is_conditional: bool = False) -> None:
        with self.inner(is_conditional=is_conditional):
            for statement in body:
                self.read(statement)

    @contextmanager
    def inner(self, *, is_conditional: bool = False) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(self.names.inner(is_conditional=is_conditional))
            stack.enter_context(self.qubits.inner())
            stack.enter_context(self.bits.inner())
            yield

    def scope(self, statement: Block) -> None:
        self.block(statement.body)

    def loop(self, statement: ForStatement) -> None:
        values = loop_values(self.source, statement.values, self.names)
        self.calls.charge(len(values) * (1 + statement.n_tokens // TOKENS_PER_CHARGE), statement.offset)
        width = None
        if statement.width is not None:
            width = evaluate_integer(self.source, statement.width, self.names, "A type's width")
        for value in values:
            with self.inner():
                self.declare(statement.name, statement.offset)
                variable = Variable(converted(statement.type, width, value), statement.type, width, is_const=False)
                self.names.declare(statement.name, variable)
                for inner in statement.body:
                    self.read(inner)


_READ: dict[type, Callable[..., None]] = {
    Include: _Reader.include,
    InputDeclaration: _Reader.input,
    VariableDeclaration: _Reader.variable,
    Assignment: _Reader.assignment,
    AliasDeclaration: _Reader.alias,
    QubitDeclaration: _Reader.qubit,
    BitDeclaration: _Reader.bit,
    GateDefinition: _Reader.definition,
    Call: _Reader.call,
    Measurement: _Reader.measurement,
    ResetStatement: _Reader.reset,
    DelayStatement: _Reader.delay,
    BarrierStatement: _Reader.barrier,
    IfStatement: _Reader.condition,
    ForStatement: _Reader.loop,
    Block: _Reader.scope,
}
