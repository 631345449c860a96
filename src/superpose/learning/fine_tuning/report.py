"""What an evaluation document says about a fine-tuning: where it began, and whether it helped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from superpose.learning.evaluation_spec import FROM_SCRATCH
from superpose.learning.fine_tuning.carried import Carried

__all__ = ["fine_tuning_report", "seen_warning"]


def fine_tuning_report(
    plan: Carried, evaluation: Mapping[str, Any], seen: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The plan and the comparison with the same model trained from scratch, as JSON values.

    Args:
        plan: what was carried over.
        evaluation: with its comparisons.
        seen: what `superpose.learning.fine_tuning.seen_rows.seen_by_parent` found.

    Returns:
        ``parent``, ``digest``, ``dataset_digest``, ``earlier_data``, ``entry``, ``head``, ``freeze``,
        ``learning_rates``, and the difference of the primary metric: ``outcome``, ``metric``, ``mean_difference``,
        ``low`` and ``high``; and ``seen_by_parent``. Where the parent had learnt from test rows, a better figure
        decides nothing.
    """
    row = next(row for row in evaluation["comparisons"] if row["against"] == FROM_SCRATCH)
    found = {k: row[k] for k in ("outcome", "metric", "mean_difference", "low", "high")}
    if seen is not None and seen["n_seen"] and found["outcome"] == "better":
        found["outcome"] = "undecided"
    return {**plan.to_dict(), **found, "seen_by_parent": None if seen is None else dict(seen)}


def seen_warning(seen: Mapping[str, Any] | None, parent: str) -> str | None:
    """What is to be minded, of `seen_by_parent`, and what to do about it; None if there is nothing."""
    if seen is None or not seen["n_seen"]:
        return None
    had = " had learnt from" if seen["certain"] else ", or a model behind it, may have learnt from"
    own, of = seen["test"]
    first = f"{own} of the {of} test rows of the first split" if own else "none of the test rows of the first split"
    return (
        f"{parent}{had} {seen['n_seen']} of the {seen['n_cases']} rows that are tested here, and {first}: that "
        "favours the fine-tuned model. Fine-tune on data that was not learnt from before; on the parent's own, its "
        "seed and its section split at least leave the first split's test rows to be tested."
    )
