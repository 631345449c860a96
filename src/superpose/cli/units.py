"""Units of columns, from options and files."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import typer

from superpose.errors import DatasetFormatError

__all__ = ["read_units"]


def read_units(source: Path | None, pairs: Sequence[str]) -> dict[str, str]:
    """Unit by column from a file and from ``COLUMN=UNIT`` pairs, which go before it.

    The file is CSV with the columns ``name`` and ``unit`` (others are left alone), or a YAML or JSON mapping.

    Raises:
        DatasetFormatError: the file cannot be read as either.
        BadParameter: a pair without ``=``.
    """
    units = {} if source is None else _from_file(source)
    for pair in pairs:
        name, equals, unit = pair.partition("=")
        if not equals or not name.strip() or not unit.strip():
            raise typer.BadParameter(f"a unit is given as COLUMN=UNIT, got {pair!r}")
        units[name.strip()] = unit.strip()
    return units


def _from_file(source: Path) -> dict[str, str]:
    import yaml

    try:
        text = source.read_text(encoding="utf-8-sig")
        if source.suffix.lower() == ".csv":
            rows = list(csv.DictReader(text.splitlines()))
            found: object = {(row["name"] or "").strip(): (row["unit"] or "").strip() for row in rows}
        else:
            found = yaml.safe_load(text)
    except OSError as error:
        raise DatasetFormatError(f"{source} cannot be read: {error.strerror}.", path=str(source)) from None
    except (KeyError, ValueError, RecursionError, yaml.YAMLError, csv.Error) as error:
        raise DatasetFormatError(
            f"{source} does not give units: {type(error).__name__}. It must be CSV with the columns name and unit, or "
            "a YAML or JSON mapping from column to unit.",
            path=str(source),
        ) from None
    if not isinstance(found, dict):
        raise DatasetFormatError(f"{source} must map columns to units, got {type(found).__name__}.", path=str(source))
    return {str(name): str(unit) for name, unit in found.items() if unit not in (None, "")}
