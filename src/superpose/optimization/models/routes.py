"""The order of the stops of one route."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["shortest_route"]

Floats = npt.NDArray[np.float64]

MAX_EXACT = 10


def shortest_route(distances: Floats, stops: Sequence[int]) -> tuple[int, ...]:
    """Return the stops in the order of a short closed route from place 0: the shortest up to 10 stops.

    Args:
        distances: ``(n, n)``.
        stops: Distinct places other than 0.

    Cost: ``2**k * k**2`` additions for k stops up to 10 (Held and Karp 1962), else local search.
    """
    if len(stops) <= 1:
        return tuple(stops)
    if len(stops) <= MAX_EXACT:
        return _held_karp(distances, stops)
    return _improved(distances, _nearest(distances, stops))


def _held_karp(distances: Floats, stops: Sequence[int]) -> tuple[int, ...]:
    places, k = np.array(stops), len(stops)
    between = distances[np.ix_(places, places)]
    cost = np.full((2**k, k), np.inf)
    before = np.zeros((2**k, k), np.int64)
    for j in range(k):
        cost[1 << j, j] = distances[0, places[j]]
    for subset in range(1, 2**k):
        for j in range(k):
            if not subset >> j & 1 or subset == 1 << j:
                continue
            ways = cost[subset ^ (1 << j)] + between[:, j]
            before[subset, j] = int(np.argmin(ways))
            cost[subset, j] = ways[before[subset, j]]
    subset = 2**k - 1
    last = int(np.argmin(cost[subset] + distances[places, 0]))
    order = []
    while subset:
        order.append(int(places[last]))
        subset, last = subset ^ (1 << last), int(before[subset, last])
    return tuple(order[::-1])


def _nearest(distances: Floats, stops: Sequence[int]) -> list[int]:
    left, here, order = set(stops), 0, []
    while left:
        here = min(sorted(left), key=lambda place: distances[here, place])
        left.remove(here)
        order.append(here)
    return order


def _improved(distances: Floats, order: list[int]) -> tuple[int, ...]:
    """2-opt and moves of single stops until neither helps."""

    def length(route: list[int]) -> float:
        path = np.array([0, *route, 0])
        return float(distances[path[:-1], path[1:]].sum())

    best = length(order)
    improving = True
    while improving:
        improving = False
        for i in range(len(order)):
            for j in range(len(order)):
                turned = order[:i] + order[i : j + 1][::-1] + order[j + 1 :] if j > i else order
                rest = order[:i] + order[i + 1 :]
                moved = [*rest[:j], order[i], *rest[j:]]
                for other in (turned, moved):
                    if length(other) < best - 1e-9:
                        order, best, improving = other, length(other), True
    return tuple(order)
