"""Tours and routes by OR-Tools: routing search for good ones, CP-SAT for proofs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from superpose.optimization.budgets import Budget, OnStep
from superpose.optimization.classical.packages import MOST_WHOLE, package, solver_name, whole_scale
from superpose.optimization.classical.watching import cp_solved, watched
from superpose.optimization.models.base import ClassicalResult

if TYPE_CHECKING:
    from superpose.optimization.models.cvrp import Routes, VehicleRouting
    from superpose.optimization.models.tsp import TravellingSalesman

__all__ = ["best_routes", "best_tour"]

Indices = npt.NDArray[np.int64]
Whole = npt.NDArray[np.int64]

SEARCH_SHARE = 0.4
MAX_PROVED_PLACES = 110
SMALL = 25


def best_tour(
    model: TravellingSalesman, limit_s: float, seed: int, on_step: OnStep | None = None
) -> ClassicalResult[Indices]:
    """Return a tour, and a bound where there is time for one.

    Up to 25 places CP-SAT has all the time. Beyond that routing search has 40 % of it and hands its tour over.

    Raises:
        ExtraMissingError: OR-Tools is not installed.
    """
    budget, scale = Budget(limit_s), whole_scale(model.distances)
    costs = np.floor(model.distances * scale + 1e-9).astype(np.int64)
    tour: Indices | None = None
    if model.n_places > SMALL:
        share = limit_s * (SEARCH_SHARE if model.n_places <= MAX_PROVED_PLACES else 1.0)
        routes = _Search(costs, None, 0, 1, None).best(share, on_step)
        tour = None if routes is None else np.array([0, *routes[0]], np.int64)
    if model.n_places > MAX_PROVED_PLACES:
        return ClassicalResult(tour, None, solver_name("routing"))
    proof = _Circuit(costs)
    if tour is not None:
        proof.hint([tour.tolist()])
    proof.model.AddCircuit(proof.arcs)
    found, bound = proof.solved(budget.left_s, seed, on_step)
    if found is not None:
        order = np.array([0, *found[0]], np.int64)
        tour = order if tour is None or model.value(order) < model.value(tour) else tour
    return ClassicalResult(tour, bound / scale, solver_name("CP-SAT"))


def best_routes(
    model: VehicleRouting, limit_s: float, seed: int, on_step: OnStep | None = None
) -> ClassicalResult[Routes]:
    """Return routes, and a bound where there is time for one: 40 % for the search, the rest for CP-SAT with its routes.

    Demands that are not whole are rounded down for the solvers, so that their bound is one of the problem's; routes
    that load more than there is room for, which that may let through, are left.

    Raises:
        ExtraMissingError: OR-Tools is not installed.
    """
    budget, scale = Budget(limit_s), whole_scale(model.distances)
    costs = np.floor(model.distances * scale + 1e-9).astype(np.int64)
    demands, capacity = _whole_loads(model)
    proving = model.n_places <= MAX_PROVED_PLACES
    share = limit_s * (SEARCH_SHARE if proving else 1.0)
    first = model.start(np.random.default_rng(seed))
    routes = _Search(costs, demands, capacity, model.n_vehicles, first).best(share, on_step)
    if routes is not None and not model.carries(routes):
        routes = None
    if not proving:
        return ClassicalResult(routes, None, solver_name("routing"))
    proof = _Circuit(costs)
    proof.model.AddMultipleCircuit(proof.arcs)
    proof.load(demands, capacity, model.n_vehicles)
    if routes is not None:
        proof.hint([[0, *route] for route in routes])
    found, bound = proof.solved(budget.left_s, seed, on_step)
    better = routes is None or (found is not None and model.value(found) < model.value(routes))
    if found is not None and better and model.carries(found):
        routes = found
    return ClassicalResult(routes, bound / scale, solver_name("routing and CP-SAT"))


def _whole_loads(model: VehicleRouting) -> tuple[Whole, int]:
    """Demands and the capacity as whole numbers: as they are, or in parts of a thousand millionth of the capacity."""
    numbers = np.append(model.demands, model.capacity)
    if model.capacity == 0:
        return np.zeros(model.n_places, np.int64), 1
    scale = 1.0 if np.all(numbers == np.rint(numbers)) and model.capacity <= MOST_WHOLE else 1e9 / model.capacity
    return np.floor(model.demands * scale * (1 + 1e-15)).astype(np.int64), math.ceil(model.capacity * scale)


class _Circuit:
    """Arcs between places as CP-SAT's variables."""

    def __init__(self, costs: Whole) -> None:
        self._cp = package("ortools.sat.python.cp_model")
        self.model: Any = self._cp.CpModel()
        n = len(costs)
        self._literals = {(i, j): self.model.NewBoolVar(f"{i}_{j}") for i in range(n) for j in range(n) if i != j}
        self.arcs = [(i, j, literal) for (i, j), literal in self._literals.items()]
        self._n = n
        self.model.Minimize(sum(int(costs[i, j]) * literal for (i, j), literal in self._literals.items()))

    def load(self, demands: Whole, capacity: int, n_vehicles: int) -> None:
        """Let loads grow along the arcs, up to the capacity, in at most so many routes."""
        loads = [self.model.NewIntVar(int(d), capacity, f"load{k}") for k, d in enumerate(demands)]
        for (i, j), literal in self._literals.items():
            if i == 0 or j == 0:
                continue
            if demands[i] + demands[j] > capacity:
                self.model.Add(literal == 0)
            else:
                self.model.Add(loads[j] >= loads[i] + int(demands[j])).OnlyEnforceIf(literal)
        leaving = sum(self._literals[0, j] for j in range(1, self._n))
        self.model.Add(leaving <= n_vehicles)
        self.model.Add(leaving >= -(-int(demands.sum()) // capacity))

    def hint(self, loops: list[list[int]]) -> None:
        """Begin with these loops, each from place 0."""
        used = {(loop[k], loop[(k + 1) % len(loop)]) for loop in loops for k in range(len(loop))}
        for arc, literal in self._literals.items():
            self.model.AddHint(literal, arc in used)

    def solved(self, limit_s: float, seed: int, on_step: OnStep | None) -> tuple[Routes | None, float]:
        """Loops without place 0, None where none was found, and the bound."""
        solver, has_found = cp_solved(self._cp, self.model, limit_s, seed, on_step)
        if not has_found:
            return None, float(solver.BestObjectiveBound())
        follow: dict[int, list[int]] = {}
        for (i, j), literal in self._literals.items():
            if solver.Value(literal):
                follow.setdefault(i, []).append(j)
        routes = []
        for first in follow[0]:
            route, here = [], first
            while here:
                route.append(here)
                here = follow[here][0]
            routes.append(tuple(route))
        return tuple(routes), float(solver.BestObjectiveBound())


class _Search:
    """Routes by guided local search, from ``first`` where it finds no beginning itself."""

    def __init__(
        self, costs: Whole, demands: Whole | None, capacity: int, n_vehicles: int, first: Routes | None
    ) -> None:
        routing = package("ortools.constraint_solver.pywrapcp")
        enums = package("ortools.constraint_solver.routing_enums_pb2")
        self._n_vehicles, self._first, self._stopped = n_vehicles, first, False
        self._index = routing.RoutingIndexManager(len(costs), n_vehicles, 0)
        self._model = model = routing.RoutingModel(self._index)
        arc = model.RegisterTransitMatrix(costs.tolist())
        model.SetArcCostEvaluatorOfAllVehicles(arc)
        if demands is not None:
            load = model.RegisterUnaryTransitVector(demands.tolist())
            model.AddDimension(load, 0, capacity, True, "load")
        # A step of Python within the search, which holds the GIL otherwise: others run then, and it is told to end.
        model.AddSearchMonitor(model.solver().CustomLimit(lambda: self._stopped))
        self._options = routing.DefaultRoutingSearchParameters()
        self._options.first_solution_strategy = enums.FirstSolutionStrategy.PARALLEL_CHEAPEST_INSERTION
        self._options.local_search_metaheuristic = enums.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH

    def best(self, limit_s: float, on_step: OnStep | None) -> Routes | None:
        """The best routes found within some seconds; None if none were."""
        self._options.time_limit.FromMilliseconds(max(50, int(limit_s * 1000)))
        return watched(self._searched, self._stop, on_step, 2 * limit_s)  # one search, or two

    def _stop(self) -> None:
        self._stopped = True

    def _searched(self) -> Routes | None:
        model, first = self._model, self._first
        found = model.SolveWithParameters(self._options)
        if found is None and first is not None and not self._stopped:  # fleets that are nearly full: from known loads
            filled = [list(route) for route in first] + [[]] * (self._n_vehicles - len(first))
            beginning = model.ReadAssignmentFromRoutes(filled, True)
            found = model.SolveFromAssignmentWithParameters(beginning, self._options)
        if found is None:
            return None
        routes = []
        for vehicle in range(self._n_vehicles):
            here, route = model.Start(vehicle), []
            while not model.IsEnd(here):
                route.append(self._index.IndexToNode(here))
                here = found.Value(model.NextVar(here))
            if len(route) > 1:
                routes.append(tuple(route[1:]))
        return tuple(routes)
