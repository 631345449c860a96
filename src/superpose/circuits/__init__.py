"""What a quantum program is: gates, parameters, circuits, observables, programs, and their text forms. NumPy only."""

from __future__ import annotations

from superpose.circuits.circuit import Circuit, Instruction
from superpose.circuits.feature_maps import FEATURE_MAPS, FeatureMap, feature_map
from superpose.circuits.gates import GATES, Gate, Step, gate
from superpose.circuits.observables import Observable, z_all
from superpose.circuits.parameters import Affine, AngleLike, Parameter, parameters
from superpose.circuits.program import Backend, Capabilities, Dtype, Program, ProgramResult

__all__ = [
    "FEATURE_MAPS",
    "GATES",
    "Affine",
    "AngleLike",
    "Backend",
    "Capabilities",
    "Circuit",
    "Dtype",
    "FeatureMap",
    "Gate",
    "Instruction",
    "Observable",
    "Parameter",
    "Program",
    "ProgramResult",
    "Step",
    "feature_map",
    "gate",
    "parameters",
    "z_all",
]
