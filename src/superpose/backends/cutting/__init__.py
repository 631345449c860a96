"""Circuit cutting: programs wider than a backend, run on it in fragments."""

from __future__ import annotations

from superpose.backends.cutting.cutting import Cutting
from superpose.backends.cutting.plan import CutPlan, Fragment, GateCut, QubitCut, plan_cuts

__all__ = ["CutPlan", "Cutting", "Fragment", "GateCut", "QubitCut", "plan_cuts"]
