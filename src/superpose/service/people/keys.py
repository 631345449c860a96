"""API keys: minted once, stored as SHA-256, checked on every request.

The project in which a service's first key is minted is the operator's: its admins make keys for every project, other
projects' admins for their own.
"""

from __future__ import annotations

import time
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, insert, literal_column, select, update

from superpose.errors import (
    ConflictError,
    ForbiddenError,
    KeyExpiredError,
    KeyInvalidError,
    KeyMissingError,
    NotFoundError,
    RequestError,
)
from superpose.service.names import check_name
from superpose.service.nouns import Clock, Key, Page, Principal, Role
from superpose.service.store.database import Database
from superpose.service.store.datadir import DataDir
from superpose.service.store.history import append_event
from superpose.service.store.pages import Part, read_page
from superpose.service.store.tables import keys, projects
from superpose.trust import key_digest, keys_equal, mint_key, parse_key_id, read_key_file, write_key_file

__all__ = ["OPERATOR_PROJECT", "Keys"]

#: Project of the first key.
OPERATOR_PROJECT = "default"

_MAX_LABEL = 200
_NO_DIGEST = "0" * 64


class Keys:
    """The keys of a service, and whom each stands for.

    Args:
        database: where they are kept.
        clock: what tells the time.
        cache_s: how long a key read from the store is believed; a key revoked in this process is forgotten at once.
    """

    def __init__(self, database: Database, *, clock: Clock, cache_s: float) -> None:
        self._database = database
        self._clock = clock
        self._cache_s = cache_s
        self._cache: dict[str, tuple[float, Key, str]] = {}
        self._n_revoked = 0

    def authenticate(self, secret: str | None) -> Principal:
        """Whom the key stands for.

        Raises:
            KeyMissingError: no key was given.
            KeyInvalidError: the key is unknown or revoked.
            KeyExpiredError: the key's time is over.
        """
        if not secret:
            raise KeyMissingError("No API key was sent. Send it as 'Authorization: Bearer <key>'.")
        key_id = parse_key_id(secret)
        found = None if key_id is None else self._lookup(key_id)
        key, digest = found or (None, _NO_DIGEST)
        # compared in any case, so that the time tells nothing about which ids exist
        if not keys_equal(key_digest(secret), digest) or key is None or key.revoked_at is not None:
            raise KeyInvalidError("The API key is unknown or revoked. Ask an admin of the project for a new one.")
        if key.expires_at is not None and key.expires_at <= self._clock():
            raise KeyExpiredError(
                f"API key {key.id} expired at {key.expires_at:%Y-%m-%dT%H:%M:%SZ}. Ask an admin for a new one.",
                key_id=key.id,
            )
        return Principal(key.id, key.project, key.role)

    def create(
        self,
        principal: Principal,
        *,
        project: str | None = None,
        role: Role | str,
        label: str = "",
        expires_at: datetime | None = None,
    ) -> tuple[Key, str]:
        """A new key and its secret, which is shown this once. A project comes into being with its first key.

        Raises:
            ForbiddenError: the caller is no admin, or an admin of another project than the operator's asks for a key
                elsewhere.
            RequestError: unknown role, unusable name or label, or a time that is past or has no zone.
        """
        principal.require(Role.ADMIN)
        project = principal.project if project is None else check_name(project, "project")
        if project != principal.project and principal.project != OPERATOR_PROJECT:
            raise ForbiddenError(
                f"Admins of project {principal.project!r} make keys for that project only; got {project!r}. "
                f"Keys of other projects are made by admins of {OPERATOR_PROJECT!r}.",
                project=project,
            )
        key_role, now = _role(role), self._clock()
        _check_label(label)
        if expires_at is not None and (expires_at.tzinfo is None or expires_at <= now):
            raise RequestError(
                f"expires_at must be a future time with a zone, got {expires_at.isoformat()}.", field="expires_at"
            )
        key_id, secret = mint_key()
        key = Key(key_id, project, key_role, label, now, expires_at)
        with self._database.write() as connection:
            _insert_key(connection, key, secret, actor=principal.key_id)
        return key, secret

    def list(self, principal: Principal, part: Part = Part()) -> Page[Key]:  # noqa: B008  # frozen
        """Keys of the caller's project, oldest first; an operator's admin sees those of all projects.

        Raises:
            ForbiddenError: the caller is no admin.
        """
        principal.require(Role.ADMIN)
        query = select(keys)
        if principal.project != OPERATOR_PROJECT:
            query = query.where(keys.c.project == principal.project)
        with self._database.read() as connection:
            return read_page(connection, query, literal_column("keys.rowid"), part, _key)

    def revoke(self, principal: Principal, key_id: str) -> Key:
        """Revoke a key from now on; again has no further effect.

        Raises:
            ForbiddenError: the caller is no admin.
            NotFoundError: no such key in the caller's reach.
            ConflictError: it is the operator's last admin key; without it nobody could make another.
        """
        principal.require(Role.ADMIN)
        with self._database.write() as connection:
            row = connection.execute(select(keys).where(keys.c.id == key_id)).mappings().first()
            if row is None or principal.project not in {row["project"], OPERATOR_PROJECT}:
                raise NotFoundError(f"There is no key {key_id!r} in this project.", kind="key", id=key_id)
            key, now = _key(row), self._clock()
            if key.revoked_at is not None:
                return key
            if key.project == OPERATOR_PROJECT and self._is_last_admin(connection, key, now):
                raise ConflictError(
                    f"Key {key_id} is the last admin key of project {OPERATOR_PROJECT!r}. Make another one first.",
                    key_id=key_id,
                )
            connection.execute(update(keys).where(keys.c.id == key_id).values(revoked_at=now))
            append_event(
                connection, subject=key_id, project=key.project, at=now, kind="revoked", actor=principal.key_id
            )
        self._n_revoked += 1
        self._cache.pop(key_id, None)
        return Key(key.id, key.project, key.role, key.label, key.created_at, key.expires_at, now)

    def mint_first(self, data_dir: DataDir) -> None:
        """Mint the operator's admin key into its file if there is no key yet. The secret is never shown."""
        with self._database.write() as connection:
            if connection.execute(select(func.count()).select_from(keys)).scalar_one():
                return
            path = data_dir.admin_key_path
            if path.exists():  # an earlier first start died between file and commit
                secret = read_key_file(path)
            else:
                _, secret = mint_key()
                write_key_file(path, secret)
            key_id = parse_key_id(secret) or ""
            key = Key(key_id, OPERATOR_PROJECT, Role.ADMIN, "first admin key", self._clock())
            _insert_key(connection, key, secret, actor="first start")

    def _lookup(self, key_id: str) -> tuple[Key, str] | None:
        known = self._cache.get(key_id)
        now, n_revoked = time.monotonic(), self._n_revoked
        if known is not None and now - known[0] < self._cache_s:
            return known[1], known[2]
        with self._database.read() as connection:
            row = connection.execute(select(keys).where(keys.c.id == key_id)).mappings().first()
        if row is None:
            self._cache.pop(key_id, None)
            return None
        key, digest = _key(row), str(row["digest"])
        if n_revoked == self._n_revoked:  # else what was read may be older than the revocation
            self._cache[key_id] = (now, key, digest)
        return key, digest

    def _is_last_admin(self, connection: Connection, key: Key, now: datetime) -> bool:
        if key.role is not Role.ADMIN:
            return False
        others = connection.execute(
            select(func.count()).where(
                keys.c.project == key.project,
                keys.c.role == str(Role.ADMIN),
                keys.c.id != key.id,
                keys.c.revoked_at.is_(None),
                keys.c.expires_at.is_(None) | (keys.c.expires_at > now),
            )
        ).scalar_one()
        return not others


