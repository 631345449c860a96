"""Paired comparison of the hybrid model with its controls and the baseline, and the sentence that the numbers allow.

Splits of one data set overlap, so their scores are not independent and the ordinary t test claims too much. The
corrected resampled t test adds the overlap to the variance of a mean over J splits::

    var(mean) = (1/J + n_test/n_train) * s**2,        t = mean / sqrt(var(mean)) on J - 1 degrees of freedom

with s**2 the sample variance over splits. All comparisons of one experiment share its error rate (Bonferroni): with m
comparisons at confidence c, each interval has confidence ``1 - (1-c)/m``.

Source: Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52 (2003), sec. 3 and 5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import stdtr, stdtrit

from superpose.learning.metrics import METRICS

__all__ = ["LABELS", "Comparison", "compare", "mean_interval", "verdict"]

Outcome = Literal["better", "worse", "undecided"]

LABELS = {
    "hybrid": "hybrid model",
    "classical_twin": "classical twin of equal parameter count",
    "no_entanglement": "same circuit without entanglement",
    "frozen": "same circuit with frozen random weights",
    "baseline": "tuned logistic regression",
}
"""How sentences and tables name each variant."""


@dataclass(frozen=True)
class Comparison:
    """Hybrid minus ``against`` in ``metric``, over paired splits.

    ``low`` and ``high`` bound the mean difference at the experiment's shared confidence; ``p_value`` is two-sided and
    already multiplied by the number of comparisons; ``decides`` says whether the difference stands at that confidence.
    """

    against: str
    metric: str
    mean_difference: float
    low: float
    high: float
    p_value: float
    decides: bool

    @property
    def outcome(self) -> Outcome:
        """What the difference says about the hybrid model, minding metrics of which lower is better."""
        if not self.decides:
            return "undecided"
        return "better" if (self.mean_difference > 0) == METRICS[self.metric].higher_is_better else "worse"

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON."""
        return {
            "against": self.against,
            "metric": self.metric,
            "mean_difference": self.mean_difference,
            "low": self.low,
            "high": self.high,
            "p_value": self.p_value,
            "decides": self.decides,
            "outcome": self.outcome,
        }


def _corrected_error(values: np.ndarray[Any, np.dtype[np.float64]], test_over_train: float) -> float:
    """Standard error of the mean over overlapping splits; see the module's formula."""
    return math.sqrt((1.0 / values.size + test_over_train) * float(values.var(ddof=1)))


def mean_interval(values: Sequence[float], test_over_train: float, confidence: float) -> tuple[float, float, float]:
    """Mean over splits of a metric in 0 .. 1, and the interval it lies in with ``confidence``, cut to 0 .. 1.

    Args:
        values: one value per split, at least two.
        test_over_train: rows in a test part over rows that the model saw in training.
        confidence: such as 0.95.
    """
    scores = np.asarray(values, dtype=np.float64)
    mean = float(scores.mean())
    reach = float(stdtrit(scores.size - 1, 0.5 + confidence / 2.0)) * _corrected_error(scores, test_over_train)
    return mean, max(0.0, mean - reach), min(1.0, mean + reach)


def compare(
    hybrid: Sequence[float],
    others: Mapping[str, Sequence[float]],
    *,
    metric: str,
    test_over_train: float,
    confidence: float,
) -> list[Comparison]:
    """Compare the hybrid model's values, split by split, with those of each other variant.

    When all differences are equal their spread cannot be estimated, so t has no meaning; the sign test (p = 2**(1-J))
    takes its place, which five splits alone never satisfy at 95 %.

    Args:
        hybrid: the metric's value per split.
        others: for each variant, its values on the same splits in the same order.
        metric: a row of `METRICS`.
        test_over_train: rows in a test part over rows that the model saw in training.
        confidence: of all statements together.
    """
    allowed_error = 1.0 - confidence
    count = len(others)
    rows = []
    for against, values in others.items():
        differences = np.asarray(hybrid, dtype=np.float64) - np.asarray(values, dtype=np.float64)
        freedom = differences.size - 1
        mean = float(differences.mean())
        error = _corrected_error(differences, test_over_train)
        if error > 1e-12:
            single = 2.0 * float(stdtr(freedom, -abs(mean) / error))
            reach = float(stdtrit(freedom, 1.0 - allowed_error / (2.0 * count))) * error
        else:
            single = 1.0 if abs(mean) <= 1e-12 else 2.0 ** (1 - differences.size)
            decided = count * single < allowed_error
            reach = 0.0 if decided or single == 1.0 else 1.0  # a difference lies in -1 .. 1; its interval is not known
        p_value = min(1.0, count * single)
        rows.append(Comparison(against, metric, mean, mean - reach, mean + reach, p_value, p_value < allowed_error))
    return rows


