"""Fleets by name: ``fleet:A+B`` runs on whichever of the backends A and B is up, ``fleet:2:A+B+C`` on two, compared."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from superpose.backends.fleet.fleet import Fleet, FleetRules
from superpose.backends.fleet.journal import FileJournal
from superpose.circuits import Backend, BackendInfo
from superpose.errors import BackendUnknownError

__all__ = ["FleetProvider"]


class FleetProvider:
    """Makes fleets of backends that have names.

    Their journal lies in ``superpose/fleets`` of the user's data directory (``XDG_DATA_HOME``), so that another process
    goes on with a run, and a member that was left out stays so.

    Args:
        find: What gives a member by its name; by default, that of `superpose.run`.
        directory: Where the journal lies.
    """

    name = "fleet"

    def __init__(self, find: Callable[[str], Backend] | None = None, directory: Path | None = None) -> None:
        self._find, self._directory = find, directory

    def list(self) -> Sequence[BackendInfo]:
        """Return nothing: a fleet is what its name makes of other backends."""
        return ()

    def backend(self, name: str) -> Fleet:
        """Return the fleet of this name: backends joined by ``+``, before them, if more than one is to run each
        program, how many and a colon.

        Raises:
            BackendUnknownError: It is no such name, or a member is unknown.
            UnsupportedProgramError: Fewer than two members, or redundancy beyond their number.
            FleetJournalError: The journal's directory cannot be used.
        """
        number, colon, rest = name.partition(":")
        counted = bool(colon) and number.isdecimal()
        members = [one.strip() for one in (rest if counted else name).split("+")]
        if not all(members) or (counted and not 1 <= len(number) <= 2):
            raise BackendUnknownError(
                f"A fleet is named by its members, fleet:A+B, or with how many of them run each program, "
                f"fleet:2:A+B+C; got {name!r}.",
                name=name,
            )
        from superpose.backends.providers import find_backend

        find = self._find or find_backend
        rules = FleetRules(redundancy=int(number) if counted else 1)
        return Fleet([find(one) for one in members], rules, name=f"fleet:{name}", journal=self._journal(members))

    def _journal(self, members: Sequence[str]) -> FileJournal:
        """One for each set of members, so that all fleets of the same know who was left out."""
        if self._directory is None:
            data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
            self._directory = data / "superpose" / "fleets"
        readable = "+".join(sorted(members)).replace("/", "_").replace(":", ".")
        return FileJournal(self._directory / readable[:200])
