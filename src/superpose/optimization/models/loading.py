"""Which vehicle carries what, where fleets are so full that loads drawn at random do not fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

__all__ = ["loaded"]

MAX_STEPS: Final = 100_000


def loaded(demands: Sequence[float], n_vehicles: int, room: float, max_steps: int = MAX_STEPS) -> list[int] | None:
    """Return the vehicle of each demand, none loaded beyond its room; None where none was found.

    A search depth first with retreat: the largest demand that is left goes into the fullest vehicle that has room for
    it, then into the next one, of those equally full into one only. A branch is left once vehicles that have no room
    for anything that is left waste more together than the fleet has to spare.

    Args:
        demands: 0 or more each.
        n_vehicles: That there are.
        room: Of each vehicle.
        max_steps: Demands put somewhere until the search is given up; up to there it is exact.
    """
    order = sorted(range(len(demands)), key=lambda k: -demands[k])
    loads, place = [0.0] * n_vehicles, [-1] * len(demands)
    spare, least = n_vehicles * room - sum(demands), min(demands, default=0.0)

    def ways(demand: float) -> Iterator[int]:
        fullest: dict[float, int] = {}
        for vehicle, load in enumerate(loads):
            if load + demand <= room:
                fullest.setdefault(load, vehicle)
        return iter([fullest[load] for load in sorted(fullest, reverse=True)])

    open_ways = [ways(demands[order[0]])] if order else []
    while open_ways:
        depth = len(open_ways) - 1
        customer = order[depth]
        if place[customer] >= 0:  # a retreat: it leaves where it was
            loads[place[customer]] = _load(demands, place, place[customer], customer)
            place[customer] = -1
        vehicle = next(open_ways[-1], None)
        if vehicle is None:
            open_ways.pop()
            continue
        max_steps -= 1
        if max_steps < 0:
            return None
        loads[vehicle] += demands[customer]
        place[customer] = vehicle
        if depth + 1 == len(order):
            return place
        wasted = sum(room - load for load in loads if load + least > room)
        if wasted <= spare * (1 + 1e-12):
            open_ways.append(ways(demands[order[depth + 1]]))
    return place if not order else None


def _load(demands: Sequence[float], place: Sequence[int], vehicle: int, without: int) -> float:
    """Of a vehicle, without one of its demands, added up anew so that nothing of what is taken out stays behind."""
    order = sorted((k for k, at in enumerate(place) if at == vehicle and k != without), key=lambda k: -demands[k])
    return sum((demands[k] for k in order), 0.0)
