"""Projects, users, keys and the audit log as the client sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from superpose.client.json_fields import Fields
from superpose.client.nouns import Noun
from superpose.trust import write_key_file

__all__ = ["AuditEntry", "Key", "Member", "NewKey", "Project", "Residency", "Usage", "User", "Verification"]


@dataclass(frozen=True)
class Key(Noun):
    """An API key without its secret.

    Attributes:
        id: public id.
        project: where it is valid.
        role: admin, editor, viewer or predictor.
        label: what it is for.
        created_at: when it was made.
        expires_at: when it ends; None for never.
        revoked_at: when it was revoked.
        user: id of the user to whom it belongs.
        operator: whether it operates the installation.
        scopes: what it may touch; None where only the role restricts.
        last_used_at: about when it was last used.
        previous_until: until when the secret before the last rotation is taken.
    """

    id: str
    project: str
    role: str
    label: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    user: str | None = None
    operator: bool = False
    scopes: tuple[str, ...] | None = None
    last_used_at: datetime | None = None
    previous_until: datetime | None = None

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A key from the service's JSON."""
        f = Fields.of("key", document)
        return cls(
            id=f.text("id"),
            project=f.text("project"),
            role=f.text("role"),
            label=f.maybe_text("label") or "",
            created_at=f.time("created_at"),
            expires_at=f.maybe_time("expires_at"),
            revoked_at=f.maybe_time("revoked_at"),
            user=f.maybe_text("user"),
            operator=f.members.get("operator") is True,
            scopes=None if f.members.get("scopes") is None else f.texts("scopes"),
            last_used_at=f.maybe_time("last_used_at"),
            previous_until=f.maybe_time("previous_until"),
        )


@dataclass(frozen=True)
class NewKey(Noun):
    """A key with a new secret, which the service tells this once only.

    The secret stands in no ``repr`` and no notebook display; keep it with ``write``.
    """

    key: Key
    secret: str = field(repr=False)

    def write(self, path: str | Path) -> Path:
        """Write the secret to a new file that only its owner can read (mode 0600).

        Raises:
            KeyFileError: the file exists already or cannot be written.
        """
        target = Path(path).expanduser()
        write_key_file(target, self.secret)
        return target


@dataclass(frozen=True)
class Project(Noun):
    """What isolates one group's things; ``quotas`` maps quantities to what is allowed, ``account`` is its own user."""

    name: str
    title: str
    account: str
    created_at: datetime
    archived_at: datetime | None
    quotas: Mapping[str, int]

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A project from the service's JSON."""
        f = Fields.of("project", document)
        return cls(
            name=f.text("name"),
            title=f.text("title"),
            account=f.text("account"),
            created_at=f.time("created_at"),
            archived_at=f.maybe_time("archived_at"),
            quotas=f.object("quotas"),
        )


@dataclass(frozen=True)
class Residency(Noun):
    """Where a project's programs and data may go.

    Attributes:
        project: whose rules.
        rules: regions, providers, deny_providers, backends, deny_backends and processors, None where one is not said;
            None altogether where programs may go anywhere.
        set_at: when they were set.
        set_by: id of the key that did.
    """

    project: str
    rules: Mapping[str, Any] | None
    set_at: datetime | None
    set_by: str | None

    @classmethod
    def from_json(cls, document: object) -> Self:
        """Rules from the service's JSON."""
        f = Fields.of("residency", document)
        rules = None if f.members.get("rules") is None else f.object("rules")
        return cls(f.text("project"), rules, f.maybe_time("set_at"), f.maybe_text("set_by"))


@dataclass(frozen=True)
class Usage(Noun):
    """What a project uses: quantity -> ``{"used", "allowed"}``; None is not limited, or not counted."""

    project: str
    at: datetime
    quantities: Mapping[str, Mapping[str, float | None]]

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A usage from the service's JSON."""
        f = Fields.of("usage", document)
        rows = {name: f.object(name) for name, value in f.members.items() if isinstance(value, dict)}
        return cls(project=f.text("project"), at=f.time("at"), quantities=rows)


@dataclass(frozen=True)
class User(Noun):
    """A person or a service account (``kind``); ``projects`` maps the projects that the caller sees to roles."""

    id: str
    name: str
    email: str | None
    kind: str
    created_at: datetime
    disabled_at: datetime | None
    projects: Mapping[str, str]

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A user from the service's JSON."""
        f = Fields.of("user", document)
        return cls(
            id=f.text("id"),
            name=f.text("name"),
            email=f.maybe_text("email"),
            kind=f.text("kind"),
            created_at=f.time("created_at"),
            disabled_at=f.maybe_time("disabled_at"),
            projects=f.object("projects"),
        )


@dataclass(frozen=True)
class Member(Noun):
    """A user's role in a project."""

    project: str
    user: str
    name: str
    kind: str
    role: str
    created_at: datetime

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A member from the service's JSON."""
        f = Fields.of("member", document)
        texts = {name: f.text(name) for name in ("project", "user", "name", "kind", "role")}
        return cls(**texts, created_at=f.time("created_at"))


@dataclass(frozen=True)
class AuditEntry(Noun):
    """A change: who made it and what it was; ``previous`` and ``digest`` link it to the entry before.

    ``document`` is the entry as the service sent it; its digest is made of that.
    """

    seq: int
    at: datetime
    project: str
    actor: str
    user: str | None
    action: str
    subject: str
    data: Mapping[str, Any]
    request_id: str | None
    source: str | None
    previous: str
    digest: str
    document: Mapping[str, Any] = field(repr=False)

    @classmethod
    def from_json(cls, document: object) -> Self:
        """An entry from the service's JSON."""
        f = Fields.of("audit entry", document)
        texts = {name: f.text(name) for name in ("project", "actor", "action", "subject", "previous", "digest")}
        return cls(
            **texts,
            seq=f.whole("seq"),
            at=f.time("at"),
            user=f.maybe_text("user"),
            data=f.object("data"),
            request_id=f.maybe_text("request_id"),
            source=f.maybe_text("source"),
            document=f.members,
        )


@dataclass(frozen=True)
class Verification(Noun):
    """Whether the audit log is as it was written; ``head`` (``SEQ:DIGEST``) is worth keeping elsewhere."""

    intact: bool
    n_entries: int
    head: str
    faults: tuple[Mapping[str, Any], ...]

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A verification from the service's JSON."""
        f = Fields.of("verification", document)
        return cls(
            intact=f.members.get("intact") is True,
            n_entries=f.whole("n_entries"),
            head=f.text("head"),
            faults=tuple(f.array("faults")),
        )
