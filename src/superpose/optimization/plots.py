"""Pictures of solutions: routes on the plane, schedules as bars. Needs Matplotlib and no display."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from superpose.errors import ExtraMissingError, ProblemError
from superpose.learning.canonical import write_whole
from superpose.optimization.answers import Answer
from superpose.optimization.models import JobShop, Model, TravellingSalesman, VehicleRouting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["check_drawable", "plot_solution"]

FORMATS: Final = (".png", ".svg")
_COLOURS: Final = ("#1f5fa8", "#c8553d", "#3d8f5f", "#8a5ab5", "#b8860b", "#4a4f57", "#2a9d9d", "#a8326e")


def check_drawable(model: Model[Any], path: Path) -> None:
    """Refuse before anything is solved what `plot_solution` could not draw; see there for what it raises."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ExtraMissingError("Plots need Matplotlib: pip install 'superpose[plots]'", extra="plots")
    if path.suffix.lower() not in FORMATS:
        raise ProblemError(f"Plots are written as .png or .svg, got {path.name}.")
    if not path.parent.is_dir():
        raise ProblemError(f"Plots are written into folders that there are; there is none at {path.parent}.")
    if not isinstance(model, TravellingSalesman | VehicleRouting | JobShop):
        raise ProblemError(f"Routes and schedules can be drawn, not {model.kind}.")
    if not isinstance(model, JobShop) and model.coordinates is None:
        raise ProblemError(f"{model.name} has distances but no coordinates; it cannot be drawn.")


def plot_solution(model: Model[Any], answer: Answer, path: Path) -> Path:
    """Draw the answer's routes or schedule, and write the picture.

    Args:
        model: What was solved.
        answer: Of it.
        path: A file, ``.png`` or ``.svg``.

    Returns:
        The path.

    Raises:
        ExtraMissingError: Matplotlib is not installed.
        ProblemError: Another suffix, a kind that has no picture, or places without coordinates.
        OSError: The file cannot be written.
    """
    check_drawable(model, path)
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), dpi=144, layout="constrained")
    axes = figure.subplots()
    if isinstance(model, JobShop):
        _schedule(axes, model, answer.solution)
    elif isinstance(model, TravellingSalesman | VehicleRouting):
        routes = [answer.solution[1:]] if isinstance(model, TravellingSalesman) else answer.solution
        _routes(axes, model, [[int(k) for k in route] for route in routes])
    gap = "" if answer.gap_percent is None else f", {answer.gap_percent:.2f} % from the {answer.yardstick}"
    axes.set_title(f"{model.name}: {answer.value:g} by {answer.method}{gap}", fontsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    with matplotlib.rc_context({"svg.hashsalt": "superpose"}):
        form, written = path.suffix.lower().removeprefix("."), io.BytesIO()
        figure.savefig(written, format=form, metadata={"Date": None} if form == "svg" else None)
    write_whole(path, written.getvalue())
    return path


def _routes(axes: Axes, model: TravellingSalesman | VehicleRouting, routes: list[list[int]]) -> None:
    places = model.coordinates
    if places is None:
        return
    for number, route in enumerate(routes):
        path = np.array([0, *route, 0])
        colour = _COLOURS[number % len(_COLOURS)]
        axes.plot(places[path, 0], places[path, 1], "-", color=colour, linewidth=1.3, zorder=1)
        axes.plot(places[route, 0], places[route, 1], "o", color=colour, markersize=4, zorder=2)
    axes.plot(places[0, 0], places[0, 1], "s", color="black", markersize=8, zorder=3)
    first = 1 if isinstance(model, TravellingSalesman) else 0  # as `Model.to_json` counts them
    if model.n_places <= 60:
        for k, (x, y) in enumerate(places):
            axes.annotate(
                str(k + first), (x, y), xytext=(4, 4), textcoords="offset points", fontsize=7, color="#4a4f57"
            )
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel("first coordinate")
    axes.set_ylabel("second coordinate")


def _schedule(axes: Axes, model: JobShop, starts: Any) -> None:
    for k, at in enumerate(starts):
        job = int(model.job_of[k])
        axes.barh(
            int(model.machine_of[k]), int(model.durations[k]), left=int(at), height=0.7,
            color=_COLOURS[job % len(_COLOURS)], edgecolor="white",
        )  # fmt: skip
        middle = int(at) + int(model.durations[k]) / 2
        axes.text(middle, int(model.machine_of[k]), str(job), ha="center", va="center", fontsize=8, color="white")
    machines = sorted({int(m) for m in model.machine_of})
    axes.set_yticks(machines, [f"machine {m}" for m in machines])
    axes.invert_yaxis()
    axes.set_xlabel("time (numbers: jobs, from 0)")
