"""QIR, what Q# compiles to, read into operations: adaptive profile, with floating-point computations.

Angles are followed as affine expressions through the computations of the program, Booleans as functions of measured
bits, branches to where they meet again. Source: QIR specification, adaptive profile; ``pyqir`` parses the modules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyqir

from superpose.circuits import (
    Affine,
    Barrier,
    Circuit,
    Condition,
    Delay,
    If,
    Instruction,
    Measure,
    Operation,
    Reset,
)
from superpose.circuits.operations import MAX_IF_DEPTH
from superpose.errors import AngleError
from superpose.frontends.words import Refusal

__all__ = ["BARRIER", "DELAY", "circuit_of"]

BARRIER, DELAY = "superpose_barrier_", "superpose_delay"
"""Intrinsics that stand for what Q# has no words for; they do nothing where Q# simulates."""
MAX_CONDITION_BITS = 6

_QIS, _RT = "__quantum__qis__", "__quantum__rt__"
_GATES = {
    f"{name}__body": name
    for name in ("h", "x", "y", "z", "s", "t", "sx", "rx", "ry", "rz", "rxx", "ryy", "rzz", "cx", "cy", "cz", "swap")
} | {"ccx__body": "ccx", "s__adj": "sdg", "t__adj": "tdg", "cnot__body": "cx", "ccnot__body": "ccx"}
_IGNORED = frozenset({"initialize", "array_record_output", "tuple_record_output", "result_record_output"})


@dataclass(frozen=True)
class _Bool:
    """A Boolean as a function of bits: the readings, as numbers with the first bit most significant, that give true."""

    bits: tuple[int, ...]
    true: frozenset[int]

    def at(self, values: Mapping[int, int]) -> bool:
        number = 0
        for bit in self.bits:
            number = number << 1 | values[bit]
        return number in self.true


@dataclass(frozen=True)
class _Unknown:
    """A value that no circuit can hold; refused where something depends on it."""

    what: str


@dataclass(frozen=True)
class _Fork:
    """By which block a branch was left: a block, or one of two forks by a Boolean."""

    condition: _Bool
    then: Any
    otherwise: Any


def circuit_of(text: str, parameters: Sequence[str], name: str, refusal: Refusal) -> Circuit:
    """Return the circuit that a QIR module means.

    Args:
        text: The module. Its first ``len(parameters)`` measurements, on qubit 0, stand for the parameters: each is
            turned into 1.0 or 0.0 by a branch, and that number is the parameter from there on.
        parameters: Names.
        name: Of the circuit.
        refusal: Who refuses.

    Raises:
        ConversionError: Something in the module has no place in a circuit.
    """
    module = pyqir.Module.from_ir(pyqir.Context(), text)
    entry = next(filter(pyqir.is_entry_point, module.functions))
    n_probes = 1 if parameters else 0
    n_qubits = (pyqir.required_num_qubits(entry) or 0) - n_probes
    if n_qubits < 1:
        refusal.of(name, "an operation without qubits")
    bits = _bits_of(entry, len(parameters), refusal)
    walk = _Walk(refusal, parameters, n_probes, bits, _joins(entry.basic_blocks[0], refusal))
    operations, _ = walk.region(entry.basic_blocks[0], None, 0)
    return Circuit(n_qubits, name, n_bits=len(bits)).extend(_without_last_resets(operations))


def _bits_of(entry: Any, n_parameters: int, refusal: Refusal) -> dict[int, int]:
    """Return the bit of each measurement: those that the operation returns first, in its order, then all others."""
    order: dict[int, None] = {}
    measured: dict[int, None] = {}
    for block in entry.basic_blocks:
        for item in block.instructions:
            if not isinstance(item, pyqir.Call):
                continue
            called = item.callee.name
            if called.startswith(_QIS) and called.removeprefix(_QIS).startswith("m") and len(item.args) == 2:
                measured[_id(item.args[1])] = None
            elif called == _RT + "result_record_output":
                _record(order, _id(item.args[0]), refusal)
            elif called == _RT + "bool_record_output":
                read = item.args[0]
                if not (isinstance(read, pyqir.Call) and read.callee.name == _RT + "read_result"):
                    refusal.of("return", "a returned Boolean that is computed", hint="Return the results themselves.")
                _record(order, _id(read.args[0]), refusal)
            elif called.endswith("_record_output") and called.removeprefix(_RT) not in _IGNORED:
                refusal.of("return", "a returned number", hint="Return the results of measurements.")
    numbers = [one for one in (*order, *(one for one in measured if one not in order)) if one >= n_parameters]
    return {one: bit for bit, one in enumerate(numbers)}


