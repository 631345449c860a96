"""Users, members of projects, quotas, scopes and rotation of keys, and the audit log.

Keys of earlier releases come to belong to their project's own service account, as do all keys that are made without
naming a user. Admin keys of the project ``default`` were the operator's, and stay so.
"""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration, Obstacle

__all__ = ["PEOPLE"]

_UP = (
    "ALTER TABLE projects ADD COLUMN title TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE projects ADD COLUMN archived_at INTEGER",
    "ALTER TABLE projects ADD COLUMN account_id TEXT",
    """CREATE TABLE users (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        email TEXT,
        kind TEXT NOT NULL CHECK (kind IN ('person', 'service')),
        created_at INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        disabled_at INTEGER
    )""",
    """CREATE TABLE members (
        project TEXT NOT NULL REFERENCES projects (name),
        user_id TEXT NOT NULL REFERENCES users (id),
        role TEXT NOT NULL CHECK (role IN ('admin', 'editor', 'viewer', 'predictor')),
        created_at INTEGER NOT NULL,
        PRIMARY KEY (project, user_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX members_by_user ON members (user_id)",
    """CREATE TABLE quotas (
        project TEXT NOT NULL REFERENCES projects (name),
        quantity TEXT NOT NULL,
        allowed INTEGER NOT NULL CHECK (allowed >= 0),
        PRIMARY KEY (project, quantity)
    ) WITHOUT ROWID""",
    "ALTER TABLE keys ADD COLUMN user_id TEXT",
    "ALTER TABLE keys ADD COLUMN operator INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE keys ADD COLUMN scopes TEXT",
    "ALTER TABLE keys ADD COLUMN last_used_at INTEGER",
    "ALTER TABLE keys ADD COLUMN previous_digest TEXT",
    "ALTER TABLE keys ADD COLUMN previous_until INTEGER",
    # compute seconds of a day and a month are read from attempts
    "CREATE INDEX attempts_by_end ON attempts (ended_at)",
    # each row holds the digest of the one before; the only change ever is a signature's coming
    """CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        project TEXT NOT NULL,
        actor TEXT NOT NULL,
        user_id TEXT,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        data TEXT NOT NULL,
        request_id TEXT,
        source TEXT,
        previous TEXT NOT NULL,
        digest TEXT NOT NULL,
        signature TEXT
    )""",
    "CREATE INDEX audit_by_project ON audit (project, seq)",
    "CREATE INDEX audit_by_subject ON audit (subject, seq)",
    """CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
        WHEN OLD.signature IS NOT NULL OR NEW.signature IS NULL OR NEW.digest <> OLD.digest
        OR NEW.previous <> OLD.previous OR NEW.seq <> OLD.seq OR NEW.at <> OLD.at OR NEW.project <> OLD.project
        OR NEW.actor <> OLD.actor OR NEW.user_id IS NOT OLD.user_id OR NEW.action <> OLD.action
        OR NEW.subject <> OLD.subject OR NEW.data <> OLD.data OR NEW.request_id IS NOT OLD.request_id
        OR NEW.source IS NOT OLD.source
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    # what the last row is, so that its loss is seen too
    """CREATE TABLE audit_head (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        seq INTEGER NOT NULL,
        digest TEXT NOT NULL
    )""",
    "UPDATE projects SET account_id = 'usr_' || lower(hex(randomblob(6)))",
    "INSERT INTO users SELECT account_id, 'service account of project ' || name, NULL, 'service', created_at, "
    "'migration', NULL FROM projects",
    "INSERT INTO members SELECT name, account_id, 'admin', created_at FROM projects",
    "UPDATE keys SET user_id = (SELECT account_id FROM projects WHERE name = keys.project)",
    "UPDATE keys SET operator = 1 WHERE project = 'default' AND role = 'admin'",
)

_DOWN = (
    "DROP TABLE audit_head",
    "DROP TABLE audit",
    "DROP INDEX attempts_by_end",
    "ALTER TABLE keys DROP COLUMN previous_until",
    "ALTER TABLE keys DROP COLUMN previous_digest",
    "ALTER TABLE keys DROP COLUMN last_used_at",
    "ALTER TABLE keys DROP COLUMN scopes",
    "ALTER TABLE keys DROP COLUMN operator",
    "ALTER TABLE keys DROP COLUMN user_id",
    "DROP TABLE quotas",
    "DROP TABLE members",
    "DROP TABLE users",
    "ALTER TABLE projects DROP COLUMN account_id",
    "ALTER TABLE projects DROP COLUMN archived_at",
    "ALTER TABLE projects DROP COLUMN title",
)

PEOPLE = Migration(
    summary="users, members, quotas, scopes and rotation of keys, the audit log",
    up=_UP,
    down=_DOWN,
    obstacles=(
        Obstacle("SELECT count(*) FROM users WHERE created_by LIKE 'key!_%' ESCAPE '!'", "users"),
        Obstacle("SELECT count(*) FROM projects WHERE archived_at IS NOT NULL", "archived projects, which would open,"),
        Obstacle(
            "SELECT count(*) FROM keys WHERE scopes IS NOT NULL AND revoked_at IS NULL",
            "keys whose scopes the older release does not know",
        ),
        Obstacle("SELECT count(*) FROM quotas", "quotas"),
        Obstacle("SELECT count(*) FROM audit", "entries of the audit log"),
    ),
)
