"""Compiled steps: the same training as torch's up to rounding, the same bits however it is cut or shared."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from superpose.engine import CompiledProgram, batches, compile_program, get_threads, runner, set_threads
from superpose.engine.whole_epochs import Standing
from superpose.errors import TrainingDivergedError
from superpose.learning import CheckpointStore, EpochReport, QuantumLayer, Stopped, Trainer, TrainingRows, TrainingWatch
from superpose.learning.adamw import AdamW
from superpose.learning.families.circuit_centric import CircuitCentricClassifier
from superpose.learning.families.data_reuploading import DataReuploadingClassifier
from superpose.learning.families.variational import VariationalClassifier
from superpose.learning.fused import steps
from superpose.learning.fused.choice import fused_parts_or_reason
from superpose.learning.fused.epochs import FusedEpochs
from superpose.learning.fused.parts import FusedParts
from superpose.learning.network import HybridNetwork, NetworkShape, build_network, probabilities
from superpose.learning.spec import ModelSpec, TrainingOptions

OPTIONS = TrainingOptions(epochs=5, batch_size=16, learning_rate=0.05, patience=5)


def rows(n_rows: int, seed: int, n_columns: int = 5, dtype: torch.dtype = torch.float32) -> TrainingRows:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n_rows, n_columns))
    made = TrainingRows.from_arrays(values, (values[:, 0] * values[:, 1] > 0).astype(np.int64) + (values[:, 2] > 1))
    return TrainingRows(made.rows.to(dtype), made.classes)


def hybrid(variant: str = "hybrid", n_qubits: int = 3, encoding: str = "angle") -> HybridNetwork:
    model = ModelSpec.from_dict({"n_qubits": n_qubits, "encoding": {"name": encoding}})
    return build_network(model, NetworkShape(5, 3), variant, torch.Generator().manual_seed(1))


def family(made: VariationalClassifier) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return made._network(NetworkShape(5, 3))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "hybrid": hybrid,
    "without entanglement": lambda: hybrid("no_entanglement"),
    "frozen": lambda: hybrid("frozen"),
    "eight qubits, reuploading": lambda: hybrid(n_qubits=8, encoding="reuploading"),
    "scaled columns": lambda: family(DataReuploadingClassifier(n_qubits=2, layers=2)),
    "amplitudes": lambda: family(CircuitCentricClassifier(copies=1, layers=2)),
}


def trainer(
    network: nn.Module,
    *,
    compiled: bool = True,
    validation: bool = True,
    class_weights: np.ndarray | None = None,
    dtype: torch.dtype = torch.float32,
    options: TrainingOptions = OPTIONS,
) -> Trainer:
    return Trainer(
        network.to(dtype),
        rows(90, 0, dtype=dtype),  # the last step of an epoch has 10 rows
        rows(30, 1, dtype=dtype) if validation else None,
        options,
        n_classes=3,
        generator=torch.Generator().manual_seed(2),
        class_weights=class_weights,
        compiled=compiled,
    )


def weights(made: Trainer) -> list[np.ndarray]:
    return [p.detach().numpy().copy() for p in made.network.parameters()]


def assert_equal_bits(one: Trainer, other: Trainer) -> None:
    assert one.history == other.history
    for mine, theirs in zip(weights(one), weights(other), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_losses_and_weights_are_those_of_torch(name: str, dtype: torch.dtype) -> None:
    network = NETWORKS[name]()
    made = [trainer(copy.deepcopy(network), compiled=compiled, dtype=dtype) for compiled in (True, False)]
    for one in made:
        one.run()
    fused, plain = made
    assert fused.torch_reason is None
    assert plain.torch_reason == "torch was asked for"
    assert fused.best_epoch == plain.best_epoch
    tolerance = 2e-4 if dtype is torch.float32 else 1e-10
    for mine, theirs in zip(fused.history, plain.history, strict=True):
        assert mine.loss == pytest.approx(theirs.loss, abs=tolerance)
        assert mine.validation_loss == pytest.approx(theirs.validation_loss, abs=tolerance)
        assert mine.validation_accuracy == theirs.validation_accuracy
    if dtype is torch.float64:
        for array, reference in zip(weights(fused), weights(plain), strict=True):
            np.testing.assert_allclose(array, reference, atol=10 * tolerance)
    else:  # AdamW makes whole steps of the rounding in gradients that are zero
        encoded = rows(30, 1).rows.double().numpy()
        found, wanted = (probabilities(one.network, encoded) for one in made)
        np.testing.assert_allclose(found, wanted, atol=tolerance)


@pytest.mark.parametrize("validation", [True, False])
def test_class_weights_enter_as_in_torch(validation: bool) -> None:
    shares = np.array([0.5, 2.0, 3.0])
    made = [
        trainer(hybrid(), compiled=compiled, validation=validation, class_weights=shares) for compiled in (True, False)
    ]
    for one in made:
        one.run()
    for mine, theirs in zip(made[0].history, made[1].history, strict=True):
        assert mine.loss == pytest.approx(theirs.loss, abs=1e-4)
        if validation:
            assert mine.validation_loss == pytest.approx(theirs.validation_loss, abs=1e-4)
        else:
            assert mine.validation_loss is None
            assert mine.validation_accuracy is None


def test_frozen_weights_stay() -> None:
    network = hybrid("frozen")
    before = network.block.get_parameter("weights").detach().clone()
    trainer(network).run()
    assert torch.equal(network.block.get_parameter("weights"), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("factor", [1.0, 300.0], ids=["usual scores", "extreme scores"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_smoothed_labels_and_extreme_scores_lose_what_torch_says(
    smoothing: float, factor: float, dtype: torch.dtype
) -> None:
    network, shares = hybrid().to(dtype), torch.tensor([0.5, 2.0, 3.0])
    with torch.no_grad():
        network.exit.weight.mul_(factor)
    data = rows(90, 0, dtype=dtype)  # five whole vectors of float32, and ten rows
    scores = network(data.rows)
    wanted = cross_entropy(scores, data.classes, weight=shares.to(dtype), label_smoothing=smoothing)
    wanted.backward()
    gradients = torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
    optimizer = AdamW(list(network.parameters()), OPTIONS)
    parts = fused_parts_or_reason(network, None, None, cross_entropy)
    fused = steps.FusedSteps(parts, optimizer.vectors, optimizer.groups, shares, 3, label_smoothing=smoothing)
    seen = fused.look(data)
    assert seen.mean == pytest.approx(wanted.item(), rel=1e-5 if dtype is torch.float32 else 1e-10)
    assert seen.accuracy == pytest.approx((scores.argmax(dim=1) == data.classes).double().mean().item())
    fused.advance(data, torch.arange(90), 0, 90, 0, 0.0)
    scale = gradients.abs().max().item()
    found = optimizer.vectors[1].detach()
    torch.testing.assert_close(found, gradients, rtol=0.0, atol=scale * (2e-5 if dtype is torch.float32 else 1e-9))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("n_columns", [1, 3, 8, 9, 16, 17, 40])
def test_rows_of_any_length_have_the_gradients_of_torch(n_columns: int, dtype: torch.dtype) -> None:
    made = build_network(
        ModelSpec.from_dict({"n_qubits": 3}), NetworkShape(n_columns, 3), "hybrid", torch.Generator().manual_seed(1)
    )
    network, rng = made.to(dtype), np.random.default_rng(0)
    data = TrainingRows(torch.tensor(rng.normal(size=(21, n_columns)), dtype=dtype), torch.arange(21) % 3)
    order = torch.randperm(21, generator=torch.Generator().manual_seed(3))
    cross_entropy(network(data.rows), data.classes).backward()
    gradients = torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
    optimizer = AdamW(list(network.parameters()), OPTIONS)
    parts = fused_parts_or_reason(network, None, None, cross_entropy)
    steps.FusedSteps(parts, optimizer.vectors, optimizer.groups, None, 3).advance(data, order, 0, 21, 0, 0.0)
    tolerance = 2e-6 if dtype is torch.float32 else 1e-12
    torch.testing.assert_close(optimizer.grad, gradients, rtol=0.0, atol=tolerance)


@pytest.mark.parametrize(
    ("encoding", "n_qubits", "batch_size"),
    [("angle", 8, 16), ("reuploading", 8, 32), ("angle", 10, 8)],
    ids=["one tile", "tiles in compiled code", "tiles of single rows from Python"],
)
def test_threads_and_the_length_of_calls_change_no_bit(
    encoding: str, n_qubits: int, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, options = get_threads(), replace(OPTIONS, batch_size=batch_size)

    def trained() -> Trainer:
        made = trainer(hybrid(n_qubits=n_qubits, encoding=encoding), options=options)
        made.run()
        return made

    try:
        set_threads(1)
        alone = trained()
        set_threads(2)
        shared = trained()
    finally:
        set_threads(threads)
    assert_equal_bits(alone, shared)
    monkeypatch.setattr(steps, "CALL_S", 0.0)
    assert_equal_bits(alone, trained())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_mates_that_take_tiles_of_steps_change_no_bit(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SMALL_WORK_OF_STEPS", 0)
    options = replace(OPTIONS, epochs=40, patience=40, batch_size=72)  # 5 or 9 tiles, 2 or 3 in each epoch's last step
    threads, made = get_threads(), []
    gathered = list[int]()
    gather = batches.gather
    monkeypatch.setattr(batches, "gather", lambda dtype, n: gathered.append(n) or gather(dtype, n))
    try:
        for n_threads in (1, 2, 3, 8):
            set_threads(n_threads)
            made.append(trainer(hybrid(encoding="reuploading"), dtype=dtype, options=options))
            made[-1].run()
    finally:
        set_threads(threads)
    assert set(gathered) >= {1, 2}
    for one in made[1:]:
        assert_equal_bits(made[0], one)


def test_short_steps_have_mates_where_that_was_faster() -> None:
    pace, took = batches.Pace(), {True: 3.0, False: 2.0}

    def chosen(n_calls: int) -> list[bool]:
        found = []
        for _ in range(n_calls):
            found.append(pace.choose())
            pace.note(took[found[-1]], with_mates=found[-1])
        return found

    assert chosen(2) == [True, False]  # both are tried
    assert chosen(61) == [False] * 61
    assert chosen(1) == [True]  # far slower ones are looked at every 64 calls
    took[True] = 2.5
    assert chosen(64) == [False] * 63 + [True]
    assert chosen(16) == ([False] * 7 + [True]) * 2  # close ones every 8
    took[True] = 1.0
    assert chosen(16) == [False] * 7 + [True] * 9
    pace.note(9.0, with_mates=True)  # held up once
    assert pace.choose()


def test_calls_of_short_steps_try_both_and_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SMALL_WORK_OF_STEPS", 0)
    monkeypatch.setattr(steps, "CALL_S", 1e9)
    network, threads, made, gathered = hybrid(encoding="reuploading"), get_threads(), [], list[int]()
    gather = batches.gather
    monkeypatch.setattr(batches, "gather", lambda dtype, n: gathered.append(n) or gather(dtype, n))
    idle_memory(network, torch.float32).clear()
    try:
        set_threads(2)
        for _ in range(2):
            made.append(trainer(copy.deepcopy(network), options=replace(OPTIONS, batch_size=45)))
            n_gathered = len(gathered)
            made[-1].run()
            assert (len(gathered) > n_gathered) is (len(made) == 1)  # the second alone
    finally:
        set_threads(threads)
    assert_equal_bits(*made)


def batches_made(monkeypatch: pytest.MonkeyPatch) -> list[batches.Kind]:
    """The kinds of batches that are made anew from here on."""
    made: list[batches.Kind] = []
    make = batches.Batch.__init__

    def noted(self: batches.Batch, program: CompiledProgram, of: runner.Runner, kind: batches.Kind) -> None:
        made.append(kind)
        make(self, program, of, kind)

    monkeypatch.setattr(batches.Batch, "__init__", noted)
    return made


def idle_memory(network: nn.Module, dtype: torch.dtype) -> dict[batches.Kind, list[batches.Batch]]:
    block = network.block.block
    precision: Literal["float32", "float64"] = "float32" if dtype is torch.float32 else "float64"
    program = compile_program(block.circuit, block.observables, inputs=block.angle_names, dtype=precision)
    return program.runner_for(16, gradients=True).idle


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_a_training_in_the_memory_of_others_is_the_same(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    made = batches_made(monkeypatch)
    monkeypatch.setattr(steps, "CALL_S", 1e9)
    network = hybrid()
    idle = idle_memory(network, dtype)
    idle.clear()
    alone = trainer(copy.deepcopy(network), dtype=dtype)
    alone.run()
    assert {(kind.size, kind.learn) for kind in made} == {(16, True), (10, True), (30, False)}
    for kept in idle.values():  # as a training may leave it that diverged
        for batch in kept:
            for array in (batch.inputs, batch.weights, batch.out, batch.states, *batch.gradients):
                array.fill(np.nan)
    n_made = len(made)
    again = trainer(copy.deepcopy(network), dtype=dtype)
    again.run()
    assert len(made) == n_made
    assert_equal_bits(alone, again)


def test_large_memory_and_that_of_many_sizes_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    network = hybrid()
    idle = idle_memory(network, torch.float32)
    idle.clear()
    monkeypatch.setattr(batches, "KEPT_KINDS", 3)
    trainer(copy.deepcopy(network)).run()
    assert len(idle) == 3
    trainer(copy.deepcopy(network), options=replace(OPTIONS, batch_size=17)).run()
    assert {kind.size for kind in idle} <= {17, 5, 30}
    idle.clear()
    monkeypatch.setattr(batches, "KEPT_BYTES", 0)
    trainer(copy.deepcopy(network)).run()
    assert not idle


def test_stopping_anywhere_and_resuming_changes_no_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trainer(hybrid())
    whole.run()
    monkeypatch.setattr(steps, "CALL_S", 0.0)  # one step a call
    monkeypatch.setattr("superpose.learning.training._ASK_AGAIN_S", -1.0)
    for after in (1, 7, 16):
        store = CheckpointStore(tmp_path / str(after), {})
        asked = iter(range(after))
        with pytest.raises(Stopped):
            trainer(hybrid()).run(TrainingWatch(store=store, should_stop=lambda asked=asked: next(asked, None) is None))  # type: ignore[misc]
        resumed = trainer(hybrid())
        resumed.run(TrainingWatch(store=store))
        assert_equal_bits(whole, resumed)


@pytest.mark.parametrize("first", [True, False])
def test_a_checkpoint_goes_on_in_compiled_code_or_in_torch(first: bool, tmp_path: Path) -> None:
    whole = trainer(hybrid(), compiled=False, dtype=torch.float64)
    whole.run()
    store = CheckpointStore(tmp_path, {})
    asked = iter([False, True])
    with pytest.raises(Stopped):
        trainer(hybrid(), compiled=first, dtype=torch.float64).run(
            TrainingWatch(store=store, should_stop=lambda: next(asked))
        )
    resumed = trainer(hybrid(), compiled=not first, dtype=torch.float64)
    resumed.run(TrainingWatch(store=store))
    for mine, theirs in zip(weights(resumed), weights(whole), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-9)


@pytest.mark.parametrize("place", ["entry.weight", "block.weights", "exit.weight"])
def test_divergence_is_told(place: str) -> None:
    network = hybrid()
    with torch.no_grad():
        network.get_parameter(place).fill_(np.inf)
    with pytest.raises(TrainingDivergedError, match=r"in epoch 1; lower training\.learning_rate"):
        trainer(network).run()


class Louder(HybridNetwork):
    def forward(self, rows: Tensor) -> Tensor:
        return 2.0 * super().forward(rows)


class Renamed(HybridNetwork):
    pass


def around(layer: nn.Module) -> HybridNetwork:
    return HybridNetwork(5, layer, 3, 3, 1.0)


def with_hook() -> nn.Module:
    network = hybrid()
    network.entry.register_forward_hook(lambda module, inputs, output: output)
    return network


def with_more() -> nn.Module:
    network = hybrid()
    network.more = nn.Linear(2, 2)
    return network


class OtherParts(HybridNetwork):
    def fused_parts(self) -> FusedParts:
        return super().fused_parts()


REASONS: dict[str, Callable[[], nn.Module]] = {
    "ClassicalBlock is not a circuit": lambda: hybrid("classical_twin"),
    "Louder is not known": lambda: Louder(5, QuantumLayer(3), 3, 3, 1.0),
    "OtherParts is not known": lambda: OtherParts(5, QuantumLayer(3), 3, 3, 1.0),
    "Linear is not known": lambda: nn.Linear(5, 3),
    "differentiated by spsa": lambda: around(QuantumLayer(3, gradient_method="spsa")),
    "feature map": lambda: around(QuantumLayer(3, encoding="iqp")),
    "more than 12 qubits": lambda: HybridNetwork(5, QuantumLayer(13, layers=1), 13, 3, 1.0),
    "hooks": with_hook,
    "more is trained": with_more,
}


@pytest.mark.parametrize("reason", REASONS)
def test_other_networks_train_in_torch_and_say_why(reason: str) -> None:
    found = trainer(REASONS[reason]()).torch_reason
    assert found is not None
    assert reason in found


def test_a_subclass_that_changes_nothing_trains_in_compiled_code() -> None:
    assert trainer(Renamed(5, QuantumLayer(3), 3, 3, 1.0)).torch_reason is None


def test_another_loss_trains_in_torch() -> None:
    found = Trainer(
        hybrid(), rows(20, 0), None, OPTIONS, n_classes=3, generator=torch.Generator(), loss=nn.functional.nll_loss
    )
    assert found.torch_reason == "the loss is not cross entropy"


def counted_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Epochs asked of each call that runs several, however long an epoch takes."""
    monkeypatch.setattr(steps, "CALL_S", 1e9)
    asked: list[int] = []
    run = FusedEpochs.run

    def counted(self: FusedEpochs, n_epochs: int, standing: Standing, generator: torch.Generator) -> None:
        asked.append(n_epochs)
        run(self, n_epochs, standing, generator)

    monkeypatch.setattr(FusedEpochs, "run", counted)
    return asked


