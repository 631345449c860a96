"""Webhooks, the messages that are to reach them, and every try to deliver one. No secret stands in any of it."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration, Obstacle

__all__ = ["WEBHOOKS"]

_UP = (
    """CREATE TABLE webhooks (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL REFERENCES projects (name),
        url TEXT NOT NULL,
        label TEXT NOT NULL,
        events TEXT NOT NULL,
        kinds TEXT,
        created_at INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        generation INTEGER NOT NULL,
        secret_digest TEXT NOT NULL,
        previous_generation INTEGER,
        previous_until INTEGER,
        failing_since INTEGER,
        disabled_at INTEGER,
        disabled_why TEXT
    )""",
    "CREATE INDEX webhooks_by_project ON webhooks (project)",
    """CREATE TABLE webhook_deliveries (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        message_id TEXT NOT NULL,
        webhook_id TEXT NOT NULL REFERENCES webhooks (id),
        type TEXT NOT NULL,
        job_id TEXT,
        body TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('waiting', 'delivered', 'given_up')),
        created_at INTEGER NOT NULL,
        next_at INTEGER,
        n_attempts INTEGER NOT NULL,
        ended_at INTEGER,
        UNIQUE (webhook_id, message_id)
    )""",
    "CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_at) WHERE next_at IS NOT NULL",
    "CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL",
    """CREATE TABLE webhook_attempts (
        delivery INTEGER NOT NULL REFERENCES webhook_deliveries (number),
        attempt INTEGER NOT NULL,
        at INTEGER NOT NULL,
        seconds REAL NOT NULL,
        http_status INTEGER,
        error TEXT,
        PRIMARY KEY (delivery, attempt)
    )""",
)

WEBHOOKS = Migration(
    summary="webhooks",
    up=_UP,
    down=("DROP TABLE webhook_attempts", "DROP TABLE webhook_deliveries", "DROP TABLE webhooks"),
    obstacles=(Obstacle("SELECT count(*) FROM webhooks", "webhooks"),),
)
