"""The audit log as admins see it: filtered, exported, verified."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select

from superpose.errors import RequestError
from superpose.service.nouns import Page, Principal, Role
from superpose.service.store.audit_log import AuditEntry, Verification, entry_from_row, verify_log
from superpose.service.store.database import Database
from superpose.service.store.pages import Part, read_page
from superpose.service.store.tables import audit

__all__ = ["Audit", "AuditFilter", "read_head"]

_BATCH = 1_000


@dataclass(frozen=True, kw_only=True)
class AuditFilter:
    """Which entries: all that have every value named here.

    Attributes:
        project: whose thing was changed; operators only name another than their own.
        actor: id of a key, or what else made the change.
        user: id of a user.
        action: ``dataset.deleted``, or the noun alone: ``dataset``.
        subject: id of what was changed.
        request_id: the request.
        since: not before.
        until: before.
    """

    project: str | None = None
    actor: str | None = None
    user: str | None = None
    action: str | None = None
    subject: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, datetime) and value.tzinfo is None:
                raise RequestError(f"{item.name} must be a time with a zone, got {value.isoformat()}.", field=item.name)


class Audit:
    """The audit log of a service.

    Args:
        database: where it is kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(
        self,
        principal: Principal,
        part: Part = Part(),  # noqa: B008  # frozen
        wanted: AuditFilter = AuditFilter(),  # frozen
    ) -> Page[AuditEntry]:
        """Entries of the caller's project, newest first; an operator sees those of all projects.

        Raises:
            ForbiddenError: the caller is no admin.
        """
        principal.require(Role.ADMIN)
        with self._database.read() as connection:
            return read_page(
                connection, _query(principal, wanted), audit.c.seq, part, entry_from_row, newest_first=True
            )

    def export(
        self,
        principal: Principal,
        wanted: AuditFilter = AuditFilter(),  # frozen
    ) -> Iterator[AuditEntry]:
        """All entries that ``list`` gives, oldest first, read in parts as they are taken.

        Raises:
            ForbiddenError: the caller is no admin.
        """
        principal.require(Role.ADMIN)
        return self._read_all(_query(principal, wanted))

    def verify(self, principal: Principal, head: str | None = None) -> Verification:
        """Whether the whole log is as it was written.

        Args:
            principal: an operator.
            head: ``SEQ:DIGEST`` that an earlier verification gave; tells whether the log was written anew since.

        Raises:
            ForbiddenError: the caller is no operator.
            RequestError: ``head`` has another form.

        Cost: reads the whole log, some 0.1 ms per entry.
        """
        principal.require_operator()
        expected = None if head is None else read_head(head)
        with self._database.read() as connection:
            return verify_log(connection, expected)

    def _read_all(self, query: Select[Any]) -> Iterator[AuditEntry]:
        last = 0
        while True:
            with self._database.read() as connection:
                some = query.where(audit.c.seq > last).order_by(audit.c.seq).limit(_BATCH)
                rows = connection.execute(some).mappings().all()
            yield from map(entry_from_row, rows)
            if len(rows) < _BATCH:
                return
            last = rows[-1]["seq"]


def read_head(head: str) -> tuple[int, str]:
    """Place and digest of ``SEQ:DIGEST``.

    Raises:
        RequestError: it has another form.
    """
    seq, _, digest = head.partition(":")
    if not (seq.isascii() and seq.isdigit() and len(seq) < 19 and len(digest) == 64):
        raise RequestError("head must be SEQ:DIGEST, as `superpose audit verify` prints it.", field="head")
    return int(seq), digest


def _query(principal: Principal, wanted: AuditFilter) -> Select[Any]:
    query = select(audit)
    project = wanted.project if principal.operator else principal.project
    if wanted.project is not None and wanted.project != project:
        return query.where(audit.c.seq < 0)  # another project's: there is nothing in reach
    for column, value in (
        (audit.c.project, project),
        (audit.c.actor, wanted.actor),
        (audit.c.user_id, wanted.user),
        (audit.c.subject, wanted.subject),
        (audit.c.request_id, wanted.request_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.action is not None:
        noun = wanted.action if "." in wanted.action else None
        query = query.where(
            audit.c.action == noun if noun else audit.c.action.startswith(f"{wanted.action}.", autoescape=True)
        )
    if wanted.since is not None:
        query = query.where(audit.c.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(audit.c.at < wanted.until)
    return query
