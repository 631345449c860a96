"""Vehicle routing with capacities: which vehicle serves whom, and in which order."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from superpose.errors import ProblemError, ProblemInfeasibleError
from superpose.optimization.budgets import OnStep
from superpose.optimization.models.base import Bits, ClassicalResult, Decoded, Model
from superpose.optimization.models.loading import loaded
from superpose.optimization.models.numbers import as_numbers, as_places, as_whole_numbers
from superpose.optimization.models.routes import shortest_route
from superpose.optimization.quadratic import LinearConstraint, Pairs, QuadraticProblem, allowance

__all__ = ["Routes", "VehicleRouting"]

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Routes = tuple[tuple[int, ...], ...]


class VehicleRouting(Model[Routes]):
    """Minimise the length of the routes of vehicles that start and end at a depot and carry a limited load.

    Cluster first, route second. The quadratic form clusters: variable ``(customer, vehicle)``, each customer once, no
    vehicle too full; two customers of a vehicle count with minus the saving ``d(0,i) + d(0,j) - d(i,j)`` (Clarke and
    Wright 1964), times two over the mean number of customers of a vehicle, since a route of m customers makes m - 1 of
    its m (m - 1) / 2 savings. Routes inside clusters are found by dynamic programming up to 10 customers, beyond that
    by 2-opt and moves from a nearest-neighbour route; that part is classical, whatever chose the clusters.

    Args:
        distances: ``(n, n)``, 0 or more and symmetric; place 0 is the depot.
        demands: ``(n,)``, 0 at the depot.
        capacity: Of each vehicle.
        n_vehicles: At most this many; more than customers are as many as those.
        coordinates: ``(n, 2)`` for pictures, or None.
        name: Of the instance.
        reference: Shortest length known.

    A solution is a tuple of routes, each a tuple of customers.
    """

    kind: ClassVar[str] = "cvrp"

    def __init__(
        self,
        distances: npt.ArrayLike,
        demands: npt.ArrayLike,
        capacity: float,
        n_vehicles: int,
        coordinates: npt.ArrayLike | None = None,
        *,
        name: str = "routes",
        reference: float | None = None,
    ) -> None:
        self.distances, self.demands = as_numbers("Distances", distances), as_numbers("Demands", demands)
        most, vehicles = as_numbers("Capacities", capacity), as_whole_numbers("Numbers of vehicles", n_vehicles)
        n = len(self.distances) if self.distances.ndim else 0
        if most.ndim or vehicles.ndim:
            raise ProblemError("Routes have one capacity for all vehicles, and one number of vehicles.")
        if self.distances.shape != (n, n) or self.demands.shape != (n,) or n < 3:
            raise ProblemError("Routes need a square of distances and as many demands, of two customers at least.")
        if not np.allclose(self.distances, self.distances.T, atol=1e-8 * float(self.distances.max())):
            raise ProblemError("Distances between customers must be symmetric.")
        if vehicles < 1:
            raise ProblemError(f"Routes need one vehicle at least, got {int(vehicles)}.")
        if self.demands[0] != 0:
            raise ProblemError(f"Place 0 is the depot, whose demand is 0; got {self.demands[0]:g}.")
        if np.any(self.distances < 0) or np.any(self.demands < 0):
            raise ProblemError("Distances and demands must be 0 or more.")
        if self.demands.max() > capacity:
            at = int(self.demands.argmax())
            raise ProblemError(
                f"Customer {at} has a demand of {self.demands[at]:g}, above the capacity of {most:g}: no vehicle can "
                "serve it. Split it into customers at the same place."
            )
        self._room = float(most) + allowance(self.demands, float(most))
        if self.demands.sum() > n_vehicles * self._room:
            raise ProblemInfeasibleError(
                f"{n_vehicles} vehicles of capacity {capacity:g} cannot carry {self.demands.sum():g}; give more."
            )
        self.capacity, self.n_vehicles, self.n_places = float(most), min(int(vehicles), n - 1), n
        self.coordinates = as_places(coordinates, n)
        self.sense, self.name, self.reference = "min", name, reference
        to_depot = self.distances[0]
        self.savings = to_depot[:, None] + to_depot[None, :] - self.distances
        self._known: dict[frozenset[int], tuple[int, ...]] = {}

    @property
    def n_variables(self) -> int:
        """``(n - 1) * n_vehicles``."""
        return (self.n_places - 1) * self.n_vehicles

    @property
    def n_pairs(self) -> int:
        """Two customers of a vehicle each."""
        return (self.n_places - 1) * (self.n_places - 2) // 2 * self.n_vehicles

    @property
    def amounts(self) -> Floats:
        """All distances."""
        return self.distances

    def _build(self) -> QuadraticProblem:
        m, k = self.n_places - 1, self.n_vehicles
        grid = np.arange(m * k).reshape(m, k)
        first, second = np.triu_indices(m, 1)
        share = 2 / max(2.0, m / k)
        values = -share * np.repeat(self.savings[first + 1, second + 1], k)
        rows, cols = grid[first].reshape(-1), grid[second].reshape(-1)
        once = [LinearConstraint(f"customer once: {i + 2}", grid[i], 1, "==", 1) for i in range(m)]
        full = [
            LinearConstraint(f"vehicle not too full: {v + 1}", grid[:, v], self.demands[1:], "<=", self.capacity)
            for v in range(k)
        ]
        return QuadraticProblem(
            np.repeat(2 * self.distances[0, 1:], k),
            Pairs(rows, cols, values, m * k),
            constraints=[*once, *full],
            names=[f"customer{i + 2}_by{v + 1}" for i in range(m) for v in range(k)],
            name=self.name,
        )

    def decode(self, bits: Bits) -> Decoded[Routes] | None:
        """The clusters' shortest routes; customers served twice or never, or beyond a load, go where they save most."""
        square = np.asarray(bits).reshape(self.n_places - 1, self.n_vehicles)
        loads, clusters = np.zeros(self.n_vehicles), [set[int]() for _ in range(self.n_vehicles)]
        left = []
        for i in np.argsort(-self.demands[1:], kind="stable"):
            wanted = [v for v in np.flatnonzero(square[i]) if loads[v] + self.demands[i + 1] <= self._room]
            if wanted:
                clusters[wanted[0]].add(int(i) + 1)
                loads[wanted[0]] += self.demands[i + 1]
            else:
                left.append(int(i) + 1)
        for customer in left:
            able = [v for v in range(self.n_vehicles) if loads[v] + self.demands[customer] <= self._room]
            if not able:
                return None
            best = max(able, key=lambda v: max((self.savings[customer, c] for c in clusters[v]), default=0.0))
            clusters[best].add(customer)
            loads[best] += self.demands[customer]
        routes = tuple(self._route(frozenset(cluster)) for cluster in clusters if cluster)
        return Decoded(routes, self.value(routes), bool(left) or bool(np.any(square.sum(axis=1) != 1)))

    def _route(self, cluster: frozenset[int]) -> tuple[int, ...]:
        if cluster not in self._known:
            self._known[cluster] = shortest_route(self.distances, sorted(cluster))
        return self._known[cluster]

    def carries(self, solution: Routes) -> bool:
        """Whether no vehicle is too full, but for rounding."""
        return all(float(self.demands[list(route)].sum()) <= self._room for route in solution)

    def encode(self, solution: Routes) -> Bits:
        """One bit for each customer, at its vehicle."""
        bits = np.zeros((self.n_places - 1, self.n_vehicles), np.uint8)
        for vehicle, route in enumerate(solution):
            bits[np.array(route) - 1, vehicle] = 1
        return bits.reshape(-1)

    def value(self, solution: Routes) -> float:
        """Length of all routes."""
        stops = [np.array([0, *route, 0]) for route in solution]
        return float(sum(self.distances[path[:-1], path[1:]].sum() for path in stops))

    def start(self, rng: np.random.Generator) -> Routes:
        """Customers in random order, the heavy ones rather earlier, each in a random vehicle that has room.

        Where no such loads fit, those that a search finds; see `superpose.optimization.models.loading`.
        """
        m = self.n_places - 1
        for attempt in range(200):
            order = np.argsort(-self.demands[1:] * (1 + rng.random(m) * (1 - attempt / 200)), kind="stable") + 1
            loads, clusters = np.zeros(self.n_vehicles), [set[int]() for _ in range(self.n_vehicles)]
            for customer in order:
                able = np.flatnonzero(loads + self.demands[customer] <= self._room)
                if not len(able):
                    break
                vehicle = int(rng.choice(able)) if attempt < 150 else int(able[np.argmax(loads[able])])
                clusters[vehicle].add(int(customer))
                loads[vehicle] += self.demands[customer]
            else:
                return tuple(self._route(frozenset(cluster)) for cluster in clusters if cluster)
        found = loaded(self.demands[1:].tolist(), self.n_vehicles, self._room)
        if found is None:
            raise ProblemInfeasibleError(f"No way was found to load {self.n_vehicles} vehicles; give more.")
        together = [frozenset((np.flatnonzero(np.array(found) == v) + 1).tolist()) for v in range(self.n_vehicles)]
        return tuple(self._route(cluster) for cluster in together if cluster)

    def neighbourhood(self, bits: Bits, size: int, rng: np.random.Generator) -> Indices:
        """Customers of two vehicles, one drawn at random and one that saves with it, and both vehicles for each."""
        square = np.asarray(bits).reshape(self.n_places - 1, self.n_vehicles)
        by = np.argmax(square, axis=1)
        pivot = int(rng.integers(len(by)))
        others = rng.permutation(np.argsort(-self.savings[pivot + 1, 1:], kind="stable")[: max(4, len(by) // 2)])
        other = next((int(by[c]) for c in others if by[c] != by[pivot]), int((by[pivot] + 1) % self.n_vehicles))
        pair = np.array(sorted({int(by[pivot]), other}))
        inside = rng.permutation(np.flatnonzero(np.isin(by, pair) & (np.arange(len(by)) != pivot)))
        chosen = np.concatenate([[pivot], inside])[: max(2, size // 3)]  # a third of the bits is left to the slack
        return np.sort((chosen[:, None] * self.n_vehicles + pair[None, :]).reshape(-1)).astype(np.int64)

    def classical(self, limit_s: float, seed: int, on_step: OnStep | None = None) -> ClassicalResult[Routes]:
        """OR-Tools: its routing search with guided local search, then CP-SAT, which bounds."""
        from superpose.optimization.classical.tours import best_routes

        return best_routes(self, limit_s, seed, on_step)

    def to_json(self, solution: Routes) -> dict[str, Any]:
        """Routes, customers counted from 1 as in CVRPLIB's solutions: the place behind the depot is 1."""
        loads = [float(self.demands[list(route)].sum()) for route in solution]
        return {"routes": [list(route) for route in solution], "loads": loads}
