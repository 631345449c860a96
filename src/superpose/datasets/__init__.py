"""Data sets: tables with a class to predict, read, checked, split and stored.

``read_table`` and ``builtin_table`` give a ``Table``; ``check_table`` says what is odd about it; ``stratified_splits``
and its relatives give index arrays. pandas, pyarrow and scikit-learn are imported on first use only.
"""

from __future__ import annotations

from superpose.datasets.builtin import builtin_names, builtin_table
from superpose.datasets.checks import TableReport, check_table
from superpose.datasets.readers import FORMATS, read_table, table_from_frame
from superpose.datasets.sheet import ColumnSheet, DataSheet, data_sheet
from superpose.datasets.splits import Split, stratified_splits
from superpose.datasets.storage import table_from_parquet_bytes, table_to_parquet_bytes
from superpose.datasets.structured_splits import grouped_splits, k_fold_splits, site_splits, time_splits
from superpose.datasets.table import MAX_CELLS, MAX_CLASSES, MAX_COLUMNS, Column, Table

__all__ = [
    "FORMATS",
    "MAX_CELLS",
    "MAX_CLASSES",
    "MAX_COLUMNS",
    "Column",
    "ColumnSheet",
    "DataSheet",
    "Split",
    "Table",
    "TableReport",
    "builtin_names",
    "builtin_table",
    "check_table",
    "data_sheet",
    "grouped_splits",
    "k_fold_splits",
    "read_table",
    "site_splits",
    "stratified_splits",
    "table_from_frame",
    "table_from_parquet_bytes",
    "table_to_parquet_bytes",
    "time_splits",
]
