"""How pictures look: lengths in inches, sizes in points, colours by kind of operation."""

from __future__ import annotations

from typing import Final, NamedTuple

from superpose.circuits import Barrier, Channel, Delay, Instruction, KrausChannel, Measure, Operation, Reset

__all__ = [
    "BOX",
    "EDGE_GAP",
    "FONTS",
    "GAP",
    "INK",
    "LABEL_POINTS",
    "LINE",
    "MARGIN",
    "NAME_POINTS",
    "PITCH",
    "ROW_GAP",
    "SMALL_POINTS",
    "WIRE",
    "Colours",
    "colours_of",
]

PITCH: Final = 0.58
"""From one qubit's line to the next."""
BOX: Final = 0.40
"""Height of a box, and its least width."""
GAP: Final = 0.13
"""Between columns."""
EDGE_GAP: Final = 0.07
MARGIN: Final = 0.22
ROW_GAP: Final = 0.42
"""Between folded rows."""
NAME_POINTS: Final = 10.5
SMALL_POINTS: Final = 7.0
LABEL_POINTS: Final = 10.5
FONTS: Final = ("DejaVu Sans",)
"""Comes with Matplotlib, so that pictures are the same everywhere."""
INK: Final = "#1c2430"
WIRE: Final = "#8a94a3"
LINE: Final = 1.1
"""Width of lines, in points."""


class Colours(NamedTuple):
    """Of a box, its border and of what stands in it."""

    fill: str
    border: str
    text: str = INK


_FIXED = Colours("#e3ecfb", "#3566b8")
_TURNING = Colours("#fdeed9", "#c9781b")
_SWAPPING = Colours("#dff2ec", "#1f8467")
_READING = Colours("#eceff3", "#55606f")
_WAITING = Colours("#f6f7f9", "#9aa3ad", "#55606f")
_NOISY = Colours("#fbe4e4", "#b83a3a")
CONDITION: Final = Colours("#7a5bb8", "#7a5bb8", "#ffffff")


def colours_of(item: Operation) -> Colours:
    """Return the colours of an operation: angles, no angles, exchange, measurement, waiting, noise."""
    match item:
        case Instruction():
            if "swap" in item.gate:
                return _SWAPPING
            return _TURNING if item.angles else _FIXED
        case Measure() | Reset():
            return _READING
        case Barrier() | Delay():
            return _WAITING
        case Channel() | KrausChannel():
            return _NOISY
    return CONDITION
