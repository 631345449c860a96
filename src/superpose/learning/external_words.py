"""What an external validation comes to, in sentences that are made of its figures only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from superpose.learning.shares import wilson_interval

__all__ = ["FEWEST_OF_A_CLASS", "difference_of_shares", "summary_of"]

FEWEST_OF_A_CLASS: Final = 100
"""Rows of each of two classes below which an external validation is imprecise: Vergouwe et al., J. Clin. Epidemiol. 58
(2005) 475; Collins, Ogundimu and Altman, Stat. Med. 35 (2016) 214."""
_MOST_NAMED = 5

Facts = Mapping[str, Any]


def difference_of_shares(first: Facts, second: Facts) -> tuple[float, float, float]:
    """First less second share of independent rows, and its interval.

    Args:
        first, second: ``value`` with its own interval ``low`` .. ``high``, of the confidence that is wanted.

    Source: Newcombe, Stat. Med. 17 (1998) 873, method 10, with Wilson's intervals.
    """
    difference = first["value"] - second["value"]
    down = math.hypot(first["value"] - first["low"], second["high"] - second["value"])
    up = math.hypot(first["high"] - first["value"], second["value"] - second["low"])
    return difference, difference - down, difference + up


def summary_of(found: Facts) -> list[str]:
    """Sentences, the most important first.

    Args:
        found: the document of `superpose.learning.external_validation.external_validation`, without its summary.
    """
    if "classes" not in found:
        lines = [_numbers_covered(found)]
    else:
        lines = [_against_own(found), _by_chance(found), *_probabilities(found), _sets(found), _few(found), _mix(found)]
    return [line for line in (_same(found), *lines, _novel(found), _columns(found), *_unknown(found)) if line]


def _same(found: Facts) -> str:
    if not found["is_own_data"]:
        return ""
    return "These are the rows of the model's own data set, of which most trained it: figures flatter it."


def _range(figure: Facts, form: str = ".3f") -> str:
    return f"{figure['low']:{form}} to {figure['high']:{form}}"


def _level(found: Facts) -> str:
    return f"{100 * found['confidence']:g} % interval"


def _against_own(found: Facts) -> str:
    """Accuracy here and on the model's own test rows."""
    own, here = found["own"], found["metrics"]["accuracy"]
    if own is None or not own["n_rows"] or "accuracy" not in own["metrics"] or found["is_own_data"]:
        return ""
    value, n_rows = float(own["metrics"]["accuracy"]), int(own["n_rows"])
    low, high = wilson_interval(value * n_rows, n_rows, found["confidence"])
    difference, least, most = difference_of_shares(here, {"value": value, "low": low, "high": high})
    figures = f"{difference:+.3f}, {_level(found)} {least:+.3f} to {most:+.3f}"
    if most < 0.0:
        return f"Accuracy is lower here than on the model's own {n_rows:,} test rows: {figures}."
    if least > 0.0:
        return f"Accuracy is higher here than on the model's own {n_rows:,} test rows: {figures}."
    return (
        f"Accuracy cannot be told from that on the model's own {n_rows:,} test rows: {figures}; that does not show "
        "that they are equal."
    )


def _by_chance(found: Facts) -> str:
    """Whether the AUC holds one half."""
    auc = found["metrics"]["auc"]
    if auc["low"] is None or auc["low"] > 0.5:
        return ""
    if auc["high"] < 0.5:
        return f"AUC is below 0.5 ({auc['value']:.3f}, {_range(auc)}): labels may be the wrong way round."
    return (
        f"AUC's interval holds 0.5 ({auc['value']:.3f}, {_range(auc)}): nothing shows that the model ranks these rows."
    )


def _probabilities(found: Facts) -> list[str]:
    """Whether probabilities of the positive class are right on the whole, and as sure as they should be."""
    told, name = found["recalibration"], found["positive_class"]
    if told is None:
        return []
    lines = []
    intercept, slope = told["intercept"], told["slope"]
    if intercept["low"] > 0.0 or intercept["high"] < 0.0:
        way = "low" if intercept["low"] > 0.0 else "high"
        lines.append(
            f"Probabilities of {name} are too {way} on the whole: {told['n_positive']:,} rows are, "
            f"{told['n_expected']:,.1f} were expected "
            f"(intercept {intercept['value']:+.2f}, {_range(intercept, '+.2f')})."
        )
    if slope is not None and slope["high"] < 1.0:
        lines.append(f"Probabilities are too near 0 and 1 (slope {slope['value']:.2f}, {_range(slope, '.2f')}).")
    if slope is not None and slope["low"] > 1.0:
        lines.append(f"Probabilities are too near one half (slope {slope['value']:.2f}, {_range(slope, '.2f')}).")
    return lines


def _sets(found: Facts) -> str:
    """Whether prediction sets hold the truth as often as they promise."""
    told = found["calibration"]["conformal"]
    if told is None or told["covered"]["high"] >= told["coverage"]:
        return ""
    covered = told["covered"]
    return (
        f"Prediction sets of {100 * told['coverage']:g} % hold the truth of {100 * covered['share']:.1f} % of rows "
        f"only ({100 * covered['low']:.1f} to {100 * covered['high']:.1f} %)."
    )


def _few(found: Facts) -> str:
    """Whether a class of two has too few rows."""
    few = {label: n for label, n in found["classes"].items() if n < FEWEST_OF_A_CLASS}
    if len(found["classes"]) != 2 or not few:
        return ""
    told = " and ".join(f"{label} ({n:,})" for label, n in few.items())
    return f"Few rows of {told}: with fewer than {FEWEST_OF_A_CLASS} of a class an external validation is imprecise."


def _mix(found: Facts) -> str:
    """Whether the positive class has another share here than where the model was made."""
    before = found.get("trained_on")
    if not before or found["positive_class"] is None:
        return ""
    name, n_before, here = found["positive_class"], sum(before.values()), found["positive_share"]
    if name not in before:
        return ""
    low, high = wilson_interval(before[name], n_before, found["confidence"])
    there = {"value": before[name] / n_before, "low": low, "high": high}
    _, least, most = difference_of_shares(here, there)
    if least <= 0.0 <= most:
        return ""
    share, before_share = 100 * here["value"], 100 * there["value"]
    return f"{share:.1f} % of rows are {name} here, {before_share:.1f} % were in the model's own data."


def _novel(found: Facts) -> str:
    told = (found.get("calibration") or {}).get("novelty")
    if told is None or told["novel"]["low"] <= told["expected_share"]:
        return ""
    return (
        f"{100 * told['novel']['share']:.1f} % of rows are unlike the training rows, where "
        f"{100 * told['expected_share']:.1f} % were to be expected."
    )


def _columns(found: Facts) -> str:
    moved = found["columns"]
    return "" if moved is None or moved["verdict"] == "stable" else str(moved["message"])


def _unknown(found: Facts) -> list[str]:
    told = list(found["unknown_categories"].items())
    lines = [
        f"{'1 row has' if n == 1 else f'{n:,} rows have'} a value in {name!r} that the model does not know."
        for name, n in told[:_MOST_NAMED]
    ]
    return lines + ([f"So it is with {len(told) - _MOST_NAMED:,} more columns."] if len(told) > _MOST_NAMED else [])


def _numbers_covered(found: Facts) -> str:
    told = found["metrics"].get("coverage")
    if told is None or told["high"] >= told["asked"]:
        return ""
    return (
        f"Intervals of {100 * told['asked']:g} % hold the true number of {100 * told['value']:.1f} % of rows only "
        f"({100 * told['low']:.1f} to {100 * told['high']:.1f} %)."
    )
