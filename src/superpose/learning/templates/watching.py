"""Who looks on while a template trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Tell", "Watch", "never"]

Tell = Callable[[str], None]
"""Told of progress, a line at a time."""


def never() -> bool:
    """No: the run is not to stop."""
    return False


@dataclass(frozen=True)
class Watch:
    """Who looks on while a run trains.

    Attributes:
        progress: called after each step (an epoch, or a training where those are short) with what was done and the
            share of all steps that are.
        should_stop: asked after each step, and after each epoch of a step that has some; where it says yes the run
            ends with `Stopped`, and goes on from there when it is begun again.
    """

    progress: Callable[[str, float], None] = lambda stage, fraction: None
    should_stop: Callable[[], bool] = never
