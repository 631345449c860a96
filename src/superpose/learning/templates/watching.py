"""Who looks on while a template trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Tell", "Watch"]

Tell = Callable[[str], None]
"""Told of progress, a line at a time."""


@dataclass(frozen=True)
class Watch:
    """Who looks on while a run trains.

    Attributes:
        progress: called after each step (an epoch, or a training where those are short) with what was done and the
            share of all steps that are.
        should_stop: asked after each step; where it says yes the run ends with `Stopped`, and goes on from there when
            it is begun again.
    """

    progress: Callable[[str, float], None] = lambda stage, fraction: None
    should_stop: Callable[[], bool] = lambda: False
