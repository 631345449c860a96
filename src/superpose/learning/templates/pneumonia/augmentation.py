"""Random changes of training images: small affine maps, brightness, contrast, noise and hidden patches."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from superpose.learning.templates.pneumonia.settings import Augmentation

__all__ = ["augmented"]


def augmented(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Changed copies of ``images`` ``(batch, 1, side, side)``, pixels 0 .. 1 before and about so after.

    Every amount comes from ``generator``, so equal generators give equal images.

    Cost: about 25 microseconds an image of 28 x 28 on one core.
    """
    n = images.shape[0]

    def drawn(bound: float) -> Tensor:
        """(n,), uniform in -bound .. bound."""
        return (2.0 * torch.rand(n, generator=generator) - 1.0) * bound

    angle, zoom = drawn(math.radians(how.degrees)), 1.0 + drawn(how.zoom)
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0) if how.flip else torch.ones(n)
    cosine, sine, shear = torch.cos(angle) / zoom, torch.sin(angle) / zoom, drawn(how.shear)
    across = torch.stack([cosine * mirror, -sine + shear * cosine, drawn(2.0 * how.shift)], dim=1)  # (n, 3)
    down = torch.stack([sine * mirror, cosine + shear * sine, drawn(2.0 * how.shift)], dim=1)  # (n, 3)
    maps = torch.stack([across, down], dim=1)  # (n, 2, 3)
    grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    gain = (1.0 + drawn(how.contrast)).view(n, 1, 1, 1)
    changed = (moved - mean) * gain + mean + drawn(how.brightness).view(n, 1, 1, 1)
    if how.noise:
        amount = torch.rand(n, generator=generator).view(n, 1, 1, 1) * how.noise
        changed = changed + amount * torch.randn(images.shape, generator=generator)
    return _hidden(changed, how.patch, generator) if how.patch else changed


def _hidden(images: Tensor, patch: float, generator: torch.Generator) -> Tensor:
    """Half of the images with a square of their own mean grey in a random place."""
    n, _, side, _ = images.shape
    half = torch.rand(n, generator=generator) * patch * side / 2.0
    half = torch.where(torch.rand(n, generator=generator) < 0.5, half, torch.zeros(n))
    places = torch.arange(side, dtype=torch.float32)
    rows, columns = (torch.rand(n, generator=generator) * side for _ in range(2))
    in_rows = (places[None, :] - rows[:, None]).abs() < half[:, None]  # (n, side)
    in_columns = (places[None, :] - columns[:, None]).abs() < half[:, None]
    hidden = (in_rows[:, :, None] & in_columns[:, None, :])[:, None]  # (n, 1, side, side)
    return torch.where(hidden, images.mean(dim=(1, 2, 3), keepdim=True), images)
