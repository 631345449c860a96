"""Experiments with an exported module in the place of the spec's circuit."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from superpose.learning.canonical import digest_bytes
from superpose.learning.fine_tuning.modules import ModuleFineTuning
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
        fine_tuning: what the spec's section ``fine_tune`` asks for, planned for the data; the module is the parent's,
            and controls begin anew.
    """

    def __init__(self, module: ExportedModule, loss: str, fine_tuning: ModuleFineTuning | None = None) -> None:
        self._module, self._loss, self._fine_tuning = module, loss, fine_tuning
        self.digest = digest_bytes(module.to_bytes())

    @classmethod
    def carrying(cls, fine_tuning: ModuleFineTuning) -> Self:
        """The recipe of a plan."""
        model = fine_tuning.parent.model
        if not isinstance(model, ModuleModel):
            raise TypeError(f"{fine_tuning.parent.name} is no module")
        return cls(model.module, model.loss, fine_tuning)

    @property
    def identity(self) -> str:
        """Module and loss, and what it begins from."""
        own = f"module {self.digest} {self._loss}"
        return own if self._fine_tuning is None else f"{own} from {self._fine_tuning.parent.digest}"

    @property
    def subject(self) -> str:
        """A module with circuits is a hybrid model; one without is not called so."""
        own = "hybrid model" if self._module.layers else "module"
        return own if self._fine_tuning is None else f"fine-tuned {own}"

    @property
    def fine_tuning(self) -> ModuleFineTuning | None:
        """See `Recipe`; without one a module begins from the weights that it was exported with."""
        return self._fine_tuning

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
        """The module with its exported weights, whatever the seed; fine-tuned, with its parent's or new ones."""
        frozen = frozen_weights(self._module) if variant == "frozen" else frozenset()
        plan = self._fine_tuning
        if plan is None:
            return ModuleNetwork(self._module, self._loss, frozen)
        if variant == "hybrid":
            return ModuleNetwork(plan.begun(seed), self._loss, still=plan.still)
        return ModuleNetwork(plan.from_scratch(seed), self._loss, frozen)

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
        made = {"spec": sections, "module": {"name": self._module.name, "digest": self.digest, "loss": self._loss}}
        return made if self._fine_tuning is None else {**made, "fine_tuned_from": self._fine_tuning.to_dict()}


def _module_network(network: nn.Module) -> ModuleNetwork:
    if not isinstance(network, ModuleNetwork):
        raise TypeError(f"expected a ModuleNetwork, got {type(network).__name__}")
    return network
