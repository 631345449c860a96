"""What a model file says about the data it was trained on: names, counts and digests, no values."""

from __future__ import annotations

from typing import Any

from superpose.datasets import Split, Table
from superpose.learning.spec import TrainingSpec

__all__ = ["data_facts"]


def data_facts(spec: TrainingSpec, table: Table, features: Table, split: Split) -> dict[str, Any]:
    """The facts, as JSON values.

    Args:
        spec: how rows were parted.
        table: all columns.
        features: those that the model takes.
        split: the one that the registered model was trained on.
    """
    return {
        "name": table.name,
        "digest": table.digest,
        "n_rows": table.n_rows,
        "n_features": len(features.columns),
        "n_missing": sum(column.n_missing for column in features.columns),
        "target": table.target_name,
        "class_counts": table.class_counts,
        "units": {column.name: column.unit for column in features.columns if column.unit},
        "split_by": spec.split.to_dict(),
        "split": {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)},
    }
