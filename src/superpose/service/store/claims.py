"""What goes into the job store and comes out of it: submissions and claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from superpose.service.nouns import Job, JobKind
from superpose.service.store.database import json_text
from superpose.trust import sha256_bytes

__all__ = ["MAX_AFTER", "Claim", "NewJob", "Price", "Publish", "SpendingLimits"]

#: Jobs that one job may come after.
MAX_AFTER = 100

Publish = Callable[[Connection, Job], Mapping[str, object]]


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a job costs at most, at the backend where it runs.

    Attributes:
        backend: its name.
        micros: the price in millionths of a US dollar; None where nobody says.
        per_shot_micros: what one shot more costs; None where the price does not grow by shots alone.
    """

    backend: str = "local"
    micros: int | None = 0
    per_shot_micros: float | None = 0.0


@dataclass(frozen=True, kw_only=True)
class SpendingLimits:
    """What a submission says about money and time.

    Attributes:
        max_cost_micros: the most that the job may cost; None where only budgets limit it.
        max_seconds: how long workers may hold it, all attempts together; None takes the service's own limit.
        scale_shots: whether a program that costs too much runs with fewer shots instead of being refused.
    """

    max_cost_micros: int | None = None
    max_seconds: float | None = None
    scale_shots: bool = False


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """What a submission says.

    ``dataset`` is the data set's name, ``created_by`` the id of the caller's key, ``after`` the ids of the jobs that
    must have succeeded before this one begins. Since these must be in the store already, jobs never wait in a circle.
    ``parent_id`` is the job that begins this one, and that is woken when it ends. ``request`` is what the caller said,
    where the payload holds what the service has added to it (a drawn seed) and equal requests are to be one job.
    ``price`` is what it costs at its backend, beside the worker's time. ``estimate`` is what it is expected to take,
    ``remarks`` what is to be said about that.
    """

    project: str
    kind: JobKind
    payload: Mapping[str, object]
    created_by: str
    dataset_id: str | None = None
    dataset: str | None = None
    model: str | None = None
    priority: int = 0
    idempotency_key: str | None = None
    after: tuple[str, ...] = ()
    parent_id: str | None = None
    request: Mapping[str, object] | None = None
    price: Price = Price()
    estimate: Mapping[str, object] | None = None
    remarks: tuple[Mapping[str, object], ...] = ()
    spending: SpendingLimits = SpendingLimits()

    def digest(self) -> str:
        """What two submissions under one idempotency key must agree on."""
        said = self.payload if self.request is None else self.request
        facts: list[object] = [self.kind, said, self.dataset_id, self.model, self.priority]
        if self.after:  # else as earlier releases wrote it
            facts.append(sorted(self.after))
        if self.spending != SpendingLimits():
            limits = self.spending
            facts.append([limits.max_cost_micros, limits.max_seconds, limits.scale_shots])
        return sha256_bytes(json_text(facts).encode())


@dataclass(frozen=True)
class Claim:
    """A worker's right to one attempt of a job; ``job.attempt`` is the fencing token."""

    job: Job
    worker_id: str

    @property
    def attempt(self) -> int:
        """Number of the attempt, from 1."""
        return self.job.attempt
