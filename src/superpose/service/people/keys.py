"""API keys: minted once, stored as SHA-256, rotated, revoked.

A key belongs to a user and is valid in one project. Admins make keys for their own project, operators for every one.
No caller can make a key that may do more than the caller's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, insert, literal_column, select, update

from superpose.errors import ForbiddenError, NotFoundError, RequestError, ScopeError
from superpose.service.names import check_name
from superpose.service.nouns import Clock, Page, Principal, Role, iso
from superpose.service.people.key import Key, key_from_row
from superpose.service.people.operators import require_an_operator
from superpose.service.people.project import OPERATOR_PROJECT, ensure_project
from superpose.service.people.scopes import read_scopes
from superpose.service.store.database import Database
from superpose.service.store.datadir import DataDir
from superpose.service.store.history import append_event
from superpose.service.store.pages import Part, read_page
from superpose.service.store.tables import keys, members, users
from superpose.trust import key_digest, mint_key, parse_key_id, read_key_file, write_key_file

__all__ = ["DEFAULT_GRACE_S", "MAX_GRACE_S", "Keys", "read_role"]

#: How long the old secret is taken after a rotation, by default and at most.
DEFAULT_GRACE_S = 86_400.0
MAX_GRACE_S = 30 * 86_400.0

_MAX_LABEL = 200


class Keys:
    """The keys of a service.

    Args:
        database: where they are kept.
        clock: what tells the time.
        max_key_days: how long a new key may be valid at most; None for no end.
        changed: called after a change, so that nobody believes what was read before.
    """

    def __init__(
        self, database: Database, *, clock: Clock, max_key_days: float | None, changed: Callable[[], None]
    ) -> None:
        self._database = database
        self._clock = clock
        self._max_age = None if max_key_days is None else timedelta(days=max_key_days)
        self._changed = changed

    def create(  # noqa: PLR0913  # the fields of a key
        self,
        principal: Principal,
        *,
        role: Role | str,
        project: str | None = None,
        label: str = "",
        expires_at: datetime | None = None,
        user: str | None = None,
        scopes: tuple[str, ...] | list[str] | None = None,
        operator: bool = False,
    ) -> tuple[Key, str]:
        """A new key and its secret, which is shown this once.

        Args:
            principal: the caller, an admin.
            role: what the key may do.
            project: where; the caller's by default. Operators name any, and it comes into being if it is not there.
            label: what the key is for.
            expires_at: when it ends; by default never, or as late as the installation's ``max_key_days`` allows.
            user: id of the member to whom it belongs; by default the caller's user, in another project that project's
                own service account.
            scopes: what it may touch; by default all that the caller's key may.
            operator: whether it operates the installation; only operators give that on.

        Raises:
            ForbiddenError: the caller is no admin, or no operator where one is needed.
            ScopeError: it would reach beyond the caller's own scopes.
            RequestError: an unusable role, name, label, time or scope, or a role beyond the user's own.
            NotFoundError: no such member of the project.
        """
        principal.require(Role.ADMIN)
        project = principal.project if project is None else check_name(project, "project")
        if project != principal.project and not principal.operator:
            raise ForbiddenError(
                f"Admins of project {principal.project!r} make keys for that project only; got {project!r}. "
                "Keys of other projects are made by operators.",
                project=project,
            )
        key_role, now = read_role(role), self._clock()
        _check_operator(principal, operator, key_role)
        _check_label(label)
        allowed_scopes = _scopes_for(principal, read_scopes(scopes))
        key_id, secret = mint_key()
        with self._database.write() as connection:
            account_id = ensure_project(connection, project, at=now, actor=principal.key_id)
            own = principal.user_id if project == principal.project else None
            key = Key(
                id=key_id,
                project=project,
                role=key_role,
                label=label,
                created_at=now,
                expires_at=self._expiry(expires_at, now),
                user_id=_check_member(connection, project, user or own or account_id, key_role),
                operator=operator,
                scopes=allowed_scopes,
            )
            _insert_key(connection, key, secret, actor=principal.key_id)
        return key, secret

    def list(self, principal: Principal, part: Part = Part()) -> Page[Key]:  # noqa: B008  # frozen
        """Keys of the caller's project, oldest first; an operator sees those of all projects.

        Raises:
            ForbiddenError: the caller is no admin.
        """
        principal.require(Role.ADMIN)
        query = select(keys)
        if not principal.operator:
            query = query.where(keys.c.project == principal.project)
        with self._database.read() as connection:
            return read_page(connection, query, literal_column("keys.rowid"), part, key_from_row)

    def get(self, principal: Principal, key_id: str) -> Key:
        """A key; every caller may look at its own.

        Raises:
            ForbiddenError: the caller is no admin, and the key is another one.
            NotFoundError: no such key in the caller's reach.
        """
        if key_id != principal.key_id:
            principal.require(Role.ADMIN)
        with self._database.read() as connection:
            return _find(connection, principal, key_id)

    def rotate(
        self,
        principal: Principal,
        key_id: str,
        *,
        grace_s: float = DEFAULT_GRACE_S,
        expires_at: datetime | None = None,
    ) -> tuple[Key, str]:
        """A new secret for a key, which keeps its id, role and scopes; the old secret is taken for ``grace_s`` more.

        Every caller may rotate its own key, but not put off its end.

        Args:
            principal: the caller.
            key_id: the key.
            grace_s: how long the old secret still counts, 0 s to 30 days. One that was rotated before ends at once.
            expires_at: the key's new end; by default it stays.

        Raises:
            ForbiddenError: the caller is no admin and the key another one, or it is an operator's and the caller none.
            ScopeError: the key reaches beyond the caller's own scopes.
            NotFoundError: no such key in the caller's reach.
            RequestError: ``grace_s`` or ``expires_at`` out of range, or the key has ended.
        """
        if key_id != principal.key_id or expires_at is not None:
            principal.require(Role.ADMIN)
        if isinstance(grace_s, bool) or not isinstance(grace_s, int | float) or not 0 <= grace_s <= MAX_GRACE_S:
            raise RequestError(
                f"grace_s must be 0 to {MAX_GRACE_S:,.0f} seconds (30 days), got {grace_s!r}.", field="grace_s"
            )
        secret, now = _mint_for(key_id), self._clock()
        with self._database.write() as connection:
            before = _find(connection, principal, key_id)
            _check_reach(principal, before)
            ended = before.revoked_at or (before.expires_at if _is_past(before.expires_at, now) else None)
            if ended is not None:
                raise RequestError(f"Key {key_id} ended at {iso(ended)}; make a new one.", field="id")
            end = before.expires_at if expires_at is None else self._expiry(expires_at, now)
            until = now + timedelta(seconds=grace_s) if grace_s else None
            old = select(keys.c.digest).where(keys.c.id == key_id).scalar_subquery() if grace_s else None
            connection.execute(
                update(keys)
                .where(keys.c.id == key_id)
                .values(previous_digest=old, previous_until=until, digest=key_digest(secret), expires_at=end)
            )
            data = {"previous_until": iso(until), "before": iso(before.expires_at), "after": iso(end)}
            _record(connection, before, now, "rotated", principal.key_id, data)
            key = _find(connection, principal, key_id)
        self._changed()
        return key, secret

    def revoke(self, principal: Principal, key_id: str) -> Key:
        """Revoke a key from now on; again has no further effect.

        Raises:
            ForbiddenError: the caller is no admin, or the key an operator's and the caller none.
            NotFoundError: no such key in the caller's reach.
            ConflictError: it is the last operator key; without it nobody could make another.
        """
        principal.require(Role.ADMIN)
        with self._database.write() as connection:
            key, now = _find(connection, principal, key_id), self._clock()
            if key.revoked_at is not None:
                return key
            if key.operator:
                principal.require_operator()
            connection.execute(update(keys).where(keys.c.id == key_id).values(revoked_at=now))
            _record(connection, key, now, "revoked", principal.key_id, {})
            require_an_operator(connection, now)
            revoked = _find(connection, principal, key_id)
        self._changed()
        return revoked

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
            now, actor = self._clock(), "first start"
            account_id = ensure_project(connection, OPERATOR_PROJECT, at=now, actor=actor)
            key = Key(
                id=parse_key_id(secret) or "",
                project=OPERATOR_PROJECT,
                role=Role.ADMIN,
                label="first admin key",
                created_at=now,
                user_id=account_id,
                operator=True,
            )
            _insert_key(connection, key, secret, actor=actor)

    def _expiry(self, expires_at: datetime | None, now: datetime) -> datetime | None:
        """When a key that is asked for ends."""
        latest = None if self._max_age is None else now + self._max_age
        if expires_at is None:
            return latest
        if expires_at.tzinfo is None or expires_at <= now:
            raise RequestError(
                f"expires_at must be a future time with a zone, got {expires_at.isoformat()}.", field="expires_at"
            )
        if latest is not None and expires_at > latest:
            raise RequestError(
                f"expires_at must be at most {self._max_age} from now here ({iso(latest)}), got "
                f"{expires_at.isoformat()}. Ask for less, and rotate the key before it ends.",
                field="expires_at",
                latest=iso(latest),
            )
        return expires_at


def read_role(role: Role | str) -> Role:
    """A role by its name.

    Raises:
        RequestError: there is none of this name.
    """
    try:
        return Role(role)
    except ValueError:
        allowed = [str(r) for r in Role]
        raise RequestError(
            f"role must be one of {', '.join(allowed)}; got {role!r}.", field="role", allowed=allowed
        ) from None


def _find(connection: Connection, principal: Principal, key_id: str) -> Key:
    row = connection.execute(select(keys).where(keys.c.id == key_id)).mappings().first()
    if row is None or not (principal.operator or principal.project == row["project"]):
        raise NotFoundError(f"There is no key {key_id!r} in this project.", kind="key", id=key_id)
    return key_from_row(row)


def _insert_key(connection: Connection, key: Key, secret: str, *, actor: str) -> None:
    values = {name: getattr(key, name) for name in Key.__dataclass_fields__}
    scopes = None if key.scopes is None else list(key.scopes)
    connection.execute(
        insert(keys).values(**{**values, "role": str(key.role), "scopes": scopes, "digest": key_digest(secret)})
    )
    names = ("role", "label", "user", "operator", "scopes", "expires_at")
    document = key.to_json()
    _record(connection, key, key.created_at, "created", actor, {name: document[name] for name in names})


def _record(connection: Connection, key: Key, at: datetime, kind: str, actor: str, data: Mapping[str, object]) -> None:
    append_event(connection, subject=key.id, project=key.project, at=at, kind=kind, actor=actor, data=data)


def _check_operator(principal: Principal, operator: bool, role: Role) -> None:
    if not operator:
        return
    principal.require_operator()
    if role is not Role.ADMIN:
        raise RequestError(f"An operator's key has the role admin, got {role}.", field="operator")


def _check_member(connection: Connection, project: str, user_id: str, role: Role) -> str:
    """The user, if it is a member of the project whose role includes the key's."""
    member = connection.execute(
        select(members.c.role, users.c.disabled_at)
        .join(users, users.c.id == members.c.user_id)
        .where(members.c.project == project, members.c.user_id == user_id)
    ).first()
    if member is None or member.disabled_at is not None:
        raise NotFoundError(
            f"There is no member {user_id!r} in project {project!r} (superpose users list).", kind="user", id=user_id
        )
    if not Role(member.role).includes(role):
        raise RequestError(
            f"User {user_id} is {member.role} of project {project!r}, so its keys cannot be {role}.", field="role"
        )
    return user_id


