"""A case from its environments to its reports: install, build, judge, race. Shared by the benchmarks with rivals."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import say
from rivals import Contestant
from rivals.circuit import Task
from rivals.environments import EnvironmentUnavailableError, ensure_environment
from rivals.exact import exact_step
from rivals.race import Limits, Runner, build, race

__all__ = ["Entry", "Pythons", "contest", "install"]

Pythons = Mapping[str | None, Path | str]
"""The Python of each environment, or the reason why there is none."""


@dataclass(frozen=True)
class Entry:
    """A contestant that takes part; ours are never turned away for lack of time, and are named in ``keep``."""

    contestant: Contestant
    options: dict[str, str] = field(default_factory=dict)
    keep: bool = False


def install(rivals: Sequence[Contestant]) -> dict[str | None, Path | str]:
    """Python of each environment, or the reason why there is none."""
    found: dict[str | None, Path | str] = {None: Path(sys.executable)}
    for name in sorted({rival.environment for rival in rivals if rival.environment}):
        try:
            found[name] = ensure_environment(name, say)
        except EnvironmentUnavailableError as error:
            found[name] = f"cannot be installed here: {error}"
    return found


@contextmanager
def _runners(
    entries: Sequence[Entry],
    task: Task,
    pythons: Pythons,
    limits: Limits,
    turned_away: Callable[[Contestant], str | None],
    deadline: float,
) -> Iterator[dict[str, Runner]]:
    exact = exact_step(task)
    with ExitStack() as alive:
        runners: dict[str, Runner] = {}
        for entry in entries:
            contestant = entry.contestant
            python, reason = pythons[contestant.environment], None if entry.keep else turned_away(contestant)
            left_s = min(limits.setup_s, deadline - time.monotonic())
            if reason is None and left_s < 10 and not entry.keep:
                reason = "not run: the minutes given are used up"
            if isinstance(python, str) or reason is not None:
                runner = Runner(contestant, unavailable=reason or str(python))
            else:
                say(f"{task.case}: building {contestant.name}")
                runner = build(contestant, python, task, exact, max(left_s, 10.0), entry.options)
            if runner.process is not None:
                alive.callback(runner.process.close)
            runners[contestant.name] = runner
        yield runners


def contest(
    entries: Sequence[Entry],
    task: Task,
    pythons: Pythons,
    limits: Limits,
    turned_away: Callable[[Contestant], str | None] = lambda _: None,
    deadline: float = float("inf"),
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Reports of all contestants in one case, and the versions that they told.

    ``turned_away`` gives a reason why a rival need not run here; it is reported in place of a time.
    """
    start = time.monotonic()
    with _runners(entries, task, pythons, limits, turned_away, deadline) as runners:
        n_rounds = race(list(runners.values()), limits)
        say(f"{task.case}: {n_rounds} rounds; {time.monotonic() - start:.0f} s in all")
        versions = {name: r.facts["versions"] for name, r in runners.items() if "versions" in r.facts}
        return {name: runner.report() for name, runner in runners.items()}, versions
