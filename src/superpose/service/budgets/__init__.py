"""Money: what jobs may cost, what is set aside for them, what they did cost."""

from __future__ import annotations
