"""Fits in threads, as of an ensemble with ``n_jobs``: equal seeds give equal numbers, whoever else is at work."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from superpose.learning import HybridClassifier, Trainer, TrainingRows, TrainingWatch
from superpose.learning.families import DressedCircuitClassifier
from superpose.learning.network import NetworkShape
from superpose.learning.spec import TrainingOptions
from superpose.learning.torch_chance import borrowed_generator

ROWS = np.random.default_rng(0).normal(size=(40, 3))
LABELS = (ROWS[:, 0] > 0).astype(np.int64)


def meet(barrier: threading.Barrier | None) -> None:
    """Wait until the other thread is here too, or give up: it may have to wait for its turn."""
    if barrier is not None:
        with suppress(threading.BrokenBarrierError):
            barrier.wait(0.2)


class Meeting(DressedCircuitClassifier):
    """Two of them build their networks at the same time, if they can."""

    barrier: threading.Barrier | None = None

    def _network(self, shape: NetworkShape) -> nn.Module:
        meet(self.barrier)
        return super()._network(shape)


class Dropping(nn.Module):
    """Two of them draw what they drop at the same time, if they can."""

    def __init__(self, barrier: threading.Barrier | None) -> None:
        super().__init__()
        self.barrier = barrier
        with borrowed_generator(), torch.no_grad():  # a layer draws its first weights
            self.exit = nn.Linear(3, 2)
            for parameter in self.exit.parameters():
                parameter.zero_()

    def forward(self, rows: Tensor) -> Tensor:
        meet(self.barrier)
        return self.exit(nn.functional.dropout(rows, 0.5, self.training))


def family_weights(seed: int, barrier: threading.Barrier | None) -> np.ndarray:
    model = Meeting(n_qubits=2, layers=1, epochs=2, random_state=seed, refit=False)
    model.barrier = barrier
    model.fit(ROWS, LABELS)
    return np.concatenate([p.detach().numpy().ravel() for p in model.network_.parameters()])


def dropping_weights(seed: int, barrier: threading.Barrier | None) -> np.ndarray:
    network, rows = Dropping(barrier), TrainingRows.from_arrays(ROWS, LABELS)
    options = TrainingOptions(epochs=2, batch_size=40, patience=5)
    Trainer(network, rows, None, options, n_classes=2, generator=torch.Generator().manual_seed(seed)).run()
    return np.concatenate([p.detach().numpy().ravel() for p in network.parameters()])


@pytest.mark.parametrize("fitted", [family_weights, dropping_weights])
def test_fits_in_two_threads_are_those_of_one(fitted: Any) -> None:
    alone: Sequence[np.ndarray] = [fitted(seed, None) for seed in (1, 2)]
    barrier = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(fitted, (1, 2), (barrier, barrier)))
    assert not np.array_equal(*alone)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("estimator", [DressedCircuitClassifier, HybridClassifier])
def test_while_an_estimator_trains_torchs_generator_is_free(estimator: Any) -> None:
    before, during = torch.get_rng_state(), []
    model = estimator(n_qubits=2, layers=1, epochs=2, random_state=3)
    model.fit(ROWS, LABELS, watch=TrainingWatch(on_epoch=lambda _: during.append(torch.get_rng_state())))
    assert during
    assert all(torch.equal(state, before) for state in during)
