"""What a prediction may be asked for beside labels and probabilities, as requests write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from superpose.errors import RequestError
from superpose.learning.calibration.asking import Asked, absent, check_of_classes

__all__ = ["ASKED_FIELDS", "asked_from", "check_safeguards"]

ASKED_FIELDS = ("prediction_set", "abstain", "novelty")
"""Fields of a request that ask for more than the default answer."""


def asked_from(fields: Mapping[str, Any]) -> Asked | None:
    """What a request's fields ask for; None where they ask for the default answer.

    Args:
        fields: of which ``prediction_set`` and ``novelty`` are truth values, and ``abstain`` is one, a probability, or
            "set"; null is the same as false.

    Raises:
        RequestError: a field has another form.
    """
    flags = {}
    for name in ("prediction_set", "novelty"):
        value = fields.get(name)
        if value is not None and not isinstance(value, bool):
            raise RequestError(f"{name} must be true or false, got {str(value)[:40]!r}.", field=name)
        flags[name] = bool(value)
    abstain = fields.get("abstain")
    if abstain is None:
        abstain = False
    probability = isinstance(abstain, int | float) and 0 <= abstain <= 1
    if not (isinstance(abstain, bool) or probability or abstain == "set"):
        raise RequestError(
            "abstain must be true (the model's own rule), false, a probability from 0 to 1 below which no label is "
            f'given, or "set" (where the prediction set has more than one class); got {str(abstain)[:40]!r}.',
            field="abstain",
        )
    asked = Asked(flags["prediction_set"], abstain, flags["novelty"])
    return asked if asked else None


def check_safeguards(manifest: Mapping[str, Any], asked: Asked | None) -> None:
    """Refuse what a model version cannot tell, by its file's manifest, before rows are predicted.

    Raises:
        SafeguardAbsentError: names what is absent.
        ModelPredictsNumbersError: the version has no classes, of which it is asked.
    """
    if asked is None:
        return
    check_of_classes(asked, "target" not in manifest["pipeline"])
    held: Mapping[str, Any] = manifest.get("safeguards") or {}
    needed = (
        ("prediction_set", "conformal", asked.prediction_set or asked.abstain == "set"),
        ("abstain", "abstain", asked.abstain is True),
        ("novelty", "novelty", asked.novelty),
    )
    for name, section, is_needed in needed:
        if is_needed and section not in held:
            raise absent(name)
