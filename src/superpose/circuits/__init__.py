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
    SizingBackend,
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
from superpose.circuits.pricing import Pricing
from superpose.circuits.program import Dtype, Program
from superpose.circuits.template import ParamsLike, Template

if TYPE_CHECKING:
    from superpose.circuits.calibration import Calibration as Calibration
    from superpose.circuits.calibration import GateCalibration as GateCalibration
    from superpose.circuits.calibration import QubitCalibration as QubitCalibration
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
    from superpose.circuits.providers import BackendInfo as BackendInfo
    from superpose.circuits.providers import BackendKind as BackendKind
    from superpose.circuits.providers import BackendStatus as BackendStatus
    from superpose.circuits.providers import CalibratedBackend as CalibratedBackend
    from superpose.circuits.providers import CancellingBackend as CancellingBackend
    from superpose.circuits.providers import Estimate as Estimate
    from superpose.circuits.providers import EstimatingBackend as EstimatingBackend
    from superpose.circuits.providers import ListedBackend as ListedBackend
    from superpose.circuits.providers import LocatedBackend as LocatedBackend
    from superpose.circuits.providers import Provider as Provider
    from superpose.circuits.providers import QueueState as QueueState
    from superpose.circuits.providers import QueueTellingBackend as QueueTellingBackend
    from superpose.circuits.providers import ReportingBackend as ReportingBackend
    from superpose.circuits.providers import RunStatus as RunStatus
    from superpose.circuits.providers import SessionBackend as SessionBackend
    from superpose.circuits.providers import TranspilingBackend as TranspilingBackend
    from superpose.circuits.providers import VerbatimBackend as VerbatimBackend
    from superpose.circuits.providers import WrappingBackend as WrappingBackend
    from superpose.circuits.qasm import from_qasm as from_qasm
    from superpose.circuits.qasm import to_qasm as to_qasm
    from superpose.circuits.sets.documents import program_set_from_json as program_set_from_json
    from superpose.circuits.sets.documents import program_set_from_npz as program_set_from_npz
    from superpose.circuits.sets.documents import program_set_to_json as program_set_to_json
    from superpose.circuits.sets.documents import program_set_to_npz as program_set_to_npz
    from superpose.circuits.sets.grid import ProgramGrid as ProgramGrid
    from superpose.circuits.sets.piece_result import PieceFailure as PieceFailure
    from superpose.circuits.sets.program_set import ProgramSet as ProgramSet
    from superpose.circuits.sets.result import GridResult as GridResult
    from superpose.circuits.sets.result import ProgramSetResult as ProgramSetResult

__all__ = [
    "CHANNELS",
    "FEATURE_MAPS",
    "GATES",
    "Affine",
    "AngleLike",
    "Backend",
    "BackendInfo",
    "BackendKind",
    "BackendStatus",
    "Barrier",
    "CalibratedBackend",
    "Calibration",
    "CancellingBackend",
    "Capabilities",
    "Channel",
    "ChannelRow",
    "Circuit",
    "CompilingBackend",
    "Condition",
    "Delay",
    "Dtype",
    "Estimate",
    "EstimatingBackend",
    "Executable",
    "FeatureMap",
    "Gate",
    "GateCalibration",
    "GridResult",
    "If",
    "Instruction",
    "KrausChannel",
    "ListedBackend",
    "LocatedBackend",
    "Measure",
    "NoiseModel",
    "Observable",
    "Operation",
    "Parameter",
    "ParamsLike",
    "PieceFailure",
    "Pricing",
    "Program",
    "ProgramExecutable",
    "ProgramGrid",
    "ProgramResult",
    "ProgramSet",
    "ProgramSetResult",
    "Provider",
    "QubitCalibration",
    "QueueState",
    "QueueTellingBackend",
    "QueueingBackend",
    "ReportingBackend",
    "Reset",
    "RunStatus",
    "SessionBackend",
    "SizingBackend",
    "Step",
    "Template",
    "TranspilingBackend",
    "VerbatimBackend",
    "WrappingBackend",
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
    "program_set_from_json",
    "program_set_from_npz",
    "program_set_to_json",
    "program_set_to_npz",
    "program_to_json",
    "result_from_json",
    "result_to_json",
    "to_qasm",
    "walk",
    "z_all",
]


_PROVIDERS = {
    "BackendInfo": "providers",
    "BackendKind": "providers",
    "BackendStatus": "providers",
    "CalibratedBackend": "providers",
    "Calibration": "calibration",
    "CancellingBackend": "providers",
    "Estimate": "providers",
    "EstimatingBackend": "providers",
    "ListedBackend": "providers",
    "GateCalibration": "calibration",
    "LocatedBackend": "providers",
    "Provider": "providers",
    "QubitCalibration": "calibration",
    "QueueState": "providers",
    "QueueTellingBackend": "providers",
    "ReportingBackend": "providers",
    "RunStatus": "providers",
    "SessionBackend": "providers",
    "TranspilingBackend": "providers",
    "VerbatimBackend": "providers",
    "WrappingBackend": "providers",
}

_SETS = {
    "GridResult": "result",
    "PieceFailure": "piece_result",
    "ProgramGrid": "grid",
    "ProgramSet": "program_set",
    "ProgramSetResult": "result",
}


def __getattr__(name: str) -> Any:
    """Load text forms, program sets and providers, which a run does without, when they are first asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'superpose.circuits' has no attribute {name!r}")
    if name in _PROVIDERS:
        return getattr(import_module(f"superpose.circuits.{_PROVIDERS[name]}"), name)
    if name in _SETS or name.startswith("program_set_"):
        return getattr(import_module(f"superpose.circuits.sets.{_SETS.get(name, 'documents')}"), name)
    room = "qasm" if name.endswith("_qasm") else "documents"
    return getattr(import_module(f"superpose.circuits.{room}"), name)
