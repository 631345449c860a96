"""Checkpoints: arrays as safetensors and facts as JSON, written so that a kill at any instant leaves a whole one.

The arrays go first, under a name made of their digest; then one atomic rename puts the JSON that names them in place.
So the JSON on disk always speaks of arrays that are complete, and `load` checks both digests before it believes
either.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from superpose.errors import CheckpointError, SuperposeError
from superpose.learning.canonical import digest_bytes, digest_json, write_atomically

__all__ = ["OPENINGS", "CheckpointStore", "Stopped", "read_sealed_json", "start_over", "write_sealed_json"]

OPENINGS = "openings.json"
"""What a run that keeps its test data under seal writes every look at them into."""

Arrays = dict[str, NDArray[Any]]


class Stopped(SuperposeError):
    """The caller asked to stop; a checkpoint holds everything, and the same call continues from it."""

    code = "learning.stopped"


def write_sealed_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON together with its own digest, atomically."""
    sealed = {"content": content, "sha256": digest_json(content)}
    write_atomically(path, json.dumps(sealed, sort_keys=True, allow_nan=False).encode())


def read_sealed_json(path: Path) -> dict[str, Any] | None:
    """Read what `write_sealed_json` wrote; None if there is no such file.

    Raises:
        CheckpointError: the file is not what was written.
    """
    try:
        sealed = json.loads(path.read_bytes())
        content: dict[str, Any] = sealed["content"]
        stated = sealed["sha256"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path.name} is damaged: {type(error).__name__}; delete it to start over") from None
    if digest_json(content) != stated:
        raise CheckpointError(
            f"{path.name} is damaged: its content does not have the digest it states; delete it to start over"
        )
    return content


def start_over(directory: Path) -> None:
    """Empty a run's directory, whose files cannot be used, but for the record of looks at test data: those happened.

    The record is never away, so that a kill at any instant leaves it. One that is damaged goes too.

    Args:
        directory: of the run; it is there.

    Raises:
        OSError: a file cannot be removed.
    """
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != OPENINGS:
            path.unlink()
    try:
        read_sealed_json(directory / OPENINGS)
    except CheckpointError:
        (directory / OPENINGS).unlink()


@dataclass(frozen=True)
class CheckpointStore:
    """The newest checkpoint of one training run, in a directory of its own.

    Attributes:
        directory: where the two files lie; made on the first save.
        identity: facts that must be equal on load, such as the digests of spec and data.
    """

    directory: Path
    identity: Mapping[str, Any]

    @property
    def _facts_path(self) -> Path:
        return self.directory / "checkpoint.json"

    def save(self, arrays: Arrays, facts: Mapping[str, Any]) -> None:
        """Replace the checkpoint.

        Args:
            arrays: contiguous arrays by name.
            facts: JSON values; floats come back exactly.

        Raises:
            OSError: the disk is full or the directory cannot be written; the former checkpoint stays.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        content = safetensors.numpy.save(arrays)
        name = f"arrays-{digest_bytes(content)[:16]}.safetensors"
        write_atomically(self.directory / name, content)
        document = {
            "identity": dict(self.identity),
            "arrays": name,
            "sha256": digest_bytes(content),
            "facts": dict(facts),
        }
        write_sealed_json(self._facts_path, document)
        for former in self.directory.glob("arrays-*.safetensors"):
            if former.name != name:
                former.unlink(missing_ok=True)

    def load(self) -> tuple[Arrays, dict[str, Any]] | None:
        """Arrays and facts of the newest checkpoint; None if there is none.

        Raises:
            CheckpointError: the files are damaged or belong to another run.
        """
        document = read_sealed_json(self._facts_path)
        if document is None:
            return None
        if digest_json(document["identity"]) != digest_json(dict(self.identity)):  # as JSON has them
            raise CheckpointError(
                f"the checkpoint in {self.directory.name} belongs to another run (other spec, data or version); "
                "use an empty directory"
            )
        path = self.directory / str(document["arrays"])
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise CheckpointError(
                f"the arrays {path.name} of the checkpoint are gone; delete it to start over"
            ) from None
        if digest_bytes(content) != document["sha256"]:
            raise CheckpointError(f"the arrays {path.name} of the checkpoint are damaged; delete it to start over")
        try:
            arrays = safetensors.numpy.load(content)
        except SafetensorError as error:
            raise CheckpointError(f"the arrays {path.name} of the checkpoint cannot be read: {error}") from None
        return {name: np.array(array) for name, array in arrays.items()}, dict(document["facts"])

    def clear(self) -> None:
        """Delete the checkpoint, the JSON first so that no reader finds it without its arrays."""
        self._facts_path.unlink(missing_ok=True)
        for path in self.directory.glob("arrays-*.safetensors"):
            path.unlink(missing_ok=True)
        for path in self.directory.glob(".*.tmp"):
            path.unlink(missing_ok=True)
