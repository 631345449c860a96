"""One case: build every contestant, judge its numbers, then time all of them in turn, round after round."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from harness import spread
from rivals import Contestant
from rivals.circuit import Task
from rivals.exact import Step, disagreement
from rivals.process import ContestantFailedError, ContestantProcess

__all__ = ["Limits", "Runner", "build", "race"]

_TURN_MS = 150.0
_SETTLE_S = 0.02
"""Pause between turns: thread pools of the one before stop spinning."""


@dataclass(frozen=True)
class Limits:
    """Seconds for one contestant's setup and for all rounds of one case, and the bounds on rounds."""

    setup_s: float = 120.0
    rounds_s: float = 25.0
    fewest_rounds: int = 3
    most_rounds: int = 15
    slow_step_ms: float = 1000.0


@dataclass
class Runner:
    """A contestant in one case: its process while it lives, its facts, and the median of each turn."""

    contestant: Contestant
    process: ContestantProcess | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    turns_ms: list[float] = field(default_factory=list)
    unavailable: str | None = None

    def give_up(self, reason: str) -> None:
        """Leaves the race for a reason, which is reported in place of a time."""
        self.unavailable = reason
        if self.process is not None:
            self.process.close()
            self.process = None

    def report(self) -> dict[str, Any]:
        """Its entry in the JSON row."""
        if self.unavailable is not None:
            return {"unavailable": self.unavailable}
        shown = {key: self.facts[key] for key in ("first_ms", "variant", "precision", "tried")}
        return {**spread(self.turns_ms), **shown, "rounds": len(self.turns_ms)}


def build(
    contestant: Contestant,
    python: Path,
    task: Task,
    exact: Step,
    setup_s: float,
    options: dict[str, str] | None = None,
) -> Runner:
    """Starts a contestant, has it take its first step, and turns it away unless its numbers are right."""
    task = replace(task, options=options or {}, threads=contestant.threads or task.threads)
    runner = Runner(contestant, ContestantProcess(python, task.threads))
    process = runner.process
    try:
        if process is not None:
            runner.facts, step = process.setup(contestant.module, task, setup_s)
            wrong = disagreement(step, exact, runner.facts["precision"], contestant.judged_angles)
            if wrong:
                runner.give_up(f"disagrees: {wrong}")
    except ContestantFailedError as error:
        runner.give_up(str(error))
    return runner


def _take_turn(runner: Runner, limit_s: float) -> None:
    step_ms = max(runner.facts["step_ms"], 1e-3)
    n_steps = int(min(300, max(1, _TURN_MS / step_ms)))
    warm = int(min(5, _TURN_MS / 5 / step_ms))
    try:
        if runner.process is not None:
            runner.turns_ms.append(median(runner.process.time(n_steps, warm, limit_s)))
    except ContestantFailedError as error:
        runner.give_up(str(error))


def race(runners: Sequence[Runner], limits: Limits, clock: Callable[[], float] = time.perf_counter) -> int:
    """Rounds of one turn each (A B C, A B C, ...) until the time is used; gives the number of rounds.

    A contestant whose step takes longer than ``limits.slow_step_ms`` sits out all but the first few rounds.
    """
    start = clock()
    for n_done in range(limits.most_rounds):
        if n_done >= limits.fewest_rounds and clock() - start > limits.rounds_s:
            return n_done
        for runner in _taking_part(runners, limits, n_done):
            time.sleep(_SETTLE_S)
            _take_turn(runner, limits.setup_s)
    return limits.most_rounds


def _taking_part(runners: Iterable[Runner], limits: Limits, n_done: int) -> list[Runner]:
    early = n_done < limits.fewest_rounds
    return [
        runner
        for runner in runners
        if runner.process is not None and (early or runner.facts["step_ms"] <= limits.slow_step_ms)
    ]
