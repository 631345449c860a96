"""How well a model does in each subgroup of its test cases, and how far subgroups are apart.

Cases count once, as in verdicts. Source of the gaps: Hardt, Price and Srebro, "Equality of Opportunity in Supervised
Learning", NIPS 2016, arXiv 1610.02413; demographic parity as defined there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.datasets import Table
from superpose.errors import SpecError
from superpose.learning.card import FEWEST_CASES
from superpose.learning.metrics import evaluate
from superpose.learning.rows import category_text
from superpose.learning.shares import effective_cases, interval_of_share
from superpose.learning.verdicts import SeenCases

__all__ = ["check_subgroups", "subgroup_report"]

MISSING, OTHER = "(missing)", "(other)"
_MOST_GROUPS = 10
_QUANTILES = (0.25, 0.5, 0.75)
_GAPS = ("accuracy", "selection_rate", "sensitivity", "specificity")
_DRAWS = 2_000


def check_subgroups(columns: Sequence[str], table: Table) -> None:
    """Refuse columns that the table does not have.

    Raises:
        SpecError: there is none of this name.
    """
    for name in columns:
        if name not in table.feature_names:
            shown = ", ".join(table.feature_names[:10]) + (", ..." if table.n_features > 10 else "")
            raise SpecError(f"{name!r} is not a column; columns are {shown}", "evaluation.subgroups", column=name)


def subgroup_report(columns: Sequence[str], table: Table, cases: SeenCases, confidence: float) -> list[dict[str, Any]]:
    """Metrics of the hybrid model in each subgroup, as JSON values.

    Args:
        columns: whose values make the groups: a category's values, the 10 most frequent; a number's, where there are no
            more than four, such as codes 0 and 1, else quarters of them.
        table: with these columns; they need not be features.
        cases: with ``places``, the row of each case.
        confidence: of the intervals of accuracy, sensitivity and specificity (Wilson; of as many cases as they are
            worth where groups of them belong together), each by itself.

    Returns:
        For each column ``column``, ``groups`` (``group``, ``n_cases``, ``metrics``, ``intervals``, ``counts``: the
        cases that a share is of), ``gaps``: the largest difference between two groups that have at least 10 cases,
        by name, None where fewer than two have; and ``gaps_by_chance``: what such a difference stays below with
        ``confidence`` where cases are dealt out to groups of these sizes by chance (with cases that belong together of
        as many as they are worth): the largest of several differences is seldom 0.

    Cost: 2,000 draws of some counts for each column and share.
    """
    return [_of_column(name, table, cases, confidence) for name in columns]


def _of_column(name: str, table: Table, cases: SeenCases, confidence: float) -> dict[str, Any]:
    labels, order = _labels(name, table, cases.places)
    present = [label for label in order if np.any(labels == label)]
    groups = [_group(label, labels == label, cases, confidence) for label in present]
    gaps = {metric: _gap(metric, groups) for metric in _gaps_of(cases)}
    shares = _shares(cases.truth, cases.probabilities["hybrid"], cases.positive)
    members = np.array([present.index(label) for label in labels])
    chance = {
        metric: None if gap is None else _by_chance(*shares[metric], members, cases.groups, confidence)
        for metric, gap in gaps.items()
    }
    return {"column": name, "groups": groups, "gaps": gaps, "gaps_by_chance": chance}


Shares = dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]


def _shares(truth: NDArray[np.integer], said: NDArray[np.float64], positive: int) -> Shares:
    """Of which cases a share is true, and of which cases it is one, ``(n_cases,)`` each."""
    predicted, everyone = said.argmax(axis=1), np.ones(len(truth), dtype=bool)
    shares: Shares = {"accuracy": (predicted == truth, everyone)}
    if said.shape[1] == 2:
        ill, called = truth == positive, predicted == positive
        shares |= {"selection_rate": (called, everyone), "sensitivity": (called, ill), "specificity": (~called, ~ill)}
    return shares


def _by_chance(
    good: NDArray[np.bool_],
    of: NDArray[np.bool_],
    members: NDArray[np.integer],
    together: NDArray[np.integer] | None,
    confidence: float,
) -> float:
    """The quantile of the largest difference where good cases are dealt out to the groups by chance."""
    good, members = good[of], members[of]
    sizes = np.bincount(members)
    compared = sizes >= FEWEST_CASES
    worth = effective_cases(good, confidence, None if together is None else together[of]) / len(good)
    sizes = np.where(sizes > 0, np.maximum(1, np.rint(sizes * worth)), 0).astype(np.int64)
    n_good = round(float(np.mean(good)) * int(sizes.sum()))
    dealt = np.random.default_rng(0).multivariate_hypergeometric(sizes, n_good, size=_DRAWS)
    shares = dealt[:, compared] / sizes[compared]
    spread = shares.max(axis=1) - shares.min(axis=1)
    return float(np.quantile(spread, confidence))


def _labels(name: str, table: Table, places: NDArray[np.integer]) -> tuple[NDArray[np.str_], list[str]]:
    """The group of each case, ``(n_cases,)``, and the groups in order."""
    column = table.columns[table.feature_names.index(name)]
    values = table.features[name].iloc[places]
    if column.kind == "number":
        numbers = values.to_numpy(dtype=np.float64)
        order, ends = _ranges(np.unique(numbers[~np.isnan(numbers)]), numbers)
        order.append(MISSING)
        places_of = np.where(np.isnan(numbers), len(order) - 1, np.searchsorted(ends, numbers, side="left"))
        return np.array(order)[places_of], order
    texts = [category_text(value) or MISSING for value in values]
    unique, counts = np.unique(texts, return_counts=True)
    order = [str(text) for text in unique[np.argsort(-counts, kind="stable")][:_MOST_GROUPS]]
    return np.array([text if text in order else OTHER for text in texts]), list(dict.fromkeys([*order, OTHER]))


def _ranges(different: NDArray[np.float64], numbers: NDArray[np.float64]) -> tuple[list[str], NDArray[np.float64]]:
    """Groups of numbers in order, and the greatest number of each but the last, which is open.

    Args:
        different: the numbers that there are, each once, rising.
        numbers: all of them, NaN where one is missing.
    """
    if 0 < len(different) <= len(_QUANTILES) + 1:
        return _told_apart(different), different[:-1]
    # nobody is above the greatest: a cut there would leave those who are below it among the others
    cuts = np.unique(np.nanquantile(numbers, _QUANTILES)) if len(different) else np.zeros(1)
    cuts = cuts[cuts < different[-1]] if len(different) else cuts
    cuts = cuts if len(cuts) else different[-2:-1]
    words = _told_apart(cuts)
    return [f"up to {words[0]}", *(f"above {word}" for word in words)], cuts


def _told_apart(cuts: NDArray[np.float64]) -> list[str]:
    """Different numbers in six digits, or in as many more as make their words differ: words are groups' names."""
    for digits in range(6, 18):
        words = [f"{cut:.{digits}g}" for cut in cuts]
        if len(set(words)) == len(words):
            break
    return words


