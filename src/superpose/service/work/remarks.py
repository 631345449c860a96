"""What the service remarks on a training job when it is submitted: that nobody estimates it, or that it may not end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from superpose.learning.effort import EstimatedEffort
    from superpose.service.config import ServiceConfig

__all__ = ["Expected", "remarks_on"]

NOT_ESTIMATED = "job.not_estimated"
MAY_NOT_END = "job.may_not_end"


@dataclass(frozen=True)
class Expected:
    """What a job is expected to take, with what is to be said about it.

    Attributes:
        estimate: ``cpu_s`` and ``parts``; None where nobody estimates.
        remarks: each with ``code`` and ``message``.
    """

    estimate: Mapping[str, object] | None
    remarks: tuple[Mapping[str, object], ...]


def remarks_on(
    effort: EstimatedEffort | str, *, max_seconds: float | None, config: ServiceConfig, less: str
) -> Expected:
    """The estimate of a job, and the remarks.

    Args:
        effort: what it is expected to take, or why nobody says.
        max_seconds: how long workers may hold it; None: not limited.
        config: threads of a worker, and the service's own limit.
        less: what to ask for less of, such as "epochs or splits".
    """
    if isinstance(effort, str):
        return Expected(None, ({"code": NOT_ESTIMATED, "message": effort},))
    estimate = effort.to_dict()
    expected_s = float(estimate["cpu_s"])
    if max_seconds is None:
        return Expected(estimate, ())
    allowed_s = max_seconds * config.worker_threads
    if expected_s <= allowed_s:
        return Expected(estimate, ())
    needed_s = math.ceil(expected_s / config.worker_threads)
    rise = f"raise max_seconds to {needed_s:,} or more, or"
    if config.job_seconds is not None and needed_s > config.job_seconds:
        rise = f"the service's own limit is {config.job_seconds:,.0f} s (job_seconds): ask its operator for more, or"
    message = (
        f"This is expected to take {expected_s:,.10g} s of a processor if nothing stops early, but workers may "
        f"hold it for {max_seconds:,.10g} s with at most {config.worker_threads} processor(s), {allowed_s:,.10g} s in "
        f"all: it may fail with service.job_time before it ends. It is not refused for that; {rise} ask for fewer "
        f"{less}."
    )
    return Expected(
        estimate,
        (
            {
                "code": MAY_NOT_END,
                "message": message,
                "expected_cpu_s": expected_s,
                "allowed_cpu_s": allowed_s,
                "max_seconds": max_seconds,
                "processors": config.worker_threads,
            },
        ),
    )
