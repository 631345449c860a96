"""What data are about, and with them the models that learn from them."""

from __future__ import annotations

__all__ = ["DOMAINS", "GENERAL", "MEDICAL"]

GENERAL, MEDICAL = "general", "medical"
DOMAINS = (GENERAL, MEDICAL)
"""A model that learned from medical data is a medical model, whatever its spec says."""
