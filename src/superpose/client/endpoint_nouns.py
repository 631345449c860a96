"""Endpoints as the client sees them: what answers, its canary, its revisions, and what it has answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from superpose.client.json_fields import Fields
from superpose.client.nouns import Noun
from superpose.client.promotion import Override

__all__ = ["Alarm", "Canary", "Endpoint", "Revision", "SideStats"]


@dataclass(frozen=True)
class Canary(Noun):
    """Another model version that answers ``percent`` of an endpoint's requests.

    ``by`` says how they are chosen: "request_id" or "random".
    """

    model: str
    version: int
    percent: float
    by: str
    seed: int
    started_at: datetime

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A canary from the service's JSON."""
        f = Fields.of("canary", document)
        return cls(
            model=f.text("model"),
            version=f.whole("version"),
            percent=f.number("percent"),
            by=f.text("by"),
            seed=f.whole("seed"),
            started_at=f.time("started_at"),
        )


@dataclass(frozen=True)
class Endpoint(Noun):
    """A name under which a model version answers predictions; ``state`` is "loaded" or "unloaded".

    ``limits`` holds ``max_batch_rows``, ``max_delay_ms``, ``max_queue_rows`` and ``max_concurrency``; None stands for
    the service's own setting. ``alias`` is what the version was asked for by, None where it was its number.
    ``stage`` is "development" or "production"; ``override`` is what the present version lacked when an admin let it
    into production all the same, ``notice`` the sentence that its model must carry.
    """

    name: str
    model: str
    version: int
    state: str
    created_at: datetime
    url: str
    alias: str | None = None
    revision: int = 1
    canary: Canary | None = None
    limits: Mapping[str, float | None] = field(default_factory=dict)
    stage: str = "development"
    override: Override | None = None
    notice: str | None = None

    @classmethod
    def from_json(cls, document: object) -> Self:
        """An endpoint from the service's JSON."""
        f = Fields.of("endpoint", document)
        canary, override = f.maybe_object("canary"), f.maybe_object("override")
        return cls(
            name=f.text("name"),
            model=f.text("model"),
            version=f.whole("version"),
            state=f.text("state"),
            created_at=f.time("created_at"),
            url=f.maybe_text("url") or "",
            alias=f.maybe_text("alias"),
            revision=f.maybe_whole("revision") or 1,
            canary=None if canary is None else Canary.from_json(canary),
            limits=f.object("limits"),
            stage=f.maybe_text("stage") or "development",
            override=None if override is None else Override.from_json(override),
            notice=f.maybe_text("notice"),
        )


@dataclass(frozen=True)
class Alarm(Noun):
    """That an endpoint's rows are not what its model was trained on.

    ``kind`` is "drift" (columns are distributed otherwise) or "novelty" (too many rows are unlike the training rows);
    ``facts`` are figures of the window that raised it. It is over once it has a ``cleared_at``.
    """

    id: str
    kind: str
    model: str
    version: int
    message: str
    facts: Mapping[str, Any]
    raised_at: datetime
    cleared_at: datetime | None = None

    @classmethod
    def from_json(cls, document: object) -> Self:
        """An alarm from the service's JSON."""
        f = Fields.of("alarm", document)
        return cls(
            id=f.text("id"),
            kind=f.text("kind"),
            model=f.text("model"),
            version=f.whole("version"),
            message=f.text("message"),
            facts=f.object("facts"),
            raised_at=f.time("raised_at"),
            cleared_at=f.maybe_time("cleared_at"),
        )


@dataclass(frozen=True)
class Revision(Noun):
    """Which model version stood behind an endpoint from ``created_at`` on.

    ``origin`` is the revision that a rollback repeats; any other revision is its own.
    """

    revision: int
    model: str
    version: int
    origin: int
    created_at: datetime
    created_by: str
    alias: str | None = None

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A revision from the service's JSON."""
        f = Fields.of("revision", document)
        return cls(
            revision=f.whole("revision"),
            model=f.text("model"),
            version=f.whole("version"),
            origin=f.whole("origin"),
            created_at=f.time("created_at"),
            created_by=f.text("created_by"),
            alias=f.maybe_text("alias"),
        )


@dataclass(frozen=True)
class SideStats(Noun):
    """What one side of an endpoint ("stable" or "canary") has answered since the server started.

    ``errors`` counts requests that failed, such as rows that do not fit this version; ``refused`` those turned away
    because of overload. ``latency_ms`` has mean, p50 and p99, within the service; None before the first request.
    """

    side: str
    model: str
    version: int
    requests: int
    errors: int
    refused: int
    rows: int
    latency_ms: Mapping[str, float | None]
    batches: Mapping[str, Any]

    @classmethod
    def from_json(cls, document: object) -> Self:
        """One side's statistics from the service's JSON."""
        f = Fields.of("statistics", document)
        return cls(
            side=f.text("side"),
            model=f.text("model"),
            version=f.whole("version"),
            requests=f.whole("requests"),
            errors=f.whole("errors"),
            refused=f.whole("refused"),
            rows=f.whole("rows"),
            latency_ms=f.object("latency_ms"),
            batches=f.object("batches"),
        )
