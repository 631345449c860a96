"""Learning: encodings, ansaetze, quantum layers, estimators, experiments, model files and predictors.

Names are loaded on first use, so that serving a model file (`Predictor`) loads neither torch nor scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superpose.learning.admission import Plan, admit
    from superpose.learning.ansaetze import ANSAETZE, Ansatz
    from superpose.learning.checkpoint import CheckpointStore, Stopped
    from superpose.learning.classifier import HybridClassifier, load_model
    from superpose.learning.encodings import ENCODINGS, Encoding
    from superpose.learning.experiment import ExperimentResult, run_experiment
    from superpose.learning.metrics import METRICS, evaluate
    from superpose.learning.model_file import ModelFacts, ModelFile, read_model, with_signature, write_model
    from superpose.learning.modules.exported import ExportedModule
    from superpose.learning.modules.exporting import export_module
    from superpose.learning.modules.recipe import ModuleRecipe
    from superpose.learning.network import ClassicalBlock, HybridNetwork, build_network
    from superpose.learning.predictor import Predictor
    from superpose.learning.preprocessing import Preprocessor
    from superpose.learning.quantum_block import QuantumBlock, build_block
    from superpose.learning.quantum_layer import QuantumLayer
    from superpose.learning.regressor import HybridRegressor
    from superpose.learning.spec import TrainingSpec
    from superpose.learning.trained_model import TrainedModel
    from superpose.learning.trained_regressor import TrainedRegressor
    from superpose.learning.training import EpochReport, Trainer, TrainingRows, TrainingWatch
    from superpose.learning.verdicts import Comparison, compare, verdict

__all__ = [
    "ANSAETZE",
    "ENCODINGS",
    "METRICS",
    "Ansatz",
    "CheckpointStore",
    "ClassicalBlock",
    "Comparison",
    "Encoding",
    "EpochReport",
    "ExperimentResult",
    "ExportedModule",
    "HybridClassifier",
    "HybridNetwork",
    "HybridRegressor",
    "ModelFacts",
    "ModelFile",
    "ModuleRecipe",
    "Plan",
    "Predictor",
    "Preprocessor",
    "QuantumBlock",
    "QuantumLayer",
    "Stopped",
    "TrainedModel",
    "TrainedRegressor",
    "Trainer",
    "TrainingRows",
    "TrainingSpec",
    "TrainingWatch",
    "admit",
    "build_block",
    "build_network",
    "compare",
    "evaluate",
    "export_module",
    "load_model",
    "read_model",
    "run_experiment",
    "verdict",
    "with_signature",
    "write_model",
]

_HOMES = {
    "admission": ("Plan", "admit"),
    "ansaetze": ("ANSAETZE", "Ansatz"),
    "checkpoint": ("CheckpointStore", "Stopped"),
    "classifier": ("HybridClassifier", "load_model"),
    "verdicts": ("Comparison", "compare", "verdict"),
    "encodings": ("ENCODINGS", "Encoding"),
    "experiment": ("ExperimentResult", "run_experiment"),
    "metrics": ("METRICS", "evaluate"),
    "model_file": ("ModelFacts", "ModelFile", "read_model", "with_signature", "write_model"),
    "modules.exported": ("ExportedModule",),
    "modules.exporting": ("export_module",),
    "modules.recipe": ("ModuleRecipe",),
    "network": ("ClassicalBlock", "HybridNetwork", "build_network"),
    "predictor": ("Predictor",),
    "preprocessing": ("Preprocessor",),
    "quantum_block": ("QuantumBlock", "build_block"),
    "quantum_layer": ("QuantumLayer",),
    "regressor": ("HybridRegressor",),
    "spec": ("TrainingSpec",),
    "trained_model": ("TrainedModel",),
    "trained_regressor": ("TrainedRegressor",),
    "training": ("EpochReport", "Trainer", "TrainingRows", "TrainingWatch"),
}

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name from its file."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    """Public names, loaded or not."""
    return sorted(__all__)