def _record(order: dict[int, None], result: int, refusal: Refusal) -> None:
    if result in order:
        refusal.of("return", "a result that is returned twice")
    order[result] = None


def _without_last_resets(operations: Sequence[Operation]) -> list[Operation]:
    """Q# resets qubits before it gives them back; a reset that nothing follows on its qubit is left out."""
    kept: list[Operation] = []
    later: set[int] = set()
    for item in reversed(operations):
        if isinstance(item, Reset) and item.qubits[0] not in later:
            continue
        later |= set(item.qubits)
        kept.append(item)
    return kept[::-1]


def _id(value: Any) -> int:
    found = pyqir.ptr_id(value)
    return -1 if found is None else int(found)


@dataclass
class _Walk:
    """Follows the blocks of a function."""

    refusal: Refusal
    parameters: Sequence[str]
    n_probes: int
    bits: Mapping[int, int]
    joins: Mapping[Any, Any]
    values: dict[Any, Any] = field(default_factory=dict)
    written: set[int] = field(default_factory=set)
    position: int = -1

    def region(self, block: Any, stop: Any, depth: int) -> tuple[list[Operation], Any]:
        """Return the operations from a block to another one, not entered, and the fork by which that is reached."""
        if depth > 2 * MAX_IF_DEPTH:
            self.refusal.of("if", f"conditions deeper than {MAX_IF_DEPTH}")
        out: list[Operation] = []
        came: Any = None
        while block != stop:
            *inner, last = block.instructions
            for item in inner:
                out += self.instruction(item, came)
            targets = last.operands if last.opcode == pyqir.Opcode.BR else []
            if not targets:
                if last.opcode != pyqir.Opcode.RET or stop is not None:
                    self.refusal.of("return", "a return inside a condition")
                return out, None
            if len(targets) == 1:
                came, block = block, targets[0]
                continue
            condition = self.boolean(self.value(targets[0]), "if")
            join = self.joins[block]
            then, then_came = self.side(targets[2], join, block, depth)
            otherwise, otherwise_came = self.side(targets[1], join, block, depth)
            out += _branched(condition, self.bits, then, otherwise)
            came, block = _Fork(condition, then_came, otherwise_came), join
        return out, came

    def side(self, block: Any, join: Any, origin: Any, depth: int) -> tuple[list[Operation], Any]:
        if block == join:
            return [], origin
        return self.region(block, join, depth + 1)

    def value(self, operand: Any) -> Any:
        if isinstance(operand, pyqir.FloatConstant):
            return Affine.of(float(operand.value))
        if isinstance(operand, pyqir.IntConstant) and operand.type.width == 1:
            return _Bool((), frozenset({0} if operand.value else ()))
        return self.values.get(operand, _Unknown("a number that is computed while the program runs"))

    def boolean(self, value: Any, instruction: str) -> _Bool:
        if isinstance(value, _Bool):
            return value
        what = value.what if isinstance(value, _Unknown) else "a condition"
        return self.refusal.of(instruction, what, self.position)

    def angle(self, operand: Any, instruction: str) -> Affine:
        value = self.value(operand)
        if isinstance(value, Affine):
            return value
        what = value.what if isinstance(value, _Unknown) else "an angle"
        hint = "Put what is not affine into a feature map in front of the circuit."
        return self.refusal.of(instruction, what, self.position, hint)

    def instruction(self, item: Any, came: Any) -> Iterator[Operation]:
        """Give what an instruction does, and remember what it computes."""
        if isinstance(item, pyqir.Call):
            yield from self.call(item)
        elif isinstance(item, pyqir.Phi):
            self.values[item] = self.met(dict((block, self.value(value)) for value, block in item.incoming), came)
        elif isinstance(item, pyqir.ICmp):
            self.values[item] = self.compared(item)
        else:
            self.values[item] = self.computed(item)

    def call(self, item: Any) -> Iterator[Operation]:
        called, args = item.callee.name, item.args
        gate = called.removeprefix(_QIS)
        self.position += called.startswith(_QIS)
        if called == _RT + "read_result":
            result = _id(args[0])
            if result not in self.written:
                self.refusal.of(called, "a result that is read before it is measured", self.position)
            self.values[item] = _Bool((result,), frozenset({1}))
        elif gate in _GATES:
            row = _GATES[gate]
            n_angles = 1 if row[0] == "r" else 0
            angles = tuple(self.angle(angle, row) for angle in args[:n_angles])
            yield Instruction(row, tuple(map(self.qubit, args[n_angles:])), angles)
        elif gate in ("m__body", "mz__body", "mresetz__body"):
            yield from self.measured(args, reset=gate == "mresetz__body")
        elif gate == "reset__body":
            yield Reset(self.qubit(args[0]))
        elif called.startswith(BARRIER):
            yield Barrier(tuple(map(self.qubit, args)))
        elif called == DELAY:
            yield Delay(self.qubit(args[1]), self.angle(args[0], called).constant)
        elif not called.startswith(_RT) or called.removeprefix(_RT) not in _IGNORED | {"bool_record_output"}:
            self.refusal.of(called, "an operation that is no gate of QIR", self.position)

    def measured(self, args: Sequence[Any], *, reset: bool) -> Iterator[Operation]:
        result = _id(args[1])
        if result in self.written:
            self.refusal.of("M", "a result that is written twice", self.position)
        self.written.add(result)
        self.position -= result < len(self.parameters)
        if result >= len(self.parameters):
            yield Measure(self.qubit(args[0]), self.bits[result])
            if reset:
                yield Reset(self.qubit(args[0]))

    def qubit(self, operand: Any) -> int:
        number = _id(operand) - self.n_probes
        return number if number >= 0 else self.refusal.of("Qubit", "a qubit that is chosen at run time", self.position)

    def met(self, values: Mapping[Any, Any], came: Any) -> Any:
        """Return a value that depends on where the program came from."""
        if not isinstance(came, _Fork):
            return values[came]
        if not came.condition.bits:
            return self.met(values, came.then if came.condition.true else came.otherwise)
        then, otherwise = self.met(values, came.then), self.met(values, came.otherwise)
        if then == otherwise:
            return then
        if isinstance(then, _Bool) and isinstance(otherwise, _Bool):
            asked = came.condition
            return _function((asked, then, otherwise), lambda at: then.at(at) if asked.at(at) else otherwise.at(at))
        if then == Affine.of(1.0) and otherwise == Affine.of(0.0) and self.is_probe(came.condition):
            return Affine(((self.parameters[came.condition.bits[0]], 1.0),))
        return _Unknown("an angle that depends on measurements")

    def is_probe(self, condition: _Bool) -> bool:
        return len(condition.bits) == 1 and condition.bits[0] < len(self.parameters) and condition.true == {1}

    def compared(self, item: Any) -> Any:
        left, right = map(self.value, item.operands)
        if not (isinstance(left, _Bool) and isinstance(right, _Bool)):
            return _Unknown("a condition on numbers that are computed while the program runs")
        if item.predicate == pyqir.IntPredicate.EQ:
            return _function((left, right), lambda at: left.at(at) == right.at(at))
        if item.predicate == pyqir.IntPredicate.NE:
            return _function((left, right), lambda at: left.at(at) != right.at(at))
        return _Unknown("an order of Booleans")

    def computed(self, item: Any) -> Any:
        parts = [self.value(operand) for operand in item.operands]
        if item.opcode == pyqir.Opcode.FCMP:
            return _Unknown("a condition on an angle")
        if all(isinstance(part, Affine) for part in parts):
            return _arithmetic(item.opcode, parts)
        if len(parts) == 2 and all(isinstance(part, _Bool) for part in parts):
            one, other = parts
            if item.opcode == pyqir.Opcode.AND:
                return _function(parts, lambda at: one.at(at) and other.at(at))
            if item.opcode == pyqir.Opcode.OR:
                return _function(parts, lambda at: one.at(at) or other.at(at))
            if item.opcode == pyqir.Opcode.XOR:
                return _function(parts, lambda at: one.at(at) != other.at(at))
        return _Unknown("a number that is computed while the program runs")


