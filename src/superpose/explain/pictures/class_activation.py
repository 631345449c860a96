"""Gradient-weighted class activation of the last convolution in a user's exported module."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.explain.pictures.plane import Axis
from superpose.learning.modules.model import ModuleModel

__all__ = ["class_activations", "last_convolution"]

Floats = NDArray[np.float64]

_CONVOLUTIONS = ("aten.conv2d.", "aten.convolution.")


def last_convolution(model: Any) -> tuple[str, tuple[int, int]] | None:
    """Name of the last convolution over a plane in the module's predicting graph, in order of its steps, and its plane.

    One that has shrunk the image to a single point tells no place, and an earlier one is taken. None where there is
    none, and for models that are no modules.
    """
    if not isinstance(model, ModuleModel):
        return None
    named = [node.name for node in model.module.predicting.nodes if node.op.startswith(_CONVOLUTIONS)]
    if not named:
        return None
    _, taps = model.tapped(np.zeros((1, model.module.n_columns)), named)
    planes = [name for name in named if taps[name].result.dim() == 4 and min(taps[name].result.shape[2:]) > 1]
    if not planes:
        return None
    height, width = taps[planes[-1]].result.shape[2:]
    return planes[-1], (height, width)


def class_activations(
    model: ModuleModel,
    encoded: Floats,
    classes: NDArray[np.intp],
    layer: str,
    axes: tuple[Axis, Axis],
    shape: tuple[int, int],
) -> Floats:
    """Class activations ``(n_rows, height, width)``, 0 where nothing speaks for the class.

    The class's score against all others, ``s_c - log(sum of exp(s_k), k != c)``, is what is differentiated: with two
    classes the logit, and no class is favoured where a module has one output for both.

    Args:
        model: the module.
        encoded: ``(n_rows, n_columns)``.
        classes: index of each row's class.
        layer: from `last_convolution`.
        axes: where rows and columns of its plane lie on the image, from `superpose.explain.pictures.plane.laid_on`.
        shape: height and width of the image.
    """
    import torch

    found = [np.zeros((0, *shape))]
    step = model.gradient_rows_at_once if len(encoded) > 1 else 1
    for start in range(0, len(encoded), step):
        own = torch.from_numpy(np.asarray(classes[start : start + step], dtype=np.int64))[:, None]
        scores, taps = model.tapped(encoded[start : start + step], [layer])
        others = scores.scatter(1, own, -torch.inf).logsumexp(dim=1)
        odds = scores.gather(1, own)[:, 0] - others  # (batch,)
        active = taps[layer].result  # (batch, n_channels, rows, columns)
        slopes: Any = torch.autograd.grad(odds.sum(), active, allow_unused=True)[0]
        if slopes is None:  # the output does not depend on the layer
            slopes = torch.zeros_like(active)
        weighed = (slopes.mean(dim=(2, 3), keepdim=True) * active).sum(dim=1).clamp(min=0.0)  # (batch, rows, columns)
        cells = weighed.detach().double().numpy()
        down, across = (axes[i].weights(cells.shape[1 + i], shape[i]) for i in (0, 1))
        found.append(down @ cells @ across.T)
    return np.concatenate(found)
