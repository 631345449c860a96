"""A pass that makes one rotation of those about the same Pauli string that meet."""

from __future__ import annotations

from superpose.engine.passes.form import Form, rotations_of
from superpose.engine.passes.runs import Run

__all__ = ["fuse_rotations"]

SEARCH_RUNS = 8
"""Across how many runs of diagonal and of other rotations one may move."""
SEARCH_ITEMS = 256
"""With how many rotations it is compared on the way."""


def fuse_rotations(form: Form) -> Form:
    """Add a rotation's angle to that of the last one about the same string, if all between them commute with it.

    Rule: ``exp(-i a/2 P) exp(-i b/2 P) = exp(-i (a + b)/2 P)``, and rotations about strings that commute change places.

    Cost: linear in the rotations; a rotation whose string was seen before is compared with a bounded number of others.
    """
    last: dict[tuple[int, int], tuple[int, int]] = {}
    runs: list[Run] = []
    for item in rotations_of(form):
        x, z, angle = item
        known = last.get((x, z))
        if known is not None and _meets(x, z, runs, *known):
            run, place = runs[known[0]], known[1]
            run.items[place] = x, z, run.items[place][2] + angle
            continue
        if not runs or runs[-1].diagonal != (x == 0):
            runs.append(Run(diagonal=x == 0))
        last[x, z] = len(runs) - 1, len(runs[-1].items)
        runs[-1].add(item)
    items = [item for run in runs for item in run.items]
    return form if len(items) == len(form.items) else form._replace(items=items)


def _meets(x: int, z: int, runs: list[Run], number: int, place: int) -> bool:
    """Return whether a rotation at the end commutes with all behind the one at this place of this run."""
    if len(runs) - number > SEARCH_RUNS:
        return False
    compared = 0
    for run in runs[:number:-1]:
        if x or not run.diagonal:
            compared += len(run.items)
            if compared > SEARCH_ITEMS or not run.lets_pass(x, z):
                return False
    return x == 0 or runs[number].lets_pass(x, z, place)
