"""Training one network: AdamW on weighted cross entropy, its weights averaged, a checkpoint after every epoch.

Everything random of an epoch comes from the seed and the epoch's number, so a run that is killed and resumed gives the
same network as one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from superpose.learning.templates.pneumonia.augmentation import augmented
from superpose.learning.templates.pneumonia.checkpoints import Progress, read_progress, write_progress
from superpose.learning.templates.pneumonia.networks import (
    PictureClassifier,
    ResidualFeatures,
    ResNet18Features,
    SixConvolutions,
)
from superpose.learning.templates.pneumonia.options import Head
from superpose.learning.templates.pneumonia.pretrained import EfficientNetFeatures
from superpose.learning.templates.pneumonia.settings import FitSettings
from superpose.learning.torch_chance import borrowed_generator

__all__ = ["build", "class_weights", "fit"]

_WARM_UP = 0.15


def build(settings: FitSettings, head: Head, side: int, seed: int) -> PictureClassifier:
    """An untrained network; equal seeds give equal numbers.

    Its arrays lie in memory as training has them, channels last, so that weights which are read into it from a file
    give the same predictions as those just trained, to the last digit.
    """
    with borrowed_generator(seed):
        features: nn.Module
        if settings.features == "six":
            features = SixConvolutions(settings.width)
        elif settings.features == "residual":
            features = ResidualFeatures(settings.width)
        elif settings.features == "efficientnet":
            features = EfficientNetFeatures(side)
            features.load_imagenet()
        else:
            features = ResNet18Features()
        network = PictureClassifier(
            side,
            features,
            head,
            seed,
            shifts=settings.shifts,
            flips=settings.flips,
            zooms=settings.zooms,
            small_head=settings.small_head,
        )
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def fit(  # one parameter per part
    network: PictureClassifier,
    pixels: NDArray[np.float32],
    labels: NDArray[np.int64],
    settings: FitSettings,
    seed: int,
    *,
    checkpoint: Path | None = None,
    after_epoch: Callable[[int, float], None] | None = None,
) -> PictureClassifier:
    """Train ``network`` in place and give it back, in predicting mode, with its averaged weights.

    Args:
        network: as `build` gives it.
        pixels: ``(n_images, side * side)``, 0 .. 1.
        labels: ``(n_images,)``, 0 or 1.
        settings: how.
        seed: of order and changes of images.
        checkpoint: file to go on from, and to write after each epoch, with the losses of all epochs so far; removing it
            is the caller's.
        after_epoch: told the number of epochs done and the last one's mean loss.

    Raises:
        CheckpointError: the checkpoint belongs to another network or is damaged.
    """
    images = torch.from_numpy(pixels).reshape(-1, 1, network.side, network.side)
    truth = torch.from_numpy(labels)
    weights = class_weights(truth) if settings.class_weights else torch.ones(2)
    beside = _auxiliary(network) if settings.auxiliary else None
    whole = network if beside is None else nn.ModuleList([network, beside])
    optimizer = torch.optim.AdamW(_groups(network, beside, settings), weight_decay=settings.weight_decay)
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    progress = Progress(0) if checkpoint is None else read_progress(checkpoint, whole, optimizer, average)
    per_epoch = max(1, len(images) // settings.batch_size)
    for epoch in range(progress.epochs, settings.epochs):
        generator = torch.Generator().manual_seed(1_000_003 * (seed + 1) + epoch)
        order = torch.randperm(len(images), generator=generator)
        network.train()
        total = 0.0
        for step in range(per_epoch):
            chosen = order[step::per_epoch]
            done = epoch * per_epoch + step
            _set_rate(optimizer, settings, done / (settings.epochs * per_epoch))
            loss = _loss(network, beside, images[chosen], truth[chosen], weights, settings, generator)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
            optimizer.step()
            total += float(loss.detach())
            _average(average, network, settings.averaging, done)
        progress = progress.after(total / per_epoch)
        if checkpoint is not None:
            write_progress(checkpoint, progress, whole, optimizer, average)
        if after_epoch is not None:
            after_epoch(epoch + 1, total / per_epoch)
    network.load_state_dict(average)
    return network.eval()


def class_weights(labels: Tensor) -> Tensor:
    """Weights ``(2,)`` by which both classes count alike in the loss, from labels ``(n_images,)`` of 0 and 1."""
    counts = torch.bincount(labels, minlength=2).float().clamp(min=1.0)
    return counts.sum() / (2.0 * counts)


def _auxiliary(network: PictureClassifier) -> nn.Linear:
    """A linear layer on the features that begins at 0, so that no seed decides how."""
    found = nn.Linear(int(network.features.n_features), 2)  # type: ignore[arg-type]
    for parameter in found.parameters():
        nn.init.zeros_(parameter)
    return found


def _groups(network: PictureClassifier, beside: nn.Module | None, settings: FitSettings) -> list[dict[str, object]]:
    trained = [p for p in network.features.parameters() if p.requires_grad]
    heads = [network.head] if beside is None else [network.head, beside]
    head = [p for module in heads for p in module.parameters() if p.requires_grad]
    groups = [{"params": trained, "over": 1.0}] if trained else []
    return [*groups, {"params": head, "over": settings.head_rate}]


def _set_rate(optimizer: torch.optim.Optimizer, settings: FitSettings, share: float) -> None:
    if share < _WARM_UP:
        factor = 0.04 + 0.96 * share / _WARM_UP
    else:
        factor = 0.5 * (1.0 + math.cos(math.pi * (share - _WARM_UP) / (1.0 - _WARM_UP)))
    for group in optimizer.param_groups:
        group["lr"] = settings.learning_rate * factor * group["over"]


def _loss(  # one parameter per part
    network: PictureClassifier,
    beside: nn.Module | None,
    images: Tensor,
    labels: Tensor,
    weights: Tensor,
    settings: FitSettings,
    generator: torch.Generator,
) -> Tensor:
    """Of a batch, changed at random; the mean over its images."""
    changed = augmented(network.enlarged(images), settings.augmentation, generator)
    goal = torch.nn.functional.one_hot(labels, 2).float() * (1.0 - settings.label_smoothing)
    goal = (goal + settings.label_smoothing / 2.0) * weights[labels][:, None]  # (batch, 2)
    if settings.mixup:
        drawn = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
        share = float(drawn.beta(settings.mixup, settings.mixup))
        other = torch.randperm(len(images), generator=generator)
        changed = share * changed + (1.0 - share) * changed[other]
        goal = share * goal + (1.0 - share) * goal[other]
    features = network.features_of(changed)
    if settings.dropout:
        kept = torch.rand(features.shape, generator=generator) >= settings.dropout
        features = features * kept / (1.0 - settings.dropout)
    loss = _entropy(network.head(features), goal)
    return loss if beside is None else loss + settings.auxiliary * _entropy(beside(features), goal)


def _entropy(scores: Tensor, goal: Tensor) -> Tensor:
    """Cross entropy of scores ``(batch, 2)`` against weighted shares ``(batch, 2)`` of both classes, a mean."""
    return -(goal * torch.log_softmax(scores, dim=1)).sum(dim=1).mean()


def _average(average: dict[str, Tensor], network: nn.Module, decay: float, done: int) -> None:
    """Move the averaged weights towards the network's; the first steps count for little."""
    keep = min(decay, (1.0 + done) / (10.0 + done))
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                average[name].lerp_(value, 1.0 - keep)
            else:
                average[name].copy_(value)
