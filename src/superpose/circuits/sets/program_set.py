"""Program sets: several grids in one submission, and the pieces that they are cut into."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from superpose.circuits.circuit import Circuit
from superpose.circuits.program import MAX_SEED
from superpose.circuits.sets.grid import ProgramGrid
from superpose.circuits.wording import listed, shown
from superpose.errors import ProgramSetError

__all__ = ["MAX_BINDINGS", "MAX_PIECES", "Piece", "ProgramSet", "split"]

MAX_BINDINGS = 10_000_000
MAX_GRIDS = 10_000
MAX_PIECES = 20_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of bindings of one grid that goes to a backend at once: ``start .. stop-1`` in C order.

    Attributes:
        number: Place among the set's pieces, from 0.
        grid: Place of the grid in the set, from 0.
        start: First binding.
        stop: The one after the last.
    """

    number: int
    grid: int
    start: int
    stop: int

    @property
    def n_bindings(self) -> int:
        """How many bindings it has."""
        return self.stop - self.start


@dataclass(frozen=True, eq=False, init=False)
class ProgramSet:
    """Several circuits, each with arrays of values and a question: one submission, however many bindings.

    A set is cut into pieces of a size that the backend can take, each piece runs, is kept and is tried again on its
    own, and the results come back in order. `superpose.run` runs one here, ``client.run`` and ``client.program_sets``
    on a service.

    Args:
        grids: `ProgramGrid`s; or circuits, or tuples ``(circuit, params, observables, shots)`` cut off anywhere.
        seed: Seed of all sampling, ``0 .. 2**63 - 1``; None draws one when the set is run, which the result tells.

    Raises:
        ProgramSetError: No grid, more than 10,000 of them or 10 million bindings, or a name twice.
        CircuitError: A grid cannot be; see `ProgramGrid`.

    >>> from superpose.circuits import Observable, Parameter
    >>> circuit = Circuit(1).ry(Parameter("a"), 0)
    >>> both = ProgramSet([(circuit, {"a": [0.0, 0.5]}, Observable("Z")), ProgramGrid(Circuit(1).h(0), shots=100)])
    >>> [grid.shape for grid in both.grids], both.n_bindings
    ([(2,), ()], 3)
    """

    grids: tuple[ProgramGrid, ...]
    seed: int | None

    def __init__(self, grids: Iterable[Any] | ProgramGrid, seed: int | None = None) -> None:
        given = (grids,) if isinstance(grids, ProgramGrid | Circuit) else tuple(grids)
        made = tuple(_grid(place, item) for place, item in enumerate(given))
        if not 1 <= len(made) <= MAX_GRIDS:
            raise ProgramSetError(f"A program set has 1 to {MAX_GRIDS:,} grids, got {len(made):,}.", got=len(made))
        n_bindings = sum(grid.n_bindings for grid in made)
        if n_bindings > MAX_BINDINGS:
            raise ProgramSetError(
                f"A program set has at most {MAX_BINDINGS:,} bindings, got {n_bindings:,}; submit several sets.",
                got=n_bindings,
                allowed=MAX_BINDINGS,
            )
        names = [grid.name for grid in made if grid.name is not None]
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise ProgramSetError(f"Grids are named {listed(twice)} more than once; a name stands for one grid.")
        object.__setattr__(self, "grids", made)
        object.__setattr__(self, "seed", _checked_seed(seed))

    @property
    def n_bindings(self) -> int:
        """Bindings of all grids together."""
        return sum(grid.n_bindings for grid in self.grids)

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of everything the set says, the seed included."""
        hashed = hashlib.sha256()
        for grid in self.grids:
            head = [
                grid.circuit.digest,
                [[o.n_qubits, *((pauli, k.hex()) for pauli, k in o.terms)] for o in grid.observables],
                [grid.shots, grid.combine, grid.observe, grid.dtype, grid.name],
                [[group.names, group.values.shape] for group in grid.groups],
            ]
            hashed.update(repr(head).encode())
            for group in grid.groups:
                hashed.update(group.values.tobytes())
        hashed.update(repr(self.seed).encode())
        return hashed.hexdigest()

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, ProgramSet) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"ProgramSet({len(self.grids)} grids, {self.n_bindings:,} bindings)"

    def with_seed(self, seed: int) -> ProgramSet:
        """Return the same set with this seed."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return ProgramSet(**{**values, "seed": seed})


def split(program_set: ProgramSet, limits: Sequence[int]) -> tuple[Piece, ...]:
    """Return the pieces of a set, in order: each grid in runs of at most its limit of bindings.

    Args:
        program_set: What to cut.
        limits: Most bindings of a piece, for each grid.

    Raises:
        ProgramSetError: There would be more than 20,000 pieces.

    >>> from superpose.circuits import Parameter
    >>> one = ProgramSet(ProgramGrid(Circuit(1).ry(Parameter("a"), 0), {"a": [0.1, 0.2, 0.3]}))
    >>> [(piece.start, piece.stop) for piece in split(one, [2])]
    [(0, 2), (2, 3)]
    """
    pairs = tuple(zip(program_set.grids, limits, strict=True))
    n_pieces = sum(-(-grid.n_bindings // limit) for grid, limit in pairs)
    if n_pieces > MAX_PIECES:
        raise ProgramSetError(
            f"The backend takes this set in {n_pieces:,} pieces; at most {MAX_PIECES:,} are run as one set. Submit it "
            "in several.",
            got=n_pieces,
            allowed=MAX_PIECES,
        )
    bounds = [
        (place, start, min(start + limit, grid.n_bindings))
        for place, (grid, limit) in enumerate(pairs)
        for start in range(0, grid.n_bindings, limit)
    ]
    return tuple(Piece(number, *bound) for number, bound in enumerate(bounds))


def _grid(place: int, item: object) -> ProgramGrid:
    if isinstance(item, ProgramGrid):
        return item
    parts = item if isinstance(item, tuple) else (item,)
    if not 1 <= len(parts) <= 4:
        raise ProgramSetError(
            f"grids[{place}] must be a ProgramGrid, a circuit or (circuit, params, observables, shots), got "
            f"{len(parts)} values."
        )
    defaults: tuple[Any, ...] = (None, None, (), None)
    values = [part if part is not None else default for part, default in zip(parts, defaults, strict=False)]
    return ProgramGrid(*values)


def _checked_seed(seed: object) -> int | None:
    if seed is None:
        return None
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise ProgramSetError(f"seed must be an integer in 0 .. {MAX_SEED} or None, got {shown(seed)}.")
    return seed
