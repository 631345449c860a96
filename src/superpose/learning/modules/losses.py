"""How a module's outputs are read as class scores, by the loss that it is trained with: a row of `LOSSES`.

All three are the cross entropy of a softmax over scores, so one training loop and one kind of endpoint serve them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from superpose.errors import SpecError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LOSSES", "Loss", "check_outputs", "class_scores", "numpy_scores"]


@dataclass(frozen=True)
class Loss:
    """A row of `LOSSES`: what the outputs are, and whether one output stands for two classes."""

    outputs: str
    single: bool


LOSSES: dict[str, Loss] = {
    "cross_entropy": Loss("one score (logit) per class", single=False),
    "nll": Loss("the logarithm of each class's probability", single=False),
    "binary_cross_entropy": Loss("the logit of the second class (in sorted order)", single=True),
}
"""Losses by the names that torch users know them by."""


def check_outputs(loss: str, n_outputs: int, n_classes: int) -> None:
    """Refuse a loss that does not fit the module and the data.

    Raises:
        SpecError: no such loss, or the module has another number of outputs than it needs.
    """
    if loss not in LOSSES:
        raise SpecError(f"must be one of {', '.join(LOSSES)}, got {str(loss)[:40]!r}", "loss", allowed=list(LOSSES))
    row = LOSSES[loss]
    if row.single and n_classes != 2:
        raise SpecError(f"{loss} is for two classes, the data have {n_classes}; use cross_entropy", "loss")
    needed = 1 if row.single else n_classes
    if n_outputs != needed:
        raise SpecError(
            f"{loss} takes {row.outputs}: {needed} outputs for {n_classes} classes, the module gives {n_outputs}",
            "loss",
        )


def class_scores(outputs: Tensor, loss: str) -> Tensor:
    """Outputs ``(batch, n_outputs)`` or ``(batch,)`` as scores ``(batch, n_classes)``."""
    import torch

    flat = outputs.reshape(outputs.shape[0], -1)  # (batch, n_outputs)
    return torch.cat([torch.zeros_like(flat), flat], dim=1) if LOSSES[loss].single else flat


def numpy_scores(outputs: Any, loss: str) -> Any:
    """`class_scores` of NumPy arrays."""
    import numpy as np

    return np.concatenate([np.zeros_like(outputs), outputs], axis=1) if LOSSES[loss].single else outputs
