"""What `superpose quickstart` says, and how it looks: numbered steps, calm, at most 100 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from superpose.cli.comparison import METRIC_TITLES, print_comparison
from superpose.cli.following import ProgressView, variant_text
from superpose.cli.output import paragraph

if TYPE_CHECKING:
    from rich.console import Console

    from superpose.client import Event

__all__ = ["Story", "TrainingStory"]

INDENT: Final = "   "


class Story:
    """Tells the steps on a console. On a terminal, what takes long has a spinner while it lasts.

    Args:
        out: where to tell them.
    """

    def __init__(self, out: Console) -> None:
        self.out = out
        self._number = 0

    def begin(self, text: str) -> None:
        """The first line."""
        self.out.print(f"[bold]superpose quickstart[/] [dim]·[/] {text}", soft_wrap=True)

    def step(self, title: str) -> None:
        """A new numbered step."""
        self._number += 1
        self.out.print(f"\n[bold cyan]{self._number}[/]  [bold]{title}[/]")

    def say(self, text: str, *, dim: bool = False) -> None:
        """A paragraph within the step."""
        paragraph(self.out, text, indent=len(INDENT), style="dim" if dim else "")

    def line(self, text: str) -> None:
        """One line within the step, never wrapped."""
        self.out.print(INDENT + text, markup=False, soft_wrap=True)

    def code(self, lines: Sequence[str]) -> None:
        """Lines to copy, never wrapped."""
        for line in lines:
            self.out.print(f"{INDENT}  {line}", markup=False, style="green", soft_wrap=True)

    def blank(self) -> None:
        """An empty line."""
        self.out.print()

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """A spinner while something lasts, on a terminal only."""
        if not self.out.is_terminal:
            yield
            return
        from rich.live import Live
        from rich.padding import Padding
        from rich.spinner import Spinner

        spinner = Padding(Spinner("dots", text=f"{text} …", style="cyan"), (0, 0, 0, len(INDENT)))
        with Live(spinner, console=self.out, refresh_per_second=10, transient=True):
            yield

    def comparison(self, evaluation: Mapping[str, Any]) -> None:
        """The table and the verdict."""
        print_comparison(evaluation, self.out, indent=len(INDENT))


class TrainingStory:
    """A training job as it happens: epochs live, and one line for each finished split.

    Args:
        story: where to tell it.
        live: where the epochs are drawn: a terminal if there is one.
        metric: what is told of each split.
        variants: what each split trains, in order.
    """

    def __init__(self, story: Story, live: Console, metric: str, variants: Sequence[str]) -> None:
        self._story = story
        self._metric = metric
        self._variants = tuple(variants)
        self._splits: dict[int, dict[str, float]] = {}
        self._view = ProgressView(live, indent=len(INDENT))

    def __enter__(self) -> TrainingStory:
        self._view.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        self._view.__exit__(*details)

    def show(self, event: Event) -> None:
        """Take in one event of the job."""
        if event.kind == "progress":
            self._view.show(event)
        if event.kind != "metric":
            return
        split, variant = event.data.get("split"), event.data.get("variant")
        value = (event.data.get("metrics") or {}).get(self._metric)
        if not isinstance(split, int) or not isinstance(value, int | float):
            return
        row = self._splits.setdefault(split, {})
        row[str(variant)] = float(value)
        if len(row) == len(self._variants):
            if len(self._splits) == 1:
                names = [variant_text(name, short=True) for name in self._variants]
                self._line(f"test {METRIC_TITLES.get(self._metric, self._metric)}", names, "dim")
            self._line(f"split {split + 1}", [f"{row[name]:.3f}" for name in self._variants], "")

    def _line(self, first: str, cells: Sequence[str], style: str) -> None:
        text = INDENT + f"{first:<16}" + "".join(f"{cell:>12}" for cell in cells)
        self._story.out.print(text, style=style, markup=False, soft_wrap=True)
