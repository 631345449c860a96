"""The document of a finished run: figures with intervals, comparisons over seeds, and sentences made of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scipy.special import stdtr

from superpose.learning.metrics import METRICS
from superpose.learning.templates.pneumonia.options import VARIANTS
from superpose.learning.verdicts import Comparison, compare
from superpose.learning.verdicts.splits import paired_test

__all__ = ["CONFIDENCE", "MARGIN", "NOTICE", "comparisons_of", "verdict_of"]

NOTICE = "Not for clinical use: research software, not a medical device, not validated on patients of any site."
CONFIDENCE = 0.95
MARGIN = 0.005
"""Half a point: a difference below it does not matter."""

_PAIRS = (
    ("hybrid", "strong_cnn"),
    ("hybrid", "resnet18"),
    ("hybrid", "pretrained_cnn"),
    ("hybrid_head", "classical_twin"),
    ("hybrid_head", "no_entanglement"),
    ("hybrid_head", "frozen"),
    ("hybrid_head", "logistic_regression"),
)
"""Who is compared with whom: whole networks with whole networks, heads with heads on the same features."""

_WHOLE_PARTNERS = ("strong_cnn", "pretrained_cnn")
"""Networks that the verdict holds the whole hybrid model against."""

_COMPARED = ("accuracy", "auc")


def comparisons_of(figures: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The comparisons that the seeds allow, as JSON; seeds are paired by their number.

    The seeds share the test pictures, so each test speaks of other seeds on these pictures, and its variance has no
    term for overlap.
    Each pair of names and each measure is a statement of its own at 95 %; ``p_worse`` is that of "worse by the margin
    or more" (one-sided).

    Args:
        figures: for each variant its measures, from `measures_of`.
    """
    found = []
    for subject, against in _PAIRS:
        if subject not in figures or against not in figures:
            continue
        for metric in _COMPARED:
            values = [figures[name][metric]["values"] for name in (subject, against)]
            n = min(map(len, values))
            if n < 2:
                continue
            mine, others = values[0][:n], values[1][:n]
            row = compare(
                mine, {against: others}, metric=metric, test_over_train=0.0, confidence=CONFIDENCE, margin=MARGIN
            )[0]
            found.append({
                "subject": subject, "n_seeds": n, **row.to_dict(), "p_worse": _p_worse(mine, others),
                "said": _said(subject, row, n, _p_worse(mine, others)),
            })  # fmt: skip
    return found


def _p_worse(mine: Sequence[float], others: Sequence[float]) -> float:
    """One-sided p value of "worse by the margin or more"."""
    test = paired_test([a - b for a, b in zip(mine, others, strict=True)], 0.0)
    if test.error <= 0.0:
        return 1.0
    return float(stdtr(test.n_splits - 1, -(test.mean + MARGIN) / test.error))


def _said(subject: str, row: Comparison, n_seeds: int, p_worse: float) -> str:
    """One comparison in words."""
    title, other = METRICS[row.metric].title, VARIANTS[row.against].label
    facts = (
        f"{title} differs by {100 * row.mean_difference:+.2f} points (95 % interval {100 * row.low:+.2f} to "
        f"{100 * row.high:+.2f}, {n_seeds} seeds)"
    )
    words = {
        "better": "better than",
        "equal": f"equal within {100 * MARGIN:g} point to",
        "worse": "worse than",
        "undecided": "undecided against",
    }[row.outcome]
    if row.outcome == "undecided" and p_worse < 1.0 - CONFIDENCE:
        words = f"not worse by {100 * MARGIN:g} point or more than"
    return f"{VARIANTS[subject].label}: {words} {other}; {facts}"


def verdict_of(comparisons: Sequence[Mapping[str, Any]], n_seeds: int) -> str:
    """What the comparisons decide about the whole model and about the circuit in it; made from the numbers alone."""
    if not comparisons:
        return (
            f"Undecided: {n_seeds} seed{'s' if n_seeds > 1 else ''} and no comparison over seeds; nothing can be told "
            "apart."
        )
    told, sentences = [], []
    for partner in _WHOLE_PARTNERS:
        rows = [c for c in comparisons if c["against"] == partner]
        if rows:
            sentences.append(_whole(rows, f"the {VARIANTS[partner].label}"))
        told += rows
    twin = [c for c in comparisons if c["against"] == "classical_twin"]
    if twin:
        sentences.append(_circuit(twin))
    sentences += [f"{c['said']}." for c in ([*told, *twin] or comparisons)]
    return " ".join(sentences)


def _whole(rows: Sequence[Mapping[str, Any]], partner: str) -> str:
    held = [c["outcome"] in ("better", "equal") or c["p_worse"] < 1.0 - CONFIDENCE for c in rows]
    names = [METRICS[c["metric"]].title for c in rows]
    good = [name for name, is_held in zip(names, held, strict=True) if is_held]
    bad = [c for c in rows if c["outcome"] == "worse" and c["p_worse"] >= 1.0 - CONFIDENCE]
    if bad:
        lost = " and ".join(METRICS[c["metric"]].title for c in bad)
        return f"The hybrid model is worse than {partner} in {lost}."
    if len(good) == len(rows):
        return f"In {' and in '.join(good)} the hybrid model is within half a point of {partner}, or better."
    if good:
        rest = " and ".join(name for name in names if name not in good)
        return (
            f"In {' and in '.join(good)} the hybrid model is within half a point of {partner}, or better; in "
            f"{rest} that is undecided."
        )
    return f"Whether the hybrid model comes within half a point of {partner} is undecided."


def _circuit(rows: Sequence[Mapping[str, Any]]) -> str:
    outcomes = {str(c["outcome"]) for c in rows}
    if outcomes == {"better"}:
        return "On the same features the circuit does better than a classical block of its size."
    if "worse" in outcomes:
        return "On the same features a classical block of the circuit's size does better."
    if outcomes == {"equal"}:
        return (
            "On the same features the circuit makes no difference that matters: a classical block of its size does as "
            "well."
        )
    return "Whether the circuit helps on the same features is not decided in every measure."
