"""A small set of pictures that a network learns in a moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


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