def _arithmetic(opcode: Any, parts: Sequence[Affine]) -> Any:
    code = pyqir.Opcode
    try:
        if opcode == code.FNEG:
            return -parts[0]
        one, other = parts
        if opcode == code.FADD:
            return one + other
        if opcode == code.FSUB:
            return one - other
        if opcode == code.FMUL and (one.is_constant or other.is_constant):
            return other * one.constant if one.is_constant else one * other.constant
        if opcode == code.FDIV and other.is_constant:
            return one / other.constant
    except (AngleError, ZeroDivisionError, ValueError):
        pass
    return _Unknown("an angle that is not affine in its parameters")


def _function(parts: Sequence[_Bool], of: Any) -> Any:
    """Return a Boolean function of what others depend on, without bits that do not matter."""
    bits = sorted({bit for part in parts for bit in part.bits})
    if len(bits) > MAX_CONDITION_BITS:
        return _Unknown(f"a condition on more than {MAX_CONDITION_BITS} results")
    true = set()
    for number in range(1 << len(bits)):
        if of({bit: number >> (len(bits) - 1 - place) & 1 for place, bit in enumerate(bits)}):
            true.add(number)
    return _Bool(tuple(bits), frozenset(true))


def _joins(entry: Any, refusal: Refusal) -> dict[Any, Any]:
    """Return, for each block that branches, the first block that every way from it leads through: None for none.

    Source: Cooper, Harvey, Kennedy, "A simple, fast dominance algorithm" (2001), on the reversed graph, which has no
    cycle.
    """
    order = _last_first(entry, refusal)
    above: dict[Any, Any] = {}
    depth: dict[Any, int] = {None: 0}
    for block in order:
        met, *others = _targets(block) or [None]
        for other in others:
            while met != other:
                if depth[met] < depth[other]:
                    other = above[other]
                else:
                    met = above[met]
        above[block], depth[block] = met, depth[met] + 1
    return above


