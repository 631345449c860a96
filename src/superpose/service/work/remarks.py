"""What the service remarks on a training job or sweep when it is submitted: why no estimate, or that it may not end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from superpose.learning.effort import EstimatedEffort
    from superpose.service.config import ServiceConfig
    from superpose.service.experiments.sweep_effort import SweepEffort

__all__ = ["Expected", "remarks_on", "remarks_on_sweep"]

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


def remarks_on_sweep(effort: SweepEffort | str, config: ServiceConfig) -> Expected:
    """The estimate of a sweep, and the remarks: on trials, or a final training, that the service's limit may end.

    Workers may hold each job of a sweep for ``job_seconds``, not all of them together.

    Args:
        effort: what it is expected to take, or why nobody says.
        config: threads of a worker, and the service's limit.
    """
    if isinstance(effort, str):
        return Expected(None, ({"code": NOT_ESTIMATED, "message": effort},))
    estimate, allowed_s = effort.to_dict(), config.job_seconds
    if allowed_s is None:
        return Expected(estimate, ())
    allowed_cpu_s = allowed_s * config.worker_threads
    worst = {
        "a trial": float(estimate["trial_most_cpu_s"]),
        "the final training": float(estimate["final_most_cpu_s"]),
    }
    over = {what: cpu_s for what, cpu_s in worst.items() if cpu_s > allowed_cpu_s}
    if not over:
        return Expected(estimate, ())
    told = " and ".join(f"{what} up to {cpu_s:,.10g} s" for what, cpu_s in over.items())
    message = (
        f"Of this sweep, {told} of a processor are expected if nothing stops early, but workers may hold each of its "
        f"jobs for {allowed_s:,.10g} s (job_seconds) with at most {config.worker_threads} processor(s), "
        f"{allowed_cpu_s:,.10g} s in all: such a job may fail with service.job_time before it ends. It is not refused "
        "for that; ask the service's operator for more, or take a smaller space, fewer epochs or folds, or of the "
        "final training fewer splits, seeds or controls."
    )
    return Expected(
        estimate,
        (
            {
                "code": MAY_NOT_END,
                "message": message,
                "expected_cpu_s": max(over.values()),
                "allowed_cpu_s": allowed_cpu_s,
                "max_seconds": allowed_s,
                "processors": config.worker_threads,
            },
        ),
    )
