"""What a job's function left: numbers by step, and files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from superpose.client.json_fields import Fields
from superpose.client.nouns import Noun

__all__ = ["JobArtifact", "MetricPoint"]


@dataclass(frozen=True)
class MetricPoint(Noun):
    """One number that a job logged; ``attempt`` is the one that logged it last."""

    name: str
    step: int
    value: float
    attempt: int
    at: datetime

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A point from the service's JSON."""
        f = Fields.of("metric", document)
        return cls(f.text("name"), f.whole("step"), f.number("value"), f.whole("attempt"), f.time("at"))


@dataclass(frozen=True)
class JobArtifact(Noun):
    """A file that a job left; ``role`` is "output", or "checkpoint" for what its checkpoint directory last held."""

    name: str
    role: str
    digest: str
    n_bytes: int
    attempt: int
    created_at: datetime

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A file from the service's JSON."""
        f = Fields.of("artifact", document)
        return cls(
            name=f.text("name"),
            role=f.text("role"),
            digest=f.text("digest"),
            n_bytes=f.whole("n_bytes"),
            attempt=f.whole("attempt"),
            created_at=f.time("created_at"),
        )
