"""One training as numbers that every contestant gets alike: rows, order of rows, initial weights, options."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import nn

from superpose.datasets.generated import two_curves
from superpose.learning.network import NetworkShape
from superpose.learning.quantum_layer import QuantumLayer
from superpose.learning.spec import TrainingOptions
from superpose.learning.torch_threads import one_torch_thread
from superpose.learning.training import Trainer, TrainingRows

__all__ = ["OurTraining", "Outcome", "Problem", "encoded_once", "make_problem"]

LEARNING_RATE, WEIGHT_DECAY = 0.02, 0.01
N_TRAIN, N_VALIDATION = 256, 64


@dataclass(frozen=True)
class Problem:
    """What is to be trained.

    Attributes:
        name: of the case.
        network: untrained, with one or more `QuantumLayer` in it.
        training, validation: 256 and 64 rows of two curves, standardised; float32.
        batch_size: rows per step; divides 256.
        epochs: passes over the rows.
        patience: epochs without a better validation loss before training stops.
    """

    name: str
    network: nn.Module
    training: TrainingRows
    validation: TrainingRows
    batch_size: int
    epochs: int
    patience: int

    def orders(self) -> np.ndarray:
        """The order of rows in each epoch, ``(epochs, 256)``: what our trainer draws from seed 1."""
        generator = torch.Generator().manual_seed(1)
        return np.stack([torch.randperm(len(self.training), generator=generator).numpy() for _ in range(self.epochs)])


@dataclass(frozen=True)
class Outcome:
    """What came of a training.

    Attributes:
        losses: training loss of each epoch.
        validation_losses: validation loss after each epoch.
        probabilities: of the validation rows, by the weights of the best epoch.
    """

    losses: list[float]
    validation_losses: list[float]
    probabilities: np.ndarray = field(repr=False)


def make_problem(
    name: str,
    n_features: int,
    build: Callable[[NetworkShape], nn.Module],
    *,
    batch_size: int,
    epochs: int,
    patience: int | None = None,
) -> Problem:
    """The problem of a network on two curves of degree 5 in ``n_features`` dimensions."""
    rows, labels = two_curves(N_TRAIN + N_VALIDATION, n_features, seed=1)
    order = np.random.default_rng(1).permutation(len(rows))
    rows, classes = rows[order], (labels[order] == 1).astype(np.int64)
    parts = [TrainingRows.from_arrays(rows[part], classes[part]) for part in (slice(N_TRAIN), slice(N_TRAIN, None))]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = build(NetworkShape(n_features, 2))
        for module in network.modules():
            if isinstance(module, QuantumLayer):
                module.reset_parameters(torch.Generator().manual_seed(2))
    return Problem(name, network, parts[0], parts[1], batch_size, epochs, patience or epochs)


def encoded_once(problem: Problem) -> Problem:
    """The problem whose rows are the circuit's angles already: what a circuit-centric network has to encode once."""
    network = copy.deepcopy(problem.network)
    encode, network.amplitudes = network.amplitudes, nn.Identity()
    parts = [TrainingRows(encode(part.rows), part.classes) for part in (problem.training, problem.validation)]
    return replace(problem, network=network, training=parts[0], validation=parts[1])


class OurTraining:
    """A training by the loop of the product; calling it trains anew, from the initial weights.

    As in `learning_parts.pennylane_jax.JaxTraining` the network is made once; each call puts its initial weights back,
    trains, and takes the probabilities in the precision of the training.
    """

    def __init__(self, problem: Problem) -> None:
        self.network = copy.deepcopy(problem.network)
        self.initial = {name: value.detach().clone() for name, value in problem.network.named_parameters()}

    def __call__(self, problem: Problem) -> Outcome:
        """Trains from the initial weights."""
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                parameter.copy_(self.initial[name])
        options = TrainingOptions(
            epochs=problem.epochs,
            batch_size=problem.batch_size,
            learning_rate=LEARNING_RATE,
            weight_decay=WEIGHT_DECAY,
            patience=problem.patience,
        )
        generator = torch.Generator().manual_seed(1)
        trainer = Trainer(self.network, problem.training, problem.validation, options, n_classes=2, generator=generator)
        trainer.run()
        history = trainer.history
        with torch.no_grad(), one_torch_thread():
            found = torch.softmax(self.network(problem.validation.rows), dim=1).numpy()
        return Outcome([epoch.loss for epoch in history], [epoch.validation_loss or 0.0 for epoch in history], found)
