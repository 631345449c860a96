"""Explaining models: pure functions of a model's manifest, evaluation and file."""

from __future__ import annotations

from superpose.explain.answers import Explain, Picture, explain_rows
from superpose.explain.attributions import METHODS, Attributions, attribute, deletion_areas
from superpose.explain.counterfactuals import (
    Change,
    Counterfactual,
    CounterfactualOptions,
    Counterfactuals,
    counterfactuals,
)
from superpose.explain.diagnosis import CircuitDiagnosis, diagnose
from superpose.explain.effective_dimension import effective_dimension
from superpose.explain.estimate_plot import plot_estimates
from superpose.explain.model_card import model_card
from superpose.explain.model_diagnosis import ModelDiagnosis, diagnose_model
from superpose.explain.pictures import PixelMaps, draw_pictures, pixel_maps
from superpose.explain.plain_words import (
    attribution_words,
    counterfactual_words,
    probability_words,
    shot_noise_words,
    verdict_words,
)
from superpose.explain.promotion import PromotionReport, Requirement, check_promotion, how_to_have
from superpose.explain.report import (
    FORMATS,
    ReportFacts,
    demand_report,
    external_report,
    report_pdf,
    study_report,
    training_report,
)
from superpose.explain.samples import explanation_sample
from superpose.explain.shot_noise import NoisyRow, ShotNoise, shot_noise
from superpose.explain.sweep_plots import plot_sweep
from superpose.explain.version_diff import diff_versions

__all__ = [
    "FORMATS",
    "METHODS",
    "Attributions",
    "Change",
    "CircuitDiagnosis",
    "Counterfactual",
    "CounterfactualOptions",
    "Counterfactuals",
    "Explain",
    "ModelDiagnosis",
    "NoisyRow",
    "Picture",
    "PixelMaps",
    "PromotionReport",
    "ReportFacts",
    "Requirement",
    "ShotNoise",
    "attribute",
    "attribution_words",
    "check_promotion",
    "counterfactual_words",
    "counterfactuals",
    "deletion_areas",
    "demand_report",
    "diagnose",
    "diagnose_model",
    "diff_versions",
    "draw_pictures",
    "effective_dimension",
    "explain_rows",
    "explanation_sample",
    "external_report",
    "how_to_have",
    "model_card",
    "pixel_maps",
    "plot_estimates",
    "plot_sweep",
    "probability_words",
    "report_pdf",
    "shot_noise",
    "shot_noise_words",
    "study_report",
    "training_report",
    "verdict_words",
]
