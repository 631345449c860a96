"""`VariationalClassifier`: families whose circuits are trained by gradients, with the training loop of all models."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from superpose.errors import SpecError
from superpose.learning.checkpoint import CheckpointStore
from superpose.learning.class_weights import class_weights_of
from superpose.learning.estimator import check_validation_fraction, early_stopping_split
from superpose.learning.families.base import FamilyClassifier
from superpose.learning.families.labelled_rows import LabelledRows
from superpose.learning.modules.exporting import export_module
from superpose.learning.modules.model import ModuleModel
from superpose.learning.modules.network import ModuleNetwork, module_outputs
from superpose.learning.modules.numpy_program import runtime_of
from superpose.learning.network import ClassicalBlock, NetworkShape, count_parameters, probabilities
from superpose.learning.quantum_block import QuantumBlock
from superpose.learning.quantum_layer import QuantumLayer
from superpose.learning.spec import TrainingOptions
from superpose.learning.torch_chance import borrowed_generator
from superpose.learning.trained_model import ServedModel
from superpose.learning.training import EpochReport, Trainer, TrainingRows

if TYPE_CHECKING:
    from superpose.learning.training import TrainingWatch

__all__ = ["BlockTwin", "VariationalClassifier"]


class BlockTwin(nn.Module):
    """A `ClassicalBlock` with a circuit's inputs, outputs and number of parameters.

    ``(batch, n_inputs) -> (batch, n_outputs)``; of more outputs than inputs the rest are zeros, of fewer the first.
    """

    def __init__(self, block: QuantumBlock) -> None:
        super().__init__()
        self.n_outputs = block.n_outputs
        self.width = max(block.n_inputs, block.n_outputs)
        self.block = ClassicalBlock(self.width, block.n_weights)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, n_inputs) -> (batch, n_outputs)."""
        wide = nn.functional.pad(inputs, (0, self.width - inputs.shape[1]))  # (batch, width)
        found: Tensor = self.block(wide)[:, : self.n_outputs]
        return found


