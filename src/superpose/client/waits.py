"""Waits in providers' queues over their route."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from superpose.client.json_fields import Fields
from superpose.client.nouns import Listing, Noun
from superpose.client.resources import Resource

__all__ = ["BackendWaits", "SeenWait", "Waits"]


@dataclass(frozen=True)
class SeenWait(Noun):
    """A wait that was seen: when a program was handed over, and how long it waited, in seconds."""

    at: datetime
    wait_s: float

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A wait from the service's JSON."""
        f = Fields.of("wait", document)
        return cls(f.time("at"), f.number("wait_s"))


@dataclass(frozen=True)
class BackendWaits(Noun):
    """Waits at a backend in the last 14 days, and what they let one expect.

    Attributes:
        backend: its name.
        n_seen: how many were seen.
        median_s: as likely longer as shorter, in seconds; None where they are too few.
        p90_s: longer one time in ten.
        model: "quantiles" of 20 or more, "log-normal" of 3 to 19.
        seen: oldest first.
    """

    backend: str
    n_seen: int
    median_s: float | None
    p90_s: float | None
    model: str | None
    seen: tuple[SeenWait, ...]

    @classmethod
    def from_json(cls, document: object) -> Self:
        """Waits from the service's JSON."""
        f = Fields.of("waits", document)
        return cls(
            backend=f.text("backend"),
            n_seen=f.whole("n_seen"),
            median_s=_maybe(f, "median_s"),
            p90_s=_maybe(f, "p90_s"),
            model=f.maybe_text("model"),
            seen=tuple(SeenWait.from_json(one) for one in f.array("seen")),
        )


class Waits(Resource):
    """How long programs have waited in providers' queues."""

    def list(self) -> Listing[BackendWaits]:
        """Waits of the project's programs in the last 14 days, by backend; for operators those of all projects."""
        answer = Fields.of("waits", self._get("/v1/waits"))
        return Listing(BackendWaits.from_json(item) for item in answer.array("items"))


def _maybe(f: Fields, name: str) -> float | None:
    return None if f.members.get(name) is None else f.number(name)
