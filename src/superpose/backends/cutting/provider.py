"""Cutting by name, around any backend that has one: ``cut:emulator:ibm_manila``, ``cut:15:local``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from superpose.backends.cutting.cutting import Cutting
from superpose.circuits import Backend, BackendInfo

__all__ = ["CuttingProvider"]


class CuttingProvider:
    """Puts `Cutting` around the backend whose name follows; a number before it is the widest fragment.

    Args:
        find: What gives a backend by its name; by default, that of `superpose.run`.
    """

    name = "cut"

    def __init__(self, find: Callable[[str], Backend] | None = None) -> None:
        self._find = find

    def list(self) -> Sequence[BackendInfo]:
        """Return nothing: it is around other backends."""
        return ()

    def backend(self, name: str) -> Backend:
        """Return the backend of this name, which takes programs of any width.

        Raises:
            BackendUnknownError: There is none.
            UnsupportedProgramError: The number is 0.
        """
        from superpose.backends.providers import find_backend

        number, colon, rest = name.partition(":")
        own = bool(colon) and number.isascii() and number.isdecimal()
        found = (self._find or find_backend)(rest if own else name)
        return Cutting(found, int(number) if own else None)
