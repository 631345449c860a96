"""A small instance of every kind, to try things with; each fits 16 qubits or is solved in pieces within seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from superpose.errors import ProblemError
from superpose.optimization.models import JobShop, Knapsack, MaxCut, Model, TravellingSalesman, VehicleRouting

__all__ = ["EXAMPLES", "example"]


def example(kind: str) -> Model[Any]:
    """Return the example of a kind: "maxcut", "knapsack", "tsp", "cvrp" or "jobshop".

    Raises:
        ProblemError: Another kind.
    """
    if kind not in EXAMPLES:
        raise ProblemError(f"There are examples of {', '.join(EXAMPLES)}; got {kind!r}.")
    return EXAMPLES[kind]()


def _maxcut() -> MaxCut:
    """Petersen's graph, whose largest cut is 12."""
    outer = [[k, (k + 1) % 5] for k in range(5)]
    spokes = [[k, k + 5] for k in range(5)]
    inner = [[5 + k, 5 + (k + 2) % 5] for k in range(5)]
    return MaxCut(10, [*outer, *spokes, *inner], name="Petersen graph")


def _knapsack() -> Knapsack:
    return Knapsack([10, 13, 7, 8, 12, 4, 9, 6], [5, 6, 3, 4, 6, 2, 5, 3], 15, name="eight parcels")


def _towns(n: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(7).integers(0, 100, (n, 2)).astype(np.float64)


def _lengths(places: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    found: np.ndarray[Any, np.dtype[np.float64]] = np.rint(np.linalg.norm(places[:, None] - places[None], axis=2))
    return found


def _tsp() -> TravellingSalesman:
    places = _towns(5)
    return TravellingSalesman(_lengths(places), places, name="five towns")


def _cvrp() -> VehicleRouting:
    places = _towns(7)
    return VehicleRouting(_lengths(places), [0, 3, 2, 4, 2, 3, 2], 8, 2, places, name="six customers")


def _jobshop() -> JobShop:
    return JobShop([[(0, 2), (1, 1)], [(1, 2), (0, 1)], [(0, 1), (1, 2)]], name="three jobs")


EXAMPLES: Mapping[str, Callable[[], Model[Any]]] = {
    "maxcut": _maxcut,
    "knapsack": _knapsack,
    "tsp": _tsp,
    "cvrp": _cvrp,
    "jobshop": _jobshop,
}
