"""What a quantum program is: gates, parameters, circuits, observables, programs, and their text forms. NumPy only."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from superpose.circuits.channels import CHANNELS, ChannelRow
from superpose.circuits.circuit import Circuit
from superpose.circuits.execution import (
    Backend,
    Capabilities,
    CompilingBackend,
    Executable,
    ProgramExecutable,
    ProgramResult,
    QueueingBackend,
)
from superpose.circuits.feature_maps import FEATURE_MAPS, FeatureMap, feature_map
from superpose.circuits.gates import GATES, Gate, Step, gate
from superpose.circuits.instruction import Instruction
from superpose.circuits.noise_model import NoiseModel
from superpose.circuits.observables import Observable, z_all
from superpose.circuits.operations import (
    Barrier,
    Channel,
    Condition,
    Delay,
    If,
    KrausChannel,
    Measure,
    Operation,
    Reset,
    walk,
)
from superpose.circuits.parameters import Affine, AngleLike, Parameter, parameters
from superpose.circuits.program import Dtype, Program
from superpose.circuits.template import ParamsLike, Template

if TYPE_CHECKING:
    from superpose.circuits.documents import circuit_from_json as circuit_from_json
    from superpose.circuits.documents import circuit_to_json as circuit_to_json
    from superpose.circuits.documents import noise_model_from_json as noise_model_from_json
    from superpose.circuits.documents import noise_model_to_json as noise_model_to_json
    from superpose.circuits.documents import observable_from_json as observable_from_json
    from superpose.circuits.documents import observable_to_json as observable_to_json
    from superpose.circuits.documents import program_from_json as program_from_json
    from superpose.circuits.documents import program_to_json as program_to_json
    from superpose.circuits.documents import result_from_json as result_from_json
    from superpose.circuits.documents import result_to_json as result_to_json
    from superpose.circuits.qasm import from_qasm as from_qasm
    from superpose.circuits.qasm import to_qasm as to_qasm

__all__ = [
    "CHANNELS",
    "FEATURE_MAPS",
    "GATES",
    "Affine",
    "AngleLike",
    "Backend",
    "Barrier",
    "Capabilities",
    "Channel",
    "ChannelRow",
    "Circuit",
    "CompilingBackend",
    "Condition",
    "Delay",
    "Dtype",
    "Executable",
    "FeatureMap",
    "Gate",
    "If",
    "Instruction",
    "KrausChannel",
    "Measure",
    "NoiseModel",
    "Observable",
    "Operation",
    "Parameter",
    "ParamsLike",
    "Program",
    "ProgramExecutable",
    "ProgramResult",
    "QueueingBackend",
    "Reset",
    "Step",
    "Template",
    "circuit_from_json",
    "circuit_to_json",
    "feature_map",
    "from_qasm",
    "gate",
    "noise_model_from_json",
    "noise_model_to_json",
    "observable_from_json",
    "observable_to_json",
    "parameters",
    "program_from_json",
    "program_to_json",
    "result_from_json",
    "result_to_json",
    "to_qasm",
    "walk",
    "z_all",
]


def __getattr__(name: str) -> Any:
    """Load the text forms, which a run does without, when they are first asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'superpose.circuits' has no attribute {name!r}")
    room = "qasm" if name.endswith("_qasm") else "documents"
    return getattr(import_module(f"superpose.circuits.{room}"), name)
