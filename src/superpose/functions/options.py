"""How a function wants to be run."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

from superpose.errors import JobFunctionError

__all__ = ["JobOptions"]

_MAX_RETRIES = 100
_MAX_TIMEOUT_S = 366 * 86_400.0


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """Options of `@superpose.job`.

    Attributes:
        checkpoint: whether ``ctx.checkpoint_dir`` is kept between attempts, and for jobs that copy from this one.
        retries: attempts that may end with an exception before one more fails the job.
        timeout_s: longest time of one attempt; None leaves it to the service.

    Raises:
        JobFunctionError: an option is out of its range.
    """

    checkpoint: bool = False
    retries: int = 0
    timeout_s: float | None = None

    def __post_init__(self) -> None:
        retries, timeout = self.retries, self.timeout_s
        if not isinstance(self.checkpoint, bool):
            raise JobFunctionError(f"checkpoint must be True or False, got {self.checkpoint!r}.")
        if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= _MAX_RETRIES:
            raise JobFunctionError(f"retries must be a whole number from 0 to {_MAX_RETRIES}, got {retries!r}.")
        good = isinstance(timeout, int | float) and not isinstance(timeout, bool) and 0 < timeout <= _MAX_TIMEOUT_S
        if timeout is not None and not good:
            raise JobFunctionError(f"timeout_s must be a number of seconds above 0, got {timeout!r}.")

    @classmethod
    def of(cls, given: dict[str, Any]) -> Self:
        """Options by their names.

        Raises:
            JobFunctionError: an option is unknown or out of its range.
        """
        allowed = [item.name for item in fields(cls)]
        unknown = sorted(set(given) - set(allowed))
        if unknown:
            raise JobFunctionError(f"@superpose.job has the options {', '.join(allowed)}; got {', '.join(unknown)}.")
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        """The options as JSON values."""
        return {item.name: getattr(self, item.name) for item in fields(self)}
