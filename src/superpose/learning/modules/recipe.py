"""Experiments with an exported module in the place of the spec's circuit."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from superpose.learning.canonical import digest_bytes
from superpose.learning.measured.measurer import Measurer
from superpose.learning.modules.admission import check_columns, frozen_weights
from superpose.learning.modules.exported import ExportedModule
from superpose.learning.modules.model import ModuleModel
from superpose.learning.modules.network import ModuleNetwork, module_outputs
from superpose.learning.modules.numpy_program import runtime_of
from superpose.learning.network import EVALUATION_ROWS, NetworkShape
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.spec import TrainingSpec
from superpose.learning.trained_model import ClassLabel

__all__ = ["ModuleRecipe"]


class ModuleRecipe:
    """Trains a user's module from its exported weights; the control ``frozen`` leaves its quantum weights as they are.

    Args:
        module: what was exported.
        loss: a row of `LOSSES`.
    """

    def __init__(self, module: ExportedModule, loss: str) -> None:
        self._module, self._loss = module, loss
        self.digest = digest_bytes(module.to_bytes())

    @property
    def identity(self) -> str:
        """Module and loss."""
        return f"module {self.digest} {self._loss}"

    @property
    def subject(self) -> str:
        """A module with circuits is a hybrid model; one without is not called so."""
        return "hybrid model" if self._module.layers else "module"

    @property
    def fine_tuning(self) -> None:
        """None: a module begins from the weights that it was exported with."""
        return None

    def warning(self) -> str | None:
        """None: how the module's own weights begin is the module's affair."""
        return None

    def check_columns(self, n_encoded: int) -> None:
        """Refuse a split whose encoded columns are not the module's inputs.

        Raises:
            SpecError: they are not.
        """
        check_columns(self._module, n_encoded)

    def network(self, shape: NetworkShape, variant: str, seed: int) -> nn.Module:
        """The module with its exported weights, whatever the seed."""
        frozen = frozen_weights(self._module) if variant == "frozen" else frozenset()
        return ModuleNetwork(self._module, self._loss, frozen)

    def measurer(self, network: nn.Module, n_rows: int, seed: int) -> Measurer | None:
        """None: a module's circuits run on this machine's engine; specs that name a backend are refused before."""
        return None

    def probabilities(
        self, network: nn.Module, encoded: NDArray[np.float64], measurer: Measurer | None = None
    ) -> NDArray[np.float64]:
        """Class probabilities ``(n_rows, n_classes)``, as an endpoint will give them."""
        network.eval()
        starts = range(0, len(encoded), EVALUATION_ROWS)
        parts = [module_outputs(_module_network(network), encoded[i : i + EVALUATION_ROWS]) for i in starts]
        from superpose.learning.modules.losses import class_scores

        scores = class_scores(torch.from_numpy(np.concatenate(parts)), self._loss)  # (n_rows, n_classes)
        found: NDArray[np.float64] = torch.softmax(scores, dim=1).numpy()
        return found

    def model(self, network: nn.Module, preprocessor: Preprocessor, classes: tuple[ClassLabel, ...]) -> ModuleModel:
        """The trained module with what stands before and behind it."""
        trained = _module_network(network).eval()
        module = trained.trained_module()
        runtime = runtime_of(module, lambda encoded: module_outputs(trained, encoded))
        return ModuleModel(preprocessor, module, self._loss, classes, runtime)

    def provenance(self, spec: TrainingSpec) -> dict[str, Any]:
        """The exported module's name and digest, and the spec without the section that is not for modules."""
        sections = {name: value for name, value in spec.to_dict().items() if name != "model"}
        return {"spec": sections, "module": {"name": self._module.name, "digest": self.digest, "loss": self._loss}}


def _module_network(network: nn.Module) -> ModuleNetwork:
    if not isinstance(network, ModuleNetwork):
        raise TypeError(f"expected a ModuleNetwork, got {type(network).__name__}")
    return network
