"""Quadratic problems from logistics, on circuits and beside them: one call, one feasible answer, all controls."""

from __future__ import annotations

from superpose.optimization.answers import Answer, MethodResult
from superpose.optimization.models import (
    GeneralModel,
    JobShop,
    Knapsack,
    MaxCut,
    Model,
    TravellingSalesman,
    VehicleRouting,
)
from superpose.optimization.options import SolveOptions
from superpose.optimization.penalties import PenalisedQubo, PenaltyTerm, penalised
from superpose.optimization.progress import Progress
from superpose.optimization.quadratic import LinearConstraint, Pairs, QuadraticProblem
from superpose.optimization.qubo import Ising, Qubo
from superpose.optimization.readers import read_problem
from superpose.optimization.solving import solve

__all__ = [
    "Answer",
    "GeneralModel",
    "Ising",
    "JobShop",
    "Knapsack",
    "LinearConstraint",
    "MaxCut",
    "MethodResult",
    "Model",
    "Pairs",
    "PenalisedQubo",
    "PenaltyTerm",
    "Progress",
    "QuadraticProblem",
    "Qubo",
    "SolveOptions",
    "TravellingSalesman",
    "VehicleRouting",
    "penalised",
    "read_problem",
    "solve",
]
