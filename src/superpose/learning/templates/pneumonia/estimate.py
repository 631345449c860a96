"""What a job of the template is expected to take of a processor, without torch; see `superpose.learning.effort`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from superpose.learning.effort import EXPLANATION, REST, EstimatedEffort, Work
from superpose.learning.templates.pneumonia.choices import PRESETS
from superpose.learning.templates.pneumonia.options import LEAST_RESOLUTION, VARIANTS
from superpose.learning.templates.pneumonia.settings import FitSettings, TemplateSettings

__all__ = ["PictureCounts", "estimated_effort", "most_explained"]

_SIDE: Final = 28

_NETWORK_S: Final[Mapping[tuple[str, int], tuple[float, float]]] = {
    ("six", 24): (1.1e-3, 3.6e-4),
    ("six", 32): (1.55e-3, 5.6e-4),
    ("resnet18", 32): (9.8e-3, 2.9e-3),
    ("efficientnet", 32): (2.0e-2, 4e-3),
}
"""(features, width) -> seconds of a picture of 28 x 28 in training, its changes included, and of one of its views."""

_HEAD_S: Final[Mapping[str, float]] = {"hybrid": 4e-7, "unentangled": 4e-7, "frozen": 4e-7, "twin": 4.5e-6}
"""Seconds of a picture and epoch of a head that is trained alone."""

_LOGISTIC_S: Final = 2.8e-4
"""Seconds of a picture and penalty."""

_SCORED_S: Final = 2e-6
"""Seconds of a view by a head whose features are there."""

_JUDGED_S: Final = 2.0e-4
"""Seconds of a test picture and trained network: 1000 resamples."""

_TABLE_S: Final = 1.1e-4
"""Seconds of a picture of 28 x 28 as a row: digests of all parts, the drift baseline."""

_EXPLAINED_AS: Final = 220.0
"""Predictions of a view that explaining it takes as long as: gradients along the way from a baseline."""

_EXPLAINED_LARGE_S: Final = 5.0
"""Seconds of it where pictures are enlarged: more steps along the way, each of them dearer."""

_MOST_EXPLAINED: Final = 50
"""Pictures of an explanation sample at most, see `superpose.explain.samples`."""

_LEAST_EXPLAINED: Final = 8

_VIEWS_EXPLAINED: Final = 200
"""Where pictures are enlarged, of so many views at most, if that is `_LEAST_EXPLAINED` pictures."""

_FIXED_S: Final = 4.0
"""Seconds of a run of any size: the network is exported for the model file, the report is written."""


@dataclass(frozen=True)
class PictureCounts:
    """What the estimate knows of a set of pictures.

    Attributes:
        n_train, n_validation, n_test: pictures of each part.
        side: their pixels along an edge.
    """

    n_train: int
    n_validation: int
    n_test: int
    side: int


def estimated_effort(
    counts: PictureCounts, *, preset: str, seeds: int, epochs: int | None, variants: Sequence[str]
) -> EstimatedEffort:
    """What `train_pneumonia` is expected to take.

    Args:
        counts: of the pictures that are learnt from or judged: without those that training leaves out, since another
            part has them or their patients too.
        preset: a row of `PRESETS`.
        seeds: how many.
        epochs: of every training; None takes the preset's.
        variants: rows of `VARIANTS`; the hybrid model is always among them.
    """
    settings = PRESETS[preset] if epochs is None else PRESETS[preset].for_epochs(epochs)
    names = [name for name in VARIANTS if name in variants or name == "hybrid"]
    n_networks = sum(min(seeds, settings.fewer_seeds.get(name, seeds)) for name in names)
    n_pictures = counts.n_train + counts.n_validation + counts.n_test
    n_explained = min(counts.n_validation, most_explained(preset)) * _n_views(settings.hybrid)
    works = [work for name in names for work in _variant(name, counts, settings, seeds)]
    if any(VARIANTS[name].trained == "head" for name in names):
        works.append(_cached(counts, settings, seeds))
    works += [
        Work(REST, "test pictures judged", n_networks * counts.n_test, _JUDGED_S),
        Work(REST, "pictures looked through", n_pictures, _TABLE_S * _larger(counts)),
        Work(
            EXPLANATION,
            "views explained",
            n_explained,
            _explained_s(settings.hybrid) * _larger(counts, settings.hybrid.features),
        ),
        Work(REST, "runs", 1, _FIXED_S),
    ]
    return EstimatedEffort(tuple(works))


def most_explained(preset: str) -> int:
    """Pictures of the explanation sample of a job: fewer where one of them takes long."""
    network = PRESETS[preset].hybrid
    if network.features != "efficientnet":
        return _MOST_EXPLAINED
    return max(_LEAST_EXPLAINED, min(_MOST_EXPLAINED, _VIEWS_EXPLAINED // _n_views(network)))


def _variant(name: str, counts: PictureCounts, settings: TemplateSettings, seeds: int) -> Iterator[Work]:
    """Training a variant with all its seeds, and predicting validation and test pictures.

    Heads are applied to the features that the hybrid model's convolutions made of these.
    """
    row, heads = VARIANTS[name], settings.heads
    n_seeds = min(seeds, settings.fewer_seeds.get(name, seeds))
    network: FitSettings = getattr(settings, name) if row.trained == "whole" else settings.hybrid
    trained_s, view_s = _NETWORK_S[network.features, network.width]
    n_once = n_seeds * network.members * counts.n_train
    if row.trained == "whole":
        yield Work(name, "pictures trained", n_once * network.epochs, trained_s * _larger(counts, network.features))
    elif row.head == "logistic":
        yield Work(name, "pictures trained", n_once * len(heads.penalties), _LOGISTIC_S)
    else:
        yield Work(name, "pictures trained", n_once * heads.epochs, _HEAD_S[row.head])
    n_seen = n_seeds * (counts.n_validation + counts.n_test) * _n_views(network)
    if row.trained == "whole":
        yield Work(name, "views predicted", n_seen, view_s * _larger(counts, network.features))
    else:
        yield Work(name, "views scored", n_seen, _SCORED_S)


def _cached(counts: PictureCounts, settings: TemplateSettings, seeds: int) -> Work:
    """Features of the training pictures and their changed copies, and of the validation pictures."""
    _, view_s = _NETWORK_S[settings.hybrid.features, settings.hybrid.width]
    n = seeds * settings.hybrid.members * ((1 + settings.heads.copies) * counts.n_train + counts.n_validation)
    return Work(REST, "features cached", n, view_s * _larger(counts, settings.hybrid.features))


def _explained_s(network: FitSettings) -> float:
    """Seconds of a picture of the explanation sample and view."""
    if network.features == "efficientnet":
        return _EXPLAINED_LARGE_S
    return _EXPLAINED_AS * _NETWORK_S[network.features, network.width][1]


def _n_views(network: FitSettings) -> int:
    """Views that a network's predictions are means over, one by one in each of its members."""
    return network.members * (5 if network.shifts else 1) * (2 if network.flips else 1) * (3 if network.zooms else 1)


def _larger(counts: PictureCounts, features: str = "six") -> float:
    """Pixels of a picture over those that a network's seconds were measured with."""
    if features == "efficientnet":
        return max(1.0, counts.side / LEAST_RESOLUTION) ** 2
    return (counts.side / _SIDE) ** 2
