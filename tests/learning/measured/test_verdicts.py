"""The verdict on a model that was trained on a backend: from its figures by the same tests as any other's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from superpose.datasets import table_from_frame
from superpose.learning import TrainingSpec, run_experiment
from superpose.learning.recipe import CircuitRecipe
from superpose.learning.splitting import splits_of
from superpose.learning.verdicts import compare

from .backends_under_test import Counting

CONTROLS = ["classical_twin", "frozen"]


@pytest.mark.parametrize("evaluate", ["exact", "backend"])
def test_the_verdict_on_a_model_that_was_trained_on_a_backend(evaluate: str, tmp_path: Path) -> None:
    values = np.random.default_rng(5).normal(size=(60, 3))
    frame = pd.DataFrame(values, columns=["a", "b", "c"])
    frame["kind"] = np.where(values[:, 0] + values[:, 1] > 0, "much", "little")
    table = table_from_frame(frame, name="products", target="kind")
    spec = TrainingSpec.from_dict(
        {
            "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
            "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.1},
            "evaluation": {"n_splits": 3, "controls": CONTROLS, "baseline": "logistic_regression"},
            "backend": {"name": "local", "shots": 20, "gradient": "spsa", "evaluate": evaluate},
        }
    )
    backend = Counting()
    found = run_experiment(spec, table, tmp_path, recipe=CircuitRecipe(spec, backend)).evaluation
    models = {**found["models"]["controls"], "baseline": found["models"]["baseline"]}
    assert list(models) == [row["against"] for row in found["comparisons"]] == [*CONTROLS, "baseline"]
    assert found["measured"]["in_all"]["n_circuits"] == backend.n_circuits > 0

    metric = found["primary_metric"]
    own = found["models"]["hybrid"]["metrics"][metric]["values"]
    others = {name: model["metrics"][metric]["values"] for name, model in models.items()}
    overlap = max(len(split.test) / len(split.train) for split in splits_of(spec, table))
    again = compare(own, others, metric=metric, test_over_train=overlap, confidence=0.95, margin=0.02)
    for row, expected in zip(found["comparisons"], again, strict=True):
        wanted = expected.to_dict()
        for name in ("mean_difference", "low", "high", "p_value", "p_equal", "wilcoxon_p", "outcome"):
            assert row[name] == (wanted[name] if name == "outcome" else pytest.approx(wanted[name])), name
        assert row["cases"]["n_cases"] == len({place for split in splits_of(spec, table) for place in split.test})
    assert found["quantum_part"] == again[0].outcome
    undecided = all(row.outcome == "undecided" for row in again)
    assert found["verdict"].startswith("Undecided: ") == undecided
    assert "over 3 paired splits at 95 % confidence" in found["verdict"]
    for name in ("classical twin", "frozen random weights", "logistic regression"):
        assert name in found["verdict"]
