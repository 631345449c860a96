"""Problems from practice: a file each, all of them a `Model`."""

from __future__ import annotations

from superpose.optimization.models.base import Bits, ClassicalResult, Decoded, Model
from superpose.optimization.models.cvrp import VehicleRouting
from superpose.optimization.models.general import GeneralModel
from superpose.optimization.models.jobshop import JobShop
from superpose.optimization.models.knapsack import Knapsack
from superpose.optimization.models.maxcut import MaxCut
from superpose.optimization.models.tsp import TravellingSalesman

__all__ = [
    "Bits",
    "ClassicalResult",
    "Decoded",
    "GeneralModel",
    "JobShop",
    "Knapsack",
    "MaxCut",
    "Model",
    "TravellingSalesman",
    "VehicleRouting",
]
