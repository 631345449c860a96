"""Users: people and service accounts, made by the admins of a project or by operators."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, literal_column, select, update

from superpose.errors import ConflictError, ForbiddenError, NotFoundError, RequestError
from superpose.service.names import check_name, new_id
from superpose.service.nouns import Clock, Page, Principal, Role
from superpose.service.people.keys import read_role
from superpose.service.people.operators import require_an_operator
from superpose.service.people.project import find_project
from superpose.service.people.user import User
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.pages import Part, read_page
from superpose.service.store.tables import members, projects, users

__all__ = ["Users"]

_MAX_NAME = 200
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")


class Users:
    """The users of a service.

    Args:
        database: where they are kept.
        clock: what tells the time.
        changed: called after a change, so that nobody believes what was read before.
    """

    def __init__(self, database: Database, *, clock: Clock, changed: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._changed = changed

    def create(  # the fields of a user
        self,
        principal: Principal,
        *,
        name: str,
        email: str | None = None,
        kind: str = "person",
        project: str | None = None,
        role: Role | str = Role.EDITOR,
    ) -> User:
        """A new user, who is a member of one project from the start.

        Args:
            principal: the caller, an admin.
            name: what people call the user; need not be unique.
            email: optional.
            kind: ``person`` or ``service``.
            project: the caller's by default; operators name any.
            role: the user's role there.

        Raises:
            ForbiddenError: the caller is no admin, or names another project and is no operator.
            NotFoundError: there is no such project.
            RequestError: an unusable name, address, kind or role.
        """
        principal.require(Role.ADMIN)
        member_role, now = read_role(role), self._clock()
        _check_name(name)
        _check_email(email)
        if kind not in ("person", "service"):
            raise RequestError(f"kind must be person or service, got {kind!r}.", field="kind")
        project = principal.project if project is None else check_name(project, "project")
        if project != principal.project and not principal.operator:
            raise ForbiddenError(
                f"Admins of project {principal.project!r} make users for that project only; got {project!r}.",
                project=project,
            )
        user_id = new_id("usr")
        with self._database.write() as connection:
            find_project(connection, principal, project)
            connection.execute(
                insert(users).values(
                    id=user_id, name=name, email=email, kind=kind, created_at=now, created_by=principal.key_id
                )
            )
            connection.execute(
                insert(members).values(project=project, user_id=user_id, role=str(member_role), created_at=now)
            )
            data = {"kind": kind, "project": project, "role": str(member_role)}
            self._record(connection, principal, user_id, project, "created", data)
            return self._find(connection, principal, user_id)

    def list(self, principal: Principal, part: Part = Part()) -> Page[User]:  # noqa: B008  # frozen
        """Members of the caller's project; for an operator, all users. Oldest first.

        Raises:
            ForbiddenError: the caller is no admin.
        """
        principal.require(Role.ADMIN)
        query = select(users)
        if not principal.operator:
            query = query.join(members, members.c.user_id == users.c.id).where(members.c.project == principal.project)
        with self._database.read() as connection:
            order: ColumnElement[int] = literal_column("users.rowid")
            return read_page(connection, query, order, part, lambda row: _user(connection, principal, row))

    def get(self, principal: Principal, user_id: str) -> User:
        """A user in the caller's reach; every caller may look at its own.

        Raises:
            ForbiddenError: the caller is no admin, and it is another user.
            NotFoundError: no member of the caller's project.
        """
        if user_id != principal.user_id:
            principal.require(Role.ADMIN)
        with self._database.read() as connection:
            return self._find(connection, principal, user_id)

    def change(self, principal: Principal, user_id: str, *, name: str | None = None, email: str | None = None) -> User:
        """Give a user another name or address; an empty address removes it.

        Raises:
            ForbiddenError: the caller is no operator.
            NotFoundError: there is no such user.
            RequestError: an unusable name or address.
        """
        principal.require_operator()
        values: dict[str, str | None] = {}
        if name is not None:
            values["name"] = _check_name(name)
        if email is not None:
            values["email"] = _check_email(email or None)
        with self._database.write() as connection:
            self._find(connection, principal, user_id)
            if values:
                connection.execute(update(users).where(users.c.id == user_id).values(**values))
                data = {"fields": sorted(values)}  # which, not what: names and addresses are personal
                self._record(connection, principal, user_id, principal.project, "changed", data)
            return self._find(connection, principal, user_id)

    def disable(self, principal: Principal, user_id: str) -> User:
        """Have no key of the user open anything from now on, in any project, until ``enable``.

        Raises:
            ForbiddenError: the caller is no operator.
            NotFoundError: there is no such user.
            ConflictError: it is a project's own account, or the last operator.
        """
        return self._switch(principal, user_id, disabled=True)

    def enable(self, principal: Principal, user_id: str) -> User:
        """Take ``disable`` back.

        Raises:
            ForbiddenError, NotFoundError: as for ``disable``.
        """
        return self._switch(principal, user_id, disabled=False)

    def _switch(self, principal: Principal, user_id: str, *, disabled: bool) -> User:
        principal.require_operator()
        with self._database.write() as connection:
            found, now = self._find(connection, principal, user_id), self._clock()
            if (found.disabled_at is not None) == disabled:
                return found
            owns = connection.execute(select(projects.c.name).where(projects.c.account_id == user_id)).scalar()
            if owns is not None:
                raise ConflictError(
                    f"User {user_id} is the own account of project {owns!r}. Archive the project, or revoke its keys.",
                    id=user_id,
                )
            connection.execute(update(users).where(users.c.id == user_id).values(disabled_at=now if disabled else None))
            kind = "disabled" if disabled else "enabled"
            self._record(connection, principal, user_id, principal.project, kind, {})
            require_an_operator(connection, now)
            switched = self._find(connection, principal, user_id)
        self._changed()
        return switched

    def _find(self, connection: Connection, principal: Principal, user_id: str) -> User:
        row = connection.execute(select(users).where(users.c.id == user_id)).mappings().first()
        reach = select(func.count()).where(members.c.user_id == user_id, members.c.project == principal.project)
        if row is None or not (principal.operator or connection.execute(reach).scalar_one()):
            raise NotFoundError(f"There is no user {user_id!r} in this project.", kind="user", id=user_id)
        return _user(connection, principal, row)

    def _record(
        self,
        connection: Connection,
        principal: Principal,
        user_id: str,
        project: str,
        kind: str,
        data: Mapping[str, object],
    ) -> None:
        append_event(
            connection,
            subject=user_id,
            project=project,
            at=self._clock(),
            kind=kind,
            actor=principal.key_id,
            data=data,
        )


def _user(connection: Connection, principal: Principal, row: RowMapping) -> User:
    query = select(members.c.project, members.c.role).where(members.c.user_id == row["id"])
    if not principal.operator:
        query = query.where(members.c.project == principal.project)
    roles = {member.project: Role(member.role) for member in connection.execute(query.order_by(members.c.project))}
    names = ("id", "name", "email", "kind", "created_at", "disabled_at")
    return User(**{name: row[name] for name in names}, projects=roles)


def _check_name(name: str) -> str:
    if not isinstance(name, str) or not 1 <= len(name) <= _MAX_NAME or not name.isprintable() or not name.strip():
        raise RequestError(f"name must be 1 to {_MAX_NAME} printable characters.", field="name")
    return name


def _check_email(email: str | None) -> str | None:
    if email is not None and not (isinstance(email, str) and email.isprintable() and _EMAIL.fullmatch(email)):
        raise RequestError(
            "email must be an address of the form someone@somewhere, of at most 254 characters.", field="email"
        )
    return email
