"""The door: whom a secret stands for. Passed by every request, so it looks into memory first."""

from __future__ import annotations

import ipaddress
import time
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from sqlalchemy import and_, select

from superpose.errors import (
    KeyExpiredError,
    KeyInvalidError,
    KeyMissingError,
    ProjectArchivedError,
    TooManyWrongKeysError,
)
from superpose.service.nouns import Clock, Principal, Role
from superpose.service.people.buckets import Buckets
from superpose.service.people.key import Key, key_from_row
from superpose.service.people.last_used import LastUsed
from superpose.service.store.database import Database
from superpose.service.store.tables import keys, members, projects, quotas, users
from superpose.trust import key_digest, keys_equal, parse_key_id

__all__ = ["Door"]

_NO_DIGEST = "0" * 64


@dataclass(frozen=True)
class _Known:
    """A key as it was read, with what else decides whether it opens."""

    key: Key
    digest: str
    previous_digest: str
    member_role: Role | None
    archived: bool
    requests_per_minute: int | None


class Door:
    """Tells callers by their secrets.

    Args:
        database: where the keys are.
        clock: what tells the time.
        last_used: what writes down that a key was used.
        cache_s: how long what was read is believed; ``forget`` ends that at once in this process.
        wrong_keys_per_minute: wrong keys from one address that are answered as such; more are told to wait.
    """

    def __init__(
        self, database: Database, *, clock: Clock, last_used: LastUsed, cache_s: float, wrong_keys_per_minute: int
    ) -> None:
        self._database = database
        self._clock = clock
        self._last_used = last_used
        self._cache_s = cache_s
        self._wrong_keys_per_minute = wrong_keys_per_minute
        self._wrong = Buckets()
        self._cache: dict[str, tuple[float, _Known]] = {}
        self._n_changes = 0

    def authenticate(self, secret: str | None, source: str | None = None) -> Principal:
        """Whom the secret stands for.

        Args:
            secret: the key that was sent.
            source: the address it came from; wrong keys are counted by it.

        Raises:
            KeyMissingError: no key was given.
            KeyInvalidError: the key is unknown or revoked, or its user is disabled or no member any more.
            TooManyWrongKeysError: the same, after too many from one address.
            KeyExpiredError: the key's time is over.
            ProjectArchivedError: its project is archived.

        Cost: some 10 us for a key read within ``cache_s``.
        """
        if not secret:
            raise KeyMissingError("No API key was sent. Send it as 'Authorization: Bearer <key>'.")
        key_id = parse_key_id(secret)
        known = None if key_id is None else self._lookup(key_id)
        now = self._clock()
        # both are compared in any case, so that the time tells nothing about which ids exist or were rotated
        digest = key_digest(secret)
        current = keys_equal(digest, _NO_DIGEST if known is None else known.digest)
        previous = keys_equal(digest, _NO_DIGEST if known is None else known.previous_digest)
        if known is None or not (current or (previous and _in_grace(known.key, now))):
            self._refuse(source)
        key = known.key
        if key.revoked_at is not None or known.member_role is None:
            self._refuse(source)
        if key.expires_at is not None and key.expires_at <= now:
            raise KeyExpiredError(
                f"API key {key.id} expired at {key.expires_at:%Y-%m-%dT%H:%M:%SZ}. Ask an admin for a new one.",
                key_id=key.id,
            )
        if known.archived:
            raise ProjectArchivedError(
                f"Project {key.project!r} is archived, so its keys open nothing. Ask the operator of this installation "
                "to restore it.",
                project=key.project,
            )
        self._last_used.note(key.id)
        role = key.role if known.member_role.includes(key.role) else known.member_role
        operator = key.operator and role is Role.ADMIN
        return Principal(key.id, key.project, role, key.user_id, operator, key.scopes, known.requests_per_minute)

    def forget(self) -> None:
        """Believe nothing that was read before: keys, members, users or projects have changed."""
        self._n_changes += 1
        self._cache.clear()

    def _lookup(self, key_id: str) -> _Known | None:
        remembered = self._cache.get(key_id)
        now_s, n_changes = time.monotonic(), self._n_changes
        if remembered is not None and now_s - remembered[0] < self._cache_s:
            return remembered[1]
        known = self._read(key_id)
        if known is None:
            self._cache.pop(key_id, None)
        elif n_changes == self._n_changes:  # else what was read may be older than the change
            self._cache[key_id] = (now_s, known)
        return known

    def _read(self, key_id: str) -> _Known | None:
        per_minute = and_(quotas.c.project == keys.c.project, quotas.c.quantity == "requests_per_minute")
        query = (
            select(
                keys,
                members.c.role.label("member_role"),
                users.c.disabled_at,
                projects.c.archived_at,
                quotas.c.allowed,
            )
            .select_from(keys)
            .join(projects, projects.c.name == keys.c.project)
            .outerjoin(users, users.c.id == keys.c.user_id)
            .outerjoin(members, and_(members.c.project == keys.c.project, members.c.user_id == keys.c.user_id))
            .outerjoin(quotas, per_minute)
            .where(keys.c.id == key_id)
        )
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            return None
        gone = row["member_role"] is None or row["disabled_at"] is not None
        return _Known(
            key=key_from_row(row),
            digest=str(row["digest"]),
            previous_digest=row["previous_digest"] or _NO_DIGEST,
            member_role=None if gone else Role(row["member_role"]),
            archived=row["archived_at"] is not None,
            requests_per_minute=row["allowed"],
        )

    def _refuse(self, source: str | None) -> NoReturn:
        wait_s = None if source is None else self._wrong.take(_network(source), self._wrong_keys_per_minute)
        if wait_s is not None:
            raise TooManyWrongKeysError(
                f"More than {self._wrong_keys_per_minute} wrong API keys came from this address within a minute. Wait "
                f"{max(1, round(wait_s))} s, and send the right one.",
                retry_after_s=wait_s,
            )
        raise KeyInvalidError("The API key is unknown or revoked. Ask an admin of the project for a new one.")


def _in_grace(key: Key, now: datetime) -> bool:
    return key.previous_until is not None and now < key.previous_until


def _network(source: str) -> str:
    """What counts as one address: of IPv6 the network that one customer gets (/64)."""
    try:
        address = ipaddress.ip_address(source.partition("%")[0])
    except ValueError:
        return source[:100]
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
