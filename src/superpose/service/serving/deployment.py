"""What an endpoint is: a name, the model version behind it, its revisions, its canary and its limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from random import Random

from superpose.errors import RequestError
from superpose.service.config import ServiceConfig
from superpose.service.nouns import iso

__all__ = ["Canary", "CanarySplit", "Endpoint", "Limits", "Override", "Release", "Revision", "SplitBy", "Stage"]

_LARGEST_SEED = 2**63 - 1
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "max_batch_rows": (1, 100_000),
    "max_queue_rows": (1, 10_000_000),
    "max_concurrency": (1, 100_000),
    "max_delay_ms": (0, 1_000),
}


class SplitBy(StrEnum):
    """How a canary's requests are chosen: by a hash of their request id, or at random from a seed."""

    REQUEST_ID = "request_id"
    RANDOM = "random"


class Stage(StrEnum):
    """What an endpoint is for: trying things out, or production, where only complete model versions answer."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


@dataclass(frozen=True)
class Release:
    """How a change of an endpoint is to pass the promotion gate.

    Attributes:
        stage: what the endpoint is for from now on; None leaves it, and a new endpoint is for development.
        override: the reason why a version may answer in production although something is missing; admins only.
    """

    stage: Stage | str | None = None
    override: str | None = None

    @property
    def wanted(self) -> Stage | None:
        """The stage, checked.

        Raises:
            RequestError: there is no such stage.
        """
        if self.stage is None:
            return None
        try:
            return Stage(self.stage)
        except ValueError:
            allowed = [str(stage) for stage in Stage]
            raise RequestError(
                f"stage must be {' or '.join(allowed)}, got {str(self.stage)[:40]!r}.", field="stage", allowed=allowed
            ) from None


@dataclass(frozen=True)
class Override:
    """What an admin let a version do without at an endpoint, and why.

    Attributes:
        missing: names of the requirements that were not met.
        reason: the admin's words.
        overridden_at: when.
        overridden_by: id of the admin's key.
    """

    missing: tuple[str, ...]
    reason: str
    overridden_at: datetime
    overridden_by: str

    def to_json(self) -> dict[str, object]:
        """The override as the API sends it."""
        return {
            "missing": list(self.missing),
            "reason": self.reason,
            "overridden_at": iso(self.overridden_at),
            "overridden_by": self.overridden_by,
        }


@dataclass(frozen=True)
class Limits:
    """What bounds an endpoint's batches and queue; None means the service's own setting.

    Attributes:
        max_batch_rows: rows that one engine call answers together.
        max_delay_ms: longest time that a request waits on purpose for others to join its batch.
        max_queue_rows: rows that may wait before requests are refused.
        max_concurrency: requests under way before others are refused.
    """

    max_batch_rows: int | None = None
    max_delay_ms: float | None = None
    max_queue_rows: int | None = None
    max_concurrency: int | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            low, high = _BOUNDS[item.name]
            kinds = int if item.name != "max_delay_ms" else int | float
            if value is None:
                continue
            if not isinstance(value, kinds) or isinstance(value, bool) or not low <= value <= high:
                raise RequestError(
                    f"{item.name} must be a {'number' if item.name == 'max_delay_ms' else 'whole number'} from {low:g} "
                    f"to {high:g}, or null for the service's setting; got {value!r}.",
                    field=item.name,
                )

    def changed(self, changes: Mapping[str, float | None]) -> Limits:
        """These limits with some of them changed.

        Raises:
            RequestError: an unknown limit, or a value out of its range.
        """
        unknown = sorted(set(changes) - set(_BOUNDS))
        if unknown:
            raise RequestError(f"There is no limit {unknown[0]!r}; there are {', '.join(_BOUNDS)}.", field=unknown[0])
        return Limits(**{**self.to_json(), **changes})  # type: ignore[arg-type]  # checked in __post_init__

    def within(self, config: ServiceConfig) -> Limits:
        """These limits with the service's settings where they are None."""
        own = self.to_json()
        return Limits(**{n: getattr(config, n) if v is None else v for n, v in own.items()})  # type: ignore[arg-type]

    def to_json(self) -> dict[str, float | None]:
        """The limits as the API sends them."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(frozen=True)
class Canary:
    """Another model version that answers a share of an endpoint's requests.

    Attributes:
        model, version: what answers them.
        percent: share of the requests, above 0 and below 100.
        by: how they are chosen.
        seed: of the hash, or of the random numbers.
        started_at: when.
    """

    model: str
    version: int
    percent: float
    by: SplitBy
    seed: int
    started_at: datetime

    def __post_init__(self) -> None:
        if isinstance(self.percent, bool) or not isinstance(self.percent, int | float) or not 0 < self.percent < 100:
            raise RequestError(
                f"percent must be above 0 and below 100, got {self.percent!r}. Promote the canary to give it all "
                "requests, stop it to give it none.",
                field="percent",
            )
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed <= _LARGEST_SEED:
            raise RequestError(f"seed must be a whole number from 0 to 2**63 - 1, got {self.seed!r}.", field="seed")

    def to_json(self) -> dict[str, object]:
        """The canary as the API sends it."""
        return {
            "model": self.model,
            "version": self.version,
            "percent": self.percent,
            "by": str(self.by),
            "seed": self.seed,
            "started_at": iso(self.started_at),
        }


class CanarySplit:
    """Chooses which requests a canary answers.

    By request id, a request goes to the canary if 64 bits of BLAKE2b(request id, keyed with the seed), read as a
    fraction of one, are below ``percent / 100``. So one id always meets the same side, on every server and after
    every restart, and those that a small share has chosen stay with the canary when the share grows. At random, the
    fractions are drawn from ``random.Random(seed)``, one per request, from the canary's start (or the server's) on.
    """

    def __init__(self, canary: Canary) -> None:
        self._share = canary.percent / 100
        self._key = canary.seed.to_bytes(8, "big")
        self._random = Random(canary.seed) if canary.by is SplitBy.RANDOM else None  # noqa: S311  # no secret in it

    def chooses(self, request_id: str) -> bool:
        """Whether the canary answers this request."""
        if self._random is not None:
            return self._random.random() < self._share
        drawn = blake2b(request_id.encode("utf-8", "surrogatepass"), digest_size=8, key=self._key).digest()
        return math.ldexp(int.from_bytes(drawn, "big"), -64) < self._share


@dataclass(frozen=True)
class Revision:
    """Which model version stood behind an endpoint from ``created_at`` on.

    ``number`` counts from 1. A rollback is a new revision whose ``origin`` is the one that it repeats; any other
    revision is its own origin.
    """

    number: int
    model: str
    version: int
    origin: int
    created_at: datetime
    created_by: str
    alias: str | None = None

    def to_json(self) -> dict[str, object]:
        """The revision as the API sends it."""
        return {
            "revision": self.number,
            "model": self.model,
            "version": self.version,
            "alias": self.alias,
            "origin": self.origin,
            "created_at": iso(self.created_at),
            "created_by": self.created_by,
        }


@dataclass(frozen=True)
class Endpoint:
    """A name under which a model version answers predictions; ``alias`` is what that version was asked for by.

    ``override`` is what the present version lacked when it was let into production all the same, ``notice`` the
    sentence that its model must carry.
    """

    id: str
    name: str
    project: str = field(repr=False)
    model: str
    version: int
    state: str
    created_at: datetime
    alias: str | None = None
    revision: int = 1
    canary: Canary | None = None
    limits: Limits = Limits()
    stage: Stage = Stage.DEVELOPMENT
    override: Override | None = None
    notice: str | None = None

    def to_json(self) -> dict[str, object]:
        """The endpoint as the API sends it; ``url`` is the path to call, below the service's address."""
        return {
            "name": self.name,
            "model": self.model,
            "version": self.version,
            "alias": self.alias,
            "state": self.state,
            "created_at": iso(self.created_at),
            "url": f"/v1/endpoints/{self.name}/predict",
            "revision": self.revision,
            "canary": None if self.canary is None else self.canary.to_json(),
            "limits": self.limits.to_json(),
            "stage": str(self.stage),
            "override": None if self.override is None else self.override.to_json(),
            "notice": self.notice,
        }
