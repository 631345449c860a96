"""What an API key is, without its secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping

from superpose.service.nouns import Role, iso

__all__ = ["Key", "key_from_row"]


@dataclass(frozen=True)
class Key:
    """An API key without its secret.

    Attributes:
        id: public id.
        project: where it is valid.
        role: what it may do there at most.
        label: what it is for.
        created_at: when it was made.
        expires_at: when it ends; None for never.
        revoked_at: when it was revoked.
        user_id: to whom it belongs.
        operator: whether its bearer operates the installation.
        scopes: what it may touch; None where only the role restricts.
        last_used_at: about when it was last used, some minutes old at most; None if never.
        previous_until: until when the secret before the last rotation is still taken.
    """

    id: str
    project: str
    role: Role
    label: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    user_id: str | None = None
    operator: bool = False
    scopes: tuple[str, ...] | None = None
    last_used_at: datetime | None = None
    previous_until: datetime | None = None

    def to_json(self) -> dict[str, object]:
        """The key as the API sends it."""
        return {
            "id": self.id,
            "project": self.project,
            "role": str(self.role),
            "label": self.label,
            "user": self.user_id,
            "operator": self.operator,
            "scopes": None if self.scopes is None else list(self.scopes),
            "created_at": iso(self.created_at),
            "expires_at": iso(self.expires_at),
            "revoked_at": iso(self.revoked_at),
            "last_used_at": iso(self.last_used_at),
            "previous_until": iso(self.previous_until),
        }


def key_from_row(row: RowMapping) -> Key:
    """The noun of a row of ``keys``."""
    values = {name: row[name] for name in Key.__dataclass_fields__}
    scopes = None if row["scopes"] is None else tuple(row["scopes"])
    return Key(**{**values, "role": Role(row["role"]), "operator": bool(row["operator"]), "scopes": scopes})
