"""What runs cost: a versioned table of published prices, each with its date and source, and tables of one's own.

What nobody publishes has no row, and its price stays unknown: a price is never guessed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from superpose.errors import EstimateInputError

__all__ = ["PriceRow", "PriceTable", "Usage", "published_prices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a run uses.

    Attributes:
        n_submissions: Times that something is handed over.
        n_circuits: Circuits handed over: batch entries times measurement settings.
        n_shots: Shots of all circuits together.
        one_qubit_gate_shots, two_qubit_gate_shots: Gates of all circuits, each times its shots.
        run_s: Seconds on the backend, or None where they are not known.
    """

    n_circuits: int
    n_shots: int
    one_qubit_gate_shots: int = 0
    two_qubit_gate_shots: int = 0
    run_s: float | None = None
    n_submissions: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """The price of some backends, in US dollars.

    Attributes:
        backend: Their names, with ``*``, ``?`` and ``[...]`` as in file names.
        as_of: When this was the price.
        source: Where that is said.
        note: What else is worth knowing.
        per_submission_usd: For each submission, however many circuits are in it.
        per_circuit_usd: For each circuit.
        per_shot_usd: For each shot.
        per_second_usd: For each second on the processor, or of the classical machine.
        per_one_qubit_gate_shot_usd, per_two_qubit_gate_shot_usd: For each gate in each shot.
        fixed_s, shot_s: Seconds that a run is billed for, and those for each shot; None where nobody says.
    """

    backend: str
    as_of: date
    source: str
    note: str = ""
    per_submission_usd: float = 0.0
    per_circuit_usd: float = 0.0
    per_shot_usd: float = 0.0
    per_second_usd: float = 0.0
    per_one_qubit_gate_shot_usd: float = 0.0
    per_two_qubit_gate_shot_usd: float = 0.0
    fixed_s: float | None = None
    shot_s: float | None = None

    def seconds(self, n_shots: int) -> float | None:
        """Return the seconds that a run of so many shots is billed for, or None where nobody says."""
        if self.fixed_s is None or self.shot_s is None:
            return None
        return self.fixed_s + self.shot_s * n_shots

    def price_usd(self, usage: Usage) -> float | None:
        """Return the price, or None where it goes by seconds and these are not known.

        >>> row = PriceRow(backend="x", as_of=date(2026, 1, 1), source="x", per_circuit_usd=0.3, per_shot_usd=0.001)
        >>> row.price_usd(Usage(n_circuits=2, n_shots=1000))
        1.6
        """
        seconds = usage.run_s if usage.run_s is not None else self.seconds(usage.n_shots)
        if self.per_second_usd and seconds is None:
            return None
        return (
            self.per_submission_usd * usage.n_submissions
            + self.per_circuit_usd * usage.n_circuits
            + self.per_shot_usd * usage.n_shots
            + self.per_one_qubit_gate_shot_usd * usage.one_qubit_gate_shots
            + self.per_two_qubit_gate_shot_usd * usage.two_qubit_gate_shots
            + self.per_second_usd * (seconds or 0.0)
        )


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices by backend; the first row whose pattern fits counts.

    Attributes:
        version: Of the table.
        rows: In the order in which they are asked.
    """

    version: str
    rows: tuple[PriceRow, ...]

    def find(self, backend: str) -> PriceRow | None:
        """Return the row of this backend, or None where the table has none."""
        return next((row for row in self.rows if fnmatchcase(backend, row.backend)), None)

    def before(self, other: PriceTable) -> PriceTable:
        """Return a table that asks this one first, then ``other``."""
        return PriceTable(f"{self.version}, then {other.version}", (*self.rows, *other.rows))

    @classmethod
    def read(cls, path: Path) -> PriceTable:
        """Return the table in a file, in the form of the one in this package.

        Raises:
            EstimateInputError: It cannot be read or is none.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise EstimateInputError(f"The price table {path} cannot be read: {error}.") from None
        return cls.from_json(_parsed(text, str(path)))

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> PriceTable:
        """Return the table of a JSON document.

        Raises:
            EstimateInputError: It is none.
        """
        try:
            rows = tuple(_row(row) for row in document["rows"])
            return cls(str(document["version"]), rows)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EstimateInputError(
                f"This is no price table: {error!r}. It takes version and rows, each with backend, as_of (YYYY-MM-DD), "
                "source, and prices of 0 or more."
            ) from None


@cache
def published_prices() -> PriceTable:
    """Return the table of published prices in this package."""
    text = (files("superpose.backends.estimates") / "prices.json").read_text(encoding="utf-8")
    return PriceTable.from_json(_parsed(text, "prices.json"))


def _parsed(text: str, name: str) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = json.loads(text)
    except ValueError as error:
        raise EstimateInputError(f"{name} is no JSON: {error}.") from None
    return found


def _row(document: Mapping[str, Any]) -> PriceRow:
    known = {field.name for field in fields(PriceRow)}
    unknown = sorted(set(document) - known)
    if unknown:
        raise ValueError(f"unknown members {', '.join(unknown)}")
    numbers = {name for name in known if name.endswith(("_usd", "_s"))}
    for name in numbers & set(document):
        _check(name, document[name])
    as_of = date.fromisoformat(document["as_of"])
    return PriceRow(**{**document, "as_of": as_of})


def _check(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < float("inf"):
        raise ValueError(f"{name} must be a number of 0 or more, got {value!r}")
