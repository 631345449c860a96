"""Aliases: names such as ``champion`` that stand for one version of a model and can be moved to another in one step."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select

from superpose.errors import ConflictError, NotFoundError, RequestError
from superpose.service.catalogue.models import VersionRef, model_row, model_subject, version_row
from superpose.service.names import check_name
from superpose.service.nouns import Clock, Event, ModelVersion, Page, Principal, Role
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.pages import Part, read_page
from superpose.service.store.tables import events, model_aliases

__all__ = ["Aliases", "check_alias"]


class Aliases:
    """The aliases of a service's models, and the history in which their moves stand.

    Args:
        database: where they are kept.
        clock: what tells the time.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def move(
        self, principal: Principal, model: str, alias: str, version: VersionRef, *, expected: int | None = None
    ) -> ModelVersion:
        """Let an alias stand for a version, in one step: at no moment does it stand for none, or for two.

        Args:
            principal: the caller; an editor.
            model: the model.
            alias: a name; new or known.
            version: number, another alias, or None for the newest version.
            expected: refuse unless the alias stands for this version now; 0 means that it must be new.

        Raises:
            ForbiddenError: the caller's role is too small.
            RequestError: not a name that an alias can have.
            NotFoundError: no such model version in the caller's project.
            ConflictError: the alias does not stand for ``expected``.
        """
        principal.require(Role.EDITOR)
        check_alias(alias)
        with self._database.write() as connection:
            found, now = version_row(connection, principal.project, model, version), self._clock()
            before = _standing(connection, principal.project, model, alias)
            if expected is not None and expected != (before or 0):
                stands = f"stands for version {before}" if before else "is new"
                raise ConflictError(
                    f"Alias {alias!r} of model {model!r} {stands}, expected was {expected}. Look at it and try again.",
                    alias=alias,
                    version=before,
                    expected=expected,
                )
            if before == found.version:
                return found
            _remove(connection, principal.project, model, alias)
            connection.execute(
                insert(model_aliases).values(
                    project=principal.project,
                    model=model,
                    alias=alias,
                    version=found.version,
                    moved_at=now,
                    moved_by=principal.key_id,
                )
            )
            data = {"alias": alias, "before": before, "version": found.version}
            self._record(connection, principal, model, "alias_moved", data)
            return version_row(connection, principal.project, model, found.version)

    def remove(self, principal: Principal, model: str, alias: str) -> None:
        """Remove an alias; the version stays.

        Raises:
            NotFoundError: the model has no such alias.
        """
        principal.require(Role.EDITOR)
        with self._database.write() as connection:
            before = _standing(connection, principal.project, model, alias)
            if before is None:
                raise NotFoundError(
                    f"There is no alias {alias!r} of model {model!r} in this project.", kind="alias", id=alias
                )
            _remove(connection, principal.project, model, alias)
            data = {"alias": alias, "before": before, "version": None}
            self._record(connection, principal, model, "alias_removed", data)

    def history(self, principal: Principal, model: str, part: Part = Part()) -> Page[Event]:  # noqa: B008  # frozen
        """What happened to a model, newest first: versions, moves of aliases, edits of notes and tags, deletions.

        Raises:
            NotFoundError: there is no such model in the caller's project.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            model_row(connection, principal.project, model)
            query = select(events).where(events.c.subject == model_subject(principal.project, model))
            return read_page(
                connection,
                query,
                events.c.seq,
                part,
                lambda row: Event(row["seq"], row["at"], row["kind"], {**row["data"], "by": row["actor"]}),
                newest_first=True,
            )

    def _record(
        self, connection: Connection, principal: Principal, model: str, kind: str, data: Mapping[str, object]
    ) -> None:
        append_event(
            connection,
            subject=model_subject(principal.project, model),
            project=principal.project,
            at=self._clock(),
            kind=kind,
            actor=principal.key_id,
            data=data,
        )


def check_alias(alias: str) -> str:
    """A name that an alias can have.

    Raises:
        RequestError: not a name, a number, or ``latest``, which always means the newest version.
    """
    check_name(alias, "alias")
    if alias.isdigit() or alias == "latest":
        raise RequestError(
            f"alias must be neither a number nor 'latest', which stands for the newest version; got {alias!r}.",
            field="alias",
        )
    return alias


def _standing(connection: Connection, project: str, model: str, alias: str) -> int | None:
    query = select(model_aliases.c.version).where(
        model_aliases.c.project == project, model_aliases.c.model == model, model_aliases.c.alias == alias
    )
    return connection.execute(query).scalar()


def _remove(connection: Connection, project: str, model: str, alias: str) -> None:
    connection.execute(
        delete(model_aliases).where(
            model_aliases.c.project == project, model_aliases.c.model == model, model_aliases.c.alias == alias
        )
    )
