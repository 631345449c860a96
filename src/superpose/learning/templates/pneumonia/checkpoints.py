"""A training run's state between two epochs, in one safetensors file; nothing is unpickled."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from superpose.errors import CheckpointError

__all__ = ["Progress", "read_progress", "write_progress"]


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        epochs: epochs done.
    """

    epochs: int


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
    content = save(arrays, metadata={"progress": json.dumps({"epochs": progress.epochs})})
    beside = path.with_name(f".{path.name}.part")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def read_progress(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, average: dict[str, Tensor]) -> int:
    """Bring network, optimizer and averaged weights to the state in ``path``; the number of epochs done.

    0, and nothing changed, where there is no such file.

    Raises:
        CheckpointError: the file is damaged or of another network.
    """
    if not path.exists():
        return 0
    try:
        with safe_open(path, framework="pt") as file:
            epochs = int(json.loads((file.metadata() or {})["progress"])["epochs"])
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
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"Checkpoint {path.name} does not fit this network: {type(error).__name__}. Remove it to begin anew."
        ) from error
    for name, value in averaged.items():
        average[name].copy_(value)
    return epochs


def _part(arrays: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
