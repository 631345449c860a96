"""What the template's model file says of its model, in the form that the registry, cards and the gate read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch

from superpose import __version__
from superpose.datasets import column_baseline
from superpose.learning.calibration.fitting import fit_novelty
from superpose.learning.calibration.intervals import NumberInterval
from superpose.learning.calibration.safeguards import Safeguards
from superpose.learning.model_file import ModelFacts
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.templates.demand.feature_rows import ForecastRows, feature_names
from superpose.learning.templates.demand.judging import CONFIDENCE, MARGIN, Judged
from superpose.learning.templates.demand.measures import LEVEL, MEASURES
from superpose.learning.templates.demand.run import Run

__all__ = ["TARGET", "facts_of", "safeguards_of"]

TARGET: Final = "quantity less that of a season ago, in units of the last season's mean"
"""What the number that the model predicts is called."""

INTENDED_USE: Final = "Forecasts of demand for planning, beside what planners know and the baseline says."
LIMITS: Final = "Judged on few rolling origins of its own series; other series, and breaks in these, are not covered."

_CONTROLS: Final = ("classical_twin", "no_entanglement", "frozen")
_EARLIER: Final = 0.8
"""Share of the rows, the earlier ones, that the novelty score is made of; the later ones give its threshold."""


def facts_of(run: Run, judged: Judged, data: Mapping[str, Any], spec: Mapping[str, Any]) -> ModelFacts:
    """The facts of the hybrid model that was trained on all that is known.

    Args:
        run: its run.
        judged: what the run's forecasts allow one to say.
        data: of the report.
        spec: the model's sections.
    """
    return ModelFacts(
        evaluation=_evaluation(run, judged),
        data={**{name: value for name, value in data.items() if name != "sha256"}, "digest": data["sha256"]},
        provenance={
            "template": "demand",
            "configuration": dict(run.configuration),
            "configuration_sha256": run.digest,
            "versions": {"superpose": __version__, "torch": torch.__version__, "numpy": np.__version__},
            "horizon": run.horizon,
            "seed": 0,
            "spec": {**spec, "card": {"domain": run.data.domain, "intended_use": INTENDED_USE, "limits": LIMITS}},
        },
        baseline=column_baseline(dict(zip(feature_names(run.data), run.rows.features.T, strict=True))),
    )


def safeguards_of(run: Run, judged: Judged, preprocessor: Preprocessor) -> Safeguards:
    """The interval from the residuals of all origins, and how unlike the training rows a row is."""
    rows: ForecastRows = run.rows
    encoded = preprocessor.transform(rows.features)
    n_early = max(2, min(len(encoded) - 1, round(_EARLIER * len(encoded))))
    n_residuals = len(run.origins) * run.n_seeds * len(run.data.series) * run.horizon
    return Safeguards(
        novelty=fit_novelty(encoded[:n_early], encoded[n_early:]),
        interval=NumberInterval(LEVEL, *judged.reach["hybrid"], n_residuals),
        facts={"interval": {"n_rows": n_residuals, "of": "residuals of all origins, in units of the level"},
               "novelty": {"train": n_early, "validation": len(encoded) - n_early}},
    )  # fmt: skip


def _evaluation(run: Run, judged: Judged) -> dict[str, Any]:
    rows = {name: _row(row) for name, row in judged.rows.items()}
    known = [name for name in MEASURES if judged.figures["hybrid"][name]["low"] is not None]
    others = {name: row for name, row in rows.items() if name not in (*_CONTROLS, "hybrid", judged.baseline)}
    coverage = judged.figures["hybrid"]["coverage"]["mean"]
    return {
        "verdict": judged.verdict,
        "confidence": CONFIDENCE,
        "n_splits": run.n_test,
        "n_seeds": run.n_seeds,
        "means_over": (
            f"Means over {run.n_test} rolling origins, a horizon of {run.horizon} apart, with {100 * CONFIDENCE:g} % "
            "intervals over origins (Student); at each everything was trained anew on what was known. Figures "
            "of this model are its kind's at those origins; it was trained itself on all that is known, after them."
        ),
        "primary_metric": "mase",
        "models": {
            "hybrid": rows["hybrid"],
            "controls": {name: rows[name] for name in _CONTROLS if name in rows},
            "baseline": rows[judged.baseline] if judged.baseline else None,
            "others": others,
        },
        "model_metrics": {name: judged.figures["hybrid"][name]["mean"] for name in known},
        "comparisons": judged.comparisons,
        "comparisons_said": (
            f"Paired over {run.n_test} test origins; all rows share {100 * CONFIDENCE:g} % confidence (Bonferroni)."
        ),
        "equivalence_margin": MARGIN,
        "intervals": {"coverage": LEVEL, "measured": coverage, "of": f"periods of {run.n_test} test origins",
                      "n": int(np.size(judged.figures["hybrid"]["coverage"]["values"])) * run.horizon
                      * len(run.data.series)},
    }  # fmt: skip


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    metrics = {
        name: {key: found[key] for key in ("mean", "low", "high")}
        for name, found in row["metrics"].items()
        if found["low"] is not None
    }
    return {"label": row["label"], "n_params": "–" if row["n_params"] is None else row["n_params"], "metrics": metrics}
