"""Where programs can run, and how long that takes. Today this machine; one file per cloud later."""

from __future__ import annotations

from superpose.backends.executable import LocalExecutable
from superpose.backends.gradients import gradient_problem
from superpose.backends.local import LocalBackend
from superpose.backends.timing import QCS, ActiveReset, PassiveReset, PulseTimes, StepTimes, TimingModel

__all__ = [
    "QCS",
    "ActiveReset",
    "LocalBackend",
    "LocalExecutable",
    "PassiveReset",
    "PulseTimes",
    "StepTimes",
    "TimingModel",
    "gradient_problem",
]