@pytest.mark.parametrize("validation", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_epochs_in_one_call_are_those_taken_one_by_one(
    validation: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = counted_calls(monkeypatch)
    options = TrainingOptions(epochs=60, batch_size=16, learning_rate=0.5, patience=2)
    together, apart = (trainer(hybrid(), validation=validation, dtype=dtype, options=options) for _ in range(2))
    together.run()
    assert asked == [60]
    seen: list[EpochReport] = []
    apart.run(TrainingWatch(on_epoch=seen.append))
    assert asked == [60]
    assert len(seen) == apart.best_epoch + 2 < 60  # stopped early
    assert seen == apart.history
    assert together.best_epoch == apart.best_epoch
    assert_equal_bits(together, apart)
    assert torch.equal(together.generator.get_state(), apart.generator.get_state())


def test_divergence_within_a_call_is_told_with_its_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = counted_calls(monkeypatch)
    options = TrainingOptions(epochs=40, batch_size=16, learning_rate=10.0, weight_decay=1.0, patience=40)
    made = [trainer(hybrid(), options=options) for _ in range(2)]
    told = []
    for one, watch in zip(made, (None, TrainingWatch(on_epoch=lambda report: None)), strict=True):
        with pytest.raises(TrainingDivergedError) as error:
            one.run(watch)
        told.append((re.findall(r"in epoch (\d+);", str(error.value)), len(one.history)))
    assert told[0] == told[1] == ([str(len(made[0].history) + 1)], len(made[0].history))
    assert made[0].history  # the decay makes weights nine times as large in each step
    assert asked == [40]


def test_a_watch_that_looks_at_each_epoch_finds_the_network_as_it_is_then(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = counted_calls(monkeypatch)
    made, found = trainer(hybrid()), list[np.ndarray]()
    made.run(TrainingWatch(on_epoch=lambda report: found.append(weights(made)[0])))
    assert not asked
    assert len(found) == OPTIONS.epochs
    assert all(not np.array_equal(one, other) for one, other in pairwise(found))
