"""That a data directory was restored from a backup stands in its audit log, from its next start on.

Who was revoked after the backup was made is valid again, and what was done since is not in it: auditors want to know.
``restore`` leaves a note beside the store, which it does not open: only a server of the same or a newer release may.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from superpose.service.nouns import Clock
from superpose.service.people.project import OPERATOR_PROJECT
from superpose.service.store.audit_log import append_entry
from superpose.service.store.database import Database

__all__ = ["leave_note", "tell_of_it"]

_NOTE = "restored.json"


def leave_note(room: Path, *, created_at: str, release: str, restored_at: str) -> None:
    """Write down beside a store from which backup it was made."""
    facts = {"backup_at": created_at, "release": release, "restored_at": restored_at}
    descriptor = os.open(room / _NOTE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(facts) + "\n")


def tell_of_it(database: Database, room: Path, clock: Clock) -> None:
    """Have a restore that left a note in the audit log, once: ``store.restored``."""
    note = room / _NOTE
    try:
        facts = json.loads(note.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        facts = {}
    with database.write() as connection:
        append_entry(
            connection,
            subject="store",
            project=OPERATOR_PROJECT,
            at=clock(),
            kind="restored",
            actor="superpose restore",
            data=facts if isinstance(facts, dict) else {},
        )
    note.unlink()
