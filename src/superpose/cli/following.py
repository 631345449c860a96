"""Live progress of a job: three calm lines on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from superpose.cli.output import console, note

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

    from superpose.client import Client, Event, Job

__all__ = ["ProgressView", "estimate_text", "follow", "progress_text", "variant_text"]

_VARIANTS: Final = {
    "hybrid": ("hybrid model", "hybrid"),
    "classical_twin": ("classical twin", "twin"),
    "no_entanglement": ("same circuit without entanglement", "unentangled"),
    "frozen": ("same circuit with frozen random weights", "frozen"),
    "baseline": ("baseline", "baseline"),
}


def variant_text(variant: object, *, short: bool = False) -> str:
    """A variant in words, or in one."""
    name = str(variant)
    long_text, short_text = _VARIANTS.get(name, (name.replace("_", " "), name))
    return short_text if short else long_text


def place_text(progress: Mapping[str, Any]) -> str:
    """Where in its work a training job is."""
    parts = []
    split = progress.get("split")  # counted from 0
    if isinstance(split, int) and progress.get("n_splits"):
        parts.append(f"split {split + 1} of {progress['n_splits']}")
    elif progress.get("stage"):
        parts.append(str(progress["stage"]).replace("_", " "))
    if progress.get("variant"):
        parts.append(variant_text(progress["variant"]))
    if progress.get("epoch"):
        parts.append(f"epoch {progress['epoch']} of {progress.get('n_epochs', '?')}")
    return " · ".join(parts)


def numbers_text(progress: Mapping[str, Any]) -> str:
    """Loss and validation accuracy of the last epoch."""
    parts = []
    if isinstance(progress.get("loss"), int | float):
        parts.append(f"loss {progress['loss']:.4f}")
    if isinstance(progress.get("validation_accuracy"), int | float):
        parts.append(f"validation accuracy {progress['validation_accuracy']:.3f}")
    return " · ".join(parts)


def eta_text(progress: Mapping[str, Any]) -> str:
    """The time that is left."""
    eta_s = progress.get("eta_s")
    return f"ETA {eta_s:.0f} s" if isinstance(eta_s, int | float) else ""


def progress_text(progress: Mapping[str, Any]) -> str:
    """All of a progress event in one line."""
    fraction = progress.get("fraction")
    share = f"{100 * fraction:.0f} %" if isinstance(fraction, int | float) else ""
    return " · ".join(
        part for part in (share, place_text(progress), numbers_text(progress), eta_text(progress)) if part
    )


def estimate_text(estimate: Mapping[str, Any]) -> str:
    """What a job is expected to take, in words: ``about 240 s of processor time (hybrid 150 s, rest 90 s)``.

    Of a sweep also the bounds between which results decide, where there are any: ``; 90 to 700 s, as results decide``.
    """
    parts = sorted(dict(estimate.get("parts") or {}).items(), key=lambda part: -part[1])
    told = ", ".join(f"{variant_text(name, short=True)} {_figures(seconds)} s" for name, seconds in parts)
    said = f"about {_figures(estimate['cpu_s'])} s of processor time" + (f" ({told})" if told else "")
    least, most = estimate.get("least_cpu_s"), estimate.get("most_cpu_s")
    if least is None or most is None or least == most:
        return said
    return f"{said}; {_figures(least)} to {_figures(most)} s, as results decide"


def _figures(seconds: float) -> str:
    """Three figures, and none of a second where there are more: 0.0953, 45,000."""
    return f"{seconds:,.0f}" if seconds >= 100 else f"{seconds:.3g}"


class ProgressView:
    """Shows progress events of one job on a stream that need not be a terminal.

    Args:
        out: where to draw. On a terminal three lines are redrawn in place and vanish at the end; elsewhere one line is
            written whenever the split or the variant changes.
        indent: columns to the left of everything.
        verdict: whether the job's verdict is shown as it comes; no where the caller shows it after.
        before: what a terminal shows until it is known how far the work is.
    """

    def __init__(
        self, out: Console, indent: int = 2, *, verdict: bool = True, before: str = "waiting for a worker"
    ) -> None:
        self._out = out
        self._before = before
        self._verdict = verdict
        self._indent = " " * indent
        self._live: Live | None = None
        self._last: Mapping[str, Any] = {}
        self._place: tuple[object, ...] = ()

    def __enter__(self) -> Self:
        if self._out.is_terminal:
            from rich.live import Live

            self._live = Live(self._drawing(), console=self._out, refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show(self, event: Event) -> None:
        """Take in one event of the job."""
        if event.kind == "progress":
            self.tell(event.data)
        elif event.kind == "log" and event.data.get("message") and (self._verdict or not event.data.get("verdict")):
            self._out.print(self._indent + str(event.data["message"]), markup=False, soft_wrap=True)

    def tell(self, progress: Mapping[str, Any]) -> None:
        """Take in how far the work is."""
        self._last = progress
        if self._live is not None:
            self._live.update(self._drawing())
            return
        place = tuple(self._last.get(name) for name in ("stage", "split", "variant"))
        if place != self._place:
            self._place = place
            self._out.print(self._indent + progress_text(self._last), markup=False, soft_wrap=True)

    def _drawing(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        fraction = self._last.get("fraction")
        done = float(fraction) if isinstance(fraction, int | float) else 0.0
        line = Table.grid(padding=(0, 2, 0, 0))
        share = Text(f"{100 * done:3.0f} %")
        line.add_row(Text(self._indent[2:]), ProgressBar(1.0, done, width=48), share, Text(eta_text(self._last)))
        place = place_text(self._last) or self._before
        below = [Text(self._indent + text, style="dim") for text in (place, numbers_text(self._last))]
        return Group(line, *below)


def follow(client: Client, job_id: str, *, verdict: bool = True) -> Job:
    """The job once it has finished, its progress shown on stderr; ``verdict`` as `ProgressView` has it."""
    with ProgressView(console(sys.stderr), indent=2, verdict=verdict) as view:
        job = client.jobs.wait(job_id, view.show)
    if job.error:
        note(f"job {job.id} {job.status}: {job.error.get('message')}")
    return job
