"""Published test accuracies of tuned models: facts that ours are held against.

Source: Bowles, Ahmed, Schuld 2024, arXiv 2403.07059, and the result files of its data repository
XanaduAI/qml-benchmarks. Hyperparameters were chosen by grid search with five folds for every data set; each model was
then trained five times. `PUBLISHED` has means of the best classical, the best quantum and the separable model of each
family of data sets (None: we know no mean). ``published_accuracies.json`` has each model's own accuracy on every
second data set of a family, the mean of its five trainings as in its file of results; where that file could not be
read, nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["MARGIN", "PUBLISHED", "THEIR_NAMES", "Published", "published_model"]

MARGIN = 0.02
"""Two points of accuracy."""


@dataclass(frozen=True)
class Published:
    """Mean test accuracies over a family of data sets."""

    classical: float
    quantum: float
    separable: float | None


PUBLISHED: Mapping[str, Published] = {
    "linearly_separable": Published(0.996, 0.996, 0.990),
    "bars_and_stripes": Published(0.989, 0.973, None),
    "hidden_manifold": Published(0.808, 0.794, 0.809),
    "two_curves_diff": Published(0.973, 0.929, 0.944),
    "hyperplanes_diff": Published(0.797, 0.786, 0.767),
    "mnist_pca": Published(0.941, 0.923, 0.911),
}

THEIR_NAMES: Mapping[str, str] = {
    "boltzmann_machine": "QuantumBoltzmannMachine",
    "circuit_centric": "CircuitCentricClassifier",
    "data_reuploading": "DataReuploadingClassifier",
    "dressed_circuit": "DressedQuantumCircuitClassifier",
    "iqp_kernel": "IQPKernelClassifier",
    "kitchen_sinks": "QuantumKitchenSinks",
    "metric_learner": "QuantumMetricLearner",
    "projected_kernel": "ProjectedQuantumKernel",
    "quanvolution": "QuanvolutionalNeuralNetwork",
    "tree_tensor": "TreeTensorClassifier",
    "support vectors": "SVC",
    "perceptron": "MLPClassifier",
}
"""What the published comparison calls the model of the same kind; the others have none there."""


def published_model(data: str, model: str) -> Mapping[str, float]:
    """The published accuracies of a model of the same kind, tuned for each data set, by setting; empty: none known."""
    known: Mapping[str, float] = _accuracies().get(data, {}).get(THEIR_NAMES.get(model, ""), {})
    return known


@cache
def _accuracies() -> Mapping[str, Mapping[str, Mapping[str, float]]]:
    """By family of data sets, model and setting."""
    found: Mapping[str, Mapping[str, Mapping[str, float]]] = json.loads(
        Path(__file__).with_name("published_accuracies.json").read_text()
    )["accuracies"]
    return found
