"""Values in error messages: short, whatever was given."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["listed", "shown"]

MAX_CHARACTERS = 60
MAX_ITEMS = 10


def shown(value: object) -> str:
    """Return the repr of ``value``, cut after 60 characters."""
    try:
        text = repr(value[: MAX_CHARACTERS + 1] if isinstance(value, str) else value)
    except ValueError:  # a whole number of more digits than Python prints
        return f"a value of type {type(value).__name__} that is too long to show"
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 3] + "..."


def listed(names: Collection[object]) -> str:
    """Return the first ten of ``names``, separated by commas, and how many more there are; "none" for none.

    >>> listed(["a", "b"]), listed(range(12)), listed([])
    ('a, b', '0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more', 'none')
    """
    if not names:
        return "none"
    first = ", ".join(str(name)[:MAX_CHARACTERS] for name, _ in zip(names, range(MAX_ITEMS), strict=False))
    return f"{first} and {len(names) - MAX_ITEMS} more" if len(names) > MAX_ITEMS else first
