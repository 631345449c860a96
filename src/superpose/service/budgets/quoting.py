"""What programs cost at their backends, asked before they are accepted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from superpose.service.store.claims import Price

if TYPE_CHECKING:
    from superpose.circuits import Backend, Program, ProgramSet

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
    return Price(backend=backend.name, micros=math.ceil(round(found.usd * 1e6, 3)), per_shot_micros=per_shot)


def price_of_set(whole: ProgramSet, backend: Backend) -> Price:
    """The price of all programs of a set, a grid's bindings each at the price of its first.

    Raises:
        UnsupportedProgramError, ProviderError: from the backend's estimate.
    """
    from superpose.circuits import Program

    micros = 0
    for grid in whole.grids:
        first = dict(zip(grid.circuit.parameters, grid.rows(0, 1)[0].tolist(), strict=True))
        one = price_of_program(Program(grid.circuit, first, grid.observables, grid.shots), backend)
        if one.micros is None:
            return one
        micros += one.micros * grid.n_bindings
    return Price(backend=backend.name, micros=micros, per_shot_micros=None)
