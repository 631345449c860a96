"""Sentences about attacks on a model's privacy, made from the evaluation's figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

__all__ = [
    "alarm_words",
    "bound_words",
    "more_than_one_row",
    "of_groups",
    "parent_had_rows",
    "parent_words",
    "shadow_words",
]

_SELDOM = 0.05


def parent_had_rows(manifest: Mapping[str, Any]) -> bool:
    """Whether the model that this one began from learnt from its very data, or from rows that are tested here."""
    began = (manifest.get("provenance") or {}).get("fine_tuned_from") or {}
    told = (manifest.get("evaluation") or {}).get("fine_tuning") or {}
    digest = (manifest.get("data") or {}).get("digest")
    learnt_from = [began.get("dataset_digest"), *(began.get("earlier_data") or ())]
    same = digest is not None and digest in learnt_from
    return bool(began) and (same or bool((told.get("seen_by_parent") or {}).get("n_seen")))


def parent_words(manifest: Mapping[str, Any], *, text: Callable[[object], str] = str) -> list[str]:
    """What a private training's promise does not hold for, where it began from a model: the rows of that one."""
    began = (manifest.get("provenance") or {}).get("fine_tuned_from")
    if not began:
        return []
    parent = text(began["parent"])
    if not parent_had_rows(manifest):
        return [f"Nor does that epsilon cover the rows that the parent {parent} learnt from."]
    return [
        f"The parent {parent} learnt from rows of these data, and that epsilon does not count what it learnt: for a "
        "training row that the parent had, the promise does not hold, nor does a bound on attacks. Begin from a parent "
        "that was trained on other rows."
    ]


def more_than_one_row(private: Mapping[str, Any]) -> list[str]:
    """What the promise comes to for a patient of several rows, and with the sweep that chose the spec."""
    lines = []
    if "largest_group" in private:
        together, delta = private["epsilon_of_largest_group"], private.get("delta_of_largest_group")
        none = together is None or delta is None  # a file of an earlier release has an epsilon without its delta
        promise = "no promise" if none else f"epsilon {together:.3g}, delta {delta:.3g}"
        n_rows = private["largest_group"]
        lines.append(f"The patient with most training rows has {n_rows}: {promise} for all of them together.")
    if "sweep_trainings" in private:
        lines.append(
            f"A sweep chose the spec by {private['sweep_trainings']} private trainings on rows of the same table; "
            f"all together spent up to epsilon {private['epsilon_with_sweep']:.3g}, delta "
            f"{private['delta_with_sweep']:.3g}."
        )
    return lines


def of_groups(attack: Mapping[str, Any]) -> str:
    """Of how many groups, such as patients, the rows of an attack are; nothing where that was not known."""
    groups = attack.get("n_groups")
    return "" if groups is None else f", of {groups[0]} and {groups[1]} groups, which intervals allow for"


def alarm_words(attack: Mapping[str, Any]) -> str:
    """Training rows that an attack finds at few false alarms, with the ends of the intervals in percent."""
    return ", ".join(
        f"{100 * one['share']:.1f} % ({100 * one['low']:.1f} to {100 * one['high']:.1f}) at "
        f"{100 * one['false_alarms']:g} % false alarms"
        for one in attack["true_alarms"]
    )


def bound_words(attack: Mapping[str, Any]) -> str:
    """What no attack exceeds beside what was measured, the largest of many differences, which few rows make large.

    By chance that is above ``sqrt(log(1 / 0.05) / 2 * (1/n + 1/m))`` once in 20 times, of ``n`` and ``m`` rows or,
    where they are known, groups.

    Source: Smirnov, Bull. Math. Univ. Moscou 2 (1939), one-sided.
    """
    sides = attack.get("n_groups") or (attack["n_trained"], attack["n_unseen"])
    chance = min(1.0, math.sqrt(-0.5 * math.log(_SELDOM) * sum(1.0 / n for n in sides)))
    return (
        f"No attack's advantage exceeds {attack['bound']:.2g} over many trainings; on these rows it was "
        f"{attack['advantage']:.2g}, of which chance alone makes up to {chance:.2g}, so few are they (19 times in 20)."
    )


def shadow_words(shadow: Mapping[str, Any] | None, *, text: Callable[[object], str] = str) -> str:
    """What shadow models found, in a sentence; ``text`` is how words of others are written, such as Markdown."""
    if shadow is None:
        return "Stronger attacks train many such models; none was made."
    return (
        f"A stronger attack ({text(shadow['attack'])}): AUC {shadow['auc']:.3f} ({shadow['low']:.3f} to "
        f"{shadow['high']:.3f}), finds {alarm_words(shadow)} of the training rows."
    )
