"""Projects and their members: made, named, limited, archived."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, delete, func, insert, select, update

from superpose.errors import ConflictError, NotFoundError, RequestError
from superpose.service.names import check_name
from superpose.service.nouns import Clock, Page, Principal, Role
from superpose.service.people.keys import read_role
from superpose.service.people.operators import require_an_operator
from superpose.service.people.project import OPERATOR_PROJECT, Project, ensure_project, find_project
from superpose.service.people.quotas import check_quotas
from superpose.service.people.user import Member
from superpose.service.statuses import FINAL
from superpose.service.store.database import Database
from superpose.service.store.history import append_event
from superpose.service.store.pages import Part, read_page
from superpose.service.store.tables import jobs, keys, members, projects, quotas, users

__all__ = ["Projects"]

_MAX_TITLE = 200


class Projects:
    """The projects of a service and who belongs to them.

    Args:
        database: where they are kept.
        clock: what tells the time.
        changed: called after a change, so that nobody believes what was read before.
    """

    def __init__(self, database: Database, *, clock: Clock, changed: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._changed = changed

    def create(self, principal: Principal, name: str, *, title: str = "") -> Project:
        """A new project.

        Raises:
            ForbiddenError: the caller is no operator.
            RequestError: an unusable name or title.
            ConflictError: the name is taken, if only by an archived project.
        """
        principal.require_operator()
        check_name(name)
        _check_title(title)
        with self._database.write() as connection:
            taken = connection.execute(select(projects.c.name).where(projects.c.name == name)).first()
            if taken is not None:
                raise ConflictError(f"Project {name!r} exists. Choose another name.", kind="project", name=name)
            ensure_project(connection, name, title=title, at=self._clock(), actor=principal.key_id)
            return find_project(connection, principal, name)

    def list(self, principal: Principal, part: Part = Part()) -> Page[Project]:  # noqa: B008  # frozen
        """All projects by name, archived ones too, for an operator; for others their own.

        Raises:
            ForbiddenError: the caller's role is too small.
        """
        principal.require(Role.VIEWER)
        query = select(projects)
        if not principal.operator:
            query = query.where(projects.c.name == principal.project)
        with self._database.read() as connection:
            return read_page(
                connection, query, projects.c.name, part, lambda row: find_project(connection, principal, row["name"])
            )

    def get(self, principal: Principal, name: str) -> Project:
        """A project in the caller's reach.

        Raises:
            ForbiddenError: the caller's role is too small.
            NotFoundError: it is another one, and the caller no operator.
        """
        principal.require(Role.VIEWER)
        with self._database.read() as connection:
            return find_project(connection, principal, name)

    def change(self, principal: Principal, name: str, *, title: str) -> Project:
        """Give a project another title.

        Raises:
            ForbiddenError: the caller is no admin.
            NotFoundError: it is another project, and the caller no operator.
            RequestError: an unusable title.
        """
        principal.require(Role.ADMIN)
        _check_title(title)
        with self._database.write() as connection:
            before = find_project(connection, principal, name)
            connection.execute(update(projects).where(projects.c.name == name).values(title=title))
            self._record(connection, principal, name, "changed", {"before": before.title, "after": title})
            return find_project(connection, principal, name)

    def set_quotas(self, principal: Principal, name: str, wanted: Mapping[str, object]) -> Project:
        """Set what a project may use; quantities that are absent or None are not limited.

        Raises:
            ForbiddenError: the caller is no operator.
            NotFoundError: there is no such project.
            RequestError: an unknown quantity, or a number that is not whole or below 0.
        """
        principal.require_operator()
        allowed = check_quotas(wanted)
        with self._database.write() as connection:
            before = find_project(connection, principal, name)
            connection.execute(delete(quotas).where(quotas.c.project == name))
            rows = [{"project": name, "quantity": quantity, "allowed": n} for quantity, n in allowed.items()]
            if rows:
                connection.execute(insert(quotas), rows)
            self._record(connection, principal, name, "quotas_set", {"before": before.quotas, "after": allowed})
            changed = find_project(connection, principal, name)
        self._changed()
        return changed

    def archive(self, principal: Principal, name: str) -> Project:
        """Have no key of a project open anything from now on; all that it holds stays, until ``restore``.

        Raises:
            ForbiddenError: the caller is no operator.
            NotFoundError: there is no such project.
            ConflictError: it is the operator's own, or a job of it has not ended.
        """
        principal.require_operator()
        if name == OPERATOR_PROJECT:
            raise ConflictError(f"Project {name!r} is the operator's own and is not archived.", name=name)
        with self._database.write() as connection:
            found, now = find_project(connection, principal, name), self._clock()
            alive = jobs.c.status.not_in([*map(str, FINAL)])
            n_jobs = connection.execute(select(func.count()).where(jobs.c.project == name, alive)).scalar_one()
            if n_jobs:
                raise ConflictError(
                    f"Project {name!r} has {n_jobs} jobs that have not ended. Cancel them or wait for their end.",
                    name=name,
                    n_jobs=n_jobs,
                )
            archived = self._archive(connection, principal, found, now)
        self._changed()
        return archived

    def restore(self, principal: Principal, name: str) -> Project:
        """Take ``archive`` back.

        Raises:
            ForbiddenError: the caller is no operator.
            NotFoundError: there is no such project.
        """
        principal.require_operator()
        with self._database.write() as connection:
            restored = self._archive(connection, principal, find_project(connection, principal, name), None)
        self._changed()
        return restored

    def members(self, principal: Principal, name: str, part: Part = Part()) -> Page[Member]:  # noqa: B008  # frozen
        """Who belongs to a project.

        Raises:
            ForbiddenError: the caller is no admin.
            NotFoundError: it is another project, and the caller no operator.
        """
        principal.require(Role.ADMIN)
        with self._database.read() as connection:
            find_project(connection, principal, name)
            query = _members_of(name)
            return read_page(connection, query, members.c.user_id, part, _member)

    def set_member(self, principal: Principal, name: str, user_id: str, role: Role | str) -> Member:
        """Give a user a role in a project. Keys of the user there do no more than it from now on.

        Admins change the roles of their project's members; operators also bring in users of other projects.

        Raises:
            ForbiddenError: the caller is no admin.
            NotFoundError: no such project or user in the caller's reach.
            RequestError: an unknown role.
            ConflictError: it is the project's own account, or the last operator.
        """
        principal.require(Role.ADMIN)
        member_role, now = read_role(role), self._clock()
        with self._database.write() as connection:
            self._check_not_own(find_project(connection, principal, name), user_id)
            before = connection.execute(_members_of(name).where(members.c.user_id == user_id)).mappings().first()
            if before is None:
                known = connection.execute(select(users.c.id).where(users.c.id == user_id)).first()
                if known is None or not principal.operator:
                    raise _no_member(user_id, name)
                connection.execute(
                    insert(members).values(project=name, user_id=user_id, role=str(member_role), created_at=now)
                )
            else:
                of_user = (members.c.project == name) & (members.c.user_id == user_id)
                connection.execute(update(members).where(of_user).values(role=str(member_role)))
            data = {"user": user_id, "before": before and before["role"], "after": str(member_role)}
            self._record(connection, principal, name, "member_set", data)
            require_an_operator(connection, now)
            row = connection.execute(_members_of(name).where(members.c.user_id == user_id)).mappings().one()
            found = _member(row)
        self._changed()
        return found

    def remove_member(self, principal: Principal, name: str, user_id: str) -> None:
        """Take a user out of a project; the user's keys there are revoked.

        Raises:
            ForbiddenError: the caller is no admin.
            NotFoundError: no such project in the caller's reach, or no such member.
            ConflictError: it is the project's own account, or the last operator.
        """
        principal.require(Role.ADMIN)
        with self._database.write() as connection:
            now = self._clock()
            self._check_not_own(find_project(connection, principal, name), user_id)
            of_user = (members.c.project == name) & (members.c.user_id == user_id)
            if not connection.execute(delete(members).where(of_user)).rowcount:
                raise _no_member(user_id, name)
            theirs = (keys.c.project == name) & (keys.c.user_id == user_id) & keys.c.revoked_at.is_(None)
            ids = connection.execute(select(keys.c.id).where(theirs)).scalars().all()
            connection.execute(update(keys).where(theirs).values(revoked_at=now))
            self._record(connection, principal, name, "member_removed", {"user": user_id, "revoked_keys": list(ids)})
            require_an_operator(connection, now)
        self._changed()

    def _archive(self, connection: Connection, principal: Principal, found: Project, at: datetime | None) -> Project:
        if (found.archived_at is None) != (at is None):
            connection.execute(update(projects).where(projects.c.name == found.name).values(archived_at=at))
            self._record(connection, principal, found.name, "archived" if at else "restored", {})
        return find_project(connection, principal, found.name)

    def _check_not_own(self, project: Project, user_id: str) -> None:
        if user_id == project.account_id:
            raise ConflictError(
                f"User {user_id} is the own account of project {project.name!r}; its place there does not change.",
                id=user_id,
            )

    def _record(
        self, connection: Connection, principal: Principal, name: str, kind: str, data: Mapping[str, object]
    ) -> None:
        append_event(
            connection,
            subject=f"project:{name}",
            project=name,
            at=self._clock(),
            kind=kind,
            actor=principal.key_id,
            data=data,
        )


def _members_of(name: str) -> Select[Any]:
    return (
        select(members, users.c.name, users.c.kind)
        .join(users, users.c.id == members.c.user_id)
        .where(members.c.project == name)
    )


def _member(row: RowMapping) -> Member:
    values = {name: row[name] for name in Member.__dataclass_fields__}
    return Member(**{**values, "role": Role(row["role"])})


def _no_member(user_id: str, project: str) -> NotFoundError:
    return NotFoundError(f"There is no member {user_id!r} in project {project!r}.", kind="user", id=user_id)


def _check_title(title: str) -> None:
    if not isinstance(title, str) or len(title) > _MAX_TITLE or not title.isprintable():
        raise RequestError(f"title must be at most {_MAX_TITLE} printable characters.", field="title")
