"""Data sheets, one per data set; what an older release stored gets its sheet when it is first asked for."""

from __future__ import annotations

from superpose.service.store.migrations.migration import Migration

__all__ = ["DATA_SHEETS"]

DATA_SHEETS = Migration(
    summary="data sheets",
    up=(
        """CREATE TABLE data_sheets (
            dataset_id TEXT PRIMARY KEY REFERENCES datasets (id),
            sheet TEXT NOT NULL
        )""",
    ),
    down=("DROP TABLE data_sheets",),  # they are made from the data sets again
)
