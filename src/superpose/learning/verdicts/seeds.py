"""How far scores vary from split to split, and how far from seed to seed on one split.

Scores of a variant, one for each split and seed, are taken for ``mean + split + seed within split``, each random:
one-way analysis of variance with J splits and K seeds each parts their variances::

    var(seeds) = MS_within,        var(splits) = max(0, (MS_between - MS_within) / K)

The deciding test takes the mean over the seeds of each split, whose differences vary by ``var(splits) + var(seeds)/K``,
and corrects for the overlap of splits as ever (`superpose.learning.verdicts.splits`). Since seeds do not overlap, it
corrects too much rather than too little.

Source: Searle, Casella and McCulloch, "Variance Components" (1992), sec. 3.6; Bouthillier et al., "Accounting for
Variance in Machine Learning Benchmarks", MLSys 2021, for seeds and splits as sources of their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["spread"]


def spread(values: Sequence[Sequence[float]]) -> dict[str, float]:
    """Standard deviations over ``splits`` and over ``seeds``, of values ``(n_splits, n_seeds)``, two each at least."""
    scores = np.asarray(values, dtype=np.float64)
    n_seeds = scores.shape[1]
    within = float(scores.var(axis=1, ddof=1).mean())
    between = n_seeds * float(scores.mean(axis=1).var(ddof=1))
    return {"splits": math.sqrt(max(0.0, (between - within) / n_seeds)), "seeds": math.sqrt(within)}
