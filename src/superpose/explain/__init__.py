"""Explaining models: pure functions of a model's manifest, evaluation and file."""

from __future__ import annotations

from superpose.explain.attributions import METHODS, Attributions, attribute, deletion_areas
from superpose.explain.diagnosis import CircuitDiagnosis, diagnose
from superpose.explain.estimate_plot import plot_estimates
from superpose.explain.model_card import model_card
from superpose.explain.sweep_plots import plot_sweep
from superpose.explain.version_diff import diff_versions

__all__ = [
    "METHODS",
    "Attributions",
    "CircuitDiagnosis",
    "attribute",
    "deletion_areas",
    "diagnose",
    "diff_versions",
    "model_card",
    "plot_estimates",
    "plot_sweep",
]
