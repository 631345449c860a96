"""What cards and reports say of groups, such as patients, in comparisons over cases; of the evaluation alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["counted_in", "equal_means", "groups_lines", "of_first_seed"]


def counted_in(rows: Sequence[Mapping[str, Any]]) -> str:
    """What numbers that would be needed count in these comparisons: "groups" or "cases"."""
    return "groups" if any((row.get("cases") or {}).get("n_groups") for row in rows) else "cases"


def of_first_seed(evaluation: Mapping[str, Any]) -> str:
    """Whose cases are counted, where each split was trained with several seeds."""
    several = (evaluation.get("n_seeds") or 1) > 1 and "means_over" not in evaluation
    return ", of the first seed's models" if several else ""


def equal_means(margin: float) -> str:
    """What the outcome "equal" says, beside intervals that are those of one test on both sides."""
    return (
        f'"equal" means that a difference of {margin:g} or more is ruled out at that confidence, upwards and downwards '
        "by a test each; the intervals, of one test on both sides, are wider and may reach beyond it."
    )


def groups_lines(evaluation: Mapping[str, Any]) -> list[str]:
    """Whether statistics over cases and the baseline's tuning minded groups; nothing in files that do not tell.

    Args:
        evaluation: of a model file's manifest.
    """
    if "groups" not in evaluation:
        return []
    known, baseline = evaluation["groups"], (evaluation.get("models") or {}).get("baseline") or {}
    rows = [row for row in evaluation.get("comparisons") or () if row.get("cases")]
    if known is None:
        if not rows:
            return []
        return [
            "Which cases belong together (to one patient) was not known: each was taken for itself, and where some do, "
            "p values and intervals over cases are too small."
        ]
    said = []
    column = known["column"]
    if rows:
        said.append(
            f"The cases are of {known['n_groups_of_cases']} groups (column {column}). The bootstrap draws whole "
            "groups, McNemar's test is that for groups (Obuchowski 1998, exact over signs), and the numbers that would "
            "be needed count groups of as many cases as these."
        )
    if not known["kept_together"]:
        said.append(
            f"The split does not keep the {known['n_groups']} groups of column {column} together: figures are of rows "
            "of known groups, not of new ones. Split by it (split: grouped)."
        )
    folds = baseline.get("folds") or []
    if folds:
        said.append(_tuned([int(one["n"]) for one in folds]))
    return said


def _tuned(numbers: Sequence[int]) -> str:
    """How the baseline was tuned where groups are known."""
    low, high = min(numbers), max(numbers)
    if high == 0:
        return "The baseline was not tuned: one setting, or a class in too few groups for folds."
    how_many = str(low) if low == high else f"{low} to {high}"
    return f"The baseline was tuned in {how_many} folds of whole groups."
