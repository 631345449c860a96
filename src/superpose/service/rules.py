"""What a job store grants to a job: leases, crashes, retries."""

from __future__ import annotations

from dataclasses import dataclass, field

from superpose.scheduling import Backoff

__all__ = ["JobRules"]


@dataclass(frozen=True, kw_only=True)
class JobRules:
    """What a store grants to a job.

    Attributes:
        lease_s: length of a lease in seconds.
        max_attempts: crashed attempts after which a job fails.
        max_retries: attempts that may end with a passing error before one more such error fails the job.
        backoff: the pauses before attempts after a passing error, and after the second crash and later ones.
    """

    lease_s: float = 30.0
    max_attempts: int = 5
    max_retries: int = 5
    backoff: Backoff = field(default_factory=Backoff)
