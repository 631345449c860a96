"""How far a job is whose training is not its last work: its models are judged, one is packed and explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["TRAINED", "OnEvent", "all_done", "explaining", "while_training"]

OnEvent = Callable[[str, Mapping[str, Any]], None]

TRAINED: Final = 0.99
"""Share of a job that is done when all is trained, unless more of it is known to be left."""


def while_training(on_event: OnEvent) -> OnEvent:
    """What hears a training's events, for whom the whole training is `TRAINED` of the job.

    At its end nobody knows the time that is left.
    """

    def told(kind: str, data: Mapping[str, Any]) -> None:
        fraction = data.get("fraction")
        if kind != "progress" or fraction is None:
            on_event(kind, data)
        elif fraction < 1.0:
            on_event(kind, {**data, "fraction": round(TRAINED * fraction, 4)})
        else:
            on_event(kind, {"stage": "judging what is trained", "fraction": TRAINED})

    return told


def explaining(on_event: OnEvent) -> None:
    """Tell that the trained model is being explained."""
    on_event("progress", {"stage": "explaining the model", "fraction": TRAINED})


def all_done(on_event: OnEvent, evidence: Mapping[str, Any]) -> None:
    """Tell that nothing is left but writing down the model and its evidence."""
    refused = "refused" in evidence["explanation"]
    stage = "trained and judged; not explained" if refused else "trained, judged and explained"
    on_event("progress", {"stage": stage, "fraction": 1.0})
