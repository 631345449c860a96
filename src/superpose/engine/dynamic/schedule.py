"""A circuit with classical bits as a fixed plan over slots, each holding the part of a mixed state with one record.

The state of qubits and bits together is a density matrix per value of the bits. Only bits that a later condition reads,
or that are asked for at the end, are told apart (they are *live*); a measurement into any other bit is a channel. So
resets and overwritten measurements never multiply the work, and every step is linear: gradients flow back through it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from superpose.circuits.operations import Condition, If, Measure, Operation
from superpose.engine.dynamic.factors import Block, Factor, factors_of, fuse
from superpose.engine.dynamic.superoperators import DEPHASE, instrument

__all__ = ["Add", "Annotated", "Copy", "Plan", "Run", "live_bits", "make_plan"]


@dataclass(frozen=True, slots=True)
class Copy:
    """``slot[target] = slot[source]``."""

    source: int
    target: int


@dataclass(frozen=True, slots=True)
class Add:
    """``slot[target] += slot[source]``; the source is free afterwards."""

    source: int
    target: int


@dataclass(frozen=True, slots=True)
class Run:
    """Blocks on each of some slots."""

    slots: tuple[int, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Plan:
    """What happens to the slots; slot 0 holds the initial state.

    Attributes:
        steps: In order.
        n_slots: Most slots in use at one time.
        records: At the end, slot by record: bit ``b`` of the record is classical bit b.
    """

    steps: tuple[Copy | Add | Run, ...]
    n_slots: int
    records: dict[int, int]


class Annotated:
    """An operation with the bits that matter behind it, and for a branch the same of its parts."""

    __slots__ = ("after", "operation", "parts")

    def __init__(self, operation: Operation, after: frozenset[int], parts: tuple[list[Annotated], ...]) -> None:
        self.operation, self.after, self.parts = operation, after, parts


def live_bits(operations: Sequence[Operation], wanted: Iterable[int]) -> tuple[list[Annotated], frozenset[int]]:
    """Return the operations with the bits that are still needed behind each, and those needed in front of all.

    Args:
        operations: In order.
        wanted: Bits whose values are asked for at the end.
    """
    live = frozenset(wanted)
    out = []
    for operation in reversed(operations):
        after, parts = live, tuple[list[Annotated], ...]()
        if isinstance(operation, Measure):
            live = live - {operation.bit}
        elif isinstance(operation, If):
            then, first = live_bits(operation.then, after)
            otherwise, second = live_bits(operation.otherwise, after)
            parts = (then, otherwise)
            live = first | second | frozenset(operation.condition.bits)
        out.append(Annotated(operation, after, parts))
    return out[::-1], live


def make_plan(operations: Sequence[Operation], wanted: Iterable[int] = ()) -> Plan:
    """Return the plan that keeps the bits of ``wanted`` apart at the end.

    Cost: slots double with each bit that is live, whatever the number of measurements.
    """
    planner = _Planner()
    annotated, _ = live_bits(operations, wanted)
    records = {0: planner.new_slot()}
    for entry in annotated:
        records = planner.run([entry], records)
        records = planner.merge(records, entry.after)
    planner.flush()
    return Plan(tuple(planner.steps), planner.n_slots, records)


class _Planner:
    """Writes steps; factors gather until something else than a block must happen."""

    def __init__(self) -> None:
        self.steps: list[Copy | Add | Run] = []
        self.n_slots = 0
        self._free: list[int] = []
        self._gathered: list[Factor] = []
        self._slots: tuple[int, ...] = ()

    def new_slot(self) -> int:
        if self._free:
            return self._free.pop()
        self.n_slots += 1
        return self.n_slots - 1

    def flush(self) -> None:
        """Write the gathered factors as one run."""
        if self._gathered:
            self.steps.append(Run(self._slots, tuple(fuse(self._gathered))))
            self._gathered = []

    def gather(self, slots: Iterable[int], factors: Iterable[Factor]) -> None:
        slots = tuple(sorted(slots))
        if slots != self._slots:
            self.flush()
            self._slots = slots
        if slots:
            self._gathered += factors

    def run(self, operations: Iterable[Annotated], records: dict[int, int]) -> dict[int, int]:
        """Write the operations for the records given; return those that come out."""
        for entry in operations:
            operation = entry.operation
            if isinstance(operation, If):
                records = self._branch(operation.condition, entry.parts, records)
            elif isinstance(operation, Measure) and operation.bit in entry.after:
                records = self._measure(operation, records)
            elif isinstance(operation, Measure):
                self.gather(records.values(), [Factor(operation.qubits, DEPHASE)])
            else:
                self.gather(records.values(), factors_of(operation))
        return records

    def _branch(
        self, condition: Condition, parts: tuple[list[Annotated], ...], records: dict[int, int]
    ) -> dict[int, int]:
        then = {record: slot for record, slot in records.items() if holds(condition, record)}
        otherwise = {record: slot for record, slot in records.items() if record not in then}
        then = self.run(parts[0], then)
        return self._union([then, self.run(parts[1], otherwise)])

    def _union(self, maps: Iterable[dict[int, int]]) -> dict[int, int]:
        """Add up slots of equal records."""
        out: dict[int, int] = {}
        for records in maps:
            for record, slot in records.items():
                if record in out:
                    self.flush()
                    self.steps.append(Add(slot, out[record]))
                    self._free.append(slot)
                else:
                    out[record] = slot
        return out

    def _measure(self, operation: Measure, records: dict[int, int]) -> dict[int, int]:
        bit = 1 << operation.bit
        records = self._union({record & ~bit: slot} for record, slot in records.items())
        if not records:
            return records
        self.flush()
        ones = {}
        for record, slot in records.items():
            ones[record | bit] = self.new_slot()
            self.steps.append(Copy(slot, ones[record | bit]))
        for read, slots in ((0, records.values()), (1, ones.values())):
            matrix = instrument(read, operation.flip0, operation.flip1)
            self.gather(slots, [Factor(operation.qubits, matrix)])
        return records | ones

    def merge(self, records: dict[int, int], live: frozenset[int]) -> dict[int, int]:
        """Add up records that differ in bits nobody reads any more."""
        kept = sum(1 << bit for bit in live)
        if all(record & ~kept == 0 for record in records):
            return records
        return self._union({record & kept: slot} for record, slot in records.items())


def holds(condition: Condition, record: int) -> bool:
    """Return whether a condition holds for a record."""
    value = 0
    for bit in condition.bits:
        value = 2 * value + (record >> bit & 1)
    return value == condition.value
