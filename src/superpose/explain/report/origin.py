"""Where a model comes from: its kind, whether a job of this service trained it, what it was fine-tuned from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from superpose.explain.fine_tuning_words import fine_tuning_words
from superpose.explain.report.blocks import Block, Points, Section, Text
from superpose.explain.report.facts import ReportFacts
from superpose.learning.fine_tuning.report import seen_warning
from superpose.learning.metrics import METRICS

__all__ = ["OUTSIDE", "came_as_file", "fine_tuning", "kind_of", "predicts_numbers"]

OUTSIDE = (
    "Left out: the model file alone does not hold it; it is kept by the service that trained the model, if one did."
)

_IMPORT = "import_model"
_KINDS = {"module_classifier": "own module", "hybrid_regressor": "hybrid regressor"}


def came_as_file(facts: ReportFacts) -> bool:
    """Whether no training job is known: a file read from disk, or an imported version."""
    return facts.job.get("kind") == _IMPORT or (bool(facts.known_manifest) and not facts.job and facts.model is None)


def kind_of(manifest: Mapping[str, Any]) -> str:
    """How a model of its kind is called."""
    network = (manifest.get("pipeline") or {}).get("network") or {}
    if network.get("family"):
        return str(network["family"]).replace("_", " ")
    return _KINDS.get(str(manifest.get("kind")), "hybrid model")


def predicts_numbers(manifest: Mapping[str, Any]) -> bool:
    """Whether the model has no classes, and so neither probabilities nor their calibration."""
    return manifest.get("kind") == "hybrid_regressor"


def fine_tuning(facts: ReportFacts) -> list[Section]:
    """What the model was fine-tuned from and whether that helped; nothing where it began from random weights."""
    evaluated = facts.known_evaluation.get("fine_tuning") or {}
    began = evaluated or (facts.known_manifest.get("provenance") or {}).get("fine_tuned_from") or {}
    if not began:
        return []
    metric = METRICS[evaluated["metric"]].title if evaluated.get("metric") in METRICS else evaluated.get("metric")
    blocks: list[Block] = [
        Text(
            f"Against the same model trained from scratch: {evaluated['outcome']}; difference in {metric} "
            f"{evaluated['mean_difference']:+.3f} ({evaluated['low']:+.3f} to {evaluated['high']:+.3f}).",
            strong=True,
        )
        if evaluated
        else Text("Whether fine-tuning helped was not measured.")
    ]
    seen = seen_warning(evaluated.get("seen_by_parent"), f"The parent {began['parent']}")
    words = [*fine_tuning_words(began), *([seen] if seen else [])]
    return [Section("fine-tuning", "Fine-tuning", [*blocks, Points(words)])]
