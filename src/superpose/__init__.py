"""superpose: hybrid quantum-classical machine learning as a service.

Names are loaded on first use, so that ``import superpose`` costs milliseconds and loads neither torch nor any SDK.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME_OF = {
    "FAMILIES": "superpose.learning.families",
    "Circuit": "superpose.circuits",
    "NoiseModel": "superpose.circuits",
    "Observable": "superpose.circuits",
    "Parameter": "superpose.circuits",
    "Program": "superpose.circuits",
    "ProgramGrid": "superpose.circuits",
    "ProgramResult": "superpose.circuits",
    "ProgramSet": "superpose.circuits",
    "ProgramSetResult": "superpose.circuits",
    "Client": "superpose.client",
    "HybridClassifier": "superpose.learning",
    "HybridRegressor": "superpose.learning",
    "JobContext": "superpose.functions",
    "QuantumLayer": "superpose.learning",
    "compile": "superpose.facade",
    "convert": "superpose.facade",
    "draw": "superpose.facade",
    "export_module": "superpose.learning",
    "gradient": "superpose.facade",
    "job": "superpose.functions",
    "load": "superpose.facade",
    "load_model": "superpose.learning",
    "program_set": "superpose.facade",
    "resolve_backend": "superpose.facade",
    "run": "superpose.facade",
}

__all__ = ["__version__", *sorted(_HOME_OF)]

if TYPE_CHECKING:
    from superpose.circuits import Circuit as Circuit
    from superpose.circuits import NoiseModel as NoiseModel
    from superpose.circuits import Observable as Observable
    from superpose.circuits import Parameter as Parameter
    from superpose.circuits import Program as Program
    from superpose.circuits import ProgramGrid as ProgramGrid
    from superpose.circuits import ProgramResult as ProgramResult
    from superpose.circuits import ProgramSet as ProgramSet
    from superpose.circuits import ProgramSetResult as ProgramSetResult
    from superpose.client import Client as Client
    from superpose.facade import compile as compile
    from superpose.facade import convert as convert
    from superpose.facade import draw as draw
    from superpose.facade import gradient as gradient
    from superpose.facade import load as load
    from superpose.facade import program_set as program_set
    from superpose.facade import resolve_backend as resolve_backend
    from superpose.facade import run as run
    from superpose.functions import JobContext as JobContext
    from superpose.functions import job as job
    from superpose.learning import HybridClassifier as HybridClassifier
    from superpose.learning import HybridRegressor as HybridRegressor
    from superpose.learning import QuantumLayer as QuantumLayer
    from superpose.learning import export_module as export_module
    from superpose.learning import load_model as load_model
    from superpose.learning.families import FAMILIES as FAMILIES


def __getattr__(name: str) -> Any:
    """Load a public name from its room."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'superpose' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    """Public names, loaded or not."""
    return sorted(__all__)
