"""The hybrid model against each control and baseline: one test decides, others stand beside it.

The corrected resampled t test over splits decides (`superpose.learning.verdicts.splits`). All comparisons of one
experiment share its error rate (Bonferroni): with m comparisons at confidence c, each interval has confidence
``1 - (1-c)/m``. Wilcoxon's test over splits and McNemar's over cases, both with Holm's correction, and the bootstrap
over cases are second opinions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from superpose.learning.metrics import METRICS, reading
from superpose.learning.verdicts.cases import CaseComparison, SeenCases, compare_cases
from superpose.learning.verdicts.splits import holm, paired_test, standardised, wilcoxon

__all__ = ["Comparison", "Outcome", "compare", "mean_interval"]

Outcome = Literal["better", "equal", "worse", "undecided"]


@dataclass(frozen=True)
class Comparison:
    """Hybrid minus ``against`` in ``metric``, over paired splits.

    Attributes:
        against: the variant it is compared with.
        metric: a row of `METRICS`.
        mean_difference: over the splits.
        low, high: bounds of the mean difference at the experiment's shared confidence, cut to what the difference of
            two values of the metric can be.
        p_value: two-sided, already multiplied by the number of comparisons.
        decides: whether the difference stands at that confidence.
        margin: differences below it do not matter to the user.
        p_equal: p value of a difference of ``margin`` or more, multiplied by the number of comparisons.
        is_equal: whether a difference of ``margin`` or more is ruled out.
        effect_size: mean over standard deviation of the differences; None where they do not vary.
        wilcoxon_p: of the signed-rank test over splits, corrected by Holm.
        mcnemar_p: of McNemar's test over cases, corrected by Holm; None without cases.
        cases: the comparison case by case; None where cases are not known.
    """

    against: str
    metric: str
    mean_difference: float
    low: float
    high: float
    p_value: float
    decides: bool
    margin: float = 0.02
    p_equal: float = 1.0
    is_equal: bool = False
    effect_size: float | None = None
    wilcoxon_p: float = 1.0
    mcnemar_p: float | None = None
    cases: CaseComparison | None = None

    @property
    def outcome(self) -> Outcome:
        """What the difference says about the hybrid model, minding metrics of which lower is better.

        "equal" where a difference that matters is ruled out, even if a smaller one is certain.
        """
        if self.is_equal:
            return "equal"
        if not self.decides:
            return "undecided"
        return "better" if (self.mean_difference > 0) == reading(self.metric)[0] else "worse"

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON."""
        return {**vars(self), "cases": None if self.cases is None else self.cases.to_dict(), "outcome": self.outcome}


def mean_interval(values: Sequence[float], test_over_train: float, confidence: float) -> tuple[float, float, float]:
    """Mean over splits of a metric in 0 .. 1, and the interval it lies in with ``confidence``, cut to 0 .. 1.

    Args:
        values: one value per split, at least two.
        test_over_train: rows in a test part over rows that the model saw in training.
        confidence: such as 0.95.
    """
    found = paired_test(values, test_over_train)
    reach = float(stdtrit(found.n_splits - 1, 0.5 + confidence / 2.0)) * found.error
    return found.mean, max(0.0, found.mean - reach), min(1.0, found.mean + reach)


def compare(
    hybrid: Sequence[float],
    others: Mapping[str, Sequence[float]],
    *,
    metric: str,
    test_over_train: float,
    confidence: float,
    margin: float = 0.02,
    cases: SeenCases | None = None,
) -> list[Comparison]:
    """Compare the hybrid model's values, split by split, with those of each other variant.

    Args:
        hybrid: the metric's value per split.
        others: for each variant, its values on the same splits in the same order.
        metric: a row of `METRICS`.
        test_over_train: rows in a test part over rows that the model saw in training.
        confidence: of all statements together.
        margin: differences below it do not matter, in units of the metric.
        cases: what all of them say about each test case; None leaves cases out.

    Cost: microseconds without cases; with them that of the bootstrap, see `compare_cases`.
    """
    shared = (1.0 - confidence) / max(len(others), 1)
    differences = {
        against: np.asarray(hybrid, dtype=np.float64) - np.asarray(values, dtype=np.float64)
        for against, values in others.items()
    }
    found = {} if cases is None else {against: _by_case(cases, against, metric, margin, shared) for against in others}
    ranks = holm([wilcoxon(values) for values in differences.values()])
    exact = dict(zip(found, holm([one.mcnemar_p for one in found.values()]), strict=True))
    widest = 1.0 if metric in METRICS else math.inf  # all of those lie in 0 .. 1
    rows = []
    for (against, values), rank in zip(differences.items(), ranks, strict=True):
        test = paired_test(values, test_over_train)
        reach, p_equal = test.reach(shared), test.p_equal(margin)
        rows.append(
            Comparison(
                against,
                metric,
                test.mean,
                max(-widest, test.mean - reach),
                min(widest, test.mean + reach),
                min(1.0, len(others) * test.p_value),
                test.p_value < shared,
                margin=margin,
                p_equal=min(1.0, len(others) * p_equal),
                is_equal=p_equal < shared,
                effect_size=standardised(values),
                wilcoxon_p=rank,
                mcnemar_p=exact.get(against),
                cases=found.get(against),
            )
        )
    return rows


def _by_case(cases: SeenCases, against: str, metric: str, margin: float, allowed_error: float) -> CaseComparison:
    """The hybrid model and one other, case by case."""

    def measure(truth: NDArray[np.integer], probabilities: NDArray[np.float64]) -> float:
        return METRICS[metric].compute(truth, probabilities, cases.positive)

    return compare_cases(cases.against(against), measure, margin=margin, allowed_error=allowed_error, seed=cases.seed)
