"""What two models on the same rows come to, in sentences that are made of the figures only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from superpose.learning.metrics import form_of, reading
from superpose.learning.verdicts.cases import POWER
from superpose.learning.verdicts.wording import rounded

__all__ = ["paired_summary"]

_FEWEST_P: Final = 0.001
_SECOND: Final = ("auc", "sensitivity", "specificity", "brier")
"""Metrics that do not decide, but are told where their interval leaves 0 out."""

Facts = Mapping[str, Any]


def paired_summary(found: Facts) -> list[str]:
    """Sentences, the one that decides first.

    Args:
        found: the document of `superpose.learning.paired_validation.paired_validation`, without its summary.
    """
    if "mae" in found["metrics"]:
        return [_of_errors(found), *_left_out(found)]
    return [_of_answers(found), *_needed(found), *_beside(found), *_left_out(found)]


def _left_out(found: Facts) -> list[str]:
    n = found["n_without_answer"]
    were = "was" if n == 1 else "were"
    return [f"{_rows(n)} without an answer of {found['second']} {were} left out."] if n else []


def _rows(n: int) -> str:
    return f"{n:,} row" if n == 1 else f"{n:,} rows"


def _level(found: Facts) -> str:
    return f"{100 * found['confidence']:g} % interval"


def _between(figure: Facts) -> str:
    return f"{figure['low']:+.3f} to {figure['high']:+.3f}"


def _opening(found: Facts, by: str) -> str:
    """The first words: what is said, of whom and by what."""
    first, second, margin = found["first"], found["second"], found["margin"]
    n_rows, n_groups = found["n_rows"], found["n_groups"]
    of = "" if n_groups is None else f" of {n_groups:,} group" if n_groups == 1 else f" of {n_groups:,} groups"
    rows = f"on {'this' if n_rows == 1 else 'these'} {_rows(n_rows)}{of}"
    if found["said"] == "undecided":
        return f"Undecided: {rows} no difference in {by} tells {first} from {second}"
    if found["said"] == "equal":
        within = f"{margin:g}" if "p" in found else f"{100 * margin:g} %"
        return f"{first} and {second} are equal within {within} in {by} {rows}"
    return f"{first} is {found['said']} than {second} {rows} by {by}"


def _of_answers(found: Facts) -> str:
    accuracy, p_value = found["metrics"]["accuracy"], found["p"]
    told = f"p < {_FEWEST_P:g}" if p_value < _FEWEST_P else f"p = {p_value:.2g}"
    return (
        f"{_opening(found, 'accuracy')}: {accuracy['difference']:+.3f}, {_level(found)} {_between(accuracy)}; "
        f"{_rows(found['only_first_right'])} {found['first']} alone gets right, {found['only_second_right']:,} "
        f"{found['second']} alone (McNemar's test, {told})."
    )


def _needed(found: Facts) -> list[str]:
    """How many rows, or groups, would tell what these leave open."""
    if found["said"] != "undecided":
        return []
    of = "rows" if found["n_groups"] is None else "groups like theirs"
    decide = found["to_decide"]
    telling = (
        "No number of them would decide a difference of 0"
        if decide is None
        else (f"Some {rounded(decide)} {of} would decide a difference as large")
    )
    return [
        f"{telling}; some {rounded(found['to_call_equal'])} {of} show both equal within {found['margin']:g} if they "
        f"are (each with a chance of {100 * POWER:g} %)."
    ]


def _beside(found: Facts) -> list[str]:
    """Other metrics whose interval leaves 0 out; each stands by itself."""
    lines = []
    for name in _SECOND:
        figure = found["metrics"].get(name)
        if figure is None or figure["low"] is None or figure["low"] <= 0.0 <= figure["high"]:
            continue
        higher_is_better, title = reading(name)
        way = "higher" if figure["difference"] > 0.0 else "lower"
        good = "better" if (way == "higher") == higher_is_better else "worse"
        lines.append(
            f"{title[0].upper()}{title[1:]} of {found['first']} is {way}, which is {good}: "
            f"{figure['difference']:+.3f} ({_between(figure)})."
        )
    return lines


def _of_errors(found: Facts) -> str:
    figure = found["metrics"]["mae"]
    form = form_of("mae", figure["first"], figure["second"])
    said = f"{_opening(found, 'mean absolute error')}: {figure['difference']:+{form}}"
    if figure["low"] is None:
        return f"{said}; so few rows have no interval."
    return f"{said}, {_level(found)} {figure['low']:+{form}} to {figure['high']:+{form}}."
