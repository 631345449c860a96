"""The evaluation that an experiment reports: figures of every variant over the splits, comparisons, verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from superpose.learning.evaluation_spec import FROM_SCRATCH
from superpose.learning.metrics import METRICS
from superpose.learning.spec import EvaluationSpec
from superpose.learning.verdicts import BASELINE_LABELS, LABELS, SeenCases, compare, mean_interval, spread, verdict

__all__ = ["summarise"]

Unit = Mapping[str, Any]


def summarise(  # noqa: PLR0913  # what an experiment knows, each of its own kind
    spec: EvaluationSpec,
    splits: Sequence[Mapping[str, Unit]],
    *,
    test_over_train: float,
    positive: str | None,
    subject: str = "hybrid model",
    cases: SeenCases | None = None,
    searched: int = 1,
    seen_by_parent: int = 0,
    private: bool = False,
    missed: Sequence[str] = (),
) -> dict[str, Any]:
    """The evaluation as JSON values.

    Args:
        spec: the evaluation section of the spec.
        splits: for each split, the result of each variant: "metrics", "n_params", "n_trainable".
        test_over_train: rows of a test part over rows that fit weights, for the corrected variance.
        positive: label of the positive class, None where there are more than two classes.
        subject: what the verdict calls the model that the experiment is about.
        cases: what all variants say about each test case; None leaves cases out.
        searched: settings of the hybrid model that were tried before the experiment.
        seen_by_parent: test cases that the model's parent had learnt from, or may have.
        private: whether the hybrid model and its controls were trained with differential privacy.
        missed: classes of which the hybrid model recognised no test case.

    Returns:
        ``primary_metric``, ``n_splits``, ``n_seeds``, ``tuning``: how many settings of each variant were tried,
        ``confidence``, ``equivalence_margin``, ``positive_class``, ``models`` with "hybrid", "baseline" (or None) and
        "controls", ``comparisons``, ``quantum_part``: the outcome against the classical twin ("undecided" where there
        is none, and of a fine-tuned model, whose twin had no parent), ``verdict``, and ``model_metrics``: the
        registered model's own figures, those of the hybrid model of the first split on rows that it never saw.
    """
    rows = {
        variant: _row(spec, variant, [s[variant] for s in splits], test_over_train, subject) for variant in splits[0]
    }
    metric = spec.primary_metric
    values = {variant: row["metrics"][metric]["values"] for variant, row in rows.items()}
    comparisons = compare(
        values["hybrid"],
        {variant: scores for variant, scores in values.items() if variant != "hybrid"},
        metric=metric,
        test_over_train=test_over_train,
        confidence=spec.confidence,
        margin=spec.equivalence_margin,
        cases=cases,
    )
    told = [comparison.to_dict() for comparison in comparisons]
    if spec.n_seeds > 1:
        told = [row | {"spread": _difference_spread(splits, row["against"], metric)} for row in told]
    tried = {variant: _n_settings([s[variant] for s in splits]) for variant in rows}
    tried["hybrid"] *= searched
    outcomes = {comparison.against: comparison.outcome for comparison in comparisons}
    return {
        "primary_metric": metric,
        "n_splits": len(splits),
        "n_seeds": spec.n_seeds,
        "tuning": {"trials": spec.tuning.trials, "n_settings": tried},
        "confidence": spec.confidence,
        "equivalence_margin": spec.equivalence_margin,
        "positive_class": positive,
        "models": {
            "hybrid": rows["hybrid"],
            "baseline": rows.get("baseline"),
            "controls": {name: row for name, row in rows.items() if name not in ("hybrid", "baseline")},
        },
        "comparisons": told,
        "quantum_part": "undecided" if FROM_SCRATCH in outcomes else outcomes.get("classical_twin", "undecided"),
        "verdict": verdict(
            comparisons,
            len(splits),
            spec.confidence,
            subject,
            _labels(spec),
            n_seeds=spec.n_seeds,
            n_settings=tried,
            seen_by_parent=seen_by_parent,
            private=private,
            missed=missed,
        ),
        "model_metrics": dict(_of_seeds(splits[0]["hybrid"])[0]["metrics"]),
    }


def _labels(spec: EvaluationSpec) -> dict[str, str]:
    return LABELS | {"baseline": BASELINE_LABELS.get(spec.baseline, LABELS["baseline"])}


def _of_seeds(unit: Unit) -> Sequence[Unit]:
    """The results of all seeds behind one."""
    found: Sequence[Unit] = unit.get("of_seeds", [unit])
    return found


def _n_settings(units: Sequence[Unit]) -> int:
    """Settings that a variant could choose from in a split, the most of all splits."""
    return max(int(unit.get("n_settings", 1)) for unit in units)


def _difference_spread(splits: Sequence[Mapping[str, Unit]], against: str, metric: str) -> dict[str, float]:
    """How far hybrid minus ``against`` varies over splits and over seeds."""
    return spread(
        [
            [
                float(one["metrics"][metric]) - float(other["metrics"][metric])
                for one, other in zip(_of_seeds(split["hybrid"]), _of_seeds(split[against]), strict=True)
            ]
            for split in splits
        ]
    )


def _row(
    spec: EvaluationSpec, variant: str, units: Sequence[Unit], test_over_train: float, subject: str
) -> dict[str, Any]:
    """One variant's label, size, and each metric's mean, interval and value per split."""
    metrics = {}
    for name in METRICS:
        values = [float(unit["metrics"][name]) for unit in units]
        mean, low, high = mean_interval(values, test_over_train, spec.confidence)
        metrics[name] = {"mean": mean, "low": low, "high": high, "values": values}
        if spec.n_seeds > 1:
            by_seed = [[float(one["metrics"][name]) for one in _of_seeds(unit)] for unit in units]
            metrics[name] |= {"of_seeds": by_seed, "spread": spread(by_seed)}
    return {
        "label": subject if variant == "hybrid" else _labels(spec)[variant],
        "n_params": units[0]["n_params"],
        "n_trainable": units[0]["n_trainable"],
        "metrics": metrics,
        **({"families": [unit["family"] for unit in units]} if "family" in units[0] else {}),
        **({"folds": [unit["folds"] for unit in units]} if "folds" in units[0] else {}),
        **({"settings": [unit["setting"] for unit in units]} if "setting" in units[0] else {}),
    }
