"""Rows that a command is given: a table, JSON, a picture or a folder of pictures."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from superpose.errors import DatasetEmptyError, RequestError

__all__ = ["ROWS_HELP", "names_of_rows", "read_rows"]

ROWS_HELP = "A .json, .csv or .parquet file, a picture (PNG, JPEG, DICOM), a folder of them, or - for JSON on stdin."


class _Pictures(list[dict[str, float]]):
    """Rows of pictures, which have names."""

    def __init__(self, names: list[str], rows: list[dict[str, float]]) -> None:
        super().__init__(rows)
        self.names = names


_MOST_COLUMNS = 1_000_000
"""Of a file of rows; how many a model may have is its service's matter."""


def names_of_rows(rows: Any) -> list[str] | None:
    """Of pictures the name of each one's file; None of other rows."""
    return rows.names if isinstance(rows, _Pictures) else None


def read_rows(source: str, columns: Callable[[], Sequence[str]]) -> Any:
    """Rows from a file, a folder or stdin; cells of CSV and Parquet are read as those of a data set are.

    Args:
        source: path, or - for JSON from stdin.
        columns: gives those that the model takes; asked of pictures alone.

    Raises:
        RequestError: the file cannot be read or is not rows.
        DatasetError: a table or picture cannot be read as a data set's would be; says where.
    """
    named = "Standard input" if source == "-" else source
    try:
        if source != "-":
            from superpose.datasets.picture_rows import looks_like_pictures, picture_rows

            path, suffix = Path(source), Path(source).suffix.lower()
            if suffix in (".csv", ".parquet"):
                return _table_of(path, suffix[1:])
            if looks_like_pictures(path):
                return _Pictures(*picture_rows(path, columns()))
        document = json.loads(sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"{named} cannot be read: {error.strerror or error}.", path=source) from None
    except ValueError as error:
        raise RequestError(f"{named} is not JSON{_neither(source, error)}", path=source) from None
    found = document["rows"] if isinstance(document, dict) and set(document) == {"rows"} else document
    if not isinstance(found, list):
        kind = "an object" if isinstance(found, dict) else json.dumps(found)[:40]
        raise RequestError(f"{named} must be a list of rows, got {kind}; put a single row into a list.", path=source)
    return found


def _neither(source: str, error: ValueError) -> str:
    """How a sentence goes on about a file that is not JSON: what is wrong, or what it could have been instead."""
    if source == "-" or Path(source).suffix.lower() == ".json":
        return f": {error}."
    return (
        ", and nothing else by its name. Rows are read from .json, .csv (commas, semicolons or tabs), .parquet, and "
        "pictures (PNG, JPEG, DICOM)."
    )


def _table_of(file: Path, format: str) -> Any:
    """The data frame of a table of rows; None or nan where a value is missing."""
    import pandas as pd

    from superpose.datasets import read_features

    try:
        return pd.DataFrame(read_features(file, format=format, name=file.name, max_columns=_MOST_COLUMNS))
    except DatasetEmptyError as error:
        raise RequestError(f"{file} has no rows; give one at least.", path=str(file)) from error