def _targets(block: Any) -> list[Any]:
    last = block.terminator
    return list(last.operands[-2:]) if last.opcode == pyqir.Opcode.BR else []


def _last_first(entry: Any, refusal: Refusal) -> list[Any]:
    """Return the blocks in an order in which each stands after all that follow it."""
    done: dict[Any, None] = {}
    on_the_way: set[Any] = set()
    stack: list[tuple[Any, bool]] = [(entry, False)]
    while stack:
        block, is_left = stack.pop()
        if is_left:
            on_the_way.discard(block)
            done[block] = None
        elif block in on_the_way:
            refusal.of("while", "a loop at run time")
        elif block not in done:
            on_the_way.add(block)
            stack.append((block, True))
            stack += [(target, False) for target in _targets(block)]
    return list(done)


def _branched(
    condition: _Bool, bits: Mapping[int, int], then: Sequence[Any], otherwise: Sequence[Any]
) -> list[Operation]:
    """Return conditions that run one list where a Boolean is true, and the other one where it is not."""
    if not then and not otherwise:
        return []
    if not condition.bits:
        return list(then if condition.true else otherwise)
    asked = tuple(bits[bit] for bit in condition.bits)
    values = range(1 << len(asked))
    false = [value for value in values if value not in condition.true]
    if len(condition.true) == 1:
        return [If(Condition(asked, *condition.true), tuple(then), tuple(otherwise))]
    if len(false) == 1:
        return [If(Condition(asked, false[0]), tuple(otherwise), tuple(then))]
    chosen = [(value, then if value in condition.true else otherwise) for value in values]
    return [If(Condition(asked, value), tuple(inner)) for value, inner in chosen if inner]
