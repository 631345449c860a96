"""Processors emulated from their published calibrations, on this machine's noise engine."""

from __future__ import annotations

from superpose.backends.emulators.backend import EmulatedBackend
from superpose.backends.emulators.provider import EmulatorProvider

__all__ = ["EmulatedBackend", "EmulatorProvider"]
