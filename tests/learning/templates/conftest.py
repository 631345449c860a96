"""A small set of pictures that a network learns in a moment, and a process that holds a run's directory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest

HOLDER = """
import sys
from pathlib import Path
from superpose.learning.templates.directory_lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""

Holding = Callable[[Path], AbstractContextManager[int]]


@pytest.fixture(scope="session")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MedMNIST file of 12 x 12 pictures; the second class has a bright middle."""
    random = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 72), ("val", 24), ("test", 30)):
        labels = (np.arange(n) % 3 > 0).astype(np.uint8)
        images = random.normal(90.0, 25.0, (n, 12, 12))
        images[labels == 1, 3:9, 3:9] += 70.0
        arrays[f"{part}_images"] = np.clip(images, 0, 255).astype(np.uint8)
        arrays[f"{part}_labels"] = labels[:, None]
    arrays["train_images"][5] = arrays["test_images"][5]  # a picture that must not be learnt by heart
    path = tmp_path_factory.mktemp("pictures") / "small.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]  # NumPy's stub knows no mapping
    return path


@pytest.fixture
def held_elsewhere() -> Holding:
    """Within it another process, whose id it gives, holds the directory; it is killed at the end."""

    @contextmanager
    def hold(place: Path) -> Iterator[int]:
        command = [sys.executable, "-c", HOLDER, str(place)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            try:
                assert other.stdout is not None and other.stdout.readline() == "held\n"
                yield other.pid
            finally:
                other.kill()
                other.wait()

    return hold