def _insert_key(connection: Connection, key: Key, secret: str, *, actor: str) -> None:
    if connection.execute(select(projects).where(projects.c.name == key.project)).first() is None:
        connection.execute(insert(projects).values(name=key.project, created_at=key.created_at))
    connection.execute(
        insert(keys).values(
            id=key.id,
            project=key.project,
            role=str(key.role),
            label=key.label,
            digest=key_digest(secret),
            created_at=key.created_at,
            expires_at=key.expires_at,
        )
    )
    data = {"role": str(key.role), "label": key.label}
    append_event(
        connection, subject=key.id, project=key.project, at=key.created_at, kind="created", actor=actor, data=data
    )


def _key(row: RowMapping) -> Key:
    names = ("id", "project", "label", "created_at", "expires_at", "revoked_at")
    return Key(**{name: row[name] for name in names}, role=Role(row["role"]))


def _role(role: Role | str) -> Role:
    try:
        return Role(role)
    except ValueError:
        allowed = [str(r) for r in Role]
        raise RequestError(
            f"role must be one of {', '.join(allowed)}; got {role!r}.", field="role", allowed=allowed
        ) from None


def _check_label(label: str) -> None:
    if not isinstance(label, str) or len(label) > _MAX_LABEL or not label.isprintable():
        raise RequestError(f"label must be at most {_MAX_LABEL} printable characters.", field="label")
