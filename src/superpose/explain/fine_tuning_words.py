"""Where a fine-tuned model began, in words, from the plan that its training recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from superpose.learning.fine_tuning.parent import earlier_data

__all__ = ["fine_tuning_words"]

_ENTRY = {
    "keep": "preprocessing and entry layer were taken over",
    "match": "preprocessing was learnt anew, and the entry layer's weights of columns of equal name were taken over",
    "new": "preprocessing and entry layer began anew",
}


def fine_tuning_words(
    began: Mapping[str, Any], *, text: Callable[[str], str] = str, digest: Callable[[str], str] = str
) -> list[str]:
    """What was taken over from which model, what was not trained, and what to beware of; a sentence each.

    Args:
        began: as `superpose.learning.fine_tuning.plan.FineTuning.to_dict` has it, or that of a module.
        text: how a name is written where the words go, such as Markdown.
        digest: how a digest is.
    """
    rates = ", ".join(f"{text(block)} {rate:g}" for block, rate in (began.get("learning_rates") or {}).items())
    known = f" (SHA-256 {digest(began['digest'])})" if began.get("digest") else ""
    frozen = ", ".join(map(text, began["freeze"]))
    words = [
        f"Fine-tuned from {text(began['parent'])}{known}.",
        _begun(began, text),
        f"Not trained: {frozen or 'nothing'}{f'; learning rates: {rates}' if rates else ''}.",
    ]
    if began.get("dataset_digest"):
        words.append(
            f"The parent was trained on data with the digest {digest(began['dataset_digest'])}; whatever is wrong with "
            "that data or that model may have come along."
        )
    if earlier := earlier_data({"earlier_data": began.get("earlier_data")}):
        found = ", ".join(map(digest, earlier))
        words.append(f"Models behind the parent were trained on data with the digests {found}.")
    return words


def _begun(began: Mapping[str, Any], text: Callable[[str], str]) -> str:
    """What came from the parent and what did not; of a module by its own blocks, which may hold no circuit."""
    if "blocks" not in began:
        head = "the head was taken over" if began["head"] == "keep" else "the head began anew"
        return f"The circuit's weights were taken over; {_ENTRY[began['entry']]}; {head}."
    new = {"features", "entry"} if began["entry"] == "new" else set()
    new |= {"head"} if began["head"] == "new" else set()
    preprocessing = {"keep": ["preprocessing"]}.get(began["entry"], [])
    kept = [*preprocessing, *(f"weights of {text(block)}" for block in began["blocks"] if block not in new)]
    anew = [text(block) for block in began["blocks"] if block in new]
    learnt = "" if preprocessing else "; preprocessing was learnt anew"
    return f"Taken over: {', '.join(kept)}; begun anew: {', '.join(anew) or 'nothing'}{learnt}."
