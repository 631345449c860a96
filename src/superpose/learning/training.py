"""The training loop: AdamW on cross entropy with early stopping, resumed from a checkpoint bit for bit.

Everything that decides the next step is in the state that a checkpoint holds: weights, optimizer moments, best weights,
buffers that training changes, the generator that shuffles rows, torch's own generator (dropout draws from it), the
place within the epoch, and the history. torch runs on one thread meanwhile, so that sums have one order.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from superpose.engine.whole_epochs import Standing
from superpose.errors import ShapeError, TrainingDivergedError
from superpose.learning.adamw import AdamW
from superpose.learning.checkpoint import CheckpointStore, Stopped
from superpose.learning.class_weights import balanced_class_weights
from superpose.learning.fused.choice import fused_parts_or_reason
from superpose.learning.fused.epochs import FusedEpochs
from superpose.learning.fused.steps import FusedSteps
from superpose.learning.measured.measurer import Measurer
from superpose.learning.measured.submissions import RunWatch
from superpose.learning.network import EVALUATION_ROWS
from superpose.learning.spec import TrainingOptions
from superpose.learning.torch_chance import borrowed_generator
from superpose.learning.torch_threads import one_torch_thread

if TYPE_CHECKING:
    from superpose.learning.privacy.accounting import PrivacyPlan
    from superpose.learning.privacy.steps import PrivateSteps

__all__ = [
    "EpochReport",
    "Trainer",
    "TrainingRows",
    "TrainingWatch",
    "one_torch_thread",
]

_ASK_AGAIN_S = 0.2
"""Within an epoch, the watch is asked at most this often."""


@dataclass(frozen=True)
class TrainingRows:
    """Encoded rows: ``rows`` ``(n_rows, n_columns)`` float32 and ``classes`` ``(n_rows,)`` int64.

    Of a regression ``classes`` are the numbers to be learnt, ``(n_rows, 1)`` float32.
    """

    rows: Tensor
    classes: Tensor

    @classmethod
    def from_arrays(cls, rows: NDArray[np.float64], classes: NDArray[np.integer]) -> TrainingRows:
        """Copy NumPy arrays."""
        return cls(torch.tensor(rows, dtype=torch.float32), torch.tensor(classes, dtype=torch.int64))

    @classmethod
    def of_numbers(cls, rows: NDArray[np.float64], numbers: NDArray[np.float64]) -> TrainingRows:
        """Copy NumPy arrays, of a regression: ``numbers`` ``(n_rows,)``."""
        return cls(torch.tensor(rows, dtype=torch.float32), torch.tensor(numbers[:, None], dtype=torch.float32))

    def __len__(self) -> int:
        return self.rows.shape[0]


@dataclass(frozen=True)
class EpochReport:
    """One finished epoch; validation figures are None without validation rows."""

    epoch: int
    loss: float
    validation_loss: float | None
    validation_accuracy: float | None


def _unseen(report: EpochReport) -> None:
    """Nobody looks at epochs."""


def _never() -> bool:
    return False


@dataclass(frozen=True)
class TrainingWatch:
    """What looks on while a model trains; none of it changes the result.

    Where neither ``on_epoch`` nor ``should_stop`` is given, small models train several epochs in one call of compiled
    code, some 50 ms at a time.

    Attributes:
        on_epoch: called after each epoch.
        should_stop: when it says yes, training saves a checkpoint and raises `Stopped`.
        store: where checkpoints go; None trains without.
        checkpoint_every_s: seconds between checkpoints; where circuits are measured, each step is followed by one.
        on_submit: called before a program is handed over to a backend; may raise to prevent it.
        on_queued: called with the provider's id of a program whose result is not there yet; may raise to leave.
        on_retry: called with what a backend said when it failed, before it is asked again.
        sleep: pauses between two questions to a backend, in seconds.
    """

    on_epoch: Callable[[EpochReport], None] = _unseen
    should_stop: Callable[[], bool] = _never
    store: CheckpointStore | None = None
    checkpoint_every_s: float = 2.0
    on_submit: Callable[[], None] = lambda: None
    on_queued: Callable[[str], None] = lambda provider_job_id: None
    on_retry: Callable[[str], None] = lambda message: None
    sleep: Callable[[float], None] = time.sleep

    @property
    def epochs_may_take_s(self) -> float:
        """Seconds for which epochs may follow one another unseen."""
        unseen = self.on_epoch is _unseen and self.should_stop is _never
        return 0.0 if not unseen else math.inf if self.store is None else self.checkpoint_every_s


@dataclass
class _Progress:
    """Where a training run stands, besides its arrays."""

    epoch: int = 0
    step: int = 0
    epoch_loss: float = 0.0
    best_epoch: int = 0
    best_score: float = math.inf
    history: list[list[float | None]] = field(default_factory=list)
    finished: bool = False


class Trainer:
    """Trains one network; the network ends with the weights of its best epoch.

    The best epoch is the one with the lowest validation loss, or training loss when there are no validation rows.

    Args:
        network: what to train; parameters that do not require gradients stay as they are.
        training: rows to learn from.
        validation: rows that decide when to stop; None uses the training loss.
        options: the training section of a spec.
        n_classes: classes, for class weights.
        generator: shuffles the rows; belongs to the trainer from here on.
        class_weights: ``(n_classes,)``; needed where ``options.class_weights`` is a mapping, since the trainer knows no
            labels, and by default as that option says.
        measurer: measures the network's circuit on a backend; without one it runs on this machine's engine.
        privacy: noise and rows of each step, for differentially private training: rows and noise are drawn by a
            generator that nobody knows, no epoch is left out, and the last one counts, whatever validation rows say.
        loss: of scores and ``classes``, with the keywords ``weight`` and ``reduction`` of torch's cross entropy.
        compiled: False runs all steps in torch, which rounds otherwise.
        rate_factors: by name of a parameter, what its learning rate is multiplied with, else 1. Steps then run in
            torch.
        draws: whether the network draws random numbers as it runs, as dropout does. They come from torch's global
            generator, so that of trainings in threads one waits for the other; without, or in compiled code, none does.

    Attributes:
        torch_reason: why steps run in torch; None where they run as compiled code.
    """

    def __init__(  # noqa: PLR0913  # what is trained, on what, how, and where
        self,
        network: nn.Module,
        training: TrainingRows,
        validation: TrainingRows | None,
        options: TrainingOptions,
        *,
        n_classes: int,
        generator: torch.Generator,
        class_weights: NDArray[np.float64] | None = None,
        measurer: Measurer | None = None,
        privacy: PrivacyPlan | None = None,
        loss: Callable[..., Tensor] = cross_entropy,
        compiled: bool = True,
        rate_factors: Mapping[str, float] | None = None,
        draws: bool = True,
    ) -> None:
        self._loss = loss
        plan = fused_parts_or_reason(network, measurer, privacy, loss)
        parts = plan if compiled else "torch was asked for"
        if rate_factors:
            parts = "learning rates differ by block"
        self.torch_reason: str | None = parts if isinstance(parts, str) else None
        self._draws = draws and isinstance(parts, str)
        self._private = None if privacy is None else _private_steps(network, privacy)
        self.network, self.training, self.validation, self.options = network, training, validation, options
        self.generator, self._measurer = generator, measurer
        if class_weights is None and options.class_weights == "balanced":
            class_weights = balanced_class_weights(training.classes.numpy(), n_classes)
        self._class_weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        trained = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
        factors = [rate_factors.get(name, 1.0) for name in trained] if rate_factors else None
        self._optimizer = AdamW(list(trained.values()), options, factors)
        self._best = self._optimizer.vector.clone()
        self._buffers = dict(network.named_buffers())
        if self._buffers:  # those that training changes and a checkpoint holds
            kept = network.state_dict()
            self._buffers = {name: buffer for name, buffer in self._buffers.items() if name in kept}
        self._best_buffers = {name: buffer.clone() for name, buffer in self._buffers.items()}
        self._epoch_generator = generator.get_state()
        self._progress = _Progress()
        self._order: Tensor | None = None
        self._fused: FusedSteps | None = None
        self._fused_epochs: FusedEpochs | None = None
        if not isinstance(parts, str):
            vectors, groups = self._optimizer.vectors, self._optimizer.groups
            self._fused = FusedSteps(parts, vectors, groups, self._class_weights, n_classes)

    @property
    def history(self) -> list[EpochReport]:
        """All finished epochs."""
        return [self._report(epoch) for epoch in range(1, len(self._progress.history) + 1)]

    def _report(self, epoch: int) -> EpochReport:
        loss, *rest = self._progress.history[epoch - 1]
        return EpochReport(epoch, loss or 0.0, *rest)

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights the network ends with, from 1."""
        return self._progress.best_epoch

    def run(self, watch: TrainingWatch | None = None) -> None:
        """Train to the end, from the checkpoint if the watch's store has one.

        Raises:
            Stopped: the watch asked for it; a checkpoint is saved.
            CheckpointError: the checkpoint is damaged or belongs to another run.
            TrainingDivergedError: the loss is no longer finite.
        """
        watch = watch or TrainingWatch()
        if self._measurer is not None:
            place = None if watch.store is None else watch.store.directory / "measured"
            looks = RunWatch(watch.should_stop, watch.on_submit, watch.on_queued, watch.on_retry, watch.sleep)
            self._measurer.attend(place, looks)
        # dropout and the like draw from the global generator
        chance = borrowed_generator(self.generator.initial_seed()) if self._draws else contextlib.nullcontext()
        with one_torch_thread(), chance:
            saved = watch.store.load() if watch.store else None
            if saved:
                self._restore(*saved)
            asked = stored = time.monotonic()
            while not self._progress.finished:
                ended = self._whole_epochs(watch.epochs_may_take_s) or self._step()
                now = time.monotonic()
                if ended:
                    watch.on_epoch(self._report(len(self._progress.history)))
                if ended or now - asked > _ASK_AGAIN_S:
                    asked = now
                    if not self._progress.finished and watch.should_stop():
                        self._save(watch)
                        raise Stopped(
                            f"stopped on request in epoch {self._progress.epoch + 1}", epoch=self._progress.epoch
                        )
                if watch.store and (self._measurer or now - stored > watch.checkpoint_every_s):
                    self._save(watch)
                    stored = time.monotonic()
            with torch.no_grad():
                self._optimizer.vector.copy_(self._best)
                for name, buffer in self._buffers.items():
                    buffer.copy_(self._best_buffers[name])
            if self._private is not None:
                self._private.close()
            if self._fused is not None:
                self._fused_epochs = None  # it uses what the steps give back
                self._fused.rest()
            self.network.eval()
            for parameter in self.network.parameters():
                parameter.grad = None

    def _step(self) -> bool:
        """One batch; True if it ended an epoch."""
        progress, size = self._progress, self.options.batch_size
        if self._private is not None:
            return self._private_step(self._private)
        if progress.step == 0 or self._order is None:
            self._epoch_generator = self.generator.get_state()
            self._order = torch.randperm(len(self.training), generator=self.generator)
        if self._fused is not None:
            return self._fused_steps(self._fused, self._order)
        chosen = self._order[progress.step * size : (progress.step + 1) * size]
        self.network.train()
        if self._measurer is not None:
            self._measurer.begin_step(chosen.numpy())
        try:
            scores = self.network(self.training.rows[chosen])  # (batch, n_classes)
        except ShapeError:  # the engine takes finite angles only
            if self._all_finite():
                raise
            raise self._diverged(math.nan) from None
        loss = self._loss(scores, self.training.classes[chosen], weight=self._class_weights)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        self._optimizer.step()
        value = loss.item()
        if not math.isfinite(value):
            raise self._diverged(value)
        progress.epoch_loss += value * len(chosen)
        progress.step += 1
        if self._measurer is not None:
            self._measurer.end_step()
        if progress.step * size < len(self.training):
            return False
        self._end_epoch()
        return True

    def _whole_epochs(self, seconds: float) -> bool:
        """Epochs for some seconds in one call of compiled code; False where they are taken step by step."""
        progress, optimizer = self._progress, self._optimizer
        if self._fused is None or progress.step or seconds <= 0.0:
            return False
        if self._fused_epochs is None:
            given = self.training, self.validation, self.options, self._best
            self._fused_epochs = FusedEpochs(self._fused, *given)
        wanted = self._fused_epochs.at_once(progress.epoch, seconds)
        if wanted < 1:
            return False
        standing = Standing(progress.epoch, optimizer.n_steps, progress.best_epoch, progress.best_score)
        try:
            self._fused_epochs.run(wanted, standing, self.generator)
        except ShapeError:  # the engine takes finite angles only
            if self._all_finite():
                raise
            standing.diverged = True
        for loss, *checked in standing.history.tolist():
            progress.history.append([loss, *(checked if self.validation is not None else (None, None))])
        progress.epoch, progress.best_epoch, progress.best_score = (
            standing.epoch,
            standing.best_epoch,
            standing.best_score,
        )
        optimizer.n_steps = standing.n_steps
        if standing.diverged:
            raise self._diverged(math.nan)
        self._note_end()
        return True

    def _fused_steps(self, fused: FusedSteps, order: Tensor) -> bool:
        """Some steps of an epoch as compiled code; True if they ended it."""
        progress, size, optimizer = self._progress, self.options.batch_size, self._optimizer
        try:
            taken, losses = fused.advance(
                self.training, order, progress.step, size, optimizer.n_steps, progress.epoch_loss
            )
        except ShapeError:  # the engine takes finite angles only
            if self._all_finite():
                raise
            raise self._diverged(math.nan) from None
        if not math.isfinite(losses.total):
            raise self._diverged(losses.total)
        optimizer.n_steps += taken
        progress.step += taken
        progress.epoch_loss = losses.total
        if progress.step * size < len(self.training):
            return False
        self._end_epoch()
        return True

    def _all_finite(self) -> bool:
        parameters = self.network.parameters()
        return all(bool(p.isfinite().all()) for p in parameters) and bool(self.training.rows.isfinite().all())

    def _private_step(self, private: PrivateSteps) -> bool:
        """One step of private training; True if it ended an epoch."""
        progress, chosen = self._progress, private.rows()
        self.network.train()

        def losses() -> Tensor:
            scores = self.network(self.training.rows[chosen])  # (batch, n_classes)
            found: Tensor = self._loss(
                scores, self.training.classes[chosen], weight=self._class_weights, reduction="none"
            )
            return found

        gradient, value = private.gradient(losses, len(chosen))
        if not (math.isfinite(value) and gradient.isfinite().all()):
            raise self._diverged(value)
        self._optimizer.grad.copy_(gradient)
        self._optimizer.step()
        progress.epoch_loss += value * len(chosen)
        progress.step += 1
        if progress.step * self.options.batch_size < len(self.training):
            return False
        self._end_epoch()
        return True

    def _diverged(self, value: float) -> TrainingDivergedError:
        epoch = self._progress.epoch + 1
        return TrainingDivergedError(
            f"the training loss became {value} in epoch {epoch}; lower training.learning_rate "
            f"({self.options.learning_rate}) or scale the columns",
            epoch=epoch,
        )

    def _end_epoch(self) -> None:
        progress = self._progress
        loss = progress.epoch_loss / len(self.training)
        validation_loss = validation_accuracy = None
        if self.validation is not None and self._fused is not None:
            looked = self._fused.look(self.validation)
            validation_loss, validation_accuracy = looked.mean, looked.accuracy
        elif self.validation is not None:
            if self._measurer is not None:
                self._measurer.begin_evaluation("validation")
            scores = forward_in_chunks(self.network, self.validation.rows)
            validation_loss = self._loss(scores, self.validation.classes, weight=self._class_weights).item()
            if not self.validation.classes.is_floating_point():
                validation_accuracy = (scores.argmax(dim=1) == self.validation.classes).double().mean().item()
        progress.history.append([loss, validation_loss, validation_accuracy])
        progress.epoch, progress.step, progress.epoch_loss = progress.epoch + 1, 0, 0.0
        score = loss if validation_loss is None else validation_loss
        if score < progress.best_score or self._private is not None:
            progress.best_score, progress.best_epoch = score, progress.epoch
            self._best.copy_(self._optimizer.vector)
            for name, buffer in self._buffers.items():
                self._best_buffers[name].copy_(buffer)
        self._note_end()

    def _note_end(self) -> None:
        progress = self._progress
        stale = progress.epoch - progress.best_epoch >= self.options.patience
        progress.finished = stale or progress.epoch >= self.options.epochs

    def _save(self, watch: TrainingWatch) -> None:
        if watch.store is None:
            return
        optimizer = self._optimizer
        arrays = {
            "weights": optimizer.vector.numpy(),
            "moment_1": optimizer.moment_1.numpy(),
            "moment_2": optimizer.moment_2.numpy(),
            "best_weights": self._best.numpy(),
            # Within an epoch, the state that its order was drawn from; between epochs, the current one.
            "generator": (self._epoch_generator if self._progress.step else self.generator.get_state()).numpy(),
            **({"torch_generator": torch.get_rng_state().numpy()} if self._draws else {}),
            **{f"buffer.{name}": buffer.numpy() for name, buffer in self._buffers.items()},
            **{f"best_buffer.{name}": buffer.numpy() for name, buffer in self._best_buffers.items()},
        }
        facts: dict[str, Any] = {"n_steps": optimizer.n_steps, **vars(self._progress)}
        if math.isinf(self._progress.best_score):
            facts["best_score"] = None
        if self._private is not None:
            arrays["private_generator"] = self._private.generator.get_state().numpy()
        if self._measurer is not None:
            measured, facts["measured"] = self._measurer.state()
            arrays |= {f"measured.{name}": array for name, array in measured.items()}
        watch.store.save(arrays, facts)
        if self._measurer is not None:
            self._measurer.settle()

    def _restore(self, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> None:
        optimizer = self._optimizer
        targets = (optimizer.vector, optimizer.moment_1, optimizer.moment_2, self._best)
        with torch.no_grad():
            for name, target in zip(("weights", "moment_1", "moment_2", "best_weights"), targets, strict=True):
                target.copy_(torch.from_numpy(arrays[name]))
            for name, buffer in self._buffers.items():
                buffer.copy_(torch.from_numpy(arrays[f"buffer.{name}"]))
                self._best_buffers[name].copy_(torch.from_numpy(arrays[f"best_buffer.{name}"]))
        if self._draws and "torch_generator" in arrays:  # absent from checkpoints of release 0.1
            torch.set_rng_state(torch.from_numpy(arrays["torch_generator"]))
        optimizer.grad.zero_()
        if self._private is not None:
            self._private.generator.set_state(torch.from_numpy(arrays["private_generator"]))
        self.generator.set_state(torch.from_numpy(arrays["generator"]))
        optimizer.n_steps = facts.pop("n_steps")
        measured = facts.pop("measured", None)
        if self._measurer is not None and measured is not None:
            own = {n.removeprefix("measured."): a for n, a in arrays.items() if n.startswith("measured.")}
            self._measurer.restore(own, measured)
        if facts["best_score"] is None:
            facts["best_score"] = math.inf
        self._progress = _Progress(**facts)
        if self._progress.step:
            self._epoch_generator = self.generator.get_state()
            self._order = torch.randperm(len(self.training), generator=self.generator)


def _private_steps(network: nn.Module, plan: PrivacyPlan) -> PrivateSteps:
    from superpose.learning.privacy.steps import PrivateSteps

    return PrivateSteps(network, plan)


def forward_in_chunks(network: nn.Module, rows: Tensor) -> Tensor:
    """Scores ``(n_rows, n_classes)`` in predicting mode, without gradients, a bounded number of rows at a time."""
    network.eval()
    with torch.no_grad():
        parts = [network(rows[i : i + EVALUATION_ROWS]) for i in range(0, len(rows), EVALUATION_ROWS)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)
