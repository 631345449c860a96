"""The audit log: one entry per change, each with the SHA-256 of the one before, so that no past entry can be altered.

An entry's digest is the SHA-256 of its canonical JSON without ``digest`` and ``signature``; it covers ``previous``, the
digest of the entry before. ``audit_head`` holds the last one, so that a loss at the end is seen as well. Whoever can
write the database can write the whole chain anew: keep the head elsewhere from time to time, and compare. There is room
for a signature beside each entry; signing comes with the trust room.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update

from superpose.service.nouns import iso
from superpose.service.store.database import json_text
from superpose.service.store.origin import current_origin
from superpose.service.store.tables import audit, audit_head, keys
from superpose.trust import keys_equal, sha256_bytes

__all__ = [
    "FIRST_PREVIOUS",
    "AuditEntry",
    "Fault",
    "Verification",
    "append_entry",
    "entry_digest",
    "entry_from_row",
    "verify_entries",
    "verify_log",
]

#: What the first entry names as the digest before it.
FIRST_PREVIOUS = "0" * 64

#: Prefix of a subject -> the noun that an action begins with; a prefix that is not listed is its own noun.
_NOUNS = {"ds": "dataset", "ep": "endpoint", "mod": "module", "usr": "user"}
_BATCH = 1_000

# built once: each change runs all of these
_HEAD = select(audit_head.c.seq, audit_head.c.digest)
_USER_OF = select(keys.c.user_id).where(keys.c.id == bindparam("actor"))
_INSERT = insert(audit)
_FIRST_HEAD = insert(audit_head)
_MOVE_HEAD = update(audit_head).values(seq=bindparam("to_seq"), digest=bindparam("to_digest"))
_MAX_FAULTS = 100


@dataclass(frozen=True)
class AuditEntry:
    """A change: who made it, with which key, what was changed and to what, and where the request came from.

    Attributes:
        seq: place in the log, from 1 without gaps.
        at: when.
        project: whose thing was changed.
        actor: id of the key, or what else did it (a job, "first start").
        user_id: to whom the key belongs; None where no key was used.
        action: noun and verb, such as ``dataset.deleted``.
        subject: id of what was changed.
        data: facts of the change, digests among them; no secrets, nothing personal.
        request_id: the request, as the access log names it.
        source: the address that the request came from.
        previous: digest of the entry before.
        digest: this entry's own.
        signature: room for a signature over ``digest``.
    """

    seq: int
    at: datetime
    project: str
    actor: str
    user_id: str | None
    action: str
    subject: str
    data: Mapping[str, object]
    request_id: str | None
    source: str | None
    previous: str
    digest: str
    signature: str | None = None

    def to_json(self) -> dict[str, object]:
        """The entry as the API sends it and an export holds it."""
        return {
            "seq": self.seq,
            "at": iso(self.at),
            "project": self.project,
            "actor": self.actor,
            "user": self.user_id,
            "action": self.action,
            "subject": self.subject,
            "data": dict(self.data),
            "request_id": self.request_id,
            "source": self.source,
            "previous": self.previous,
            "digest": self.digest,
            "signature": self.signature,
        }


@dataclass(frozen=True)
class Fault:
    """What is wrong with the log at ``seq``; ``kind`` is changed, missing, or moved."""

    seq: int
    kind: str
    message: str

    def to_json(self) -> dict[str, object]:
        """The fault as the API sends it."""
        return {"seq": self.seq, "kind": self.kind, "message": self.message}


@dataclass(frozen=True)
class Verification:
    """What a check of the log found; ``head`` is ``SEQ:DIGEST`` of its last entry, worth keeping elsewhere."""

    n_entries: int
    head: str
    faults: tuple[Fault, ...]

    @property
    def intact(self) -> bool:
        """Whether no fault was found."""
        return not self.faults

    def to_json(self) -> dict[str, object]:
        """The result as the API sends it."""
        return {
            "intact": self.intact,
            "n_entries": self.n_entries,
            "head": self.head,
            "faults": [fault.to_json() for fault in self.faults],
        }


def append_entry(
    connection: Connection,
    *,
    subject: str,
    project: str,
    at: datetime,
    kind: str,
    actor: str,
    data: Mapping[str, object],
) -> None:
    """Add an entry within the caller's write transaction; it is there exactly if the change is."""
    head = connection.execute(_HEAD).first()
    seq, previous = (head.seq + 1, head.digest) if head else (1, FIRST_PREVIOUS)
    origin = current_origin()
    values: dict[str, Any] = {
        "seq": seq,
        "at": at,
        "project": project,
        "actor": actor,
        "user_id": connection.execute(_USER_OF, {"actor": actor}).scalar(),
        "action": f"{_noun(subject)}.{kind}",
        "subject": subject,
        "data": dict(data),
        "request_id": origin.request_id,
        "source": origin.source,
        "previous": previous,
    }
    digest = entry_digest(AuditEntry(**values, digest="").to_json())
    connection.execute(_INSERT, {**values, "digest": digest})
    if head is None:
        connection.execute(_FIRST_HEAD, {"one": 1, "seq": seq, "digest": digest})
    else:
        connection.execute(_MOVE_HEAD, {"to_seq": seq, "to_digest": digest})


