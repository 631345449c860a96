"""The training loop: the optimizer is AdamW, and stopping anywhere and resuming changes no bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from superpose.errors import CheckpointError, TrainingDivergedError
from superpose.learning import CheckpointStore, Stopped, Trainer, TrainingRows, TrainingWatch
from superpose.learning.class_weights import balanced_class_weights
from superpose.learning.network import NetworkShape, build_network
from superpose.learning.spec import ModelSpec, TrainingOptions
from superpose.learning.training import one_torch_thread

OPTIONS = TrainingOptions(epochs=6, batch_size=16, learning_rate=0.05, patience=4)


def rows(n_rows: int, seed: int) -> TrainingRows:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n_rows, 5))
    return TrainingRows.from_arrays(values, (values[:, 0] * values[:, 1] > 0).astype(np.int64))


def trainer(options: TrainingOptions = OPTIONS, validation: bool = True, variant: str = "hybrid") -> Trainer:
    network = build_network(ModelSpec(n_qubits=3), NetworkShape(5, 2), variant, torch.Generator().manual_seed(1))
    return Trainer(
        network,
        rows(90, 0),
        rows(30, 1) if validation else None,
        options,
        n_classes=2,
        generator=torch.Generator().manual_seed(2),
    )


def weights(made: Trainer) -> list[np.ndarray]:
    return [p.detach().numpy().copy() for p in made.network.parameters()]


def test_the_optimizer_is_torchs_adamw() -> None:
    options = TrainingOptions(epochs=3, batch_size=90, learning_rate=0.03, weight_decay=0.1, patience=10)
    ours = trainer(options, validation=False)
    theirs = trainer(options).network
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=0.03, weight_decay=0.1, foreach=False)
    data = rows(90, 0)
    with one_torch_thread():
        for _ in range(2):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(theirs(data.rows), data.classes).backward()
            optimizer.step()
    seen: list[list[np.ndarray]] = []
    ours.run(TrainingWatch(on_epoch=lambda report: seen.append(weights(ours))))
    for mine, reference in zip(seen[1], theirs.parameters(), strict=True):
        np.testing.assert_allclose(mine, reference.detach().numpy(), atol=2e-5)


def test_frozen_weights_stay_and_gradients_are_cleared() -> None:
    made = trainer(variant="frozen")
    before = made.network.block.weights.detach().clone()
    made.run()
    assert torch.equal(made.network.block.weights, before)
    assert all(p.grad is None for p in made.network.parameters())


@pytest.mark.parametrize("validation", [True, False])
def test_stopping_at_any_question_and_resuming_gives_the_same_bits(
    validation: bool, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("superpose.learning.training._ASK_AGAIN_S", -1.0)  # ask after every step
    monkeypatch.setattr("superpose.learning.fused.steps.CALL_S", 0.0)  # one step a call
    undisturbed = trainer(validation=validation)
    undisturbed.run()
    store = CheckpointStore(tmp_path, {"run": 1})
    n_stops = 0
    while True:
        resumed = trainer(validation=validation)
        questions = iter([False, False, False, True])
        try:
            resumed.run(TrainingWatch(should_stop=lambda q=questions: next(q, True), store=store))
        except Stopped:
            n_stops += 1
            continue
        break
    assert n_stops >= 6
    for mine, reference in zip(weights(resumed), weights(undisturbed), strict=True):
        np.testing.assert_array_equal(mine, reference)
    assert resumed.history == undisturbed.history
    assert resumed.best_epoch == undisturbed.best_epoch


def test_a_crash_between_checkpoints_costs_only_the_steps_since_the_last(tmp_path: Path) -> None:
    undisturbed = trainer()
    undisturbed.run()
    store = CheckpointStore(tmp_path, {})
    epochs: list[int] = []

    def crash(report: Any) -> None:
        epochs.append(report.epoch)
        if len(epochs) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer().run(TrainingWatch(on_epoch=crash, store=store, checkpoint_every_s=-1.0))
    resumed = trainer()
    resumed.run(
        TrainingWatch(on_epoch=lambda report: epochs.append(report.epoch), store=store, checkpoint_every_s=-1.0)
    )
    assert epochs == [1, 2, 3, 3, 4, 5, 6][: len(epochs)]
    for mine, reference in zip(weights(resumed), weights(undisturbed), strict=True):
        np.testing.assert_array_equal(mine, reference)


def test_a_checkpoint_after_the_end_gives_the_result_at_once(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, {})
    first = trainer()
    first.run(TrainingWatch(store=store, checkpoint_every_s=-1.0))
    again = trainer()
    again.run(TrainingWatch(on_epoch=lambda report: pytest.fail("trained again"), store=store))
    for mine, reference in zip(weights(again), weights(first), strict=True):
        np.testing.assert_array_equal(mine, reference)


def test_a_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    trainer().run(TrainingWatch(store=CheckpointStore(tmp_path, {"run": 1}), checkpoint_every_s=-1.0))
    with pytest.raises(CheckpointError, match="another run"):
        trainer().run(TrainingWatch(store=CheckpointStore(tmp_path, {"run": 2})))


def test_training_does_not_touch_torchs_threads_or_global_generator() -> None:
    threads = torch.get_num_threads()
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    trainer().run()
    assert torch.equal(torch.rand(1), expected)
    assert torch.get_num_threads() == threads


def test_a_loss_that_explodes_says_what_to_do() -> None:
    made = trainer(TrainingOptions(epochs=3, learning_rate=0.01))
    made.training.rows[3, 2] = float("nan")
    with pytest.raises(TrainingDivergedError, match=r"in epoch 1; lower training\.learning_rate \(0\.01\)"):
        made.run()


def test_balanced_class_weights() -> None:
    np.testing.assert_allclose(balanced_class_weights(np.array([0, 0, 0, 1]), 2), [4 / 6, 2.0])
    np.testing.assert_allclose(balanced_class_weights(np.array([0, 2]), 3), [2 / 3, 0.0, 2 / 3])
