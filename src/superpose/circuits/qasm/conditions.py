"""Conditions on measured bits, brought down to the `If` of a circuit, which asks whether bits have one value."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from superpose.circuits.operations import Condition, If, Operation
from superpose.circuits.qasm.lexer import Source
from superpose.circuits.qasm.operators import truth
from superpose.circuits.qasm.registers import Registers
from superpose.circuits.qasm.scope import Scope
from superpose.circuits.qasm.syntax import (
    Cast,
    Chain,
    Expression,
    FunctionCall,
    IndexSet,
    Inversion,
    Name,
    Negation,
    Operand,
    Power,
    Product,
    Range,
    Sum,
)
from superpose.circuits.qasm.values import Sized, Value, evaluate, evaluate_integer
from superpose.errors import AngleError, QasmError

__all__ = ["Conditions", "Question"]

MAX_TABLE_BITS = 8

_Block = Sequence[Operation]


@dataclass(frozen=True, slots=True)
class Question:
    """What an if asks of measured bits.

    Attributes:
        bits: Places of the bits, the most significant first.
        answers: For each value of these bits whether it holds; where there are too many to list, the one value for
            which it holds.
    """

    bits: tuple[int, ...]
    answers: tuple[bool, ...] | int

    @property
    def n_leaves(self) -> tuple[int, int]:
        """How often each branch stands in what `choice` gives."""
        return (1, 1) if isinstance(self.answers, int) else _leaves(self.answers)

    def choice(self, then: _Block, otherwise: _Block) -> tuple[Operation, ...]:
        """Return operations that do ``then`` where it holds, and ``otherwise`` where it does not."""
        if isinstance(self.answers, int):
            return (If(Condition(self.bits, self.answers), tuple(then), tuple(otherwise)),)
        return _tree(self.bits, self.answers, tuple(then), tuple(otherwise))


def _tree(
    bits: tuple[int, ...], answers: tuple[bool, ...], then: tuple[Operation, ...], otherwise: tuple[Operation, ...]
) -> tuple[Operation, ...]:
    n_true = sum(answers)
    if n_true in (0, len(answers)):
        return then if n_true else otherwise
    low, high = answers[: len(answers) // 2], answers[len(answers) // 2 :]
    if low == high:
        return _tree(bits[1:], low, then, otherwise)
    if n_true == 1:
        return (If(Condition(bits, answers.index(True)), then, otherwise),)
    if n_true == len(answers) - 1:
        return (If(Condition(bits, answers.index(False)), otherwise, then),)
    return (If(Condition(bits[:1], 1), _tree(bits[1:], high, then, otherwise), _tree(bits[1:], low, then, otherwise)),)


def _leaves(answers: tuple[bool, ...]) -> tuple[int, int]:
    """How often each branch stands in `_tree`."""
    n_true = sum(answers)
    if n_true in (0, len(answers)):
        return (1, 0) if n_true else (0, 1)
    low, high = answers[: len(answers) // 2], answers[len(answers) // 2 :]
    if low == high:
        return _leaves(low)
    if n_true in (1, len(answers) - 1):
        return 1, 1
    (then, otherwise), more = _leaves(low), _leaves(high)
    return then + more[0], otherwise + more[1]


class Conditions:
    """Reads conditions.

    Args:
        source: The text, for errors.
        names: Values that the text tells.
        bits: Registers of bits.
    """

    def __init__(self, source: Source, names: Scope, bits: Registers) -> None:
        self._source = source
        self._names = names
        self._bits = bits

    def read(self, condition: Expression) -> tuple[bool | Question, bool]:
        """Return what ``condition`` asks, or its value where no measured bit decides; and whether it is negated.

        Raises:
            QasmError: It cannot be asked of bits.

        Cost: linear in the condition where it compares bits and joins with ``&&``; otherwise it is evaluated for
        each value of its bits, up to 256 times.
        """
        if not any(True for _ in self._measured(condition)):
            return self._truth(condition, self._names), False
        tests = list(condition.rest) if isinstance(condition, Chain) else []
        joined = isinstance(condition, Chain) and all(sign == "&&" for sign, _ in tests)
        parts = (
            [condition.first, *(part for _, part in tests)] if joined and isinstance(condition, Chain) else [condition]
        )
        found = [self._test(part) for part in parts]
        if len(found) == 1 and found[0] is not None and not found[0].is_equal and len(found[0].places) > 1:
            return self._wanted([found[0].negated()]), True
        if any(test is None or (len(test.places) > 1 and not test.is_equal) for test in found):
            return self._table(condition), False
        return self._wanted([test for test in found if test is not None]), False

    def _measured(self, node: object) -> Iterator[Name | Operand]:
        """The registers of measured bits in an expression."""
        stack = [node]
        while stack:
            item = stack.pop()
            if isinstance(item, Name | Operand):
                name = item.text if isinstance(item, Name) else item.name
                if name in self._bits:
                    yield item
                if isinstance(item, Operand):
                    stack += item.indices
            else:
                stack += _children(item)

    # conjunctions

    def _test(self, part: Expression) -> _Test | None:
        """One comparison of bits with a value that is known, None for any other expression."""
        if isinstance(part, Inversion) and part.operator == "!":
            places = self._places(part.operand)
            return None if places is None or len(places) > 1 else _Test(places, 0)
        places = self._places(part)
        if places is not None:
            if len(places) > 1:
                raise self._source.error(part.offset, "A register is no condition; compare it with an integer.")
            return _Test(places, 1)
        if not isinstance(part, Chain) or len(part.rest) != 1 or part.rest[0][0] not in ("==", "!="):
            return None
        sides = (part.first, part.rest[0][1])
        for bits, value in (sides, sides[::-1]):
            places = self._places(bits)
            if places is not None and not any(True for _ in self._measured(value)):
                number = evaluate_integer(self._source, value, self._names, "What bits are compared with")
                return _Test(places, self._cast(bits, number, len(places)), part.rest[0][0] == "==")
        return None

    def _places(self, node: Expression) -> list[int] | None:
        """The bits that an expression is, None where it is something else."""
        if isinstance(node, Cast) and node.type in ("uint", "int"):
            places = self._places(node.operand)
            if places is None or isinstance(node.operand, Cast):
                return None
            width = None if node.width is None else evaluate_integer(self._source, node.width, self._names, "A width")
            return places if width in (None, len(places)) else None
        if isinstance(node, Name) and node.text in self._bits:
            return self._bits.places(Operand(node.offset, node.text))
        if isinstance(node, Operand) and node.name in self._bits:
            if any(True for index in node.indices for _ in self._measured(index)):
                return None
            return self._bits.places(node)
        return None

    def _cast(self, bits: Expression, value: int, size: int) -> int:
        """What bits cast to a signed integer are compared with, as the bits have it."""
        if not isinstance(bits, Cast) or bits.type != "int" or bits.width is None:
            return value
        half = 1 << (size - 1)
        if not -half <= value < half:
            raise self._source.error(
                bits.offset, f"int[{size}] holds {-half} .. {half - 1} and is never {value}; write uint[{size}]."
            )
        return value % (2 * half)

    def _wanted(self, tests: list[_Test]) -> bool | Question:
        """Where all tests hold: one value of the bits, False where they cannot all hold, True where they always do."""
        wanted: dict[int, int] = {}
        for test in tests:
            value = test.value
            if not test.is_equal:
                if value not in (0, 1):
                    continue
                value = 1 - value
            if not 0 <= value < 1 << len(test.places):
                return False
            for shift in range(len(test.places) - 1, -1, -1):  # the last bit of a register is the most significant
                digit = (value >> shift) & 1
                if wanted.setdefault(test.places[shift], digit) != digit:
                    return False
        if not wanted:
            return True
        return Question(tuple(wanted), int("".join(map(str, wanted.values())), 2))

    # any other expression

    def _table(self, condition: Expression) -> bool | Question:
        registers: dict[str, list[int]] = {}
        asked: dict[int, None] = {}
        for item in self._measured(condition):
            name = item.text if isinstance(item, Name) else item.name
            registers[name] = self._bits.places(Operand(item.offset, name))
            exact = self._places(item)
            asked.update(dict.fromkeys(registers[name] if exact is None else exact))
        bits = tuple(sorted(asked))
        if len(bits) > MAX_TABLE_BITS:
            raise self._source.error(
                condition.offset,
                f"A condition on {len(bits)} bits that does more than compare with == and join with && is not "
                f"supported; at most {MAX_TABLE_BITS}.",
            )
        answers = []
        for value in range(1 << len(bits)):
            digit = {bit: (value >> (len(bits) - 1 - k)) & 1 for k, bit in enumerate(bits)}
            known: dict[str, Value] = {
                name: Sized.of(sum(digit.get(bit, 0) << k for k, bit in enumerate(places)), len(places), "bit")
                for name, places in registers.items()
            }
            answers.append(self._truth(condition, ChainMap(known, self._names)))  # type: ignore[arg-type]  # only read
        if len(set(answers)) == 1:
            return answers[0]
        return Question(bits, tuple(answers))

    def _truth(self, condition: Expression, names: Mapping[str, Value]) -> bool:
        value = evaluate(self._source, condition, names)
        try:
            return truth(value)
        except AngleError as error:
            raise self._source.error(condition.offset, error.message) from None

    def n_evaluations(self, condition: Expression) -> int:
        """How often a condition may be evaluated."""
        try:
            n_bits = sum(len(self._places(item) or ()) for item in self._measured(condition))
        except QasmError:
            return 1
        return 1 << min(n_bits, MAX_TABLE_BITS)


@dataclass(frozen=True, slots=True)
class _Test:
    """Bits, the first one the least significant, that are or are not a value."""

    places: list[int]
    value: int
    is_equal: bool = True

    def negated(self) -> _Test:
        return _Test(self.places, self.value, not self.is_equal)


def _children(node: object) -> Sequence[object]:
    match node:
        case Negation() | Inversion():
            return (node.operand,)
        case Cast():
            return (node.width, node.operand)
        case Sum():
            return [term for _, term in node.terms]
        case Product():
            return [factor for _, factor in node.factors]
        case Power():
            return (node.base, node.exponent)
        case FunctionCall():
            return node.arguments
        case Chain():
            return [node.first, *(part for _, part in node.rest)]
        case Range():
            return (node.first, node.step, node.last)
        case IndexSet():
            return node.items
    return ()
