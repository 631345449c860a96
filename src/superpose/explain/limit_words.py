"""What a model is not good for, in the sentences of its card and its report; made from its manifest alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from superpose.explain.model_section import listed
from superpose.learning.card import compared_by

__all__ = ["limit_words"]

_FEW_ROWS = 30
"""Rows of a class below which nobody should rely on it."""


def limit_words(
    manifest: Mapping[str, Any], *, text: Callable[[object], str] = str, this: str = "this very model"
) -> list[str]:
    """Sentences on where a model's figures do not hold.

    Args:
        manifest: of the model file.
        text: how words of others are written, such as Markdown.
        this: what the row of the registered model is called.
    """
    lines = [
        "For rows that come from the same source as the training data, with the same columns and units.",
        "Not a medical device, and no substitute for a professional's judgement; a person answers for each decision.",
        f"{_source_of_test_rows(manifest, text)}. Check them on local data first, and again when the source changes.",
        (
            "Robustness against crafted inputs was not examined, nor was fairness beyond the subgroups above."
            if compared_by(manifest.get("evaluation") or {})
            else "Fairness between groups was not examined, nor was robustness against crafted inputs."
        ),
    ]
    chosen_by = (manifest.get("provenance") or {}).get("sweep")
    if chosen_by:
        lines.append(
            f"The spec was chosen by a sweep of {chosen_by['n_trials']} trials, for its "
            f"{text(chosen_by['metric'])} on {chosen_by['folds']} tuning folds. The row {this} is measured "
            "on rows that the sweep never saw; means over splits and the comparisons share rows with the tuning folds "
            "and may flatter the model."
        )
    counts = (manifest.get("data") or {}).get("class_counts") or {}
    rare = [label for label, count in counts.items() if count < _FEW_ROWS]
    if rare:
        lines.append(
            f"Fewer than {_FEW_ROWS} rows each: {listed([text(label) for label in rare])}; do not rely on these "
            "classes."
        )
    return lines


def _source_of_test_rows(manifest: Mapping[str, Any], text: Callable[[object], str]) -> str:
    """How far test rows speak for rows elsewhere."""
    split = (manifest.get("data") or {}).get("split_by") or {}
    if split.get("kind") == "site":
        return (
            f"Test rows come from one {text(split['column'])} that training did not see: figures at others may be worse"
        )
    return "Test rows come from the same source as training rows: figures elsewhere may be worse"
