"""Models that explanations are tested on: trained once, small, on real and on made data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from superpose import export_module
from superpose.datasets import Table, builtin_table
from superpose.datasets.readers import table_from_frame
from superpose.learning import Predictor, TrainingSpec, run_experiment
from superpose.learning.model_file import encode_model
from superpose.learning.modules.model import ModuleModel
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.spec import PreprocessingSpec

SPEC: dict[str, Any] = {
    "training": {"epochs": 10},
    "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"},
}


def trained(table: Table, directory: Path, **model: Any) -> Predictor:
    """A small hybrid model."""
    spec = TrainingSpec.from_dict(SPEC | {"model": {"n_qubits": 3, **model}})
    return Predictor.load(run_experiment(spec, table, directory).model_path)


def module_predictor(module: nn.Module, table: Table, **options: Any) -> Predictor:
    """A user's module with the weights that it has, as a model file that was read."""
    names = [column.name for column in table.columns]
    preprocessor = Preprocessor.fit(table.features, names, ["number"] * len(names), PreprocessingSpec(**options))
    exported = export_module(module.eval(), torch.zeros(1, len(names)))
    model = ModuleModel(preprocessor, exported, "cross_entropy", tuple(table.class_counts))
    return Predictor.load(encode_model(model)[0])


@pytest.fixture(scope="session")
def cancer() -> Table:
    return builtin_table("breast_cancer")


@pytest.fixture(scope="session")
def predictor(cancer: Table, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return trained(cancer, tmp_path_factory.mktemp("cancer"))


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Predictor, list[dict[str, Any]]]:
    """A model of four columns, one of them a category, one with missing values."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "age": float(rng.normal(50, 10)),
            "dose": None if i % 7 == 0 else float(rng.random()),
            "ward": "abc"[i % 3],
            "noise": float(rng.normal()),
        }
        for i in range(90)
    ]
    target = ["ill" if row["age"] + 8 * (row["ward"] == "b") > 52 else "well" for row in rows]
    table = table_from_frame(pd.DataFrame(rows).assign(outcome=target), name="mixed", target="outcome")
    return trained(table, tmp_path_factory.mktemp("mixed")), rows[:12]


@pytest.fixture(scope="session")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Predictor, Table]:
    """A model of three classes."""
    table = builtin_table("iris")
    return trained(table, tmp_path_factory.mktemp("flowers")), table
