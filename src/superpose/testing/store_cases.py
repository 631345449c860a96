"""What the checks of job stores share: the clock, the rules, and how a check demands something."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from superpose.errors import SuperposeError
from superpose.scheduling import Backoff
from superpose.service.nouns import Job, JobKind
from superpose.service.rules import JobRules
from superpose.service.store.claims import Claim, NewJob
from superpose.service.work.job_store_port import JobStorePort

__all__ = [
    "STORE_RULES",
    "ManualClock",
    "OpenStore",
    "claimed",
    "expect",
    "expect_error",
    "kinds",
    "new_job",
]

#: The rules of the stores that are checked.
STORE_RULES = JobRules(lease_s=30.0, max_attempts=3, max_retries=2, backoff=Backoff(first_s=4.0, longest_s=60.0))


class ManualClock:
    """A time of day that stands still until ``advance`` is called; ``jump`` sets it, as an operator may."""

    def __init__(self) -> None:
        self._at = self._steady_at = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The time of day."""
        return self._at

    def steady(self) -> datetime:
        """The time that nobody sets, for leases and pauses."""
        return self._steady_at

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._at += timedelta(seconds=seconds)
        self._steady_at += timedelta(seconds=seconds)

    def jump(self, seconds: float) -> None:
        """Set the time of day forward or, with a negative number, back."""
        self._at += timedelta(seconds=seconds)


#: Opens a new, empty store in which project ``lab`` and ``clinic`` exist, with ``STORE_RULES``. The clock tells the
#: time of day, and its ``steady`` the time for leases and pauses.
OpenStore = Callable[[ManualClock], JobStorePort]


def expect(found: object, wanted: object, what: str) -> None:
    """Compare, and say what was compared."""
    if found != wanted:
        raise AssertionError(f"{what}: found {found!r}, wanted {wanted!r}")


def expect_error(kind: type[SuperposeError], call: Callable[[], object], what: str) -> None:
    """Call, and demand an error of this class."""
    try:
        found = call()
    except kind:
        return
    except SuperposeError as error:
        raise AssertionError(f"{what}: {type(error).__name__} ({error}), wanted {kind.__name__}") from error
    raise AssertionError(f"{what}: no {kind.__name__}, got {found!r}")


def new_job(**changes: object) -> NewJob:
    """A small submission."""
    values: dict[str, object] = {
        "project": "lab",
        "kind": JobKind.TRAIN,
        "payload": {"epochs": 3},
        "created_by": "key_test",
        "model": "tumour",
    }
    return NewJob(**{**values, **changes})  # type: ignore[arg-type]  # a mapping of fields


def claimed(store: JobStorePort, worker_id: str = "w1") -> Claim:
    """A claim that must be there."""
    claim = store.claim(worker_id)
    if claim is None:
        raise AssertionError("claim: nothing found, wanted the queued job")
    return claim


def kinds(store: JobStorePort, job: Job) -> list[str]:
    """Kinds of a job's events."""
    return [event.kind for event in store.events(job.id)]
