"""Where a project's programs and data may go: its rules, and what holds its jobs to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, select

from superpose.service.nouns import Clock, Principal, Role, iso
from superpose.service.people.project import find_project
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.tables import residency

if TYPE_CHECKING:
    from superpose.backends.residency import ResidencyRules
    from superpose.backends.selection import Selection
    from superpose.circuits import Backend

__all__ = ["Confinement", "Residencies", "Residency"]

LOCAL, AUTO = "local", "auto"


@dataclass(frozen=True)
class Residency:
    """A project's residency rules.

    Attributes:
        project: whose.
        rules: in JSON values; None where programs may go anywhere.
        set_at: when they were set.
        set_by: id of the key that did.
    """

    project: str
    rules: Mapping[str, Any] | None = None
    set_at: datetime | None = None
    set_by: str | None = None

    def to_json(self) -> dict[str, object]:
        """The rules as the API sends them."""
        rules = None if self.rules is None else dict(self.rules)
        return {"project": self.project, "rules": rules, "set_at": iso(self.set_at), "set_by": self.set_by}


class Residencies:
    """The residency rules of projects, as users see them.

    Args:
        database: where they are kept.
        clock: what tells the time.
    """

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def get(self, principal: Principal, project: str) -> Residency:
        """The rules of a project in the caller's reach.

        Raises:
            ForbiddenError: the caller's role is too small.
            NotFoundError: it is another project, and the caller no operator.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            return _found(connection, find_project(connection, principal, project).name)

    def set(self, principal: Principal, project: str, rules: Mapping[str, Any]) -> Residency:
        """Set all rules of a project at once.

        They count for jobs that are submitted from now on, and for each program of jobs under way that has not been
        handed to a backend yet. What a provider has already, it keeps.

        Args:
            principal: an admin of the project, or an operator.
            project: its name.
            rules: what `superpose.backends.residency.ResidencyRules.from_json` reads.

        Raises:
            ForbiddenError: the caller's role is too small.
            NotFoundError: it is another project, and the caller no operator.
            ResidencyRulesError: a rule that cannot be meant, or none at all.
        """
        from superpose.backends.residency import ResidencyRules

        principal.require(Role.ADMIN)
        wanted = ResidencyRules.from_json(rules).to_json()
        with self._database.write() as connection:
            name = self._replaced(connection, principal, project, wanted)
            row = {"rules": wanted, "set_at": self._clock(), "set_by": principal.key_id}
            connection.execute(insert(residency).values(project=name, **row))
            return _found(connection, name)

    def clear(self, principal: Principal, project: str) -> None:
        """Let programs of a project go anywhere again; nothing happens where there are no rules.

        Raises:
            ForbiddenError: the caller's role is too small.
            NotFoundError: it is another project, and the caller no operator.
        """
        principal.require(Role.ADMIN)
        with self._database.write() as connection:
            self._replaced(connection, principal, project, None)

    def confinement(self, project: str) -> Confinement:
        """What holds a project's jobs to its rules."""
        return Confinement(self._database, project)

    def _replaced(
        self, connection: Connection, principal: Principal, project: str, after: Mapping[str, Any] | None
    ) -> str:
        """The project's name, whose rules are gone and about to be written anew, with the change in the log."""
        name = find_project(connection, principal, project).name
        before = _found(connection, name).rules
        connection.execute(delete(residency).where(residency.c.project == name))
        append_event(
            connection,
            subject=f"project:{name}",
            project=name,
            at=self._clock(),
            kind="residency_set" if after is not None else "residency_cleared",
            actor=principal.key_id,
            data={"before": before, "after": after},
        )
        return name


class Confinement:
    """Backends for one project's jobs, held to its rules, which are read anew each time.

    Args:
        database: where the rules are kept.
        project: whose jobs.
    """

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._project = project

    def rules(self) -> ResidencyRules | None:
        """The rules that count now; None where there are none."""
        with self._database.read() as connection:
            told = _found(connection, self._project).rules
        if told is None:
            return None
        from superpose.backends.residency import ResidencyRules

        return ResidencyRules.from_json(told, owner=f"project {self._project!r}")

    def admitted(self, name: str) -> Backend:
        """The backend of a name, if a job may go there now.

        Raises:
            ResidencyError: the project's rules do not allow it.
            BackendUnknownError, ToolkitMissingError, ProviderError: no such backend, or it cannot be reached.
        """
        if name != LOCAL:
            self._deny(name)
        backend = self.backend(name)
        self.require(backend)
        return backend

    def backend(self, name: str) -> Backend:
        """The backend of a name, to be asked for what it has already; ``require`` it before it gets more.

        One that chooses among others (a fleet, "auto") keeps to the rules by itself.

        Raises:
            BackendUnknownError, ToolkitMissingError, ProviderError: no such backend, or it cannot be reached.
        """
        from superpose.facade import resolve_backend

        if name == LOCAL:
            return resolve_backend(name)
        from superpose.backends.residency import confine

        return confine(resolve_backend(self._choosing(name)), self.rules, check=False)

    def _choosing(self, name: str) -> str | Selection:
        """The name; where it leaves the choice to us, a selection that knows the waits which this service has seen."""
        if name != AUTO:
            return name
        from superpose.backends.selection import Selection
        from superpose.service.work.waits import knowledge_of

        return Selection(knowledge=knowledge_of(self._database))

    def guarded(self, name: str) -> Backend:
        """The backend of a name, if a job may go there now, which is asked again before each program.

        Raises:
            ResidencyError: the project's rules do not allow it; its own runs and submissions raise so later.
            BackendUnknownError, ToolkitMissingError, ProviderError: no such backend, or it cannot be reached.
        """
        backend = self.admitted(name)
        if name == LOCAL:
            return backend
        from superpose.backends.residency import guarded

        return guarded(backend, lambda: self.require(backend))

    def require(self, backend: Backend) -> None:
        """Check, just before a program is handed over, that it may be.

        Raises:
            ResidencyError: the project's rules do not allow it.
        """
        if backend.name == LOCAL:
            return
        from superpose.backends.residency import require

        require(backend, self.rules())

    def _deny(self, name: str) -> None:
        """Refuse what is denied by its name alone, so that its provider is not even asked."""
        from superpose.backends.residency import refused

        rules = self.rules()
        found = () if rules is None else rules.denies_name(name)
        if rules is not None and found:
            raise refused(name, found, rules)


def _found(connection: Connection, project: str) -> Residency:
    row = connection.execute(select(residency).where(residency.c.project == project)).mappings().first()
    return Residency(project) if row is None else Residency(**row)
