"""A trained network as a model file that a `Predictor`, and so an endpoint, serves."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from superpose.datasets.image_reader import pixel_names
from superpose.learning.calibration.safeguards import Safeguards
from superpose.learning.model_file import ModelFacts, write_model
from superpose.learning.modules.exporting import export_module
from superpose.learning.modules.model import ModuleModel
from superpose.learning.modules.network import ModuleNetwork, module_outputs
from superpose.learning.modules.numpy_program import runtime_of
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.rows import ColumnKind, ColumnNames
from superpose.learning.templates.pneumonia.members import AveragedClassifiers, members_of
from superpose.learning.templates.pneumonia.networks import DressedHead, PictureClassifier

__all__ = ["PIXEL_LIMITS", "picture_columns", "save_model"]

PIXEL_LIMITS = (0.0, 1.0)
"""Black and white: what training takes, and so what a model is asked."""


def picture_columns(side: int) -> tuple[str, ...]:
    """Names of the pixels, as `superpose.datasets.read_images` gives them: ``grey_03_17`` is row 3, column 17."""
    return tuple(pixel_names(side))


def save_model(
    path: Path,
    network: PictureClassifier | AveragedClassifiers,
    threshold: float,
    classes: tuple[str, str],
    facts: ModelFacts,
    safeguards: Safeguards | None = None,
) -> dict[str, Any]:
    """Write the model file; the threshold becomes part of the model, so a probability above one half is a finding.

    Args:
        path: of the file.
        network: trained.
        threshold: logit above which a picture is a finding.
        classes: labels.
        facts: what the file says of the model.
        safeguards: of its answers, if any.

    Returns:
        Digest, runtime ("numpy" or "torch") and number of parameters.

    Raises:
        ModuleExportError: the network cannot be exported.
    """
    own = copy.deepcopy(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    for member in members_of(own):
        last = member.head.exit if isinstance(member.head, DressedHead) else member.head
        if not isinstance(last, nn.Linear):
            raise TypeError(f"a network's last layer must be linear, got {type(last).__name__}")
        with torch.no_grad():
            last.bias[1] -= threshold
    n_columns = network.side**2
    exported = export_module(own.eval(), torch.zeros(3, n_columns))
    trained = ModuleNetwork(exported, "cross_entropy").eval()
    names = picture_columns(network.side)
    number: ColumnKind = "number"
    preprocessor = Preprocessor(
        columns=ColumnNames(names, (number,) * n_columns),
        fill=np.zeros(n_columns),
        centre=np.zeros(n_columns),
        scale=np.ones(n_columns),
        categories=(),
        category_fill=(),
        refuses_missing=True,
        limits=PIXEL_LIMITS,
    )
    runtime = runtime_of(exported, lambda encoded: module_outputs(trained, encoded))
    model = ModuleModel(preprocessor, exported, "cross_entropy", classes, runtime)
    return {"sha256": write_model(path, model, facts, safeguards), "runtime": runtime, "n_params": model.n_params}
