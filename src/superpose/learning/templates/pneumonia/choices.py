"""The template's two presets, and how their settings were chosen: on training and validation pictures only."""

from __future__ import annotations

from superpose.learning.templates.pneumonia.settings import Augmentation, FitSettings, TemplateSettings

__all__ = ["CHOSEN_BY", "PRESETS"]

_CHEST = Augmentation()
_BREAST = Augmentation(flip=True, zoom=0.15, shift=0.1)

PRESETS: dict[str, TemplateSettings] = {
    "chest": TemplateSettings(
        hybrid=FitSettings(width=24, shifts=True, augmentation=_CHEST),
        strong_cnn=FitSettings(shifts=True, augmentation=_CHEST),
        resnet18=FitSettings(
            features="resnet18", learning_rate=1e-3, head_rate=1.0, shifts=True, augmentation=_CHEST
        ),
    ),
    "breast": TemplateSettings(
        hybrid=FitSettings(width=24, epochs=60, batch_size=64, flips=True, augmentation=_BREAST),
        strong_cnn=FitSettings(epochs=60, batch_size=64, flips=True, augmentation=_BREAST),
        resnet18=FitSettings(
            features="resnet18", epochs=60, batch_size=64, learning_rate=1e-3, head_rate=1.0, flips=True,
            augmentation=_BREAST,
        ),
    ),
}  # fmt: skip
"""Settings by name. The hybrid model and what stands beside it have the same averaged weights and views."""

_HARD = "rotation 15, shift 0.12, zoom 0.15, shear 0.1, brightness 0.2, contrast 0.4, noise 0.08, hidden patch 0.4"


def _tried(what: str, folds: str, auc: float, accuracy: float, balanced_loss: float | None) -> dict[str, object]:
    return {"tried": what, "folds": folds, "auc": auc, "accuracy": accuracy, "balanced_log_loss": balanced_loss}


_ONE, _THREE, _FIVE = "1 of 9", "3 of 5", "5 of 5"

CHOSEN_BY: dict[str, list[dict[str, object]]] = {
    "chest": [
        _tried("six convolutions, width 24, 14 epochs", _ONE, 0.9978, 0.9691, 0.0741),
        _tried(f"the same, {_HARD}, shifted views", _ONE, 0.9943, 0.9347, 0.1361),
        _tried("the same, mixup 0.2, mirror images, shifted views", _ONE, 0.9950, 0.9639, 0.0991),
        _tried(f"residual, width 32, 20 epochs, {_HARD}, shifted views", _ONE, 0.9950, 0.9433, 0.1239),
    ],
    "breast": [
        _tried("six convolutions, width 24, 60 epochs, mirror images", _FIVE, 0.9133, 0.8638, 0.4068),
        _tried("the same, other folds (drawn without regard to the first row's)", _FIVE, 0.8694, 0.8474, None),
        _tried("the same, mixup 0.2, hidden patch 0.3, shifted views", _THREE, 0.8561, 0.8533, 0.4775),
        _tried("residual, width 32, 60 epochs, mirror images", _THREE, 0.8812, 0.8533, 0.4488),
    ],
}
"""What was tried for the hybrid model of each preset, and what came of it.

Cross-validation with one seed on training and validation parts of PneumoniaMNIST and BreastMNIST, equal pictures in one
fold; accuracy at 0.5. The first row of each was taken.
"""
