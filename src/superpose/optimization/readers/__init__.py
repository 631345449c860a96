"""Files of problems: recognised by their suffix, else by what stands in them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

from superpose.errors import ProblemFormatError
from superpose.optimization.models import Model
from superpose.optimization.readers.document import read_document
from superpose.optimization.readers.plain import lines_of, read_gset, read_jobshop, read_knapsack
from superpose.optimization.readers.tsplib import read_cvrp, read_tsp

__all__ = [
    "read_cvrp",
    "read_document",
    "read_gset",
    "read_jobshop",
    "read_knapsack",
    "read_problem",
    "read_text",
    "read_tsp",
]

MAX_BYTES: Final = 64 * 2**20


def read_problem(path: Path | str, *, reference: float | None = None) -> Model[Any]:
    """Return the problem in a file.

    ``.tsp`` is TSPLIB's (EUC_2D, CEIL_2D, ATT, GEO, EXPLICIT), ``.vrp`` CVRPLIB's, ``.json`` a document of ours;
    other files are told apart by their lines, of which those that begin with ``#`` are left: a graph of the Gset (``n
    m``, then m lines ``i j w``, or ``i j`` where all weights are 1), a knapsack (``n capacity``, then ``value
    weight``), or a job shop (``n m``, then for each job its pairs of machine and duration). Where ``n 1`` stands
    above lines ``0 duration``, or ``1 duration`` of whole numbers, it is a job shop of one machine rather than a
    knapsack in which nothing is of value, or for which all is too heavy.

    Args:
        path: Of the file. Best values known are taken from beside it: ``NAME.sol`` of CVRPLIB, ``solutions`` of
            TSPLIB, and ``DIRECTORY-optimum/NAME`` of the knapsack instances.
        reference: Best objective known, in place of those. Of a ``.vrp`` it has decimals, or that beside it has, where
            distances are not to be rounded.

    Raises:
        ProblemFormatError: It cannot be read or is none of these.
        ProblemError: Its numbers make no problem.
    """
    file = Path(path).absolute()  # "burma14.tsp" alone has no folder's name, beside which optima are looked for
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ProblemFormatError(f"{file.name} has more than {MAX_BYTES:,} bytes; such files are not read.")
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ProblemFormatError(f"{file.name} cannot be read: {error.strerror or error}.") from None
    except ValueError:
        raise ProblemFormatError(f"{file.name} is not text in UTF-8.") from None
    known = reference if reference is not None else _reference(file)
    solution = file.with_suffix(".sol") if file.suffix.lower() == ".vrp" else None
    return _known(file.name, text, known, solution)


def read_text(text: str, name: str, *, reference: float | None = None) -> Model[Any]:
    """Return the problem in the text of a file; nothing is looked for on this machine.

    Args:
        text: What stands in the file.
        name: The file's name, whose suffix says what it is, as in `read_problem`.
        reference: Best objective known; see `read_problem`.

    Raises:
        ProblemFormatError: It is none of the known ones.
        ProblemError: Its numbers make no problem.
    """
    if len(text) > MAX_BYTES:
        raise ProblemFormatError(f"{name[:200]} has more than {MAX_BYTES:,} characters; such files are not read.")
    return _known(Path(name[:200]).name or "problem", text, reference, None)


def _known(name: str, text: str, reference: float | None, solution: Path | None) -> Model[Any]:
    """The problem, with the best value known."""
    try:
        costs = (reference, None if solution is None else _cost(solution))
        rounded = not any(_has_decimals(cost) for cost in costs)
        text = text.removeprefix("\ufeff")  # the mark that some editors begin files with
        model = _read(name, text, rounded=rounded, n_routes=1 if solution is None else _n_routes(solution))
    except KeyError as error:
        raise ProblemFormatError(f"{name} cannot be read as a problem: it has no {error.args[0]}.") from None
    except (ValueError, IndexError, OverflowError) as error:
        raise ProblemFormatError(f"{name} cannot be read as a problem: {error}.") from None
    if reference is not None:
        model.reference = reference
    return model


def _read(file_name: str, text: str, *, rounded: bool, n_routes: int) -> Model[Any]:
    file = Path(file_name)
    suffix, name = file.suffix.lower(), file.stem if file.suffix else file.name
    if suffix == ".tsp":
        return read_tsp(text, name)
    if suffix == ".vrp":
        return read_cvrp(text, name, rounded=rounded, at_least=n_routes)
    if suffix == ".json":
        return read_document(text, name)
    lines = lines_of(text)
    _refuse_time_windows(file.name, lines)
    head = lines[0] if lines else []
    if len(head) == 2 and len(lines) > 1 and all(_number(word) is not None for word in head):
        n = int(float(head[0]))
        if len(lines[1]) == 3 or _is_unweighted(file.name, lines):
            return read_gset(text, name)
        if _is_of_one_machine(n, head, lines[1:]):
            return read_jobshop(text, name)
        if len(lines[1]) == 2 and len(lines) >= n + 1:
            return read_knapsack(text, name)
        if len(lines) == n + 1 and all(len(line) == 2 * int(head[1]) for line in lines[1:]):
            return read_jobshop(text, name)
    raise ProblemFormatError(
        f"{file.name} is no problem that is known: .tsp, .vrp, .json, or a graph, a knapsack or a job shop as text."
        + _missing(lines)
    )


def _missing(lines: list[list[str]]) -> str:
    """What a text of two whole numbers and lines below lacks of a knapsack or a job shop; "" of any other."""
    head, rows = (lines[0], lines[1:]) if lines else ([], [])
    if len(head) != 2 or not all(word.isdecimal() for word in head) or not rows:
        return ""
    n, m = map(int, head)
    if all(len(row) == 2 for row in rows):
        return f" As a knapsack of {n} items it has {len(rows)} lines 'value weight' below its first."
    if len(rows) != n:
        return f" As a job shop of {n} jobs it has {len(rows)} lines below its first."
    job = next(i for i, row in enumerate(rows) if len(row) != 2 * m)
    return (
        f" As a job shop of {n} jobs on {m} machines it must have {2 * m} numbers ('machine duration', {m} times) for "
        f"each job, got {len(rows[job])} for job {job + 1}."
    )


def _is_of_one_machine(n: int, head: list[str], lines: list[list[str]]) -> bool:
    """Whether lines ``0 duration`` are jobs: as a knapsack they would be worth nothing.

    So are lines ``1 duration`` where all durations are whole: of such items no two fit into a capacity of 1.
    """
    if head[1] != "1" or len(lines) != n or any(len(line) != 2 for line in lines):
        return False
    machines, durations = ({line[k] for line in lines} for k in (0, 1))
    return machines == {"0"} or (machines == {"1"} and all(word.isdecimal() and int(word) for word in durations))


def _is_unweighted(name: str, lines: list[list[str]]) -> bool:
    """Whether lines ``i j`` under ``n m`` are the edges of a graph, m of them, rather than items of a knapsack.

    Raises:
        ProblemFormatError: n is m, so that they may be either.
    """
    (n, m), edges = lines[0], lines[1:]
    if not (n.isdecimal() and m.isdecimal() and len(edges) == int(m) and all(len(edge) == 2 for edge in edges)):
        return False
    nodes = {word for edge in edges for word in edge}
    if not all(word.isdecimal() and 1 <= int(word) <= int(n) for word in nodes):
        return False
    pairs = {frozenset(map(int, edge)) for edge in edges}
    if len(pairs) < len(edges) or any(len(pair) == 1 for pair in pairs):
        return False
    if n == m:
        raise ProblemFormatError(
            f"{name} may be a graph of {n} nodes and as many edges, or a knapsack of {n} items and a capacity of {n}. "
            'Write the weights of edges (i j 1), or give the knapsack as a .json of the kind "knapsack".'
        )
    return True


_TIMES: Final = ("READY TIME", "DUE DATE", "SERVICE TIME")
"""Heads of columns in Solomon's form of routes with time windows, and in Gehring and Homberger's, which is the same."""


def _refuse_time_windows(name: str, lines: list[list[str]]) -> None:
    """Say what such a file is.

    Raises:
        ProblemFormatError: It has the columns of customers' times.
    """
    heads = [" ".join(line).upper() for line in lines[:20]]
    if any(all(column in head for column in _TIMES) for head in heads):
        raise ProblemFormatError(
            f"{name} is of Solomon's form: routes with time windows, which are not known here. Routes that only limit "
            'what a vehicle carries are: a .vrp of CVRPLIB, or a .json of the kind "cvrp".'
        )


def _has_decimals(cost: float | None) -> bool:
    """Whether a best-known solution has a cost that is not whole: then distances are not rounded."""
    return cost is not None and math.isfinite(cost) and cost != round(cost)


def _n_routes(solution: Path) -> int:
    """How many routes a best-known solution has; 1 where there is none."""
    if not solution.is_file():
        return 1
    return max(
        1, sum(line.startswith("Route") for line in solution.read_text(encoding="utf-8", errors="replace").splitlines())
    )


def _cost(solution: Path) -> float | None:
    if not solution.is_file():
        return None
    for line in solution.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.lower().startswith("cost"):
            return _number(line.split()[-1])
    return None


def _reference(file: Path) -> float | None:
    """The best value known that stands beside a file."""
    if file.suffix.lower() == ".vrp":
        return _cost(file.with_suffix(".sol"))
    if file.suffix.lower() == ".tsp" and (file.parent / "solutions").is_file():
        for line in (file.parent / "solutions").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == file.stem:
                return _number(value.split()[0]) if value.split() else None
    beside = file.parent.with_name(f"{file.parent.name}-optimum") / file.name
    if beside.is_file():
        words = beside.read_text(encoding="utf-8", errors="replace").split()
        return _number(words[0]) if words else None
    return None


def _number(text: str) -> float | None:
    """The number in a word; None of one that is none, or not finite."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None
