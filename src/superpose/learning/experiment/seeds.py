"""Several trainings of one variant on one split, told as one result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["over_seeds"]


def over_seeds(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The result of the first seed with the mean of each metric, and all results in ``of_seeds``; one stays itself."""
    if len(results) == 1:
        return results[0]
    metrics = {name: float(np.mean([result["metrics"][name] for result in results])) for name in results[0]["metrics"]}
    return {**results[0], "metrics": metrics, "of_seeds": list(results)}
