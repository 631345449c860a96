"""Rows to predict, checked by hand: a prediction costs less than a schema library would add to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from superpose.errors import RequestError
from superpose.learning.calibration.asking import Asked
from superpose.service.serving.asking import ASKED_FIELDS, asked_from

__all__ = ["asked_rows_of", "check_cells", "rows_of"]

_PLAIN = frozenset({float, str, bool, type(None)})
_CELLS = _PLAIN | {int}
_LARGEST_INTEGER = 2**63


def rows_of(document: Any) -> list[Any]:
    """The rows in ``{"rows": [...]}``; that they fit the model is for the model to say.

    Raises:
        RequestError: another form, or a cell that is no number, text, truth value or null.
    """
    if type(document) is not dict:
        raise RequestError(f'The body must be an object {{"rows": [...]}}, got {_kind(document)}.')
    if "rows" not in document or len(document) > 1:
        unknown = sorted(str(name)[:80] for name in document if name != "rows")
        errors = [{"field": name, "message": "no such field"} for name in unknown[:20]]
        if "rows" not in document:
            errors.append({"field": "rows", "message": "field required"})
        said = "; ".join(f"{error['field']}: {error['message']}" for error in errors)
        raise RequestError(f"The request does not fit: {said}.", errors=errors)
    rows = document["rows"]
    if type(rows) is not list:
        raise RequestError(f"rows must be a list, got {_kind(rows)}.", field="rows")
    for index, row in enumerate(rows):
        if type(row) is dict:
            check_cells(row.values(), index)
        elif type(row) is list:
            check_cells(row, index)
    return rows


def asked_rows_of(document: Any) -> tuple[list[Any], Asked | None]:
    """The rows in ``{"rows": [...]}``, and what else is asked for by ``prediction_set``, ``abstain`` and ``novelty``.

    Raises:
        RequestError: another form.
    """
    if type(document) is not dict or len(document) == 1:
        return rows_of(document), None
    rest = {name: value for name, value in document.items() if name not in ASKED_FIELDS}
    return rows_of(rest), asked_from(document)


def check_cells(cells: Collection[Any], row: int) -> None:
    """Refuse cells that are no number, text, truth value or null, and integers beyond 64 bits.

    Raises:
        RequestError: naming the row.
    """
    kinds = set(map(type, cells))
    if kinds <= _PLAIN:
        return
    if not kinds <= _CELLS:
        other = next(cell for cell in cells if type(cell) not in _CELLS)
        raise RequestError(
            f"Row {row} holds {_kind(other)}; a cell is a number, text, true, false or null.", field=f"rows[{row}]"
        )
    if any(type(cell) is int and not -_LARGEST_INTEGER <= cell < _LARGEST_INTEGER for cell in cells):
        raise RequestError(f"Row {row} holds an integer beyond 64 bits.", field=f"rows[{row}]")


def _kind(value: object) -> str:
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, str):
        return "text"
    if isinstance(value, Sequence):
        return "a list"
    return "null" if value is None else type(value).__name__
