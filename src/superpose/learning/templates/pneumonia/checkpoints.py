"""A training run's state between two epochs, in one safetensors file; nothing is unpickled."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from superpose.errors import CheckpointError

__all__ = ["Losses", "Progress", "losses_in", "read_progress", "write_progress"]

Losses = tuple[float | None, ...]
"""The mean loss of each epoch; None where it is not known, or was no finite number."""


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        epochs: epochs done.
        losses: of each of them.
    """

    epochs: int
    losses: Losses = ()

    def after(self, loss: float) -> Progress:
        """One epoch further, whose mean loss was ``loss``."""
        return Progress(self.epochs + 1, (*self.losses, loss if math.isfinite(loss) else None))


def write_progress(
    path: Path,
    progress: Progress,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
) -> None:
    """Put the state into ``path``, whole or not at all, whenever the process dies."""
    arrays = {f"network.{name}": value.contiguous() for name, value in network.state_dict().items()}
    arrays |= {f"average.{name}": value.contiguous() for name, value in average.items()}
    for place, state in optimizer.state_dict()["state"].items():
        arrays |= {f"optimizer.{place}.{name}": value.contiguous() for name, value in state.items()}
    said = {"epochs": progress.epochs, "losses": progress.losses}
    content = save(arrays, metadata={"progress": json.dumps(said)})
    beside = path.with_name(f".{path.name}.part")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def read_progress(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, average: dict[str, Tensor]
) -> Progress:
    """Bring network, optimizer and averaged weights to the state in ``path``; how far that is.

    No epoch, and nothing changed, where there is no such file. Files of releases that kept no losses are read too: the
    losses of their epochs are not known.

    Raises:
        CheckpointError: the file is damaged or of another network.
    """
    if not path.exists():
        return Progress(0)
    try:
        with safe_open(path, framework="pt") as file:
            progress = _progress(file.metadata())
            arrays = {name: file.get_tensor(name) for name in list(file.keys())}
        network.load_state_dict(_part(arrays, "network."))
        averaged = _part(arrays, "average.")
        if set(averaged) != set(average):
            raise KeyError("average")
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _part(arrays, "optimizer.").items():
            place, _, entry = name.partition(".")
            state.setdefault(int(place), {})[entry] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"Checkpoint {path.name} does not fit this network: {type(error).__name__}. Remove it to begin anew."
        ) from error
    for name, value in averaged.items():
        average[name].copy_(value)
    return progress


def losses_in(path: Path) -> Losses:
    """The losses of the epochs that a checkpoint is of.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return _progress(file.metadata()).losses
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"Checkpoint {path.name} cannot be read: {type(error).__name__}. Remove it to begin anew."
        ) from error


def _progress(metadata: dict[str, str] | None) -> Progress:
    said = json.loads((metadata or {})["progress"])
    epochs = int(said["epochs"])
    losses = said.get("losses", [None] * epochs)  # came later
    if len(losses) != epochs:
        raise ValueError("losses")
    return Progress(epochs, tuple(losses))


def _part(arrays: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
