"""Trains on the backend that a directory holds, with its checkpoints there: what tests kill in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from superpose.datasets import table_from_frame
from superpose.learning import TrainingSpec, run_experiment
from superpose.learning.recipe import CircuitRecipe


def train(home: Path, evaluate: str) -> None:
    """Train, or go on with training; the model file is ``model.superpose``."""
    if __package__:
        from .backends_under_test import Dying
    else:
        from backends_under_test import Dying  # type: ignore[import-not-found,no-redef]  # as a script

    values = np.random.default_rng(5).normal(size=(40, 3))
    frame = pd.DataFrame(values, columns=["a", "b", "c"])
    frame["kind"] = np.where(values[:, 0] * values[:, 1] > 0, "same", "other")
    table = table_from_frame(frame, name="products", target="kind")
    spec = TrainingSpec.from_dict(
        {
            "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
            "training": {"epochs": 2, "batch_size": 16},
            "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"},
            "backend": {"name": "dying", "shots": 20, "evaluate": evaluate},
        }
    )
    found = run_experiment(spec, table, home / "run", recipe=CircuitRecipe(spec, Dying(home)))
    (home / "model.superpose").write_bytes(found.model_path.read_bytes())


if __name__ == "__main__":
    train(Path(sys.argv[1]), sys.argv[2])
