"""The data sheet of a data set, as the client shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from superpose.client.display import fields_html, table_html
from superpose.client.json_fields import Fields
from superpose.client.nouns import Noun

__all__ = ["ColumnSheet", "DataSheet"]


@dataclass(frozen=True)
class ColumnSheet(Noun):
    """One column; ``type`` is numeric, integer, boolean, category, text, date or identifier.

    ``unit`` and ``description`` are what people say of it.

    ``low``, ``high``, ``mean``, ``deviation`` and ``quantiles`` (value by share of rows below it) describe numbers,
    ``categories`` counts the most frequent values of categories, ``n_other`` the rows with another value.
    """

    name: str
    type: str
    unit: str | None
    n_missing: int
    n_distinct: int
    low: float | str | None
    high: float | str | None
    mean: float | None
    deviation: float | None
    quantiles: Mapping[str, float]
    categories: Mapping[str, int]
    n_other: int
    description: str | None = None

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A column's sheet from the service's JSON."""
        f = Fields.of("column sheet", document)
        return cls(
            name=f.text("name"),
            type=f.text("type"),
            unit=f.maybe_text("unit"),
            n_missing=f.whole("n_missing"),
            n_distinct=f.whole("n_distinct"),
            low=f.members.get("low"),
            high=f.members.get("high"),
            mean=f.members.get("mean"),
            deviation=f.members.get("deviation"),
            quantiles=f.object("quantiles"),
            categories=f.object("categories"),
            n_other=f.whole("n_other"),
            description=f.maybe_text("description"),
        )

    @property
    def summary(self) -> str:
        """The values in a few words: range and median, or the most frequent categories."""
        if self.categories:
            shown = [f"{word} {count}" for word, count in list(self.categories.items())[:4]]
            n_more = len(self.categories) - len(shown)
            return ", ".join(shown) + (f" and {n_more} more" if n_more else "")
        if isinstance(self.low, str):
            return f"{self.low} .. {self.high}"
        if self.low is None or self.high is None:
            return ""
        middle = self.quantiles.get("0.5")
        return f"{self.low:.6g} .. {float(self.high):.6g}" + ("" if middle is None else f", median {middle:.6g}")


@dataclass(frozen=True)
class DataSheet(Noun):
    """What a data set holds, column by column, and what is odd about it, in sentences.

    ``revision`` counts the edits, from 1. ``target_column`` tells of a target of numbers, which has no
    classes. ``deidentification`` counts what was removed from DICOM, PNG and JPEG files, ``shared_patients`` the
    patients who stand in several parts of an official split of pictures.
    """

    id: str
    name: str
    n_rows: int
    target: str
    class_counts: Mapping[str, int]
    columns: tuple[ColumnSheet, ...]
    report: Mapping[str, Any]
    warnings: tuple[str, ...]
    note: str = ""
    revision: int = 1
    deidentification: Mapping[str, Any] | None = None
    target_column: ColumnSheet | None = None
    shared_patients: Mapping[str, Any] | None = None

    @property
    def target_told(self) -> str:
        """The target, and its classes and their rows, or its range."""
        if self.target_column is not None:
            return f"{self.target} (numbers, {self.target_column.summary})"
        return f"{self.target} ({', '.join(f'{label} {count}' for label, count in self.class_counts.items())})"

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A data sheet from the service's JSON."""
        f = Fields.of("data sheet", document)
        return cls(
            id=f.text("id"),
            name=f.text("name"),
            n_rows=f.whole("n_rows"),
            target=f.text("target"),
            class_counts=f.object("class_counts"),
            columns=tuple(ColumnSheet.from_json(item) for item in f.array("columns")),
            report=f.object("report"),
            warnings=f.texts("warnings"),
            note=f.maybe_text("note") or "",
            revision=f.maybe_whole("revision") or 1,
            deidentification=f.members.get("deidentification"),
            target_column=ColumnSheet.from_json(f.object("target_column")) if "target_column" in f.members else None,
            shared_patients=f.members.get("shared_patients"),
        )

    def _repr_html_(self) -> str:
        facts = {"rows": self.n_rows, "target": self.target_told, "note": self.note or None}
        rows = [(c.name, c.type, c.unit, c.n_missing, c.n_distinct, c.summary, c.description) for c in self.columns]
        shown = table_html(("column", "type", "unit", "missing", "distinct", "values", "description"), rows)
        odd = table_html(("warning",), [(text,) for text in self.warnings]) if self.warnings else ""
        return fields_html(f"Data sheet of {self.name}", facts) + shown + odd
