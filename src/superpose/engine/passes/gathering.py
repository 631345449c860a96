"""A pass that brings diagonal rotations together, since a run of them is one table of phases."""

from __future__ import annotations

from superpose.engine.passes.form import Form, rotations_of
from superpose.engine.passes.runs import Run

__all__ = ["gather_diagonals"]

SEARCH_RUNS = 8
"""How many runs back a rotation may move."""
SEARCH_ITEMS = 256
"""How many rotations it is compared with on the way."""


def gather_diagonals(form: Form) -> Form:
    """Move each diagonal rotation back to the earliest diagonal ones that it reaches across rotations it commutes with;
    move others back across one run of diagonal ones if that joins two runs.

    Rule: rotations about strings that commute change places.

    Cost: linear in the rotations; each is compared with a bounded number of others.
    """
    runs: list[Run] = []
    for item in rotations_of(form):
        run = _diagonal_run(item[1], runs) if item[0] == 0 else _other_run(item[0], item[1], runs)
        run.add(item)
    return form._replace(items=[item for run in runs for item in run.items])


def _new(runs: list[Run], *, diagonal: bool) -> Run:
    runs.append(Run(diagonal=diagonal))
    return runs[-1]


def _diagonal_run(z: int, runs: list[Run]) -> Run:
    best, compared = None, 0
    for run in runs[-1 : -SEARCH_RUNS - 1 : -1]:
        if run.diagonal:
            best = run
            continue
        compared += len(run.items)
        if compared > SEARCH_ITEMS or not run.lets_pass(0, z):
            break
    return best or _new(runs, diagonal=True)


def _other_run(x: int, z: int, runs: list[Run]) -> Run:
    if not runs:
        return _new(runs, diagonal=False)
    last = runs[-1]
    if not last.diagonal:
        return last
    if len(runs) > 1 and len(last.items) <= SEARCH_ITEMS and last.lets_pass(x, z):
        return runs[-2]
    return _new(runs, diagonal=False)