@dataclass(kw_only=True, eq=False, repr=False)
class VariationalClassifier(FamilyClassifier):
    """Base of the families that train circuits by AdamW on cross entropy, keeping the best epoch's weights.

    Args:
        epochs: at most this many passes over the rows.
        max_steps: at most so many steps of ``batch_size`` rows, in whole epochs and at least one: what bounds the cost
            on many rows, where ``epochs`` bounds it on few. None: no bound. A training anew (``refit``) has as many
            epochs as were best.
        batch_size: rows per step.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        patience: epochs without a better validation loss before training stops.
        validation_fraction: share of the rows that decide when to stop; 0, or a class in one row or group alone, uses
            the training loss instead.
        class_weight: None, "balanced", or a mapping from label to weight.
        refit: whether the network that is kept is trained anew on all rows, for as many epochs as were best with rows
            held back; without held-back rows it makes no difference.

    Attributes:
        n_iter_: epochs trained until stopping.
        n_params_: trained numbers.
        history_: loss, validation loss and validation accuracy per epoch.
        network_: the trained `torch.nn.Module`, encoded rows ``(batch, n_encoded)`` to scores ``(batch, n_classes)``.
    """

    epochs: int = 600
    max_steps: int | None = 4200
    batch_size: int = 32
    learning_rate: float = 0.02
    weight_decay: float = 0.01
    patience: int = 100
    validation_fraction: float = 0.15
    class_weight: str | Mapping[Any, float] | None = None
    refit: bool = True

    @abstractmethod
    def _network(self, shape: NetworkShape) -> nn.Module:
        """An untrained network; its randomness is torch's global generator's, which the caller has seeded."""

    def _prepared(self, network: nn.Module, rows: Tensor) -> tuple[nn.Module, Tensor]:
        """What trains, and the training rows as it takes them; also where a network learns scales from them."""
        return network, rows

    def _features(self, network: nn.Module, rows: Tensor) -> Tensor:
        """Rows as what trains takes them."""
        return rows

    def _layer(self, block: QuantumBlock) -> nn.Module:
        """The block as a layer; in a classical twin, as many classical parameters."""
        return BlockTwin(block) if getattr(self, "classical", False) else QuantumLayer.from_block(block)

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        self._training_options()
        if self.max_steps is not None:
            self._check_whole("max_steps", 1, 1_000_000_000)
        check_validation_fraction(self.validation_fraction)
        if getattr(self, "classical", False) and self.separable:
            raise SpecError(
                "a classical twin has no circuit that could be separable; choose one of the two", "classical"
            )

    def _training_options(self) -> TrainingOptions:
        return TrainingOptions(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            patience=self.patience,
        )

    def _learn(self, data: LabelledRows, seed: int, watch: TrainingWatch | None) -> None:
        train, validation = early_stopping_split(data.codes, self.validation_fraction, seed, data.groups)
        options = self._bounded(self._training_options(), len(train))
        network, trainer = self._trained(data, (train, validation), options, seed, watch)
        self.history_: list[EpochReport] = trainer.history
        if self.refit and len(validation):
            whole, nothing = np.arange(len(data.rows)), np.empty(0, dtype=np.int64)
            options = replace(options, epochs=trainer.best_epoch, patience=trainer.best_epoch)
            network, _ = self._trained(data, (whole, nothing), options, seed, _apart(watch))
        self.network_ = network
        self.n_iter_ = len(self.history_)
        self.n_params_ = count_parameters(network)[1]

    def _bounded(self, options: TrainingOptions, n_rows: int) -> TrainingOptions:
        """With no more epochs than ``max_steps`` allows for so many training rows."""
        if self.max_steps is None:
            return options
        per_epoch = -(-n_rows // self.batch_size)
        return replace(options, epochs=min(self.epochs, max(1, self.max_steps // per_epoch)))

    def _trained(
        self,
        data: LabelledRows,
        parts: tuple[NDArray[np.integer], NDArray[np.integer]],
        options: TrainingOptions,
        seed: int,
        watch: TrainingWatch | None,
    ) -> tuple[nn.Module, Trainer]:
        """A network trained on the first part of the rows, stopped by the second."""
        rows, codes, _ = data
        n_classes = len(self.classes_)
        with borrowed_generator(seed):
            network = self._network(NetworkShape(rows.shape[1], n_classes))
        learning, held = (TrainingRows.from_arrays(rows[part], codes[part]) for part in parts)
        trained, inputs = self._prepared(network, learning.rows)
        trainer = Trainer(
            trained,
            TrainingRows(inputs, learning.classes),
            TrainingRows(self._features(network, held.rows), held.classes) if len(held) else None,
            options,
            n_classes=n_classes,
            generator=torch.Generator().manual_seed(seed + 1),
            class_weights=class_weights_of(self.class_weight, self.classes_, codes[parts[0]]),
            draws=False,
        )
        trainer.run(watch)
        return network, trainer

    @property
    def learns_scales(self) -> bool:
        """Whether the network keeps scales that it learns of the training rows before it is trained."""
        return type(self)._prepared is not VariationalClassifier._prepared

    def untrained_arrays(self, n_encoded: int, n_classes: int, seed: int) -> dict[str, NDArray[Any]]:
        """Parameters and buffers of an untrained network by name, as ``fit`` begins with this seed.

        Args:
            n_encoded: columns after preprocessing.
            n_classes: classes.
            seed: of its randomness.
        """
        with borrowed_generator(seed):
            network = self._network(NetworkShape(n_encoded, n_classes))
        return {name: value.detach().numpy().copy() for name, value in network.state_dict().items()}

    def _probabilities(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return probabilities(self.network_, rows)

    def _blocks(self) -> tuple[QuantumBlock, ...]:
        layers = (module for module in self.network_.modules() if isinstance(module, QuantumLayer))
        return tuple(layer.block for layer in layers)

    def _to_model(self) -> ModuleModel:
        network = copy.deepcopy(self.network_).double().eval()
        exported = export_module(network, np.zeros((3, self.preprocessor_.n_encoded)))
        runner = ModuleNetwork(exported, "cross_entropy").eval()
        runtime = runtime_of(exported, lambda encoded: module_outputs(runner, encoded))
        return ModuleModel(self.preprocessor_, exported, "cross_entropy", tuple(self.classes_.tolist()), runtime)

    def _from_model(self, model: ServedModel) -> None:
        with borrowed_generator():
            network = self._network(NetworkShape(model.preprocessor.n_encoded, len(model.classes)))
        own = network.state_dict()
        arrays = {name: torch.from_numpy(np.array(model.arrays[name])) for name in own if name in model.arrays}
        if set(arrays) != set(own) or any(arrays[name].shape != own[name].shape for name in own):
            raise ValueError("arrays have other names or shapes than these hyperparameters make")
        network.load_state_dict(arrays)
        self.network_ = network.eval()
        self.history_ = []
        self.n_iter_ = 0
        self.n_params_ = count_parameters(network)[1]


def _apart(watch: TrainingWatch | None) -> TrainingWatch | None:
    """The same watch, with checkpoints in a directory of their own."""
    if watch is None or watch.store is None:
        return watch
    store = watch.store
    return replace(watch, store=CheckpointStore(store.directory / "refit", store.identity))
