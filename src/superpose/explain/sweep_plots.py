"""Plots of a sweep: how its best value rose, which parameters matter, and which values go together.

A pure function of the sweep's JSON; needs Matplotlib (``pip install 'superpose[plots]'``) and no display.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superpose.errors import ExtraMissingError, RequestError
from superpose.learning.canonical import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "plot_sweep"]

FORMATS = ("png", "svg")
_BLUE, _ORANGE, _GREY = "#1f5fa8", "#d9731a", "#9aa3ad"


def plot_sweep(sweep: Mapping[str, Any], directory: Path, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Draw a sweep's plots into files: ``history``, ``importance``, ``parallel``.

    Args:
        sweep: as ``GET /v1/sweeps/{name}`` gives it.
        directory: made if absent.
        formats: any of "png" and "svg".

    Returns:
        The files written. ``importance`` is left out where the sweep has none.

    Raises:
        ExtraMissingError: Matplotlib is not installed.
        RequestError: an unknown format, or no trial has a value yet.
        OSError: the directory cannot be written.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ExtraMissingError("Plots need Matplotlib: pip install 'superpose[plots]'", extra="plots")
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise RequestError(f"Plots are written as {' or '.join(FORMATS)}, got {', '.join(unknown) or 'none'}.")
    trials = [trial for trial in sweep["trials"] if trial.get("value") is not None]
    if not trials:
        raise RequestError(f"Sweep {sweep['name']!r} has no trial with a value yet; there is nothing to draw.")
    drawings: dict[str, Callable[[Figure], None]] = {"history": lambda figure: _history(figure, sweep, trials)}
    if sweep.get("importances"):
        drawings["importance"] = lambda figure: _importance(figure, sweep)
    drawings["parallel"] = lambda figure: _parallel(figure, sweep, trials)
    directory.mkdir(parents=True, exist_ok=True)
    return [
        _write(draw, directory / f"{sweep['name']}-{name}.{form}", form)
        for name, draw in drawings.items()
        for form in formats
    ]


def _write(draw: Callable[[Figure], None], path: Path, form: str) -> Path:
    import matplotlib
    from matplotlib.figure import Figure

    metadata = {"Date": None} if form == "svg" else {"Software": None}  # equal sweeps give equal files
    with matplotlib.rc_context({"svg.hashsalt": "superpose", "text.parse_math": False}):  # names may hold any sign
        figure = Figure(figsize=(8, 4.5), dpi=144, layout="constrained")
        draw(figure)
        written = io.BytesIO()
        figure.savefig(written, format=form, metadata=metadata)
    write_whole(path, written.getvalue())
    return path


def _objective(sweep: Mapping[str, Any]) -> tuple[str, bool]:
    """Name of the metric, and whether more of it is better."""
    from superpose.learning.metrics import METRICS

    metric = METRICS[sweep["sweep"]["objective"]["metric"]]
    return metric.title, metric.higher_is_better


def _bare(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _history(figure: Figure, sweep: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> None:
    title, higher = _objective(sweep)
    axes = figure.add_subplot()
    complete = [trial for trial in trials if trial["state"] == "complete"]
    pruned = [trial for trial in trials if trial["state"] != "complete"]
    for found, colour, label in ((complete, _BLUE, "complete"), (pruned, _GREY, "pruned")):
        if found:
            axes.scatter([t["number"] for t in found], [t["value"] for t in found], s=22, color=colour, label=label)
    if complete:
        numbers = [trial["number"] for trial in complete]
        best = (np.maximum if higher else np.minimum).accumulate([trial["value"] for trial in complete])
        axes.step(numbers, best, where="post", color=_ORANGE, label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel(f"{title}, mean over tuning folds")
    axes.set_title(f"Sweep {sweep['name']}: history")
    axes.legend(frameon=False)
    _bare(axes)


def _importance(figure: Figure, sweep: Mapping[str, Any]) -> None:
    shares = sorted(sweep["importances"].items(), key=lambda item: item[1])
    axes = figure.add_subplot()
    axes.barh([name for name, _ in shares], [share for _, share in shares], color=_BLUE)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the objective's variance (fANOVA)")
    axes.set_title(f"Sweep {sweep['name']}: importance of parameters")
    _bare(axes)


def _parallel(figure: Figure, sweep: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> None:
    """A line per trial across one axis per parameter, coloured by the objective."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    title, higher = _objective(sweep)
    space: Mapping[str, Mapping[str, Any]] = sweep["sweep"]["space"]
    values = np.array([trial["value"] for trial in trials], dtype=np.float64)
    norm = Normalize(float(values.min()), float(max(values.max(), values.min() + 1e-9)))
    colours = colormaps["viridis" if higher else "viridis_r"]
    axes = figure.add_subplot()
    heights = {name: _heights(dimension, [t["params"][name] for t in trials]) for name, dimension in space.items()}
    order = np.argsort(values if higher else -values)  # the best on top
    for place in order:
        line = [heights[name][0][place] for name in space]
        axes.plot(range(len(space)), line, color=colours(norm(values[place])), alpha=0.8, linewidth=1.4)
    for x, name in enumerate(space):
        axes.axvline(x, color=_GREY, linewidth=0.8)
        for height, label in heights[name][1]:
            axes.text(x, height, f" {label}", fontsize=7, va="center")
    axes.set_xticks(range(len(space)), [name.replace(".", "\n") for name in space], fontsize=8)
    axes.set_yticks([])
    axes.margins(x=0.08)
    axes.set_title(f"Sweep {sweep['name']}: trials")
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.colorbar(ScalarMappable(norm, colours), ax=axes, label=title)


def _heights(
    dimension: Mapping[str, Any], values: Sequence[Any]
) -> tuple[NDArray[np.float64], list[tuple[float, str]]]:
    """Where values stand on an axis of height 1, and the labels beside it."""
    if "choice" in dimension:
        choices = [str(choice) for choice in dimension["choice"]]
        step = 1.0 / max(1, len(choices) - 1)
        labels = [(place * step, choice) for place, choice in enumerate(choices)]
        return np.array([choices.index(str(value)) * step for value in values]), labels
    low, high = dimension["int" if "int" in dimension else "float"]
    scale = np.log if dimension.get("log") else np.asarray
    span = float(scale(high) - scale(low)) or 1.0
    heights = (scale(np.asarray(values, dtype=np.float64)) - scale(low)) / span
    return np.asarray(heights), [(0.0, f"{low:g}"), (1.0, f"{high:g}")]
