"""When the operations of a circuit run, as late as possible, and how long qubits wait between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from superpose.circuits import Barrier, Delay, If, Operation

__all__ = ["Schedule", "scheduled"]


class Schedule(NamedTuple):
    """Operations with the waiting written in.

    Attributes:
        operations: In an order in which they may run; barriers are gone, waiting is a `Delay`.
        duration_ns: From the first operation's start to the last one's end.
    """

    operations: tuple[Operation, ...]
    duration_ns: float


def scheduled(operations: Sequence[Operation], duration_of: Callable[[Operation], float]) -> Schedule:
    """Return the operations as late as they can run, so that qubits stay in 0 as long as they may.

    Waiting before a qubit's first operation and behind its last one is left out: there is nothing to lose. A condition
    holds its qubits as long as its longer branch takes, and begins when its bits are read.

    Args:
        operations: In order.
        duration_of: How long each takes in nanoseconds; not asked for conditions.

    Cost: linear in the operations.

    >>> from superpose.circuits import Circuit, Instruction
    >>> made = Circuit(2).h(0).cx(0, 1).x(0).x(0).cx(0, 1).instructions
    >>> print([item.duration_ns for item in scheduled(made, lambda item: 10.0).operations if isinstance(item, Delay)])
    [20.0]
    """
    free: defaultdict[tuple[str, int], float] = defaultdict(float)  # time from the end, by qubit or bit
    last: dict[int, float] = {}  # of qubits that have something to do later: when that starts, from the end
    out: list[Operation] = []
    for item in reversed(operations):
        held = [*(("qubit", qubit) for qubit in item.qubits), *(("bit", bit) for bit in item.bits)]
        begin = max((free[resource] for resource in held), default=0.0)
        if isinstance(item, If):
            branches = [scheduled(branch, duration_of) for branch in (item.then, item.otherwise)]
            item = If(item.condition, *(branch.operations for branch in branches))  # the same, timed
            end = begin + max(branch.duration_ns for branch in branches)
        else:
            end = begin + (0.0 if isinstance(item, Barrier) else duration_of(item))
        free.update(dict.fromkeys(held, end))
        if isinstance(item, Barrier):
            continue
        for qubit in item.qubits:
            if begin - last.get(qubit, begin) > 1e-9:
                out.append(Delay(qubit, begin - last[qubit]))
            last[qubit] = end
        out.append(item)
    return Schedule(tuple(reversed(out)), max(free.values(), default=0.0))