def entry_digest(document: Mapping[str, object]) -> str:
    """The digest that belongs to an entry's JSON form."""
    facts = {name: value for name, value in document.items() if name not in {"digest", "signature"}}
    return sha256_bytes(json_text(facts).encode())


def entry_from_row(row: RowMapping) -> AuditEntry:
    """The entry of a row."""
    return AuditEntry(**{name: row[name] for name in AuditEntry.__dataclass_fields__})


def verify_log(connection: Connection, expected_head: tuple[int, str] | None = None) -> Verification:
    """Check every entry in the store: its digest, its link to the one before, that none is missing.

    Args:
        connection: a transaction that reads.
        expected_head: place and digest of an entry that was the last one once, as somebody wrote it down.

    Cost: some 0.1 ms per entry.
    """
    found = verify_entries((entry.to_json() for entry in _all(connection)), expected_head)
    head = connection.execute(select(audit_head.c.seq, audit_head.c.digest)).first()
    stated = f"{head.seq}:{head.digest}" if head else f"0:{FIRST_PREVIOUS}"
    if stated == found.head:
        return found
    seq = int(found.head.partition(":")[0])
    text = f"The log ends with entry {seq}, but the store says that {stated.partition(':')[0]} was the last."
    kind = "missing" if head and head.seq > seq else "changed"
    return Verification(found.n_entries, found.head, (*found.faults, Fault(seq + 1, kind, text)))


def verify_entries(
    documents: Iterable[Mapping[str, object]], expected_head: tuple[int, str] | None = None, *, whole: bool = True
) -> Verification:
    """Check entries in their JSON form, as an export holds them, in the order in which they come.

    Args:
        documents: the entries.
        expected_head: place and digest of one of them, written down earlier.
        whole: whether they are all entries from the first on; else gaps are allowed, as in one project's export.
    """
    faults: list[Fault] = []
    n_entries, last, previous = 0, 0, FIRST_PREVIOUS
    expected_seen = expected_head is None or (expected_head == (0, FIRST_PREVIOUS))
    for document in documents:
        n_entries += 1
        seq = _seq(document)
        if len(faults) < _MAX_FAULTS:
            faults += _faults(document, seq, last, previous, whole=whole)
        digest = str(document.get("digest"))
        if expected_head is not None and seq == expected_head[0]:
            expected_seen = keys_equal(digest, expected_head[1])
        last, previous = max(last, seq), digest
    if not expected_seen and expected_head is not None:
        text = f"Entry {expected_head[0]} is not the one that was written down: the log was written anew."
        faults.append(Fault(expected_head[0], "changed", text))
    return Verification(n_entries, f"{last}:{previous}", tuple(faults))


def _faults(document: Mapping[str, object], seq: int, last: int, previous: str, *, whole: bool) -> list[Fault]:
    """What is wrong with one entry, given the one before it."""
    found = []
    if seq <= last:
        found.append(Fault(seq, "moved", f"Entry {seq} stands behind entry {last}."))
    elif whole and seq != last + 1:
        names = f"Entry {last + 1} is" if seq == last + 2 else f"Entries {last + 1} to {seq - 1} are"
        found.append(Fault(last + 1, "missing", f"{names} missing."))
    if not keys_equal(entry_digest(document), str(document.get("digest"))):
        found.append(Fault(seq, "changed", f"Entry {seq} is not what its digest was made of: changed, or moved here."))
    elif seq == last + 1 and document.get("previous") != previous:
        found.append(Fault(seq, "moved", f"Entry {seq} was not written behind the entry that stands before it."))
    return found


def _seq(document: Mapping[str, object]) -> int:
    seq = document.get("seq")
    return seq if isinstance(seq, int) and not isinstance(seq, bool) else 0


def _all(connection: Connection) -> Iterable[AuditEntry]:
    last = 0
    while True:
        query = select(audit).where(audit.c.seq > last).order_by(audit.c.seq).limit(_BATCH)
        rows = connection.execute(query).mappings().all()
        for row in rows:
            yield entry_from_row(row)
        if len(rows) < _BATCH:
            return
        last = rows[-1]["seq"]


def _noun(subject: str) -> str:
    prefix = subject.partition(":")[0].partition("_")[0]
    return _NOUNS.get(prefix, prefix)
