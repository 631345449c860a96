"""The model file that an experiment leaves: the hybrid model of its first split, its facts, and what made it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from superpose import __version__
from superpose.datasets import drift_baseline
from superpose.learning.admission import positive_class
from superpose.learning.calibration.maps import Isotonic
from superpose.learning.calibration.report import safeguarded
from superpose.learning.canonical import write_atomically
from superpose.learning.experiment.run import Run, UnitResults
from superpose.learning.experiment.split_data import SplitData
from superpose.learning.experiment.unit import Unit
from superpose.learning.facts import data_facts
from superpose.learning.model_file import ModelFacts, encode_model
from superpose.learning.plot_data import case_plots
from superpose.learning.subgroups import subgroup_report
from superpose.learning.verdicts import SeenCases

__all__ = ["provenance_of", "write_model_file"]


def write_model_file(run: Run, rows: UnitResults, evaluation: dict[str, Any]) -> tuple[Path, str]:
    """Write the model file into the run's directory; its path and digest.

    The evaluation gains ``calibration``, and where probabilities are calibrated the model's metrics are those of them;
    where that moves labels it gains ``model_cases`` and ``model_subgroups`` too: this model as it answers, on the test
    rows of its split.
    """
    split, data = run.splits[0], SplitData(run, 0)
    model = run.recipe.model(Unit(run, data, "hybrid", 0).network(), data.preprocessor, run.table.classes)
    positive = positive_class(run.spec, run.table)
    groups = None if run.groups is None else run.groups.members
    safeguards, figures = safeguarded(
        run.spec, model, data.encoded, run.classes, split, positive=positive, groups=groups
    )
    evaluation |= figures
    if isinstance(safeguards.calibration, Isotonic):
        answered = SeenCases(
            run.classes[split.test],
            {"hybrid": safeguards.calibrated(model.probabilities(data.encoded[split.test]))},
            groups=None if groups is None else groups[split.test],
            positive=positive,
            places=split.test,
        )
        chosen = run.spec.evaluation
        evaluation["model_cases"] = case_plots(answered, [str(label) for label in run.table.classes])
        evaluation["model_subgroups"] = subgroup_report(chosen.subgroups, run.table, answered, chosen.confidence)
    facts = ModelFacts(
        evaluation=evaluation,
        data=data_facts(run.spec, run.table, run.features, split),
        provenance=provenance_of(run, rows[0]["hybrid"].get("measured")),
        baseline=drift_baseline(run.features, split.train),
    )
    content, digest = encode_model(model, facts, safeguards)
    path = run.directory / "model.superpose"
    write_atomically(path, content)
    return path, digest


def provenance_of(run: Run, measured: Mapping[str, Any] | None) -> dict[str, Any]:
    """What made the model; no clock and no host, so that equal runs give equal files."""
    return {
        "spec_digest": run.spec.digest,
        "dataset_digest": run.table.digest,
        "split": 0,
        "versions": {"superpose": __version__, "torch": torch.__version__, "numpy": np.__version__},
        **({"backend": "local"} if measured is None else {"backend": measured["backend"], "measured": measured}),
        **run.recipe.provenance(run.spec),
        **run.made_by,
    }
