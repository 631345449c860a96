"""The job shop: when each operation starts on its machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from superpose.errors import ProblemError
from superpose.optimization.budgets import OnStep
from superpose.optimization.models.base import Bits, ClassicalResult, Decoded, Model
from superpose.optimization.models.numbers import as_numbers, as_whole_numbers
from superpose.optimization.quadratic import MAX_PAIRS, LinearConstraint, QuadraticProblem

__all__ = ["JobShop"]

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MOST_TIME: Final = 2**40
"""That durations may add up to; CP-SAT adds times up."""


class JobShop(Model[Indices]):
    """Minimise the time at which the last job is done.

    Time-indexed: variable ``(operation, time)`` says that an operation starts at a time between the earliest and the
    latest that its job allows below the horizon; variables ``(end, time)`` say when all is done, and their times are
    the objective. Operations of a job overlap as little as those of a machine: conflicts.

    Args:
        jobs: For each job its operations in order, each a pair (machine, duration), durations whole and 1 or more.
        horizon: Time by which all has to be done, at most that of all operations one after the other; by default that
            of a schedule by most work remaining.
        name: Of the instance.
        reference: Shortest time known.

    A solution is the start of every operation, job by job.

    >>> JobShop([[(0, 2), (1, 1)], [(1, 1), (0, 1)]]).horizon
    3
    """

    kind: ClassVar[str] = "jobshop"

    def __init__(
        self,
        jobs: Sequence[Sequence[tuple[int, int]]],
        horizon: int | None = None,
        *,
        name: str = "jobs",
        reference: float | None = None,
    ) -> None:
        if any(len(operation) != 2 for job in jobs for operation in job):
            raise ProblemError("An operation of a job shop is a pair: its machine and its duration.")
        parts = as_numbers("Machines and durations", [part for job in jobs for operation in job for part in operation])
        if np.any(parts != np.floor(parts)):
            raise ProblemError(
                "Machines and durations of a job shop must be whole numbers; choose a finer unit of time."
            )
        self.jobs = tuple(tuple((int(m), int(d)) for m, d in job) for job in jobs)
        if float(np.abs(parts).sum()) > MOST_TIME:
            raise ProblemError(f"Durations of a job shop must add up to {MOST_TIME:,} at most; choose larger units.")
        if not self.jobs or not all(self.jobs) or any(d < 1 or m < 0 for job in self.jobs for m, d in job):
            raise ProblemError("A job shop needs jobs of operations, each a machine and a duration of 1 or more.")
        flat = [(j, m, d) for j, job in enumerate(self.jobs) for m, d in job]
        self.job_of, self.machine_of, self.durations = (np.array(column) for column in zip(*flat, strict=True))
        self.n_operations = len(flat)
        self._heads = np.concatenate([np.cumsum([0, *(d for _, d in job)])[:-1] for job in self.jobs])
        self._tails = np.concatenate([np.cumsum([d for _, d in job][::-1])[::-1] for job in self.jobs])
        rule = self.scheduled(-self._tails.astype(np.float64))
        self.sense, self.name, self.reference = "min", name, reference
        self.horizon = int(self.value(rule)) if horizon is None else int(as_whole_numbers("Horizons", horizon))
        self._rule = rule
        least = max(sum(d for _, d in job) for job in self.jobs)
        if self.value(rule) > self.horizon or self.horizon < least:
            raise ProblemError(f"A horizon of {self.horizon} is too short; {int(self.value(rule))} is long enough.")
        most = int(self.durations.sum())
        if self.horizon > most:
            raise ProblemError(f"A horizon of {self.horizon} is too long; one after the other all is done by {most}.")
        self._slots = [range(int(h), self.horizon - int(t) + 1) for h, t in zip(self._heads, self._tails, strict=True)]
        self._slots.append(range(least, self.horizon + 1))  # the end
        self._first = np.cumsum([0, *(len(slots) for slots in self._slots)])

    @property
    def n_variables(self) -> int:
        """One for each operation, or the end, and each time at which it may be."""
        return int(self._first[-1])

    @property
    def n_pairs(self) -> int:
        """Pairs of times that cannot both be, counted until they are too many."""
        total = 0
        for _, _, start, stop in self._clashing():
            total += int((stop - start).sum())
            if total > MAX_PAIRS:
                break
        return total

    @property
    def amounts(self) -> Floats:
        """All durations."""
        return self.durations.astype(np.float64)

    def _build(self) -> QuadraticProblem:
        n_ops, first = self.n_operations, self._first
        linear = np.zeros(self.n_variables)
        linear[first[n_ops] :] = list(self._slots[n_ops])
        once = [
            LinearConstraint(f"starts once: {k}", np.arange(first[k], first[k + 1]), 1, "==", 1)
            for k in range(n_ops + 1)
        ]
        conflicts = []
        for a, b, start, stop in self._clashing():
            n_each = stop - start
            here = np.repeat(np.arange(len(start)), n_each)
            there = np.arange(len(here)) - np.repeat(np.cumsum(n_each) - n_each, n_each) + start[here]
            conflicts.append(np.stack([first[a] + here, first[b] + there], axis=1))
        names = [f"op{k}_at{t}" if k < n_ops else f"end_at{t}" for k in range(n_ops + 1) for t in self._slots[k]]
        return QuadraticProblem(
            linear, constraints=once, conflicts=np.concatenate(conflicts), names=names, name=self.name
        )

    def _clashing(self) -> Iterator[tuple[int, int, Indices, Indices]]:
        """Two operations, or one and the end, and for each time of the first which of the second's it rules out.

        Those are a stretch: the indices from ``start`` up to before ``stop`` of the second's times.
        """
        n_ops, job, machine = self.n_operations, self.job_of, self.machine_of
        for a in range(n_ops):
            at, last = np.arange(self._slots[a].start, self._slots[a].stop), a + 1 == n_ops or job[a + 1] != job[a]
            others = np.flatnonzero((machine == machine[a]) & (job != job[a]))
            for b in [n_ops if last else a + 1, *others[others > a].tolist()]:
                slots, on_machine = self._slots[b], b != n_ops and job[b] != job[a]
                since = at - self.durations[b] + 1 if on_machine else np.full(len(at), slots.start)
                start = np.clip(since - slots.start, 0, len(slots))
                yield a, b, start, np.maximum(np.clip(at + self.durations[a] - slots.start, 0, len(slots)), start)

    def scheduled(self, priority: npt.NDArray[np.float64]) -> Indices:
        """Return the schedule that starts operations as early as it can, those of least priority value first."""
        ready = np.zeros(len(self.jobs), np.int64)
        first = np.concatenate([[0], np.cumsum([len(job) for job in self.jobs])[:-1]])
        position = np.zeros(len(self.jobs), np.int64)
        busy: dict[int, list[tuple[int, int]]] = {}
        starts = np.zeros(self.n_operations, np.int64)
        for _ in range(self.n_operations):
            waiting = [int(first[j] + position[j]) for j, job in enumerate(self.jobs) if position[j] < len(job)]
            k = min(waiting, key=lambda op: (priority[op], op))
            job, machine, duration = int(self.job_of[k]), int(self.machine_of[k]), int(self.durations[k])
            at = int(ready[job])
            for begin, end in sorted(busy.setdefault(machine, [])):
                if at + duration <= begin:
                    break
                at = max(at, end)
            busy[machine].append((at, at + duration))
            starts[k], ready[job] = at, at + duration
            position[job] += 1
        return starts

    def decode(self, bits: Bits) -> Decoded[Indices] | None:
        """Operations in the order of their times, each as early as it can start; None where that passes the horizon."""
        priority = self._heads.astype(np.float64)
        for k in range(self.n_operations):
            found = np.flatnonzero(bits[self._first[k] : self._first[k + 1]])
            if len(found):
                priority[k] = self._slots[k][int(found[0])]
        repaired = not bool(self.problem.is_feasible(bits)[0])
        starts = self.scheduled(priority)
        value = self.value(starts)
        return None if value > self.horizon else Decoded(starts, value, repaired)

    def encode(self, solution: Indices) -> Bits:
        """One bit for each operation, at its start, and one for the end."""
        bits = np.zeros(self.n_variables, np.uint8)
        times = [*(int(t) for t in solution), int(self.value(solution))]
        for k, at in enumerate(times):
            bits[self._first[k] + self._slots[k].index(at)] = 1
        return bits

    def value(self, solution: Indices) -> float:
        """When the last operation is done."""
        return float((solution + self.durations).max())

    def start(self, rng: np.random.Generator) -> Indices:
        """A schedule in random order if it keeps to the horizon, else that by most work remaining."""
        for _ in range(20):
            found = self.scheduled(rng.random(self.n_operations))
            if self.value(found) <= self.horizon:
                return found
        return self._rule

    def neighbourhood(self, bits: Bits, size: int, rng: np.random.Generator) -> Indices:
        """Some operations of a machine and the end, each with the time it has and times around it."""
        machine = int(rng.choice(self.machine_of))
        chosen = [*rng.permutation(np.flatnonzero(self.machine_of == machine))[: max(2, size // 6)], self.n_operations]
        share = max(2, size // len(chosen))
        free: list[int] = []
        for k in chosen:
            low, high = int(self._first[k]), int(self._first[k + 1])
            now = low + int(np.argmax(bits[low:high]))
            others = rng.permutation(
                np.array([v for v in range(max(low, now - 2 * share), min(high, now + 2 * share)) if v != now])
            )
            free += [now, *(int(v) for v in others[: share - 1])]
        return np.array(sorted(free), np.int64)

    def classical(self, limit_s: float, seed: int, on_step: OnStep | None = None) -> ClassicalResult[Indices]:
        """CP-SAT of OR-Tools, with intervals."""
        from superpose.optimization.classical.shops import best_schedule

        return best_schedule(self, limit_s, seed, on_step)

    def to_json(self, solution: Indices) -> dict[str, Any]:
        """Starts of the operations of each job."""
        return {"starts": [solution[self.job_of == j].tolist() for j in range(len(self.jobs))]}
