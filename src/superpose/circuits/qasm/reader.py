"""OpenQASM 2 and 3 text to circuits."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from superpose.circuits.circuit import Circuit
from superpose.circuits.names import CONSTANTS, FUNCTIONS
from superpose.circuits.operations import Barrier, Condition, Delay, If, Measure, Operation, Reset
from superpose.circuits.parameters import Affine, Parameter
from superpose.circuits.qasm.calls import CallReader
from superpose.circuits.qasm.expansion import LIBRARY_3
from superpose.circuits.qasm.gate_scope import GateScope
from superpose.circuits.qasm.lexer import SKIPPED, Source
from superpose.circuits.qasm.parser import Parser3
from superpose.circuits.qasm.parser2 import KEYWORDS_2, Parser2
from superpose.circuits.qasm.qelib1 import LIBRARY_2
from superpose.circuits.qasm.registers import Registers
from superpose.circuits.qasm.syntax import (
    BarrierStatement,
    BitDeclaration,
    Call,
    Comparison,
    ConstDeclaration,
    DelayStatement,
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

__all__ = ["from_qasm"]

TOKENS_PER_INSTRUCTION = 20  # ``rx(2*a + 0.1) q[0];`` has 13; a text of more is long before it is wrong
TOKENS_LEAST = 10_000

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
        self.names: dict[str, Value] = {}  # constants and inputs
        library = LIBRARY_2 if is_2 else LIBRARY_3
        self.gates = GateScope(self.source, library, self.reserved, self.constants, max_instructions)
        self.parameters: set[str] = set()
        self.qubits = Registers(self.source, self.names, "qubit")
        self.bits = Registers(self.source, self.names, "bit")
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
        if name in self.names or name in self.qubits or name in self.bits:
            raise self.source.error(offset, f"{name!r} is declared twice.")
        if name in self.reserved:
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

    def qubit(self, statement: QubitDeclaration) -> None:
        self.declare(statement.name, statement.offset)
        self.qubits.declare(statement)

    def bit(self, statement: BitDeclaration) -> None:
        self.declare(statement.name, statement.offset)
        self.bits.declare(statement)
        if statement.measured is not None:
            bits = Operand(statement.offset, statement.name, None)
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
        self.calls.emit([Delay(q, statement.duration_ns) for q in places], statement.offset)

    def barrier(self, statement: BarrierStatement) -> None:
        places = tuple(dict.fromkeys(self.all_or(statement.operands)))
        if places:
            self.calls.emit([Barrier(places)], statement.offset)

    def all_or(self, operands: tuple[Operand, ...]) -> list[int]:
        if not operands:
            return list(range(self.qubits.n_places))
        return [q for operand in operands for q in self.qubits.places(operand)]

    # conditions

    def condition(self, statement: IfStatement) -> None:
        then, otherwise = (self.inner(block) for block in (statement.then, statement.otherwise))
        tests = list(statement.comparisons)
        if len(tests) == 1 and not tests[0].is_equal and len(self.bits.places(tests[0].bits)) > 1:
            then, otherwise = otherwise, then
            tests = [replace(tests[0], is_equal=True)]
        wanted = self.wanted(tests)
        if wanted:
            value = int("".join(map(str, wanted.values())), 2)
            self.calls.emit([If(Condition(tuple(wanted), value), then, otherwise)], statement.offset)
        else:  # it never holds, or always
            self.calls.emit(otherwise if wanted is None else then, statement.offset)

    def inner(self, block: tuple[Statement, ...]) -> tuple[Operation, ...]:
        with self.calls.apart() as operations:
            for statement in block:
                self.read(statement)
        return tuple(operations)

    def wanted(self, tests: list[Comparison]) -> dict[int, int] | None:
        """What each bit must be, the most significant first, or None where the comparisons cannot all hold."""
        wanted: dict[int, int] = {}
        for test in tests:
            places, value = self.bits.places(test.bits), self.compared_with(test)
            if not test.is_equal:
                if len(places) > 1:
                    raise self.source.error(test.offset, "A register compared with != cannot be joined with &&.")
                if value not in (0, 1):
                    continue
                value = 1 - value
            if not 0 <= value < 1 << len(places):
                return None
            for shift in range(len(places) - 1, -1, -1):  # the last bit of a register is the most significant
                digit = (value >> shift) & 1
                if wanted.setdefault(places[shift], digit) != digit:
                    return None
        return wanted

    def compared_with(self, test: Comparison) -> int:
        if test.value is not None:
            return evaluate_integer(self.source, test.value, self.names, "What bits are compared with")
        if len(self.bits.places(test.bits)) > 1:
            raise self.source.error(test.offset, "A register is no condition; compare it with an integer.")
        return 1


_READ: dict[type, Callable[..., None]] = {
    Include: _Reader.include,
    InputDeclaration: _Reader.input,
    ConstDeclaration: _Reader.const,
    QubitDeclaration: _Reader.qubit,
    BitDeclaration: _Reader.bit,
    GateDefinition: _Reader.definition,
    Call: _Reader.call,
    Measurement: _Reader.measurement,
    ResetStatement: _Reader.reset,
    DelayStatement: _Reader.delay,
    BarrierStatement: _Reader.barrier,
    IfStatement: _Reader.condition,
}
