"""Data residency: rules about where programs and data may go, and what holds backends to them."""

from __future__ import annotations

from superpose.backends.residency.confining import RuledBackend, confine, leaves, refusals, refused, require
from superpose.backends.residency.guarding import guarded
from superpose.backends.residency.regions import HERE, check_region, region_codes
from superpose.backends.residency.rules import Place, Refusal, ResidencyRules

__all__ = [
    "HERE",
    "Place",
    "Refusal",
    "ResidencyRules",
    "RuledBackend",
    "check_region",
    "confine",
    "guarded",
    "leaves",
    "refusals",
    "refused",
    "region_codes",
    "require",
]
