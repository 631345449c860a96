"""What an experiment trains: a spec's circuit, or a module that a user exported. All else is the same for both."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from superpose.circuits import Backend, SessionBackend
from superpose.errors import SpecError
from superpose.learning.fine_tuning.carried import Carried
from superpose.learning.fine_tuning.plan import FineTuning
from superpose.learning.measured.measurer import Measurer
from superpose.learning.measured.naming import resolved_backend
from superpose.learning.network import (
    HybridNetwork,
    NetworkShape,
    build_network,
    probabilities,
    quantum_block_of,
    trained_model,
)
from superpose.learning.plateau import block_gradients
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.quantum_layer import QuantumLayer
from superpose.learning.spec import TrainingSpec
from superpose.learning.trained_model import ClassLabel, ServedModel

__all__ = ["CircuitRecipe", "Recipe"]


class Recipe(Protocol):
    """How the networks of an experiment are made, and how one becomes a model."""

    @property
    def identity(self) -> str:
        """What two runs in one directory must agree on besides spec and data."""
        ...

    @property
    def subject(self) -> str:
        """What sentences call the model that the experiment is about."""
        ...

    @property
    def fine_tuning(self) -> Carried | None:
        """What the model begins from, if from a trained one."""
        ...

    def warning(self) -> str | None:
        """What to mind about the circuit before it is trained; None if there is nothing."""
        ...

    def check_columns(self, n_encoded: int) -> None:
        """Refuse a split whose encoded columns do not fit, before anything is trained.

        Raises:
            SpecError: they do not.
        """
        ...

    def network(self, shape: NetworkShape, variant: str, seed: int) -> nn.Module:
        """An untrained network: rows ``(batch, n_columns)`` to class scores ``(batch, n_classes)``."""
        ...

    def measurer(self, network: nn.Module, n_rows: int, seed: int) -> Measurer | None:
        """What measures the network's circuit on a backend in training over so many rows; None runs it here.

        Raises:
            SpecError: the backend is too small.
            BackendUnknownError, ToolkitMissingError, ProviderError: there is no such backend, or it cannot be reached.
        """
        ...

    def probabilities(
        self, network: nn.Module, encoded: NDArray[np.float64], measurer: Measurer | None = None
    ) -> NDArray[np.float64]:
        """Class probabilities ``(n_rows, n_classes)`` of encoded rows; measured where a measurer evaluates."""
        ...

    def model(self, network: nn.Module, preprocessor: Preprocessor, classes: tuple[ClassLabel, ...]) -> ServedModel:
        """The trained network as plain values."""
        ...

    def provenance(self, spec: TrainingSpec) -> dict[str, Any]:
        """What the model file says about where the network came from, the spec included; JSON values."""
        ...


class CircuitRecipe:
    """The network of a spec: classical layers around a circuit.

    Args:
        spec: what to train.
        backend: what the spec's section ``backend`` names; by default it is looked up when it is first needed.
        fine_tuning: what the spec's section ``fine_tune`` asks for, planned for the data.
    """

    def __init__(
        self, spec: TrainingSpec, backend: Backend | None = None, fine_tuning: FineTuning | None = None
    ) -> None:
        self._spec, self._backend, self._fine_tuning = spec, backend, fine_tuning
        self._opened: Backend | None = None

    @property
    def fine_tuning(self) -> FineTuning | None:
        """See `Recipe`."""
        return self._fine_tuning

    @property
    def identity(self) -> str:
        """The circuit, and what it begins from."""
        return "circuit" if self._fine_tuning is None else f"circuit from {self._fine_tuning.parent.digest}"

    @property
    def subject(self) -> str:
        """See `Recipe`."""
        return "hybrid model" if self._fine_tuning is None else "fine-tuned hybrid model"

    def close(self) -> None:
        """Close the session that was opened here, if one was.

        Raises:
            ProviderError: the provider could not be asked.
        """
        if isinstance(self._opened, SessionBackend):
            self._opened.close()

    def warning(self) -> str | None:
        """Whether training begins on a barren plateau."""
        if self._fine_tuning is not None:
            return None  # it does not begin from random weights
        report = block_gradients(quantum_block_of(self._spec.model))
        return None if report is None else report.warning

    def check_columns(self, n_encoded: int) -> None:
        """Any number will do: the first layer is built for it."""

    def network(self, shape: NetworkShape, variant: str, seed: int) -> nn.Module:
        """See `Recipe`."""
        generator = torch.Generator().manual_seed(seed)
        network = build_network(self._spec.model, shape, variant, generator, self._spec.training.gradient_method)
        if variant == "hybrid" and self._fine_tuning is not None:
            self._fine_tuning.begin(network, shape.column_names)
        return network

    def measurer(self, network: nn.Module, n_rows: int, seed: int) -> Measurer | None:
        """See `Recipe`."""
        layer, spec = _hybrid(network).block, self._spec.backend
        if spec.name is None or not isinstance(layer, QuantumLayer):
            return None
        if self._backend is None:
            self._backend = self._opened = resolved_backend(spec.name)
            if spec.mode == "session":
                self._backend = self._opened = in_session(self._opened)
        trained = layer.weights.requires_grad
        return Measurer(self._backend, spec, layer.block, n_rows=n_rows, seed=seed, weights=trained)

    def probabilities(
        self, network: nn.Module, encoded: NDArray[np.float64], measurer: Measurer | None = None
    ) -> NDArray[np.float64]:
        """See `Recipe`."""
        return probabilities(_hybrid(network), encoded, measurer)

    def model(self, network: nn.Module, preprocessor: Preprocessor, classes: tuple[ClassLabel, ...]) -> ServedModel:
        """See `Recipe`."""
        return trained_model(_hybrid(network), preprocessor, classes)

    def provenance(self, spec: TrainingSpec) -> dict[str, Any]:
        """See `Recipe`."""
        made = {"spec": spec.to_dict()}
        return made if self._fine_tuning is None else {**made, "fine_tuned_from": self._fine_tuning.to_dict()}


def in_session(backend: Backend) -> Backend:
    """The backend with all its programs in one session.

    Raises:
        SpecError: it has none.
    """
    if not isinstance(backend, SessionBackend):
        raise SpecError(f'is "session", but {backend.name} has no sessions; leave it out', "backend.mode")
    return backend.in_session()


def _hybrid(network: nn.Module) -> HybridNetwork:
    if not isinstance(network, HybridNetwork):
        raise TypeError(f"expected a HybridNetwork, got {type(network).__name__}")
    return network
