"""Explaining models: pure functions of a model's manifest."""

from __future__ import annotations

from superpose.explain.model_card import model_card

__all__ = ["model_card"]
