"""What an evaluation document says about a fine-tuning: where it began, and whether it helped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from superpose.learning.evaluation_spec import FROM_SCRATCH
from superpose.learning.fine_tuning.carried import Carried

__all__ = ["fine_tuning_report"]


def fine_tuning_report(plan: Carried, evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """The plan and the comparison with the same model trained from scratch, as JSON values.

    Args:
        plan: what was carried over.
        evaluation: with its comparisons.

    Returns:
        ``parent``, ``digest``, ``dataset_digest``, ``entry``, ``head``, ``freeze``, ``learning_rates``, and the
        difference of the primary metric: ``outcome``, ``metric``, ``mean_difference``, ``low`` and ``high``.
    """
    row = next(row for row in evaluation["comparisons"] if row["against"] == FROM_SCRATCH)
    return {**plan.to_dict(), **{k: row[k] for k in ("outcome", "metric", "mean_difference", "low", "high")}}
