"""What a demand template's model was trained on, in sentences: series, which it splits by time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["extent_words", "series_words"]

_EXTENT = ("n_series", "n_periods", "frequency", "first", "last", "season", "covariates")
_APART = ("name", "source", "n_filled_with_zero", "digest")


def extent_words(data: Mapping[str, Any]) -> list[str]:
    """How many series and periods there were, from when to when, and what else was known beforehand."""
    return [
        f"{data['n_series']} series, {data['n_periods']} {data['frequency']} periods from {data['first']} to "
        f"{data['last']}; a season has {data['season']}.",
        f"Covariates: {', '.join(data['covariates']) or 'none'}.",
    ]


def series_words(data: Mapping[str, Any]) -> list[str]:
    """All that a manifest's ``data`` tells of series; fields that are not known here by their names, empty ones not."""
    whole = all(name in data for name in _EXTENT)
    known = (*_EXTENT, *_APART) if whole else _APART
    rest = {name: value for name, value in data.items() if name not in known and value not in (None, [], "")}
    return [
        *(extent_words(data) if whole else []),
        *(f"{name.replace('_', ' ')}: {value}" for name, value in rest.items()),
        *([f"Source: {data['source']}."] if data.get("source") else []),
        *(
            [f"{data['n_filled_with_zero']} periods without a row were taken for zero."]
            if data.get("n_filled_with_zero")
            else []
        ),
        *([f"Digest (SHA-256): {data['digest']}"] if data.get("digest") else []),
    ]
