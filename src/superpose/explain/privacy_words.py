"""Sentences about attacks on a model's privacy, made from the evaluation's figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["of_groups", "shadow_words"]


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
