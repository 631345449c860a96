"""A plot of what a program is expected to give and to take on many backends, with those that no other beats.

A pure function of the estimates' JSON; needs Matplotlib (``pip install 'superpose[plots]'``) and no display.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superpose.errors import ExtraMissingError, RequestError
from superpose.learning.canonical import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_estimates"]

FORMATS = ("png", "svg")
_BLUE, _GREY = "#1f5fa8", "#9aa3ad"
_MARKERS = {"simulator": "s", "emulator": "^", "qpu": "o"}
_MAX_NAMES = 12


def plot_estimates(rows: Sequence[Mapping[str, Any]], path: Path, *, title: str = "") -> Path:
    """Draw price and wait against fidelity, side by side, and write the picture.

    Args:
        rows: As ``superpose estimate --json`` gives them under "backends": name, kind, fidelity, price_usd, wait_s,
            on_front. What is not known is not drawn.
        path: A file, ``.png`` or ``.svg``.
        title: Above the picture.

    Returns:
        The path.

    Raises:
        ExtraMissingError: Matplotlib is not installed.
        RequestError: Another suffix, or no backend has a fidelity.
        OSError: The file cannot be written.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ExtraMissingError("Plots need Matplotlib: pip install 'superpose[plots]'", extra="plots")
    form = path.suffix.lower().lstrip(".")
    if form not in FORMATS:
        raise RequestError(f"Plots are written as .png or .svg, got {path.name}.")
    known = [row for row in rows if row.get("fidelity") is not None]
    if not known:
        raise RequestError("No backend has an estimate of fidelity; there is nothing to draw.")
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), dpi=144, layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    for axes, member, label in ((left, "price_usd", "price in US dollars"), (right, "wait_s", "wait in seconds")):
        _scatter(axes, [row for row in known if row.get(member) is not None], member)
        axes.set_xlabel("probability of a shot without error")
        axes.set_ylabel(label)
        axes.grid(color="#e6e8eb", linewidth=0.6)
    if title:
        figure.suptitle(title, parse_math=False)  # names may hold any sign
    metadata = {"Date": None} if form == "svg" else {"Software": None}  # equal estimates give equal files
    with matplotlib.rc_context({"svg.hashsalt": "superpose"}):
        written = io.BytesIO()
        figure.savefig(written, format=form, metadata=metadata)
    write_whole(path, written.getvalue())
    return path


def _scatter(axes: Axes, rows: Sequence[Mapping[str, Any]], member: str) -> None:
    front = [row for row in rows if row["on_front"]]
    for kind, marker in _MARKERS.items():
        for chosen, colour in ((True, _BLUE), (False, _GREY)):
            some = [row for row in rows if row["kind"] == kind and bool(row["on_front"]) == chosen]
            if some:
                axes.scatter(
                    [row["fidelity"] for row in some],
                    [row[member] for row in some],
                    c=colour,
                    marker=marker,
                    s=28,
                    label=f"{kind}{', no other beats it' if chosen else ''}",
                )
    for row in front[:_MAX_NAMES]:
        axes.annotate(
            row["name"],
            (row["fidelity"], row[member]),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize=7,
            parse_math=False,
        )
    if any(row[member] > 0 for row in rows):
        axes.set_yscale("symlog", linthresh=min(row[member] for row in rows if row[member] > 0))
    if rows:
        axes.legend(fontsize=7, frameon=False)
