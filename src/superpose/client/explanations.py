"""Explanations of predictions as the client sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from superpose.client.display import table_html
from superpose.client.json_fields import Fields
from superpose.client.nouns import Noun

__all__ = ["ExplainedRow", "Explanation"]

_SHOWN = 5


@dataclass(frozen=True)
class ExplainedRow(Noun):
    """What each column did to the probability of ``label``, in units of probability, the strongest first.

    The attributions share out ``probability - typical_probability``, the second being that of a typical row, up to
    ``completeness_error``.
    """

    label: str
    probability: float
    typical_probability: float
    attributions: Mapping[str, float]
    completeness_error: float

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A row from the service's JSON."""
        f = Fields.of("explained row", document)
        return cls(
            label=f.text("class"),
            probability=f.number("probability"),
            typical_probability=f.number("typical_probability"),
            attributions={str(name): float(value) for name, value in f.object("attributions").items()},
            completeness_error=f.number("completeness_error"),
        )


@dataclass(frozen=True)
class Explanation(Noun):
    """What an endpoint's model version made its predictions of."""

    model: str
    model_version: int
    method: str
    rows: tuple[ExplainedRow, ...]

    @classmethod
    def from_json(cls, document: object) -> Self:
        """An explanation from the service's JSON."""
        f = Fields.of("explanation", document)
        return cls(
            model=f.text("model"),
            model_version=f.whole("model_version"),
            method=f.text("method"),
            rows=tuple(map(ExplainedRow.from_json, f.array("rows"))),
        )

    def __len__(self) -> int:
        return len(self.rows)

    def _repr_html_(self) -> str:
        rows = [
            (row.label, row.probability, ", ".join(f"{n} {v:+.3f}" for n, v in list(row.attributions.items())[:_SHOWN]))
            for row in self.rows
        ]
        title = f"{self.model} version {self.model_version}, {self.method}"
        return table_html(("class", "probability", "strongest columns"), rows, title)
