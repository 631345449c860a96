"""Everything that decides what is trained, as one value with a digest: fixed before the test images are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

__all__ = [
    "CAME_LATER",
    "HEADS_CAME_LATER",
    "PREDICTING",
    "Augmentation",
    "FitSettings",
    "HeadSettings",
    "TemplateSettings",
]


@dataclass(frozen=True)
class Augmentation:
    """How far images are changed in training; each amount is drawn anew per image, uniformly up to the bound.

    Attributes:
        degrees: rotation, either way.
        shift: of the image's side, along each axis, either way.
        zoom: scale 1 - zoom .. 1 + zoom.
        shear: tangent of the angle, either way.
        brightness: added to pixels of 0 .. 1, either way.
        contrast: pixels minus their mean are multiplied by 1 - contrast .. 1 + contrast.
        noise: largest standard deviation of normal noise on pixels of 0 .. 1.
        patch: largest side of a hidden square, as a share of the image's side; half the images get one.
        flip: whether half the images are mirrored left to right.
    """

    degrees: float = 10.0
    shift: float = 0.08
    zoom: float = 0.1
    shear: float = 0.0
    brightness: float = 0.1
    contrast: float = 0.2
    noise: float = 0.03
    patch: float = 0.0
    flip: bool = False


@dataclass(frozen=True)
class FitSettings:
    """How one network is trained.

    Attributes:
        features: "six" (convolutions), "residual", "resnet18", or "efficientnet", which begins with ImageNet's weights.
        width: channels of the first stage; not used by "resnet18" and "efficientnet".
        epochs: passes over the training images.
        batch_size: images per step.
        learning_rate: highest of AdamW; it rises over the first 15 % of the steps and falls as a cosine.
        head_rate: the head's learning rate over that of the convolutions.
        weight_decay: of AdamW.
        label_smoothing: share of the label that is spread over both classes.
        class_weights: whether both classes weigh the same in the loss.
        mixup: alpha of the beta distribution that images are mixed by; 0 mixes none.
        averaging: decay per step of the mean over weights that is kept; 0 keeps the last weights.
        shifts: whether predictions average over views moved by a pixel.
        flips: whether predictions average over mirror images.
        zooms: whether predictions average over pictures brought nearer and farther by a tenth.
        members: how many networks are trained for a seed, each with a seed of its own, and averaged in predicting.
        dropout: share of the features that a step of training hides.
        auxiliary: weight of the loss of a linear layer that is trained on the features beside the head, and left out
            afterwards; it teaches the features what a narrow head lets through slowly. 0 trains none.
        small_head: whether the head begins small, see `DressedHead`.
        augmentation: random changes of training images.
    """

    features: Literal["six", "residual", "resnet18", "efficientnet"] = "six"
    width: int = 32
    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 3e-3
    head_rate: float = 3.0
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    class_weights: bool = True
    mixup: float = 0.0
    averaging: float = 0.99
    shifts: bool = False
    flips: bool = False
    zooms: bool = False
    members: int = 1
    dropout: float = 0.0
    auxiliary: float = 0.0
    small_head: bool = False
    augmentation: Augmentation = field(default_factory=Augmentation)


CAME_LATER: Mapping[str, float] = {"zooms": False, "members": 1, "dropout": 0.0, "auxiliary": 0.0, "small_head": False}
"""Settings of a network that its JSON has only where they are not these."""

HEADS_CAME_LATER: Mapping[str, bool] = {"small": False}
"""The same of heads that are trained alone."""

PREDICTING = ("shifts", "flips", "zooms")
"""Settings of a network that its training does not know of."""


@dataclass(frozen=True)
class HeadSettings:
    """How heads are trained alone, on cached features.

    Attributes:
        epochs: passes over the training pictures.
        batch_size: pictures per step.
        learning_rate: first of AdamW; it falls as a cosine.
        weight_decay: of AdamW.
        label_smoothing: share of the label that is spread over both classes.
        copies: changed copies of each training picture beside the picture itself.
        penalties: strengths C that logistic regression chooses from.
        small: whether heads begin small, see `DressedHead`.
    """

    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 0.01
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    copies: int = 3
    penalties: tuple[float, ...] = (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)
    small: bool = False


@dataclass(frozen=True)
class TemplateSettings:
    """How everything of a run is trained.

    Attributes:
        hybrid: the hybrid model.
        strong_cnn: the strong CNN.
        resnet18: ResNet-18.
        pretrained_cnn: the hybrid model's own features, trained whole with one linear layer in the circuit's place;
            None where the strong CNN says what that does.
        heads: heads on the hybrid model's features.
        fewer_seeds: names of variants that are trained whole with at most so many of the seeds, for what they cost.
    """

    hybrid: FitSettings
    strong_cnn: FitSettings
    resnet18: FitSettings
    pretrained_cnn: FitSettings | None = None
    heads: HeadSettings = HeadSettings()
    fewer_seeds: Mapping[str, int] = field(default_factory=lambda: {"resnet18": 3})

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON.

        What came later, such as ``members`` or ``pretrained_cnn``, only where it is not as by default, so that digests
        of other settings are as they were.
        """
        found = asdict(self)
        if self.pretrained_cnn is None:
            del found["pretrained_cnn"]
        for name in self.networks():
            for key, usual in CAME_LATER.items():
                if found[name][key] == usual:
                    del found[name][key]
        found["heads"]["penalties"] = list(self.heads.penalties)
        for key, usual in HEADS_CAME_LATER.items():
            if found["heads"][key] == usual:
                del found["heads"][key]
        return found

    def networks(self) -> dict[str, FitSettings]:
        """By variant, how every network that is trained whole is trained."""
        names = ("hybrid", "strong_cnn", "resnet18", "pretrained_cnn")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def for_epochs(self, epochs: int) -> TemplateSettings:
        """The same with every training cut or stretched to ``epochs``."""
        networks: Any = {name: replace(own, epochs=epochs) for name, own in self.networks().items()}
        return replace(self, heads=replace(self.heads, epochs=epochs), **networks)
