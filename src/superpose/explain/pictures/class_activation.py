"""Gradient-weighted class activation of the last convolutions in a user's exported module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.explain.pictures.plane import Axis
from superpose.learning.modules.blocks import last_of
from superpose.learning.modules.model import ModuleModel

__all__ = ["class_activations", "last_convolutions"]

Floats = NDArray[np.float64]

_CONVOLUTIONS = ("aten.conv2d.", "aten.convolution.")


def last_convolutions(model: Any) -> dict[str, tuple[int, int]]:
    """Names of the last convolutions over a plane in the module's predicting graph, with rows and columns of the plane.

    They are several where branches, such as the members of an averaged network, meet behind them. One that has shrunk
    the image to a single point tells no place, and an earlier one is taken. Empty where there is none, and for models
    that are no modules.
    """
    if not isinstance(model, ModuleModel):
        return {}
    graph = model.module.predicting
    named = [node.name for node in graph.nodes if node.op.startswith(_CONVOLUTIONS)]
    if not named:
        return {}
    _, taps = model.tapped(np.zeros((1, model.module.n_columns)), named)
    planes = [name for name in named if taps[name].result.dim() == 4 and min(taps[name].result.shape[2:]) > 1]
    sizes = {name: taps[name].result.shape[2:] for name in last_of(graph, planes)}
    return {name: (height, width) for name, (height, width) in sizes.items()}


def class_activations(
    model: ModuleModel,
    encoded: Floats,
    classes: NDArray[np.intp],
    layers: Mapping[str, tuple[Axis, Axis]],
    shape: tuple[int, int],
) -> Floats:
    """Class activations ``(n_rows, height, width)``, 0 where nothing speaks for the class; the sum over layers.

    The class's score against all others, ``s_c - log(sum of exp(s_k), k != c)``, is what is differentiated: with two
    classes the logit, and no class is favoured where a module has one output for both.

    Args:
        model: the module.
        encoded: ``(n_rows, n_columns)``.
        classes: index of each row's class.
        layers: from `last_convolutions`, with where rows and columns of each one's plane lie on the image, from
            `superpose.explain.pictures.plane.laid_on`.
        shape: height and width of the image.
    """
    import torch

    found = [np.zeros((0, *shape))]
    step = model.gradient_rows_at_once if len(encoded) > 1 else 1
    for start in range(0, len(encoded), step):
        own = torch.from_numpy(np.asarray(classes[start : start + step], dtype=np.int64))[:, None]
        scores, taps = model.tapped(encoded[start : start + step], list(layers))
        others = scores.scatter(1, own, -torch.inf).logsumexp(dim=1)
        odds = scores.gather(1, own)[:, 0] - others  # (batch,)
        actives = [taps[name].result for name in layers]  # each (batch, n_channels, rows, columns)
        summed = np.zeros((len(own), *shape))
        every: Any = torch.autograd.grad(odds.sum(), actives, allow_unused=True)
        for active, slopes, axes in zip(actives, every, layers.values(), strict=True):
            if slopes is None:  # the output does not depend on the layer
                continue
            weighed = (slopes.mean(dim=(2, 3), keepdim=True) * active).sum(dim=1).clamp(min=0.0)
            cells = weighed.detach().double().numpy()  # (batch, rows, columns)
            down, across = (axes[i].weights(cells.shape[1 + i], shape[i]) for i in (0, 1))
            summed += down @ cells @ across.T
        found.append(summed)
    return np.concatenate(found)
