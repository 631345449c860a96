"""Drawings for a page: Matplotlib figures as SVG text that stands in HTML, the same bytes for the same numbers."""

from __future__ import annotations

import importlib.util
import io
import re
import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from superpose.errors import ExtraMissingError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from superpose.circuits import Circuit

__all__ = ["COLOURS", "GREY", "INK", "circuit_svg", "plot", "require_drawing"]

COLOURS = ("#1f5fa8", "#c2560c", "#1f7a4d", "#7a4fa3", "#8a6d00", "#a3324b")
"""Each at least 4.5 to 1 against white."""

GREY, INK = "#6b7480", "#1c2430"

_ONE_AT_A_TIME = threading.Lock()  # Matplotlib's settings belong to the process
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be read out, searched and copied
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "text.parse_math": False,
    "axes.titlesize": 10.0,
}
_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def require_drawing() -> None:
    """Make sure that pages can be made.

    Raises:
        ExtraMissingError: Jinja2 or Matplotlib is not installed.
    """
    for module, name in (("jinja2", "Jinja2"), ("matplotlib", "Matplotlib")):
        if importlib.util.find_spec(module) is None:
            raise ExtraMissingError(f"Reports need {name}: pip install 'superpose[report]'", extra="report")


def plot(name: str, draw: Callable[[Axes], None], size: tuple[float, float] = (4.6, 3.6)) -> str:
    """A figure with one pair of axes, as SVG text.

    Args:
        name: of the figure; ids in it begin with this, so that several figures can stand on one page.
        draw: draws into the axes.
        size: width and height in inches.
    """
    import matplotlib
    from matplotlib.figure import Figure

    settings = {**_SETTINGS, "svg.hashsalt": name}
    with _ONE_AT_A_TIME, matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # text stays text: the reader's fonts have it
        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        axes: Any = figure.add_subplot()
        draw(axes)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata=_METADATA)
    return _for_html(written.getvalue(), name)


def circuit_svg(circuit: Circuit, name: str) -> str:
    """A circuit's picture as SVG text; see `superpose.pictures.draw_picture`.

    Raises:
        DrawingError: it is too large.
    """
    from superpose.pictures import draw_picture

    with _ONE_AT_A_TIME:
        _, content = draw_picture(circuit, "circuit.svg", width_in=9.0)
    return _for_html(content.decode(), name)


def _for_html(text: str, name: str) -> str:
    """An SVG file's text as an element of a page: without its prologue, with ids of its own, as wide as fits."""
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<[^>]*>", lambda tag: _of_figure(tag[0], name), body)
    width = re.search(r'width="([0-9.]+)pt"', body)
    style = f' style="max-width:{width[1]}pt"' if width else ""
    body = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body, count=1)
    return re.sub(r"<svg", f'<svg aria-hidden="true" focusable="false"{style}', body, count=1).strip()


def _of_figure(tag: str, name: str) -> str:
    """A tag with ids of its figure; texts between tags, such as names of columns, stay as they are."""
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = re.sub(r'href="#', f'href="#{name}-', tag)
    return re.sub(r"url\(#", f"url(#{name}-", tag)
