"""US dollars as whole millionths, so that sums are exact."""

from __future__ import annotations

import math

from superpose.circuits.wording import shown
from superpose.errors import RequestError

__all__ = ["LARGEST_USD", "micros_of", "shown_usd", "usd_of"]

LARGEST_USD = 1e9
_MICROS = 1_000_000


def micros_of(usd: object, what: str) -> int:
    """Dollars in millionths, rounded up.

    Raises:
        RequestError: no number from 0 to a billion.
    """
    if isinstance(usd, bool) or not isinstance(usd, int | float) or not 0 <= usd <= LARGEST_USD:
        raise RequestError(
            f"{what} must be a number of US dollars from 0 to {LARGEST_USD:,.0f}, got {shown(usd)}.", field=what
        )
    return math.ceil(round(usd * _MICROS, 3))  # 0.1 is 100,000 millionths, not one more


def usd_of(micros: int) -> float:
    """Millionths in dollars."""
    return micros / _MICROS


def shown_usd(micros: int) -> str:
    """An amount as messages show it: cents, or as many places as it takes."""
    text = f"{micros / _MICROS:.6f}".rstrip("0")
    whole, _, part = text.partition(".")
    return f"${int(whole):,}.{part.ljust(2, '0')}"
