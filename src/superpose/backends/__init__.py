"""Where programs can run, and how long that takes. Today this machine; one file per cloud later."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from superpose.backends.executable import LocalExecutable
from superpose.backends.local import LocalBackend

if TYPE_CHECKING:
    from superpose.backends.gradients import gradient_problem as gradient_problem
    from superpose.backends.timing import QCS as QCS
    from superpose.backends.timing import ActiveReset as ActiveReset
    from superpose.backends.timing import PassiveReset as PassiveReset
    from superpose.backends.timing import PulseTimes as PulseTimes
    from superpose.backends.timing import StepTimes as StepTimes
    from superpose.backends.timing import TimingModel as TimingModel

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

_TIMING = ("QCS", "ActiveReset", "PassiveReset", "PulseTimes", "StepTimes", "TimingModel")
_HOME_OF = {"gradient_problem": "gradients", **dict.fromkeys(_TIMING, "timing")}


def __getattr__(name: str) -> Any:
    """Load what a plain run does not need when it is first asked for."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'superpose.backends' has no attribute {name!r}")
    return getattr(import_module(f"superpose.backends.{_HOME_OF[name]}"), name)
