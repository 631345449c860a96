"""What a migration is: statements up, statements down, and what forbids going down."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Migration", "Obstacle"]


@dataclass(frozen=True)
class Obstacle:
    """Rows that the older schema cannot hold: ``count`` is a query for their number, ``what`` names them."""

    count: str
    what: str


@dataclass(frozen=True)
class Migration:
    """A step between two versions of the schema; its version is its place in ``MIGRATIONS``, counted from 1.

    Attributes:
        summary: what the step brings.
        up: statements from the version before to this one.
        down: statements back to the version before.
        obstacles: what must not be there for the way back, because it would be lost.
    """

    summary: str
    up: tuple[str, ...]
    down: tuple[str, ...]
    obstacles: tuple[Obstacle, ...] = ()
