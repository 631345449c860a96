"""One run at a time in a template's directory: a lock that ends with its process, however that ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from superpose.errors import CheckpointError

try:
    import fcntl
except ImportError:  # Windows has no flock; files are written atomically there all the same
    fcntl = None  # type: ignore[assignment]  # absent there

__all__ = ["locked"]


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Own a run's directory, made if absent, until the block ends.

    A directory that was made for a block which failed before it wrote anything goes again.

    Raises:
        CheckpointError: another run is under way in it.
        OSError: the directory cannot be made or written to.
    """
    is_new = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(directory / "run.lock", os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                owner = file.read(20).strip()
                raise CheckpointError(
                    f"another run is under way in {directory.name}{f' (process {owner})' if owner else ''}; wait for "
                    "it, or give another directory"
                ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        except BaseException:
            if is_new and [path.name for path in directory.iterdir()] == ["run.lock"]:
                (directory / "run.lock").unlink()
                directory.rmdir()
            raise
