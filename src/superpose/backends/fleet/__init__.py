"""Several backends as one: what fails is run elsewhere, what is slow is hedged, what lies is found out and left out."""

from __future__ import annotations

from superpose.backends.fleet.agreement import Agreement, compare
from superpose.backends.fleet.breaker import Breaker, BreakerRules
from superpose.backends.fleet.fleet import Fleet, FleetRules
from superpose.backends.fleet.journal import FileJournal, Journal, MemoryJournal

__all__ = [
    "Agreement",
    "Breaker",
    "BreakerRules",
    "FileJournal",
    "Fleet",
    "FleetRules",
    "Journal",
    "MemoryJournal",
    "compare",
]
