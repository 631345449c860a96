"""API keys over their routes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from superpose.client.nouns import Listing
from superpose.client.people_nouns import Key, NewKey
from superpose.client.resources import Resource, items, segment
from superpose.errors import ProtocolError

__all__ = ["Keys"]


class Keys(Resource):
    """API keys; making and revoking them needs the role admin."""

    def create(  # the fields of a key
        self,
        *,
        project: str | None = None,
        role: str = "editor",
        label: str = "",
        expires_at: datetime | None = None,
        user: str | None = None,
        scopes: Sequence[str] | None = None,
        operator: bool = False,
    ) -> NewKey:
        """A new key with its secret, told this once only.

        Args:
            project: where it is valid; the caller's where it is left out. Operators name any.
            role: admin, editor, viewer or predictor.
            label: what it is for.
            expires_at: when it ends; where it is left out, never, or as late as the service allows.
            user: id of the member to whom it belongs; the caller's own where it is left out.
            scopes: what it may touch, such as ``["endpoints/triage:predict"]``; all that the role may where left out.
            operator: whether it operates the whole installation.

        Raises:
            ApiError: ``auth.forbidden``, ``auth.scope`` or ``service.request``, as the message says.
        """
        document: dict[str, Any] = {
            "project": project,
            "role": role,
            "label": label,
            "expires_at": None if expires_at is None else expires_at.isoformat(),
            "user": user,
            "scopes": None if scopes is None else list(scopes),
            "operator": operator or None,  # a service of an older release knows no such field
        }
        return _with_secret(self._post("/v1/keys", document))

    def list(self) -> Listing[Key]:
        """All keys that the caller may see, revoked ones too."""
        return items(self._transport, "/v1/keys", Key.from_json, {}, None)

    def get(self, key_id: str) -> Key:
        """One key; the caller's own with any role."""
        return Key.from_json(self._get(f"/v1/keys/{segment(key_id)}"))

    def rotate(self, key_id: str, *, grace_s: float = 86_400.0, expires_at: datetime | None = None) -> NewKey:
        """A new secret for a key, told this once only; id, role and scopes stay.

        Args:
            key_id: the key; the caller's own with any role.
            grace_s: how long the old secret still counts, 0 s to 30 days.
            expires_at: the key's new end; it stays where this is left out.

        Raises:
            ApiError: no such key, or ``service.request`` for a key that has ended.
        """
        document = {"grace_s": grace_s, "expires_at": None if expires_at is None else expires_at.isoformat()}
        return _with_secret(self._post(f"/v1/keys/{segment(key_id)}/rotate", document))

    def revoke(self, key_id: str) -> None:
        """Make a key useless from now on."""
        self._delete(f"/v1/keys/{segment(key_id)}")


def _with_secret(answer: Any) -> NewKey:
    secret = answer.get("secret") if isinstance(answer, dict) else None
    if not isinstance(secret, str):
        raise ProtocolError("The service's answer to a new key holds no secret.")
    return NewKey(Key.from_json(answer), secret)
