"""Data sets: tables with a class to predict, read, checked, split and stored.

``read_table`` and ``builtin_table`` give a ``Table``; ``check_table`` says what is odd about it; ``stratified_splits``
and its relatives give index arrays. pandas, pyarrow and scikit-learn are imported on first use only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from superpose.datasets.builtin import builtin_names, builtin_table
from superpose.datasets.checks import TableReport, check_table
from superpose.datasets.image_reader import image_row, read_images
from superpose.datasets.readers import FORMATS, read_features, read_table, table_from_frame
from superpose.datasets.splits import Split, stratified_splits
from superpose.datasets.storage import table_from_parquet_bytes, table_to_parquet_bytes
from superpose.datasets.table import MAX_CELLS, MAX_CLASSES, MAX_COLUMNS, Column, Table, check_units

if TYPE_CHECKING:
    from superpose.datasets.drift import ColumnDrift, DriftReport, column_baseline, compare_drift, drift_baseline
    from superpose.datasets.row_files import ROW_FORMATS, RowChunk, RowFile
    from superpose.datasets.sheet import ColumnSheet, DataSheet, data_sheet
    from superpose.datasets.split_checks import Finding, check_splits
    from superpose.datasets.structured_splits import grouped_splits, k_fold_splits, site_splits, time_splits

__all__ = [
    "FORMATS",
    "MAX_CELLS",
    "MAX_CLASSES",
    "MAX_COLUMNS",
    "ROW_FORMATS",
    "Column",
    "ColumnDrift",
    "ColumnSheet",
    "DataSheet",
    "DriftReport",
    "Finding",
    "RowChunk",
    "RowFile",
    "Split",
    "Table",
    "TableReport",
    "builtin_names",
    "builtin_table",
    "check_splits",
    "check_table",
    "check_units",
    "column_baseline",
    "compare_drift",
    "data_sheet",
    "drift_baseline",
    "grouped_splits",
    "image_row",
    "k_fold_splits",
    "read_features",
    "read_images",
    "read_table",
    "site_splits",
    "stratified_splits",
    "table_from_frame",
    "table_from_parquet_bytes",
    "table_to_parquet_bytes",
    "time_splits",
]

_HOMES = {
    "drift": ("ColumnDrift", "DriftReport", "column_baseline", "compare_drift", "drift_baseline"),
    "row_files": ("ROW_FORMATS", "RowChunk", "RowFile"),
    "sheet": ("ColumnSheet", "DataSheet", "data_sheet"),
    "split_checks": ("Finding", "check_splits"),
    "structured_splits": ("grouped_splits", "k_fold_splits", "site_splits", "time_splits"),
}

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load what not every reader of a table needs."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
