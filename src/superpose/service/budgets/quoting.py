"""What programs cost at their backends, asked before they are accepted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from superpose.service.store.claims import Price

if TYPE_CHECKING:
    from collections.abc import Sequence

    from superpose.circuits import Backend, Program, ProgramGrid, ProgramSet

__all__ = ["price_of_program", "price_of_set"]


def price_of_program(program: Program, backend: Backend) -> Price:
    """The price of a program, rounded up to a whole millionth of a dollar.

    Raises:
        UnsupportedProgramError, ProviderError: from the backend's estimate.
    """
    from superpose.backends.prices import price_run

    found = price_run(program, backend)
    if found is None:
        return Price(backend=backend.name, micros=None, per_shot_micros=None)
    per_shot = None if found.per_shot_usd is None else found.per_shot_usd * 1e6
    return Price(backend=backend.name, micros=_micros(found.usd), per_shot_micros=per_shot)


def price_of_set(whole: ProgramSet, backend: Backend, limits: Sequence[int]) -> Price:
    """The price of a set: a grid's bindings each at the price of its first, a fee for each program handed over.

    Args:
        whole: the set.
        backend: where it runs.
        limits: how many bindings of each grid go there at once.

    Raises:
        UnsupportedProgramError, ProviderError: from the backend's estimate.
    """
    total_usd = 0.0
    for grid, limit in zip(whole.grids, limits, strict=True):
        found = _price_of_grid(grid, limit, backend)
        if found is None:
            return Price(backend=backend.name, micros=None, per_shot_micros=None)
        total_usd += found
    return Price(backend=backend.name, micros=_micros(total_usd), per_shot_micros=None)


def _price_of_grid(grid: ProgramGrid, limit: int, backend: Backend) -> float | None:
    from superpose.backends.prices import price_run
    from superpose.circuits import Program

    first = dict(zip(grid.circuit.parameters, grid.rows(0, 1)[0].tolist(), strict=True))
    zipped = grid.observe == "zip"
    asked = [(one,) for one in grid.observables] if zipped else [grid.observables]
    usd, fee = 0.0, 0.0
    for observables in asked:  # of a zipped grid each observable has an equal part of the bindings
        one = price_run(Program(grid.circuit, first, observables, grid.shots), backend)
        if one is None:
            return None
        usd += (one.usd - one.per_submission_usd) * grid.n_bindings / len(asked)
        fee = one.per_submission_usd
    n_whole, rest = divmod(grid.n_bindings, limit)
    return usd + fee * (n_whole * min(limit, len(asked)) + min(rest, len(asked)))


def _micros(usd: float) -> int:
    return math.ceil(round(usd * 1e6, 3))
