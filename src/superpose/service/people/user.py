"""What a user is, and a member."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from superpose.service.nouns import Role, iso

__all__ = ["Member", "User"]


@dataclass(frozen=True)
class User:
    """A person, or a service account that a program uses.

    Attributes:
        id: what keys and the audit log name.
        name: what people call it; can be changed, and stands in no log.
        email: where to reach it; optional.
        kind: ``person`` or ``service``.
        created_at: when it was made.
        disabled_at: since when its keys open nothing; None while they do.
        projects: project -> role, of the projects that the caller may see.
    """

    id: str
    name: str = field(repr=False)
    email: str | None = field(repr=False)
    kind: str
    created_at: datetime
    disabled_at: datetime | None
    projects: Mapping[str, Role]

    def to_json(self) -> dict[str, object]:
        """The user as the API sends it."""
        return {
            "id": self.id,
            "name": self.name,
            "email": self.email,
            "kind": self.kind,
            "created_at": iso(self.created_at),
            "disabled_at": iso(self.disabled_at),
            "projects": {name: str(role) for name, role in self.projects.items()},
        }


@dataclass(frozen=True)
class Member:
    """A user's role in a project."""

    project: str
    user_id: str
    name: str = field(repr=False)
    kind: str
    role: Role
    created_at: datetime

    def to_json(self) -> dict[str, object]:
        """The member as the API sends it."""
        return {
            "project": self.project,
            "user": self.user_id,
            "name": self.name,
            "kind": self.kind,
            "role": str(self.role),
            "created_at": iso(self.created_at),
        }
