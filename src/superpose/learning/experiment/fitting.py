"""Training one network, and choosing one of several that were trained with different settings."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from torch import nn

from superpose.errors import CheckpointError, TrainingDivergedError
from superpose.learning.canonical import digest_bytes, write_atomically
from superpose.learning.checkpoint import CheckpointStore, read_sealed_json, write_sealed_json
from superpose.learning.measured.measurer import Measurer
from superpose.learning.plot_data import curve_of
from superpose.learning.spec import TrainingOptions
from superpose.learning.training import Trainer

if TYPE_CHECKING:
    from superpose.learning.privacy.accounting import PrivacyPlan

__all__ = ["SEARCHED", "Trained", "chosen_of", "settings_of"]

SEARCHED = ("learning_rate", "weight_decay", "batch_size")
"""What a search inside a split varies: nothing that changes the number of parameters, so that controls keep theirs."""

_RATES, _DECAYS, _BATCHES = (1.0, 1 / 3, 3.0, 0.1), (1.0, 0.1), (1.0, 0.5)


@dataclass(frozen=True)
class Trained:
    """A trained network and what is told about its training."""

    network: nn.Module
    n_epochs: int
    best_epoch: int
    loss: float
    measurer: Measurer | None = None
    plan: PrivacyPlan | None = None
    curve: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def by(cls, trainer: Trainer, measurer: Measurer | None, plan: PrivacyPlan | None) -> Trained:
        """What a trainer that has ended leaves; its loss is that of the best epoch, on validation rows."""
        best = trainer.history[trainer.best_epoch - 1]
        loss = best.loss if best.validation_loss is None else best.validation_loss
        curve = curve_of(trainer.history, trainer.best_epoch, private=plan is not None)
        return cls(trainer.network, len(trainer.history), trainer.best_epoch, loss, measurer, plan, curve)


def settings_of(options: TrainingOptions, n_settings: int) -> list[TrainingOptions]:
    """So many training options, at most 16; the first are those given.

    The grid is that of four learning rates (as given, a third, three times, a tenth), two weight decays (as given, a
    tenth; 0.01 beside none) and two batch sizes (as given, half), the learning rate varying first. It depends on the
    options alone, so that every network of an experiment has the same.
    """
    found = []
    for batch, decay, rate in product(_BATCHES, _DECAYS, _RATES):
        second = decay != 1.0 and options.weight_decay == 0.0
        found.append(
            replace(
                options,
                learning_rate=min(10.0, options.learning_rate * rate),
                weight_decay=0.01 if second else options.weight_decay * decay,
                batch_size=max(1, round(options.batch_size * batch)),
            )
        )
    return found[:n_settings]


def chosen_of(
    settings: list[TrainingOptions],
    directory: Path,
    train: Callable[[int, CheckpointStore], Trained],
    new_network: Callable[[], nn.Module],
) -> tuple[Trained, dict[str, Any]]:
    """Train one network for each setting and take that of the lowest validation loss; the first of equals.

    Settings that are done leave files, so that a search goes on where it was cut off.

    Args:
        settings: what to try.
        directory: where files go.
        train: trains with the setting of this number, with checkpoints in this store.
        new_network: makes an untrained network.

    Returns:
        The chosen network, and its setting as JSON values.

    Raises:
        TrainingDivergedError: every setting did.
    """
    losses: list[float] = []
    for number in range(len(settings)):
        record = _done(directory, number)
        if record is None:
            record = _try(directory, number, train)
        losses.append(float("inf") if record["loss"] is None else float(record["loss"]))
    best = losses.index(min(losses))
    record = _done(directory, best)
    if record is None or record["loss"] is None:
        raise TrainingDivergedError(
            f"with none of {len(settings)} settings the training loss stayed finite; lower training.learning_rate or "
            "scale the columns",
            epoch=1,
        )
    network = new_network()
    network.load_state_dict(safetensors.torch.load((directory / f"trial-{best:02d}.safetensors").read_bytes()))
    network.eval()
    trained = Trained(
        network, record["n_epochs"], record["best_epoch"], record["loss"], curve=record.get("curve") or {}
    )
    return trained, {name: getattr(settings[best], name) for name in SEARCHED}


def _done(directory: Path, number: int) -> dict[str, Any] | None:
    """What a trial left, if all of it is whole."""
    try:
        record = read_sealed_json(directory / f"trial-{number:02d}.json")
        if record is None or record["loss"] is None:
            return record
        content = (directory / f"trial-{number:02d}.safetensors").read_bytes()
    except (CheckpointError, FileNotFoundError):
        return None
    return record if digest_bytes(content) == record["sha256"] else None


def _try(directory: Path, number: int, train: Callable[[int, CheckpointStore], Trained]) -> dict[str, Any]:
    """Train with one setting, and leave network and record."""
    store = CheckpointStore(
        directory / f"trial-{number:02d}", {"directory": directory.name, "trial": number, "torch": torch.__version__}
    )
    record: dict[str, Any] = {"loss": None}
    try:
        found: Trained | None = train(number, store)
    except TrainingDivergedError:
        found = None  # a setting that is no good; the others decide
    if found is not None and math.isfinite(found.loss):
        content = safetensors.torch.save(found.network.state_dict())
        write_atomically(directory / f"trial-{number:02d}.safetensors", content)
        record = {
            "loss": found.loss,
            "n_epochs": found.n_epochs,
            "best_epoch": found.best_epoch,
            "curve": found.curve,
            "sha256": digest_bytes(content),
        }
    write_sealed_json(directory / f"trial-{number:02d}.json", record)
    store.clear()
    shutil.rmtree(store.directory, ignore_errors=True)
    return record
