"""What a registry keeps of an external validation: its figures. No row, nothing that is drawn, no sentence.

A record is computed where the rows are and sent to where the model is registered; sentences are made of its figures
again where they are read, so that nobody's words stand on a card as if they were figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from superpose.datasets.drift import drift_words
from superpose.learning.external_words import summary_of

__all__ = ["MOST_NAMED", "own_figures", "record_of", "sentences_of"]

MOST_NAMED: Final = 20
"""Columns that a record names, at most: those that have moved farthest, those with the most unknown values."""
_KEPT: Final = ("target", "n_rows", "n_without_truth", "n_groups", "confidence", "is_own_data", "metrics")
_OF_CLASSES: Final = ("classes", "positive_class", "positive_share", "recalibration")

Facts = Mapping[str, Any]


def record_of(found: Facts, digest: str) -> dict[str, Any]:
    """What is kept of an external validation.

    Args:
        found: the document of `superpose.learning.external_validation.external_validation`.
        digest: of the model that it was of.

    Returns:
        ``digest``; of the document as they are ``target``, ``n_rows``, ``n_without_truth``, ``n_groups``,
        ``confidence``, ``is_own_data``, ``metrics``, and of classes ``classes``, ``positive_class``,
        ``positive_share``, ``recalibration``; ``calibration`` of classes: ``ece``, ``conformal`` (``coverage``,
        ``covered``) and ``novelty`` (``novel``, ``expected_share``) or None each; ``subgroups``: ``column``, ``group``,
        ``n_rows`` and ``metrics`` of each; ``drift``: ``n_columns``, ``drifted`` and ``shifted`` of them, and the
        ``farthest`` (``name``, ``psi``), or None; ``unknown_categories``: rows, by column.
    """
    record = {"digest": digest, **{name: found[name] for name in _KEPT}}
    record |= {name: found.get(name) for name in _OF_CLASSES}
    unknown = sorted(found["unknown_categories"].items(), key=lambda one: -one[1])
    return record | {
        "calibration": _calibration(found["calibration"]) if "calibration" in found else None,
        "subgroups": [
            _subgroup(str(one["column"]), group) for one in found.get("subgroups") or () for group in one["groups"]
        ],
        "drift": None if found["columns"] is None else _drift(found["columns"]["columns"]),
        "unknown_categories": dict(unknown[:MOST_NAMED]),
    }


def _calibration(told: Facts) -> dict[str, Any]:
    def members(name: str, *kept: str) -> dict[str, Any] | None:
        return None if told[name] is None else {one: told[name][one] for one in kept}

    return {
        "ece": told["after"]["ece"],
        "conformal": members("conformal", "coverage", "covered"),
        "novelty": members("novelty", "novel", "expected_share"),
    }


def _subgroup(column: str, group: Facts) -> dict[str, Any]:
    ends: Facts = group["intervals"]
    metrics = {}
    for name, value in group["metrics"].items():
        low, high = ends.get(name) or (None, None)
        metrics[name] = {"value": value, "low": low, "high": high}
    return {"column": column, "group": str(group["group"]), "n_rows": group["n_cases"], "metrics": metrics}


def _drift(columns: list[Facts]) -> dict[str, Any]:
    moved = [one for one in columns if one["verdict"] != "stable"]
    return {
        "n_columns": len(columns),
        "drifted": sum(one["verdict"] == "drifted" for one in moved),
        "shifted": sum(one["verdict"] == "shifted" for one in moved),
        "farthest": [{"name": one["name"], "psi": one["psi"]} for one in moved[:MOST_NAMED]],
    }


def own_figures(manifest: Facts) -> dict[str, Any] | None:
    """The model's figures on test rows of its own experiment, and how many those were; None where none are known.

    Args:
        manifest: of the model's file.

    Returns:
        ``metrics``, their calibration error ``ece``, ``n_rows``; the latter None where the file does not tell.
    """
    evaluation = manifest.get("evaluation") or {}
    metrics, after = evaluation.get("model_metrics"), (evaluation.get("calibration") or {}).get("after") or {}
    if not metrics:
        return None
    split = (manifest.get("data") or {}).get("split")
    n_rows = split.get("test") if isinstance(split, Mapping) else None
    return {"metrics": dict(metrics), "ece": after.get("ece"), "n_rows": n_rows if isinstance(n_rows, int) else None}


def sentences_of(record: Facts, manifest: Facts) -> list[str]:
    """What a record comes to, in sentences that are made of its figures and of the model's own.

    Args:
        record: as `record_of` makes it.
        manifest: of the model's file.
    """
    found = dict(record)
    if record["classes"] is None:
        for name in _OF_CLASSES:
            del found[name]
    else:  # a store may have sorted them
        found["classes"] = {name: record["classes"][name] for name in map(str, manifest["pipeline"]["classes"])}
    trained_on = (manifest.get("data") or {}).get("class_counts")
    columns = _moved(record["drift"], record["n_rows"])
    return summary_of({**found, "own": own_figures(manifest), "trained_on": trained_on, "columns": columns})


def _moved(drift: Facts | None, n_rows: int) -> dict[str, str] | None:
    """The columns' verdict, the worst of them, and what it comes to."""
    if drift is None:
        return None
    drifted, shifted = drift["drifted"], drift["shifted"]
    farthest = [(one["name"], one["psi"]) for one in drift["farthest"]]
    verdict = "drifted" if drifted else "shifted" if shifted else "stable"
    return {"verdict": verdict, "message": drift_words(drift["n_columns"], drifted, shifted, farthest, n_rows)}