def _group(label: str, chosen: NDArray[np.bool_], cases: SeenCases, confidence: float) -> dict[str, Any]:
    truth, said = cases.truth[chosen], cases.probabilities["hybrid"][chosen]
    together = None if cases.groups is None else cases.groups[chosen]
    metrics: dict[str, float] = dict(evaluate(truth, said, cases.positive))
    shares = _shares(truth, said, cases.positive)
    if "selection_rate" in shares:
        metrics["selection_rate"] = float(shares["selection_rate"][0].mean())
    return {
        "group": str(label),
        "n_cases": len(truth),
        "metrics": {name: value if math.isfinite(value) else None for name, value in metrics.items()},
        "intervals": {
            name: list(interval_of_share(good[of], confidence, None if together is None else together[of]))
            for name, (good, of) in shares.items()
            if of.any()
        },
        "counts": {name: int(of.sum()) for name, (_, of) in shares.items()},
    }


def _gaps_of(cases: SeenCases) -> tuple[str, ...]:
    return tuple(_GAPS) if cases.probabilities["hybrid"].shape[1] == 2 else ("accuracy",)


def _gap(metric: str, groups: Sequence[Mapping[str, Any]]) -> float | None:
    """The largest difference between groups of enough cases."""
    values = [group["metrics"][metric] for group in groups if group["counts"].get(metric, 0) >= FEWEST_CASES]
    return max(values) - min(values) if len(values) > 1 else None
