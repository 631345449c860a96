"""Sentences about attacks on a model's privacy, made from the evaluation's figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["more_than_one_row", "of_groups", "shadow_words"]


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


def shadow_words(shadow: Mapping[str, Any] | None, *, text: Callable[[object], str] = str) -> str:
    """What shadow models found, in a sentence; ``text`` is how words of others are written, such as Markdown."""
    if shadow is None:
        return "Stronger attacks train many such models; none was made."
    found = ", ".join(
        f"{100 * one['share']:.1f} % at {100 * one['false_alarms']:g} % false alarms" for one in shadow["true_alarms"]
    )
    return (
        f"A stronger attack ({text(shadow['attack'])}): AUC {shadow['auc']:.3f} ({shadow['low']:.3f} to "
        f"{shadow['high']:.3f}), finds {found} of the training rows."
    )
