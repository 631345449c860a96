"""All that a service is asked about some predictions, in one document: attributions and, if wanted, the rest."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from superpose.errors import ExplanationError
from superpose.explain.attributions import Look, attribute_watched
from superpose.explain.counterfactuals import CounterfactualOptions, counterfactuals
from superpose.explain.pictures import draw_pictures, pixel_maps
from superpose.explain.plain_words import attribution_words, counterfactual_words, shot_noise_words
from superpose.explain.shot_noise import FLIPPING, shot_noise

if TYPE_CHECKING:
    from superpose.learning.predictor import Predictor

__all__ = ["MAX_CHANGED_ROWS", "MAX_PICTURES", "Explain", "Picture", "explain_rows"]

MAX_CHANGED_ROWS = 20
"""Rows that one call looks for counterfactuals of."""

MAX_PICTURES = 20
"""Rows that one call draws: some 100 kB each."""


@dataclass(frozen=True)
class Picture:
    """What is to be drawn of images.

    Attributes:
        kind: one of `superpose.explain.pictures.KINDS`, or "auto".
        shape: height and width, where columns do not tell.
    """

    kind: str = "auto"
    shape: tuple[int, int] | None = None


@dataclass(frozen=True)
class Explain:
    """What is wanted.

    Attributes:
        method: of attribution, one of `superpose.explain.METHODS`.
        of_class: whose probability is explained; by default each row's own prediction.
        counterfactuals: for at most 20 rows.
        shots: how likely labels are to flip with so many.
        words: whether to say all of it in plain words too.
        picture: of at most 20 images.
    """

    method: str = "integrated_gradients"
    of_class: str | None = None
    counterfactuals: CounterfactualOptions | None = None
    shots: int | None = None
    words: bool = False
    picture: Picture | None = None


def explain_rows(predictor: Predictor, rows: Any, wanted: Explain, look: Look | None = None) -> dict[str, Any]:
    """Explain predictions.

    Args:
        predictor: the loaded model.
        rows: whatever `Predictor.predict_proba` takes.
        wanted: what is to be told.
        look: called again and again meanwhile, before each few rows that the model predicts; what it raises ends the
            work.

    Returns:
        ``method`` and ``rows`` of `Attributions.to_dict`; each row with ``counterfactuals`` (of
        `Counterfactuals.to_dict`), ``shot_noise`` (of `NoisyRow.to_dict`) and ``words``, and beside the rows
        ``shot_noise`` (of `ShotNoise.summary`), where they were wanted; ``picture`` with ``kind``, ``layer``,
        ``media_type`` and ``data``, a PNG in base64; and ``notice``, what must stand wherever the model shows itself.

    Raises:
        ExplanationError: something wanted does not fit the model.
        FeatureMismatchError: the rows do not fit the model.
        ExtraMissingError: pictures need Matplotlib.
        BaseException: what ``look`` raises.

    Cost: the sum of the parts; see `attribute`, `counterfactuals` and `shot_noise`.
    """
    if predictor.predicts_numbers:
        _check_of_numbers(wanted)
    _check_number("Counterfactuals", wanted.counterfactuals, len(rows), MAX_CHANGED_ROWS)
    _check_number("Pictures", wanted.picture, len(rows), MAX_PICTURES)
    look = look or (lambda: None)
    look()
    found = attribute_watched(predictor, rows, wanted.method, look=look, of_class=wanted.of_class).to_dict()
    told: list[dict[str, Any]] = found["rows"]
    words = [attribution_words(row) for row in told]
    if wanted.counterfactuals is not None:
        changed = counterfactuals(predictor, rows, wanted.counterfactuals, look)
        for row, said, few in zip(told, words, changed, strict=True):
            row["counterfactuals"] = few.to_dict()["counterfactuals"]
            said += counterfactual_words(few.to_dict())
    if wanted.shots is not None:
        noise = shot_noise(predictor, rows, wanted.shots, look)
        found["shot_noise"] = noise.summary()
        for row, said, one in zip(told, words, noise.rows, strict=True):
            row["shot_noise"] = one.to_dict()
            said += shot_noise_words(one.to_dict(), wanted.shots, FLIPPING)
    if wanted.picture is not None:
        for row, picture in zip(told, _pictures(predictor, rows, wanted, look), strict=True):
            row["picture"] = picture
    if wanted.words:
        for row, said in zip(told, words, strict=True):
            row["words"] = said
    return found | ({"notice": predictor.notice} if predictor.notice else {})


def _check_of_numbers(wanted: Explain) -> None:
    """Refuse what speaks of classes.

    Raises:
        ExplanationError: names it.
    """
    given = {"counterfactuals": wanted.counterfactuals, "shots": wanted.shots, "picture": wanted.picture}
    asked = [name for name, value in given.items() if value is not None]
    if asked:
        raise ExplanationError(
            f"The model predicts a number and has no classes, of which {' and '.join(asked)} would tell. Leave "
            f"{'them' if asked[1:] else 'it'} out; attributions and words are there.",
            asked=asked,
        )


def _check_number(what: str, wanted: object, n_rows: int, most: int) -> None:
    if wanted is not None and n_rows > most:
        raise ExplanationError(f"{what} are made for {most} rows at a time, got {n_rows}; send fewer.", max_rows=most)


def _pictures(predictor: Predictor, rows: Any, wanted: Explain, look: Look) -> list[dict[str, Any]]:
    picture = wanted.picture or Picture()
    found = pixel_maps(predictor, rows, kind=picture.kind, of_class=wanted.of_class, shape=picture.shape, look=look)
    return [
        {
            "kind": found.kind,
            "layer": found.layer,
            "media_type": "image/png",
            "data": base64.b64encode(drawn).decode("ascii"),
        }
        for drawn in draw_pictures(found)
    ]
