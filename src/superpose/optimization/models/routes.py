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

    Cost: ``2**k * k**2`` additions for k stops up to 10 (Held and Karp 1962), else local search, some ``k**2``
    additions for each time that it goes along the route.
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


def _nearest(distances: Floats, stops: Sequence[int]) -> npt.NDArray[np.int64]:
    left, here, order = np.sort(np.array(stops, np.int64)), 0, []
    while len(left):
        place = int(np.argmin(distances[here, left]))
        here = int(left[place])
        left = np.delete(left, place)
        order.append(here)
    return np.array(order, np.int64)


def _improved(distances: Floats, order: npt.NDArray[np.int64]) -> tuple[int, ...]:
    """2-opt and moves of single stops until neither helps: of each stop the best one, all others looked at together."""

    def length(path: npt.NDArray[np.int64]) -> float:
        return float(distances[path[:-1], path[1:]].sum())

    path = np.concatenate([[0], order, [0]])
    best = length(path)
    least = 1e-12 * best  # what rounding may tell
    improving = True
    while improving:
        improving = False
        for i in range(1, len(path) - 1):
            other = _changed(distances, path, i, least)
            if other is not None and length(other) < best - least:  # told anew: turned ways may differ by rounding
                path, best, improving = other, length(other), True
    return tuple(path[1:-1].tolist())


def _changed(distances: Floats, path: npt.NDArray[np.int64], i: int, least: float) -> npt.NDArray[np.int64] | None:
    """The path after the best change at its place i, be it a turn from there on or a move; None where none helps.

    Cost: a few passes over the path.
    """
    before, here, after = path[i - 1], path[i], path[i + 1]
    legs = distances[path[:-1], path[1:]]
    turns = distances[before, path[i + 1 : -1]] + distances[here, path[i + 2 :]] - legs[i - 1] - legs[i + 1 :]
    moves = distances[path[:-1], here] + distances[here, path[1:]] - legs
    moves -= distances[before, here] + distances[here, after] - distances[before, after]
    moves[i - 1 : i + 1] = np.inf  # there it is
    turn, move = int(np.argmin(turns)) if len(turns) else -1, int(np.argmin(moves))
    if turn >= 0 and turns[turn] <= moves[move] and turns[turn] < -least:
        j = i + 1 + turn
        return np.concatenate([path[:i], path[i : j + 1][::-1], path[j + 1 :]])
    if moves[move] < -least:
        rest = np.delete(path, i)
        return np.insert(rest, move + 1 if move < i else move, here)
    return None
