"""How variants that stand on the hybrid model's features are trained with one seed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from superpose.datasets.picture_sets import Pictures
from superpose.learning.fused.choice import fused_parts_or_reason
from superpose.learning.fused.parts import FusedParts, flattened
from superpose.learning.fused.steps import FusedSteps
from superpose.learning.templates.pneumonia.augmentation import augmented
from superpose.learning.templates.pneumonia.fitting import class_weights
from superpose.learning.templates.pneumonia.networks import DressedHead, PictureClassifier
from superpose.learning.templates.pneumonia.options import Head
from superpose.learning.templates.pneumonia.settings import HeadSettings, TemplateSettings
from superpose.learning.torch_chance import borrowed_generator
from superpose.learning.training import TrainingRows

__all__ = ["Features", "cached_features", "fit_head", "logistic_head", "with_head"]


@dataclass(frozen=True, eq=False)
class Features:
    """What a trained network's convolutions make of pictures: the input of heads that are trained alone.

    Attributes:
        train: float32 ``(n_copies, n_train, n_features)``; the first copy is of the pictures as they are.
        labels: int64 ``(n_train,)``.
        validation: float32 ``(n_validation, n_features)``.
        validation_labels: int64 ``(n_validation,)``.
    """

    train: Tensor
    labels: Tensor
    validation: Tensor
    validation_labels: Tensor


def cached_features(
    network: PictureClassifier, train: Pictures, validation: Pictures, settings: TemplateSettings, seed: int
) -> Features:
    """Features of the training pictures, as they are and in changed copies, and of the validation pictures."""
    generator = torch.Generator().manual_seed(seed)
    how = settings.hybrid.augmentation
    copies = [_features(network, train.pixels)]
    for _ in range(settings.heads.copies):
        copies.append(_features(network, train.pixels, lambda images: augmented(images, how, generator)))
    return Features(
        torch.stack(copies),
        torch.from_numpy(train.labels),
        _features(network, validation.pixels),
        torch.from_numpy(validation.labels),
    )


def fit_head(features: Features, kind: Head, settings: HeadSettings, seed: int, *, compiled: bool = True) -> nn.Module:
    """A head trained alone by AdamW with a cosine of the learning rate, both classes weighing the same.

    Args:
        features: from `cached_features`; each epoch takes one of the copies of each picture.
        kind: "hybrid", "twin", "unentangled" or "frozen".
        settings: how.
        seed: of the head's weights and of the order.
        compiled: False trains heads with a circuit in torch too.

    Raises:
        TrainingDivergedError: the loss of a head with a circuit is no longer finite.

    Heads with a circuit train in compiled code, others in torch; both do the same but for rounding.

    Cost: about half a microsecond a picture and epoch with the circuit, on one core.
    """
    n_copies, n_train, n_features = features.train.shape
    with borrowed_generator(seed):
        head = DressedHead(n_features, kind, seed, small=settings.small)
    generator = torch.Generator().manual_seed(seed)
    parts = fused_parts_or_reason(head, None, None, nn.functional.cross_entropy)
    if compiled and isinstance(parts, FusedParts):
        _fit_compiled(head, parts, features, settings, generator)
        return head.eval()
    weights = class_weights(features.labels)
    loss_of = nn.CrossEntropyLoss(weight=weights, label_smoothing=settings.label_smoothing)
    trained = [p for p in head.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
    n_steps = max(1, n_train // settings.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs * n_steps)
    for _ in range(settings.epochs):
        chosen = torch.randint(n_copies, (n_train,), generator=generator)
        order = torch.randperm(n_train, generator=generator)
        for step in range(n_steps):
            rows = order[step::n_steps]
            loss = loss_of(head(features.train[chosen[rows], rows]), features.labels[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    return head.eval()


def _fit_compiled(
    head: nn.Module, parts: FusedParts, features: Features, settings: HeadSettings, generator: torch.Generator
) -> None:
    """The same for heads around a circuit, in compiled code."""
    n_copies, n_train, n_features = features.train.shape
    n_steps = max(1, n_train // settings.batch_size)
    size, n_longer = divmod(n_train, n_steps)  # the first steps have a row more
    rows = TrainingRows(features.train.reshape(-1, n_features), features.labels.repeat(n_copies))
    trained = [p for p in head.parameters() if p.requires_grad]
    groups = [(sum(p.numel() for p in trained), settings.learning_rate, settings.weight_decay)]
    turns = np.arange(settings.epochs * n_steps) / (settings.epochs * n_steps)
    steps = FusedSteps(
        parts, flattened(trained), groups, class_weights(features.labels), 2,
        label_smoothing=settings.label_smoothing, factors=0.5 + 0.5 * np.cos(np.pi * turns),
    )  # fmt: skip
    for epoch in range(settings.epochs):
        chosen = torch.randint(n_copies, (n_train,), generator=generator)
        order = torch.randperm(n_train, generator=generator)
        places = torch.cat([order[step::n_steps] for step in range(n_steps)])
        places = chosen[places] * n_train + places
        split = n_longer * (size + 1)
        done = epoch * n_steps
        done += steps.sweep(rows, places[:split], size + 1, done)[0]
        steps.sweep(rows, places[split:], size, done)
    steps.rest()
    for parameter in trained:
        parameter.grad = None


def logistic_head(features: Features, settings: HeadSettings) -> nn.Module:
    """Logistic regression on the features of the pictures as they are, its penalty chosen on the validation part.

    As a linear layer: the scaling of the features is part of its weights.
    """
    from sklearn.linear_model import LogisticRegression

    rows = features.train[0].double().numpy()
    centre, scale = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-6)
    others = (features.validation.double().numpy() - centre) / scale
    truth = features.validation_labels.numpy()
    best: tuple[float, LogisticRegression] | None = None
    for strength in settings.penalties:
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=2000)
        model.fit((rows - centre) / scale, features.labels.numpy())
        margins = np.where(truth == 1, 1.0, -1.0) * model.decision_function(others)
        loss = float(np.mean([np.logaddexp(0.0, -margins[truth == label]).mean() for label in (0, 1)]))
        if best is None or loss < best[0]:
            best = (loss, model)
    if best is None:
        raise ValueError("penalties must hold at least one value")
    slope: NDArray[np.float64] = best[1].coef_[0] / scale
    head = nn.Linear(len(slope), 2)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
        head.weight[1] = torch.from_numpy(slope)
        head.bias[1] = float(best[1].intercept_[0] - slope @ centre)
    return head.eval()


def with_head(network: PictureClassifier, head: nn.Module) -> PictureClassifier:
    """A copy of the network with another head."""
    found = copy.deepcopy(network)
    found.head = head
    return found.eval()


def _features(
    network: PictureClassifier, pixels: NDArray[np.float32], change: Callable[[Tensor], Tensor] = lambda images: images
) -> Tensor:
    """Features ``(n_images, n_features)`` of pixels ``(n_images, side * side)``, enlarged, then changed."""
    network.eval()
    with torch.no_grad():
        images = torch.from_numpy(pixels).reshape(-1, 1, network.side, network.side)
        size = network.n_at_once()
        chunks = (network.enlarged(images[i : i + size]) for i in range(0, len(images), size))
        return torch.cat([network.features_of(change(chunk)) for chunk in chunks])
