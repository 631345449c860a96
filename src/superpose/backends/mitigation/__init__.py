"""Error mitigation: backends around noisy backends, whose expectations are nearer to those without noise."""

from __future__ import annotations

from superpose.backends.mitigation.clifford_data import CliffordDataRegression
from superpose.backends.mitigation.decoupling import DynamicalDecoupling
from superpose.backends.mitigation.error_cancellation import ProbabilisticErrorCancellation
from superpose.backends.mitigation.extrapolation import EXTRAPOLATIONS, extrapolate
from superpose.backends.mitigation.folding import fold
from superpose.backends.mitigation.normalisation import CliffordNormalisation
from superpose.backends.mitigation.readout import ReadoutMitigation
from superpose.backends.mitigation.twirling import PauliTwirling, twirled
from superpose.backends.mitigation.variants import MitigatedBackend
from superpose.backends.mitigation.zero_noise import ZeroNoiseExtrapolation

__all__ = [
    "EXTRAPOLATIONS",
    "CliffordDataRegression",
    "CliffordNormalisation",
    "DynamicalDecoupling",
    "MitigatedBackend",
    "PauliTwirling",
    "ProbabilisticErrorCancellation",
    "ReadoutMitigation",
    "ZeroNoiseExtrapolation",
    "extrapolate",
    "fold",
    "twirled",
]
