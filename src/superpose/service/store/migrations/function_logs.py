"""What functions' own Python printed in its last calls."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration

__all__ = ["FUNCTION_LOGS"]

FUNCTION_LOGS = Migration(
    summary="logs of quantum functions",
    up=(
        """CREATE TABLE function_logs (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            function_id TEXT NOT NULL REFERENCES quantum_functions (id),
            at INTEGER NOT NULL,
            version INTEGER NOT NULL,
            logs TEXT NOT NULL,
            error TEXT
        )""",
        "CREATE INDEX function_logs_by_function ON function_logs (function_id, number)",
    ),
    down=("DROP TABLE function_logs",),
)
