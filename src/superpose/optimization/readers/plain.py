"""Problems as plain columns of numbers: Gset graphs, knapsacks, job shops."""

from __future__ import annotations

import numpy as np

from superpose.errors import ProblemFormatError
from superpose.optimization.models import JobShop, Knapsack, MaxCut

__all__ = ["lines_of", "read_gset", "read_jobshop", "read_knapsack"]


def lines_of(text: str) -> list[list[str]]:
    """The words of each line that has any and is no comment; comments begin with ``#``."""
    words = [line.split() for line in text.splitlines()]
    return [line for line in words if line and not line[0].startswith("#")]


def read_gset(text: str, name: str = "graph") -> MaxCut:
    """Return a graph: ``n_nodes n_edges``, then ``i j weight`` for each edge, nodes counted from 1.

    Where no line has a weight, all are 1.

    Raises:
        ProblemFormatError: Fewer or more edges than stated, or a line that has not three numbers, or two as all others.
    """
    head, *lines = lines_of(text)
    n, m = int(head[0]), int(head[1])
    if len(lines) != m or {len(line) for line in lines} not in ({3}, {2}):
        raise ProblemFormatError(f"{name} states {m} edges 'i j weight', got {len(lines)} lines.")
    table = np.array([[*line, "1"][:3] for line in lines], np.float64)
    for number, ends in enumerate(table[:, :2]):
        if not all(1 <= end <= n and end == int(end) for end in ends.tolist()):
            raise ProblemFormatError(
                f"Edge {number + 1} of {name} must join two of the nodes 1 to {n}, got {ends[0]:g} and {ends[1]:g}."
            )
    return MaxCut(n, table[:, :2].astype(np.int64) - 1, table[:, 2], name=name)


def read_knapsack(text: str, name: str = "knapsack") -> Knapsack:
    """Return a knapsack: ``n_items capacity``, then ``value weight`` for each item; what stands behind is left.

    Raises:
        ProblemFormatError: Fewer items than stated, or more.
    """
    head, *lines = lines_of(text)
    n = int(head[0])
    rows, more = lines[:n], lines[n:]
    if len(rows) != n or any(len(row) != 2 for row in rows):
        raise ProblemFormatError(f"{name} states {n} items 'value weight', got {len(rows)} lines.")
    if more and all(len(row) == 2 for row in more) and not (n == 2 and len(more) == 1):  # which tells what is taken
        raise ProblemFormatError(f"{name} states {n} items 'value weight', got {len(lines)} lines.")
    table = np.array(rows, np.float64)
    return Knapsack(table[:, 0], table[:, 1], float(head[1]), name=name)


def read_jobshop(text: str, name: str = "jobs") -> JobShop:
    """Return a job shop: ``n_jobs n_machines``, then for each job ``machine duration`` pairs, machines from 0.

    Raises:
        ProblemFormatError: Fewer or longer lines than stated, or a machine beyond those stated (counted from 1 they
            are machines all the same).
    """
    head, *lines = lines_of(text)
    n, m = int(head[0]), int(head[1])
    if len(lines) != n or any(len(line) != 2 * m for line in lines):
        raise ProblemFormatError(f"{name} states {n} jobs of {m} operations, got {len(lines)} lines.")
    jobs = [[(_whole(a), _whole(d)) for a, d in zip(line[::2], line[1::2], strict=True)] for line in lines]
    machines = [machine for job in jobs for machine, _ in job]
    first = 1 if m in machines else 0
    if odd := [machine for machine in machines if not first <= machine < first + m]:
        raise ProblemFormatError(
            f"{name} states {m} machines, so that they are 0 to {m - 1} (or 1 to {m}); it names machine {odd[0]}"
            f"{' beside machine ' + str(m) if first else ''}."
        )
    return JobShop(jobs, name=name)


def _whole(word: str) -> int:
    """The whole number in a word, be it written 3 or 3.0.

    Raises:
        ProblemFormatError: It is none.
    """
    try:
        number = float(word)
    except ValueError:
        number = np.nan
    if not number.is_integer():
        raise ProblemFormatError(
            f"Machines and durations of a job shop must be whole numbers, got {word[:40]!r}; choose a "
            "finer unit of time."
        )
    return int(number)
