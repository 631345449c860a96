"""The rule that somebody can always operate the installation."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, and_, func, select

from superpose.errors import ConflictError
from superpose.service.nouns import Role
from superpose.service.store.tables import keys, members, users

__all__ = ["require_an_operator"]


def require_an_operator(connection: Connection, now: datetime) -> None:
    """Refuse, and so roll back, a change after which no operator's key would open.

    Raises:
        ConflictError: no operator's key would be left.
    """
    left = connection.execute(
        select(func.count())
        .select_from(keys)
        .join(users, users.c.id == keys.c.user_id)
        .join(members, and_(members.c.project == keys.c.project, members.c.user_id == keys.c.user_id))
        .where(
            keys.c.operator.is_(True),
            keys.c.role == str(Role.ADMIN),
            keys.c.revoked_at.is_(None),
            keys.c.expires_at.is_(None) | (keys.c.expires_at > now),
            users.c.disabled_at.is_(None),
            members.c.role == str(Role.ADMIN),
        )
    ).scalar_one()
    if not left:
        raise ConflictError(
            "This would take away the last operator key; nobody could make another one. Make one first: "
            "superpose keys create --role admin --operator"
        )
