"""What a training is expected to take of a processor, counted from its data and options before it begins.

An estimate is a sum of works: how often something is done, which is counted, times what once takes, which was measured
on one core (`MACHINE`). It knows no clock and no machine, as the one that chooses the number of splits does; another
core is faster or slower, in everything alike. ``benchmarks/job_estimates.py`` holds it against real jobs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["EXPLANATION", "MACHINE", "REST", "EstimatedEffort", "Work", "rounded"]

MACHINE: Final = "one thread of a 2-core Intel Xeon virtual machine, torch 2, 27 November 2026"
"""Where the seconds of all works were measured."""

REST: Final = "rest"
"""The part of what belongs to no variant: reading, judging, the model file, and its explanation where that is short."""

EXPLANATION: Final = "explanation"
"""The part of the explanation sample, where it may take longer than all training."""


@dataclass(frozen=True)
class Work:
    """Something that a run does many times.

    Attributes:
        part: the variant that it is for, `EXPLANATION` or `REST`.
        what: what is counted, such as "pictures trained".
        n: how often.
        each_s: seconds of a processor that once takes.
    """

    part: str
    what: str
    n: int
    each_s: float


@dataclass(frozen=True)
class EstimatedEffort:
    """What a run is expected to take, if nothing ends early.

    Attributes:
        works: all that it does.
    """

    works: tuple[Work, ...]

    @property
    def cpu_s(self) -> float:
        """Seconds of a processor, all threads together."""
        return sum(work.n * work.each_s for work in self.works)

    @property
    def parts(self) -> dict[str, float]:
        """Seconds of a processor by variant, of an explanation sample that may be long, and of the rest."""
        found: dict[str, float] = {}
        for work in self.works:
            found[work.part] = found.get(work.part, 0.0) + work.n * work.each_s
        return found

    def n_of(self, part: str, what: str) -> int:
        """How often a part does something."""
        return sum(work.n for work in self._of(part) if work.what == what)

    def to_dict(self) -> dict[str, Any]:
        """The seconds as JSON: ``cpu_s`` and ``parts``."""
        return {"cpu_s": rounded(self.cpu_s), "parts": {name: rounded(s) for name, s in self.parts.items()}}

    def _of(self, part: str) -> Iterator[Work]:
        return (work for work in self.works if work.part == part)


def rounded(seconds: float) -> float:
    """Three figures: more than an estimate is good for."""
    return float(f"{seconds:.3g}")
