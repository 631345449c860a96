"""The choice of a backend by fidelity, price and wait, with its reasons, to be made again later."""

from __future__ import annotations

from superpose.backends.selection.auto import AutoBackend, Selection, candidates_of, facts_of
from superpose.backends.selection.selecting import replay, select
from superpose.backends.selection.values import (
    Best,
    Candidate,
    Cheapest,
    Constraints,
    Decision,
    Objective,
    ProgramFacts,
    Soonest,
    Verdict,
    Weighted,
)

__all__ = [
    "AutoBackend",
    "Best",
    "Candidate",
    "Cheapest",
    "Constraints",
    "Decision",
    "Objective",
    "ProgramFacts",
    "Selection",
    "Soonest",
    "Verdict",
    "Weighted",
    "candidates_of",
    "facts_of",
    "replay",
    "select",
]