def verdict(comparisons: Sequence[Comparison], n_splits: int, confidence: float, subject: str = "hybrid model") -> str:
    """One sentence: what the comparisons decide about the quantum circuit, and no more than that.

    "Helps" needs the hybrid model to beat its classical twin and every other control and baseline that was run; "hurts"
    needs it to lose to the twin; any other decided difference is named for what it is. ``subject`` is what the sentence
    calls the model.
    """
    if not comparisons:
        return f"Undecided: the {subject} was trained without controls or a baseline to compare it with."
    title = METRICS[comparisons[0].metric].title
    scope = f"over {n_splits} paired splits at {100 * confidence:g} % confidence"
    decided = [c for c in comparisons if c.decides]
    if not decided:
        others = _all(comparisons)
        return f"Undecided: {scope}, no difference in {title} is large enough to tell the {subject} from {others}."
    facts = _listed([_fact(c) for c in decided])
    open_ones = [f"the {LABELS[c.against]}" for c in comparisons if not c.decides]
    rest = f", and undecided against {_listed(open_ones, 'or')}" if open_ones else ""
    return f"{_conclusion(comparisons, subject)}: {scope}, the {subject}'s {title} is {facts}{rest}."


def _conclusion(comparisons: Sequence[Comparison], subject: str) -> str:
    """The headline of a verdict in which at least one comparison decides."""
    outcomes = {c.against: c.outcome for c in comparisons}
    twin = outcomes.get("classical_twin")
    if twin == "worse":
        return f"The quantum circuit hurts here: a classical block of its size does better than the {subject}"
    if twin == "better" and set(outcomes.values()) == {"better"}:
        return "The quantum circuit helps here, as far as these controls can tell"
    if outcomes.get("baseline") == "worse":
        return f"Prefer the classical baseline to the {subject} here"
    if "worse" in outcomes.values():
        return f"A simpler circuit does better than the {subject} here"
    if twin == "better":
        return f"The {subject} beats its classical twin but not everything it was compared with"
    if set(outcomes) == {"baseline"}:
        return f"The {subject} does better than the classical baseline here"
    if set(outcomes.values()) == {"better"}:
        return f"The {subject} does better here than everything it was compared with, no classical twin among them"
    return "Whether the quantum circuit helps is undecided"


def _fact(comparison: Comparison) -> str:
    size = abs(comparison.mean_difference)
    higher = "higher" if comparison.mean_difference > 0 else "lower"
    return f"{size:.3f} {higher} than that of the {LABELS[comparison.against]} (p = {comparison.p_value:.2g})"


def _all(comparisons: Sequence[Comparison]) -> str:
    """Name who was compared, and the difference that came nearest to deciding."""
    names = _listed([f"the {LABELS[c.against]}" for c in comparisons], "or")
    nearest = max(comparisons, key=lambda c: abs(c.mean_difference) / max(c.high - c.mean_difference, 1e-12))
    return (
        f"{names} (nearest: {nearest.mean_difference:+.3f} against the {LABELS[nearest.against]}, "
        f"interval {nearest.low:+.3f} to {nearest.high:+.3f})"
    )


def _listed(parts: Sequence[str], joint: str = "and") -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {joint} {parts[-1]}"
