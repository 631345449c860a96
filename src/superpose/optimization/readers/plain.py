"""Problems as plain columns of numbers: Gset graphs, knapsacks, job shops."""

from __future__ import annotations

import numpy as np

from superpose.errors import ProblemFormatError
from superpose.optimization.models import JobShop, Knapsack, MaxCut

__all__ = ["read_gset", "read_jobshop", "read_knapsack"]


def read_gset(text: str, name: str = "graph") -> MaxCut:
    """Return a graph: ``n_nodes n_edges``, then ``i j weight`` for each edge, nodes counted from 1.

    Raises:
        ProblemFormatError: Fewer or more edges than stated, or a line that has not three numbers.
    """
    head, *lines = [line.split() for line in text.splitlines() if line.strip()]
    n, m = int(head[0]), int(head[1])
    if len(lines) != m or any(len(line) != 3 for line in lines):
        raise ProblemFormatError(f"{name} states {m} edges 'i j weight', got {len(lines)} lines.")
    table = np.array(lines, np.float64)
    return MaxCut(n, table[:, :2].astype(np.int64) - 1, table[:, 2], name=name)


def read_knapsack(text: str, name: str = "knapsack") -> Knapsack:
    """Return a knapsack: ``n_items capacity``, then ``value weight`` for each item; what stands behind is left.

    Raises:
        ProblemFormatError: Fewer items than stated.
    """
    head, *lines = [line.split() for line in text.splitlines() if line.strip()]
    n = int(head[0])
    rows = lines[:n]
    if len(rows) != n or any(len(row) != 2 for row in rows):
        raise ProblemFormatError(f"{name} states {n} items 'value weight', got {len(rows)} lines.")
    table = np.array(rows, np.float64)
    return Knapsack(table[:, 0], table[:, 1], float(head[1]), name=name)


def read_jobshop(text: str, name: str = "jobs") -> JobShop:
    """Return a job shop: ``n_jobs n_machines``, then for each job ``machine duration`` pairs, machines from 0.

    Raises:
        ProblemFormatError: Fewer or longer lines than stated.
    """
    head, *lines = [line.split() for line in text.splitlines() if line.strip()]
    n, m = int(head[0]), int(head[1])
    if len(lines) != n or any(len(line) != 2 * m for line in lines):
        raise ProblemFormatError(f"{name} states {n} jobs of {m} operations, got {len(lines)} lines.")
    return JobShop(
        [[(int(a), int(d)) for a, d in zip(line[::2], line[1::2], strict=True)] for line in lines], name=name
    )
