"""Findings about splits, and drift, as the client shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from superpose.client.display import fields_html, table_html
from superpose.client.json_fields import Fields
from superpose.client.nouns import Noun

__all__ = ["ColumnDrift", "DriftReport", "Finding"]


@dataclass(frozen=True)
class Finding(Noun):
    """Something odd between the parts of a split.

    ``kind`` is leak, group_overlap, duplicate, near_duplicate, identifier or drift; ``rows`` are places of the first
    20 of ``n_rows`` rows concerned in ``split``, counted from 0.
    """

    kind: str
    message: str
    columns: tuple[str, ...]
    split: int | None
    n_rows: int
    rows: tuple[int, ...]

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A finding from the service's JSON."""
        f = Fields.of("finding", document)
        return cls(
            kind=f.text("kind"),
            message=f.text("message"),
            columns=f.texts("columns"),
            split=f.maybe_whole("split"),
            n_rows=f.whole("n_rows"),
            rows=tuple(int(row) for row in f.array("rows")),
        )


@dataclass(frozen=True)
class ColumnDrift(Noun):
    """How far one column has moved; ``verdict`` is stable, shifted or drifted. Without numbers there is no ``ks``."""

    name: str
    kind: str
    psi: float
    ks: float | None
    p_value: float
    missing_before: float
    missing_now: float
    unknown_now: float
    verdict: str

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A column's drift from the service's JSON."""
        f = Fields.of("column drift", document)
        ks = f.members.get("ks")
        numbers = {
            name: float(f.members.get(name) or 0.0)
            for name in ("psi", "p_value", "missing_before", "missing_now", "unknown_now")
        }
        ks_distance = None if ks is None else float(ks)
        return cls(name=f.text("name"), kind=f.text("kind"), ks=ks_distance, verdict=f.text("verdict"), **numbers)


@dataclass(frozen=True)
class DriftReport(Noun):
    """Rows held against what a model version was trained on."""

    model: str
    version: int
    n_rows: int
    n_baseline_rows: int
    verdict: str
    message: str
    thresholds: Mapping[str, Any]
    columns: tuple[ColumnDrift, ...]

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A report from the service's JSON."""
        f = Fields.of("drift report", document)
        return cls(
            model=f.text("model"),
            version=f.whole("version"),
            n_rows=f.whole("n_rows"),
            n_baseline_rows=f.whole("n_baseline_rows"),
            verdict=f.text("verdict"),
            message=f.text("message"),
            thresholds=f.object("thresholds"),
            columns=tuple(ColumnDrift.from_json(item) for item in f.array("columns")),
        )

    def _repr_html_(self) -> str:
        facts = {"verdict": self.verdict, "in words": self.message, "rows": self.n_rows}
        rows = [(c.name, c.psi, c.ks, c.missing_before, c.missing_now, c.verdict) for c in self.columns]
        header = ("column", "PSI", "KS", "missing before", "missing now", "verdict")
        return fields_html(f"Drift of {self.model} version {self.version}", facts) + table_html(header, rows)