def _check_reach(principal: Principal, key: Key) -> None:
    """Refuse to hand out the secret of a key that may do more than the caller's own."""
    if key.operator:
        principal.require_operator()
    if principal.scopes is not None and key.id != principal.key_id:
        _scopes_for(principal, key.scopes or ())


def _scopes_for(principal: Principal, wanted: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The scopes of a new key: those wanted, if the caller has them; the caller's own where none are named."""
    if principal.scopes is None:
        return wanted
    if wanted is None:
        return principal.scopes
    beyond = sorted(set(wanted) - set(principal.scopes))
    if beyond or not wanted:
        raise ScopeError(
            f"Key {principal.key_id} gives on its own scopes only: {', '.join(principal.scopes)}.",
            scopes=list(principal.scopes),
            beyond=beyond,
        )
    return wanted


def _mint_for(key_id: str) -> str:
    """A new secret that names a key which is there already."""
    minted, secret = mint_key()
    return secret.replace(minted, key_id)


def _is_past(at: datetime | None, now: datetime) -> bool:
    return at is not None and at <= now


def _check_label(label: str) -> None:
    if not isinstance(label, str) or len(label) > _MAX_LABEL or not label.isprintable():
        raise RequestError(f"label must be at most {_MAX_LABEL} printable characters.", field="label")
