"""What a sweep is expected to take of a processor: its trials, and the training of the best.

What a grid or a random search tries does not depend on results, so those trials are known from the sweep alone; of TPE
only its random start is. What is not known is counted at random, between bounds. See `superpose.learning.estimate`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from superpose.errors import SuperposeError
from superpose.learning.effort import EstimatedEffort, rounded
from superpose.service.experiments.study import STARTUP_TRIALS, propose
from superpose.service.experiments.sweep_spec import SweepSpec, Value

if TYPE_CHECKING:
    from superpose.datasets import Split, Table
    from superpose.learning.spec import TrainingSpec

__all__ = ["FINAL", "MOST_COUNTED", "TRIALS", "ChildEfforts", "SweepEffort", "sweep_effort_or_reason"]

TRIALS: Final = "trials"
FINAL: Final = "final training"

MOST_COUNTED: Final = 200
"""Trials that are counted one by one; more of them are taken to be like these."""

MOST_LOOKED_UP: Final = 2_000
"""Specs after which no more are looked for that bound what a sweep takes."""

Params = Mapping[str, Value]


@dataclass(frozen=True)
class Seconds:
    """Seconds of a processor: expected, and between which bounds.

    Attributes:
        expected: the mean where trials are not known.
        least, most: where results decide what is tried, or what is trained; else equal to ``expected``.
    """

    expected: float
    least: float
    most: float


@dataclass(frozen=True)
class SweepEffort:
    """What a sweep is expected to take, if nothing stops early and no trial is pruned.

    Attributes:
        trials: of all trials.
        final: of the training of the best.
        trial_most_s: of the costliest trial that is, or may be, proposed.
        n_trials: trials.
    """

    trials: Seconds
    final: Seconds
    trial_most_s: float
    n_trials: int

    @property
    def cpu_s(self) -> float:
        """Seconds of a processor, all workers and threads together."""
        return self.trials.expected + self.final.expected

    def to_dict(self) -> dict[str, Any]:
        """The seconds as JSON: ``cpu_s`` and ``parts``, as of any job, with bounds of the whole and of a trial."""
        return {
            "cpu_s": rounded(self.cpu_s),
            "parts": {TRIALS: rounded(self.trials.expected), FINAL: rounded(self.final.expected)},
            "least_cpu_s": rounded(self.trials.least + self.final.least),
            "most_cpu_s": rounded(self.trials.most + self.final.most),
            "n_trials": self.n_trials,
            "trial_most_cpu_s": rounded(self.trial_most_s),
            "final_most_cpu_s": rounded(self.final.most),
        }


@dataclass(frozen=True)
class _Cost:
    """What a trial with some parameters is expected to take, and a final training with them."""

    trial: EstimatedEffort
    final: EstimatedEffort

    @cached_property
    def trial_s(self) -> float:
        return self.trial.cpu_s

    @cached_property
    def final_s(self) -> float:
        return self.final.cpu_s


def sweep_effort_or_reason(
    spec: SweepSpec, table: Table, folds: Sequence[Split], splits: Sequence[Split]
) -> SweepEffort | str:
    """What a sweep is expected to take, or why nobody says: one sentence.

    A trial that is too large for the memory, or no spec, fails at once, and counts for nothing.

    Args:
        spec: the sweep.
        table: the data.
        folds: the tuning folds of its trials.
        splits: splits of the base spec: all, or the first ones of many that are alike.

    Cost: under a millisecond for each of at most 200 trials, and for each value at the ends of the space a few times.
    """
    costs = ChildEfforts(spec, table, folds, splits)
    if costs.reason is not None:
        return costs.reason
    points = list(itertools.islice(_tried(spec), min(spec.n_trials, MOST_COUNTED)))
    found = [costs.of(one) for one in points]
    trainable = [(one, cost) for one, cost in zip(points, found, strict=True) if cost is not None]
    if not trainable:
        return "No estimate: of the trials that were counted, none can be trained."
    n_open = max(0, spec.n_trials - STARTUP_TRIALS) if spec.sampler == "tpe" else 0
    if n_open:
        likely = [one for one, _ in trainable]
        low_s, high_s = (costs.extreme(likely, _trial_s, sign) for sign in (1, -1))
        if len(trainable) < len(points):  # TPE may propose such trials later too
            low_s = 0.0
        final_low_s, final_high_s = (costs.extreme(likely, _final_s, sign) for sign in (1, -1))
    else:
        low_s, high_s = _ends([cost.trial_s for _, cost in trainable])
        final_low_s, final_high_s = _ends([cost.final_s for _, cost in trainable])
    each_s = sum(cost.trial_s for _, cost in trainable) / len(points)
    known_s = each_s * spec.n_trials
    if n_open:
        known_s = sum(cost.trial_s for cost in found[:STARTUP_TRIALS] if cost is not None)
    final_s = sum(cost.final_s for _, cost in trainable) / len(trainable)
    return SweepEffort(
        trials=Seconds(each_s * spec.n_trials, known_s + n_open * low_s, known_s + n_open * high_s),
        final=Seconds(final_s, final_low_s, final_high_s),
        trial_most_s=high_s,
        n_trials=spec.n_trials,
    )


def _tried(spec: SweepSpec) -> Iterator[dict[str, Value]]:
    """The parameters of the trials as they are proposed while nothing is known."""
    if spec.sampler == "grid":
        return spec.grid()
    return (propose(spec, number, (), ()) for number in itertools.count())


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _trial_s(cost: _Cost) -> float:
    return cost.trial_s


def _final_s(cost: _Cost) -> float:
    return cost.final_s


class ChildEfforts:
    """What trials of a sweep are expected to take by their parameters, and final trainings; each is looked at once.

    Args:
        spec: the sweep.
        table: the data.
        folds: the tuning folds of its trials.
        splits: splits of the base spec: all, or the first ones of many that are alike.
    """

    def __init__(self, spec: SweepSpec, table: Table, folds: Sequence[Split], splits: Sequence[Split]) -> None:
        from superpose.learning.admission import n_categories
        from superpose.learning.estimate import counts_of, fold_counts
        from superpose.learning.splitting import feature_table

        self._spec, self._n_given = spec, len(splits)
        self._features = feature_table(spec.base, table)  # which columns are features is not searched over
        self._categories = n_categories(self._features)
        self._counts, self._of_folds = counts_of(spec.base, table, splits), fold_counts(spec.base, table, folds)
        self._known: dict[str, _Cost | str] = {}
        base = self._estimated(spec.base)
        self.reason = base if isinstance(base, str) else None

    def trial_or_reason(self, params: Params) -> EstimatedEffort | str:
        """What a trial is expected to take if it is not pruned, or why nobody says: one sentence."""
        found = self._cost(params)
        return found if isinstance(found, str) else found.trial

    def final_or_reason(self, params: Params) -> EstimatedEffort | str:
        """What the training of a trial's spec is expected to take, or why nobody says: one sentence."""
        found = self._cost(params)
        return found if isinstance(found, str) else found.final

    def of(self, params: Params) -> _Cost | None:
        """The seconds; None where nothing can be trained with the parameters."""
        found = self._cost(params)
        return None if isinstance(found, str) else found

    def _cost(self, params: Params) -> _Cost | str:
        key = json.dumps(dict(params), sort_keys=True)
        if key not in self._known:
            self._known[key] = self._looked_up(params)
        return self._known[key]

    def extreme(self, points: Sequence[Params], part: Callable[[_Cost], float], sign: int) -> float:
        """The least (sign 1) or most (-1) seconds found in the space, going from the best of some points.

        One field after the other is set to each of its ends or choices, as long as that makes it less, or more. Where
        fields work against each other, or the space is very large, a bound may lie beyond.
        """

        def value(params: Params) -> float | None:
            cost = self.of(params)
            return None if cost is None else sign * part(cost)

        worth = [(found, dict(one)) for one in points if (found := value(one)) is not None]
        best, params = min(worth, key=lambda pair: pair[0])
        improved = True
        while improved and len(self._known) < MOST_LOOKED_UP:
            improved = False
            for dimension in self._spec.space:
                for end in dimension.extremes():
                    other = {**params, dimension.path: end}
                    found = value(other)
                    if found is not None and found < best:
                        best, params, improved = found, other, True
        return sign * best

    def _looked_up(self, params: Params) -> _Cost | str:
        from superpose.learning.admission import admit

        try:
            spec = self._spec.spec_of(params)
            admit(spec, fine_tuned=spec.fine_tune.parent is not None)
        except SuperposeError:
            return "No estimate: nothing can be trained with these parameters."
        return self._estimated(spec)

    def _estimated(self, spec: TrainingSpec) -> _Cost | str:
        from superpose.learning.admission import n_encoded_columns
        from superpose.learning.estimate import effort_or_reason, recounted, trial_effort_or_reason

        n_columns = n_encoded_columns(spec, self._features, self._categories)
        whole = effort_or_reason(spec, recounted(spec, self._counts, n_columns, self._n_given))
        if isinstance(whole, str):
            return whole
        trial = trial_effort_or_reason(spec, replace(self._of_folds, n_columns=n_columns))
        return trial if isinstance(trial, str) else _Cost(trial, whole)
