"""Mitigations by name, around any backend that has one: ``zne:emulator:ibm_fez``, ``zne:twirling:NAME``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeAlias

from superpose.backends.mitigation.clifford_data import CliffordDataRegression
from superpose.backends.mitigation.decoupling import DynamicalDecoupling
from superpose.backends.mitigation.error_cancellation import ProbabilisticErrorCancellation
from superpose.backends.mitigation.normalisation import CliffordNormalisation
from superpose.backends.mitigation.readout import ReadoutMitigation
from superpose.backends.mitigation.twirling import PauliTwirling
from superpose.backends.mitigation.zero_noise import ZeroNoiseExtrapolation
from superpose.circuits import Backend, BackendInfo

__all__ = [
    "CliffordDataProvider",
    "DecouplingProvider",
    "ErrorCancellationProvider",
    "MitigationProvider",
    "NormalisationProvider",
    "ReadoutProvider",
    "TwirlingProvider",
    "ZeroNoiseProvider",
]

_Kind: TypeAlias = type[
    CliffordDataRegression
    | CliffordNormalisation
    | DynamicalDecoupling
    | PauliTwirling
    | ProbabilisticErrorCancellation
    | ReadoutMitigation
    | ZeroNoiseExtrapolation
]


class MitigationProvider:
    """Puts a mitigation, as it is by default, around the backend whose name follows.

    Args:
        find: What gives a backend by its name; by default, that of `superpose.run`.
    """

    name: ClassVar[str]
    wrap: ClassVar[_Kind]

    def __init__(self, find: Callable[[str], Backend] | None = None) -> None:
        self._find = find

    def list(self) -> Sequence[BackendInfo]:
        """Return nothing: it is around other backends."""
        return ()

    def backend(self, name: str) -> Backend:
        """Return the backend of this name, mitigated.

        Raises:
            BackendUnknownError: There is none.
        """
        from superpose.backends.providers import find_backend

        return type(self).wrap((self._find or find_backend)(name))


class ZeroNoiseProvider(MitigationProvider):
    """``zne:NAME``: `ZeroNoiseExtrapolation` by factors 1, 3 and 5, exponential."""

    name = "zne"
    wrap = ZeroNoiseExtrapolation


class TwirlingProvider(MitigationProvider):
    """``twirling:NAME``: `PauliTwirling` of 16 variants."""

    name = "twirling"
    wrap = PauliTwirling


class CliffordDataProvider(MitigationProvider):
    """``cdr:NAME``: `CliffordDataRegression` from 10 training circuits."""

    name = "cdr"
    wrap = CliffordDataRegression


class ReadoutProvider(MitigationProvider):
    """``readout:NAME``: `ReadoutMitigation` with a tenth of the shots for what is not known yet."""

    name = "readout"
    wrap = ReadoutMitigation


class NormalisationProvider(MitigationProvider):
    """``normalised:NAME``: `CliffordNormalisation` with a quarter of the shots for references."""

    name = "normalised"
    wrap = CliffordNormalisation


class ErrorCancellationProvider(MitigationProvider):
    """``pec:NAME``: `ProbabilisticErrorCancellation` of what the backend's calibration tells."""

    name = "pec"
    wrap = ProbabilisticErrorCancellation


class DecouplingProvider(MitigationProvider):
    """``decoupling:NAME``: `DynamicalDecoupling` by XY4."""

    name = "decoupling"
    wrap = DynamicalDecoupling
