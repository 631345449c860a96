"""The travelling salesman: a shortest tour through all places."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from superpose.errors import ProblemError
from superpose.optimization.budgets import OnStep
from superpose.optimization.models.base import Bits, ClassicalResult, Decoded, Model
from superpose.optimization.models.numbers import as_numbers, as_places
from superpose.optimization.quadratic import LinearConstraint, Pairs, QuadraticProblem

__all__ = ["TravellingSalesman", "assignment_problem", "read_assignment"]

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MAX_PLACES = 130


class TravellingSalesman(Model[Indices]):
    """Minimise the length of a closed tour that visits each place once.

    Place 0 comes first; variable ``(place, position)`` says that a further place is visited at a position: ``(n -
    1)**2`` variables, place by place, each place once and each position once.

    Args:
        distances: ``(n, n)``, 0 or more, n at least 3; need not be symmetric.
        coordinates: ``(n, 2)`` for pictures, or None.
        name: Of the instance.
        reference: Shortest length known.

    A solution is the order of all places, place 0 first.
    """

    kind: ClassVar[str] = "tsp"

    def __init__(
        self,
        distances: npt.ArrayLike,
        coordinates: npt.ArrayLike | None = None,
        *,
        name: str = "tour",
        reference: float | None = None,
    ) -> None:
        d = as_numbers("Distances", distances)
        if d.ndim != 2 or d.shape[0] != d.shape[1] or len(d) < 3:
            raise ProblemError(f"Distances are a square of at least three places, got shape {d.shape}.")
        if np.any(d < 0):
            raise ProblemError("Distances must be 0 or more.")
        self.distances, self.n_places = d, len(d)
        self.coordinates = as_places(coordinates, self.n_places)
        self.sense, self.name, self.reference = "min", name, reference

    @property
    def n_variables(self) -> int:
        """``(n_places - 1)**2``."""
        return (self.n_places - 1) ** 2

    @property
    def amounts(self) -> Floats:
        """All distances."""
        return self.distances

    def _build(self) -> QuadraticProblem:
        return assignment_problem(self.distances, self.name)

    def decode(self, bits: Bits) -> Decoded[Indices]:
        """The tour; where places or positions are missing or stand twice, the places left over are inserted cheaply."""
        order, repaired = read_assignment(bits, self.n_places - 1)
        tour = [0, *(place + 1 for place in order if place is not None)]
        for place in sorted(set(range(1, self.n_places)) - set(tour)):
            here = np.array(tour)
            there = np.roll(here, -1)
            extra = self.distances[here, place] + self.distances[place, there] - self.distances[here, there]
            tour.insert(int(np.argmin(extra)) + 1, place)
        found = np.array(tour, np.int64)
        return Decoded(found, self.value(found), repaired)

    def encode(self, solution: Indices) -> Bits:
        """One bit for each place, at its position."""
        m = self.n_places - 1
        bits = np.zeros((m, m), np.uint8)
        tour = np.roll(solution, -int(np.flatnonzero(np.asarray(solution) == 0)[0]))
        bits[tour[1:] - 1, np.arange(m)] = 1
        return bits.reshape(-1)

    def value(self, solution: Indices) -> float:
        """Length of the closed tour."""
        return float(self.distances[solution, np.roll(solution, -1)].sum())

    def start(self, rng: np.random.Generator) -> Indices:
        """A random order."""
        return np.concatenate([[0], rng.permutation(np.arange(1, self.n_places))]).astype(np.int64)

    def neighbourhood(self, bits: Bits, size: int, rng: np.random.Generator) -> Indices:
        """Some positions and the places there: a stretch of the tour, or places that are near one another."""
        m = self.n_places - 1
        k = min(m, max(2, int(np.sqrt(size))))
        order = np.argmax(bits.reshape(m, m), axis=0)
        first = int(rng.integers(m))
        if rng.random() < 0.5:
            positions: Indices = (first + np.arange(k)) % m
        else:
            near = np.argsort(self.distances[order[first] + 1, order + 1], kind="stable")  # positions of near places
            near = near[near != first][: 3 * k]
            positions = np.concatenate([[first], rng.permutation(near)[: k - 1]])
        places = order[positions]
        return np.sort((places[:, None] * m + positions[None, :]).reshape(-1)).astype(np.int64)

    def classical(self, limit_s: float, seed: int, on_step: OnStep | None = None) -> ClassicalResult[Indices]:
        """OR-Tools: its routing search, then CP-SAT with the tour as a hint, which proves."""
        from superpose.optimization.classical.tours import best_tour

        return best_tour(self, limit_s, seed, on_step)

    def to_json(self, solution: Indices) -> dict[str, Any]:
        """Places in order, counted from 1."""
        return {"tour": (np.asarray(solution) + 1).tolist()}


def assignment_problem(distances: Floats, name: str) -> QuadraticProblem:
    """Return the problem of the order of places 1 .. n - 1 between place 0 and place 0.

    Raises:
        ProblemError: More than 130 places, whose quadratic form would fill the memory.
    """
    n = len(distances)
    if n > MAX_PLACES:
        raise ProblemError(f"The quadratic form of {n} places is too large (at most {MAX_PLACES}).")
    m = n - 1
    inner = distances[1:, 1:]
    linear = np.zeros((m, m))
    linear[:, 0] += distances[0, 1:]
    linear[:, -1] += distances[1:, 0]
    here, there = (grid.reshape(-1) for grid in np.meshgrid(np.arange(m), np.arange(m), indexing="ij"))
    apart = here != there
    here, there = here[apart], there[apart]
    position = np.arange(m - 1)[:, None]
    rows, cols = here[None] * m + position, there[None] * m + position + 1
    values = np.broadcast_to(inner[here, there][None], rows.shape)
    grid = np.arange(m * m).reshape(m, m)
    once = [LinearConstraint(f"place once: {k + 2}", grid[k], 1, "==", 1) for k in range(m)]
    filled = [LinearConstraint(f"position once: {k + 2}", grid[:, k], 1, "==", 1) for k in range(m)]
    return QuadraticProblem(
        linear.reshape(-1),
        Pairs(rows.reshape(-1), cols.reshape(-1), values.reshape(-1), m * m),
        constraints=[*once, *filled],
        names=[f"place{a + 2}_at{b + 2}" for a in range(m) for b in range(m)],
        name=name,
    )


def read_assignment(bits: Bits, m: int) -> tuple[list[int | None], bool]:
    """Return the place at each of m positions, None where it is not told, and whether the bits are no permutation."""
    square = np.asarray(bits).reshape(m, m)
    ok = bool(np.all(square.sum(axis=0) == 1) and np.all(square.sum(axis=1) == 1))
    order: list[int | None] = []
    used: set[int] = set()
    for position in range(m):
        places = [int(place) for place in np.flatnonzero(square[:, position]) if int(place) not in used]
        order.append(places[0] if places else None)
        used |= set(places[:1])
    return order, not ok
