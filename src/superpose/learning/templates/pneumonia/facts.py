"""What the template's model file says of its model, in the form that the registry, cards and the gate read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from superpose import __version__
from superpose.learning.card import MEDICAL, CardSpec
from superpose.learning.metrics import METRICS
from superpose.learning.model_file import ModelFacts

__all__ = ["INTENDED_USE", "drawn_said", "facts_of", "limits_of"]

INTENDED_USE = "Research on hybrid models with pictures of two classes; comparison of methods."
_LIMITS = (
    "Judged on the test part of one set; patients are known only where files, folders or a column tell, sites are not; "
    "subgroups cannot be compared."
)

_PRIMARY = "auc"
_PARTS = {"train": "train", "validation": "val", "test": "test"}


def drawn_said(n_patients: int | None) -> str:
    """What the bootstrap drew.

    Args:
        n_patients: who were drawn whole; None where patients are not known.
    """
    if n_patients is None:
        return "percentile bootstrap, 95 %, 1000 resamples of the test pictures within their classes"
    return (
        f"percentile bootstrap, 95 %, 1000 resamples of the test part's {n_patients} patients, each with all pictures, "
        "within the class of most of them where each class has several; a picture of nobody known counts as a patient"
    )


def limits_of(configuration: Mapping[str, Any], n_patients: int | None) -> str:
    """What nobody should expect of the models of a run, and whose weights they began with.

    Args:
        configuration: the run's.
        n_patients: of the test part; None where patients are not known.
    """
    said = (
        "Patients of the test pictures are not known: each counts for itself, and where some are of one patient, "
        "intervals over pictures are narrower than they should be."
        if n_patients is None
        else f"The test part has {n_patients} patients, and intervals over pictures are for as many."
    )
    begun = configuration.get("begins_with")
    return (
        f"{_LIMITS} {said}"
        if begun is None
        else f"{_LIMITS} {said} Features began with somebody else's weights: {begun['weights']}."
    )


def facts_of(
    report: Mapping[str, Any],
    seed: int,
    confidence: float,
    *,
    calibration: Mapping[str, Any],
    baseline: Mapping[str, Any],
) -> ModelFacts:
    """The facts of the hybrid model that was trained with ``seed``.

    Args:
        report: the run's, without ``model``.
        seed: of the model in the file.
        confidence: of the report's intervals.
        calibration: how far the model's probabilities can be trusted, measured on the test pictures.
        baseline: how the pixels of the training pictures are distributed.
    """
    own = report["configuration"]
    return ModelFacts(
        evaluation={**_evaluation(report, seed, confidence), "calibration": dict(calibration)},
        data=_data(report["data"]),
        provenance={
            "template": "pneumonia",
            "configuration": dict(own),
            "configuration_sha256": report["configuration_sha256"],
            "versions": {"superpose": __version__, "torch": torch.__version__, "numpy": np.__version__},
            "seed": seed,
            **{name: own[name] for name in ("begins_with",) if name in own},
            "spec": {"card": vars(CardSpec(domain=MEDICAL, intended_use=INTENDED_USE, limits=report["limits"]))},
        },
        baseline=baseline,
    )


def _evaluation(report: Mapping[str, Any], seed: int, confidence: float) -> dict[str, Any]:
    rows = report["variants"]
    names = [
        name
        for name in report["metrics"]
        if name in METRICS and all(row["metrics"][name]["mean"] is not None for row in rows.values())
    ]
    own = {name: report["metrics"][name]["values"][seed] for name in names}
    n_seeds = rows["hybrid"]["n_seeds"]
    several = n_seeds > 1
    drawn = "pictures" if report["intervals"]["n_patients"] is None else "patients"
    return {
        "notice": report["notice"],
        "verdict": report["verdict"],
        "confidence": confidence,
        "n_splits": 1,
        "n_seeds": n_seeds,
        "means_over": (
            f"Means over {n_seeds} seed{'s' if several else ''} on one test part with {100 * confidence:g} % intervals "
            f"{'over seeds (Student)' if several else f'over test {drawn} (bootstrap)'}."
        ),
        "primary_metric": _PRIMARY,
        "positive_class": report["data"]["classes"][1],
        "models": {
            "hybrid": _row(rows["hybrid"], names),
            "controls": {name: _row(row, names) for name, row in rows.items() if name != "hybrid"},
            "baseline": None,
        },
        "model_metrics": own,
        "comparisons": [
            row for row in report["comparisons"] if row["subject"] == "hybrid" and row["metric"] == _PRIMARY
        ],
        "comparisons_said": f"Paired by seed; each row is a statement of its own at {100 * confidence:g} %.",
        "equivalence_margin": report["margin"],
    }


def _row(row: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    metrics = {}
    for name in names:
        found = row["metrics"][name]
        low, high = found["over_seeds"] or found["over_images"]
        metrics[name] = {"mean": found["mean"], "low": low, "high": high}
    return {"label": row["label"], "n_params": row["n_params"], "metrics": metrics}


def _data(data: Mapping[str, Any]) -> dict[str, Any]:
    parts = data["parts"]
    return {
        "name": data["name"],
        "digest": data["sha256"],
        "n_rows": sum(part["n_pictures"] for part in parts.values()),
        "n_missing": 0,
        "target": "class",
        "class_counts": {label: sum(part["per_class"][label] for part in parts.values()) for label in data["classes"]},
        "split": {name: parts[part]["n_used"] for name, part in _PARTS.items()},
        "validation_use": "with thresholds chosen on",
        "split_by": {"kind": "given", "origin": data["split"]},
        "n_left_out_as_equal": data["n_left_out_as_equal"],
        "n_left_out_of_patients": data["n_left_out_of_patients"],
    }
