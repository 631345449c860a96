"""Calls of a provider tried again, with pauses, and programs handed over once though the answer was lost."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from superpose.errors import ProviderError

__all__ = ["RETRYABLE_STATUSES", "Retry", "retry_after_s"]

T = TypeVar("T")

RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses after which the same request may go through later (RFC 9110, RFC 8470, RFC 6585)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often and after which pauses a call of a provider is tried again.

    Only a `ProviderError` that is ``retryable`` is tried again. The pause before try ``k + 1`` is chance's share, a
    half to the whole, of ``first_pause_s * 2**(k - 1)``, at most ``max_pause_s``, and never less than what the provider
    asked for.

    Attributes:
        n_tries: Calls in all, at least 1.
        first_pause_s: After the first failure, in seconds.
        max_pause_s: Longest pause of our own, in seconds.
        max_asked_s: Longest pause that the provider may ask for; where it asks for more, the error goes on.
        sleep: What waits so many seconds.
        chance: Numbers in 0 .. 1, so that many callers do not come back in one moment.

    >>> pauses, tries = [], iter([503, 503, 200])
    >>> def ask():
    ...     if (status := next(tries)) != 200:
    ...         raise ProviderError("busy", provider="x", provider_job_id=None, retryable=True)
    ...     return status
    >>> Retry(sleep=pauses.append, chance=lambda: 1.0).call(ask), pauses
    (200, [0.5, 1.0])
    """

    n_tries: int = 5
    first_pause_s: float = 0.5
    max_pause_s: float = 30.0
    max_asked_s: float = 300.0
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random

    def call(self, work: Callable[[], T]) -> T:
        """Return what ``work()`` returns, tried again after errors that may pass.

        Raises:
            ProviderError: The last try's, or one that does not pass.
        """
        for tried in range(1, self.n_tries):
            try:
                return work()
            except ProviderError as error:
                asked_s = error.retry_after_s or 0.0
                if not error.retryable or asked_s > self.max_asked_s:
                    raise
                own_s = min(self.max_pause_s, self.first_pause_s * 2.0 ** (tried - 1)) * (0.5 + 0.5 * self.chance())
                self.sleep(max(own_s, asked_s))
        return work()

    def once(self, find: Callable[[], T | None], submit: Callable[[], T]) -> T:
        """Hand something over that must not run twice: each try asks first whether it is there already.

        Args:
            find: Returns what was handed over before, under the same token, or None. It must see what a ``submit``
                that failed has left behind.
            submit: Hands over.

        Cost: one ``find`` and one ``submit`` where nothing fails.
        """

        def attempt() -> T:
            found = find()
            return submit() if found is None else found

        return self.call(attempt)


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Return how long a ``Retry-After`` header asks to wait, in seconds; None where there is none to be read.

    Source: RFC 9110, section 10.2.3: seconds, or a date.

    >>> retry_after_s("7", datetime.now(UTC)), retry_after_s(None, datetime.now(UTC))
    (7.0, None)
    >>> retry_after_s("Wed, 21 Oct 2026 07:28:30 GMT", datetime(2026, 10, 21, 7, 28, tzinfo=UTC))
    30.0
    """
    if header is None:
        return None
    text = header.strip()
    if text.isdecimal() and text.isascii():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())
