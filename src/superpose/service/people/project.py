"""What a project is, and its coming into being."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, RowMapping, insert, select

from superpose.errors import NotFoundError
from superpose.service.names import new_id
from superpose.service.nouns import Principal, Role, iso
from superpose.service.store.history import append_event
from superpose.service.store.tables import members, projects, quotas, users

__all__ = ["OPERATOR_PROJECT", "Project", "ensure_project", "find_project", "quotas_of"]

#: Project of the first key.
OPERATOR_PROJECT = "default"


@dataclass(frozen=True)
class Project:
    """What isolates one group's things from another's.

    Attributes:
        name: unique in the installation.
        title: what people call it.
        account_id: its own service account, to which keys belong that name no user.
        created_at: when it was made.
        archived_at: since when its keys open nothing; None while it is in use.
        quotas: quantity -> what is allowed; what is absent is not limited.
    """

    name: str
    title: str
    account_id: str
    created_at: datetime
    archived_at: datetime | None
    quotas: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """The project as the API sends it."""
        return {
            "name": self.name,
            "title": self.title,
            "account": self.account_id,
            "created_at": iso(self.created_at),
            "archived_at": iso(self.archived_at),
            "quotas": dict(self.quotas),
        }


def ensure_project(connection: Connection, name: str, *, title: str = "", at: datetime, actor: str) -> str:
    """The id of a project's own service account, within a write transaction; both are made if they are not there."""
    known = connection.execute(select(projects.c.account_id).where(projects.c.name == name)).first()
    if known is not None:
        return str(known.account_id)
    account_id = new_id("usr")
    account = {"name": f"service account of project {name}", "kind": "service", "created_by": "project"}
    connection.execute(insert(users).values(id=account_id, created_at=at, **account))
    connection.execute(insert(projects).values(name=name, title=title, created_at=at, account_id=account_id))
    role = str(Role.ADMIN)
    connection.execute(insert(members).values(project=name, user_id=account_id, role=role, created_at=at))
    data = {"title": title, "account": account_id}
    append_event(connection, subject=f"project:{name}", project=name, at=at, kind="created", actor=actor, data=data)
    return account_id


def find_project(connection: Connection, principal: Principal, name: str) -> Project:
    """A project in the caller's reach: its own, or any one for an operator.

    Raises:
        NotFoundError: there is none in reach.
    """
    row = connection.execute(select(projects).where(projects.c.name == name)).mappings().first()
    if row is None or not (principal.operator or principal.project == name):
        raise NotFoundError(f"There is no project {name!r} in reach of this key.", kind="project", id=name)
    return _project(row, quotas_of(connection, name))


def quotas_of(connection: Connection, project: str) -> dict[str, int]:
    """Quantity -> what is allowed."""
    rows = connection.execute(
        select(quotas.c.quantity, quotas.c.allowed).where(quotas.c.project == project).order_by(quotas.c.quantity)
    )
    return {row.quantity: row.allowed for row in rows}


def _project(row: RowMapping, allowed: Mapping[str, int]) -> Project:
    names = ("name", "title", "account_id", "created_at", "archived_at")
    return Project(**{name: row[name] for name in names}, quotas=allowed)
