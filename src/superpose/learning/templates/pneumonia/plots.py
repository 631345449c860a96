"""What a run keeps of the test pictures so that its report can be drawn: counts and curves, no picture's own score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from superpose.learning.plot_data import case_plots
from superpose.learning.verdicts import SeenCases

__all__ = ["plots_of"]


def plots_of(
    truth: NDArray[np.int64], scores: Mapping[str, Sequence[NDArray[np.float64]]], classes: Sequence[str], seed: int
) -> dict[str, Any]:
    """ROC curves, confusion matrices and reliability of one network of each variant.

    Args:
        truth: ``(n_pictures,)``, 0 or 1.
        scores: for each variant and seed ``(n_pictures,)``, above 0 for a finding.
        classes: their two names.
        seed: of the saved model; variants with fewer seeds are shown by their first.

    Returns:
        As `superpose.learning.plot_data.case_plots`, and ``seeds``: the seed that each variant is shown by.
    """
    seeds = {name: seed if seed < len(own) else 0 for name, own in scores.items()}
    found = {name: expit(scores[name][number]) for name, number in seeds.items()}
    said = {name: np.column_stack([1.0 - ill, ill]) for name, ill in found.items()}
    return {**case_plots(SeenCases(truth, said, positive=1), classes), "seeds": seeds}
