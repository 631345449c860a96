"""The audit log over its routes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from superpose.client.nouns import Listing
from superpose.client.people_nouns import AuditEntry, Verification
from superpose.client.resources import Resource, items
from superpose.client.transport import Call
from superpose.errors import ProtocolError

__all__ = ["Audit"]

_EXPORT_TIMEOUT_S = 600.0


class Audit(Resource):
    """Who changed what; for admins of a project its entries, for operators all.

    Filters, each optional: ``project``, ``actor`` (id of a key), ``user`` (id), ``action`` (``dataset.deleted`` or
    ``dataset``), ``subject`` (id of what was changed), ``request_id``, ``since`` and ``until`` (aware times).
    """

    def list(self, *, limit: int | None = 100, **filters: str | datetime | None) -> Listing[AuditEntry]:
        """The newest entries first, at most ``limit``; all for None."""
        return items(self._transport, "/v1/audit", AuditEntry.from_json, _query(filters), limit)

    def export(self, **filters: str | datetime | None) -> Iterator[AuditEntry]:
        """All entries, oldest first, as they arrive.

        Raises:
            ApiError: the caller is no admin.
            ProtocolError: a line that is no entry.
        """
        call = Call("GET", "/v1/audit/export", query=_query(filters), timeout_s=_EXPORT_TIMEOUT_S)
        with self._transport.stream(call) as chunks:
            rest = b""
            for chunk in chunks:
                *lines, rest = (rest + chunk).split(b"\n")
                yield from map(_entry, lines)
            if rest:
                raise ProtocolError("The export of the audit log broke off in the middle of an entry.")

    def verify(self, head: str | None = None) -> Verification:
        """Whether the whole log is as it was written; for operators.

        Args:
            head: ``head`` of an earlier verification, kept elsewhere; tells whether the log was written anew since.
        """
        query = {} if head is None else {"head": head}
        call = Call("GET", "/v1/audit/verification", query=query, timeout_s=_EXPORT_TIMEOUT_S)
        return Verification.from_json(self._read(call))


def _query(filters: dict[str, str | datetime | None]) -> dict[str, str]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in filters.items()
        if value is not None
    }


def _entry(line: bytes) -> AuditEntry:
    try:
        document: Any = json.loads(line)
    except ValueError:
        raise ProtocolError("A line of the audit log's export is not JSON.") from None
    return AuditEntry.from_json(document)
