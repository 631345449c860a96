"""Watching what an endpoint's side is asked: rows are sampled, counted and forgotten, and held against the baseline.

A side is shown at most ``ROWS_PER_S`` rows a second on average, whatever its traffic, so that watching costs no more
with more of it. Rows wait in memory until ``_FOLD`` of them are there; then only counts are kept: by the ranges and
categories of the model's drift baseline, and how many were novel. Counts of ``_BLOCK`` rows make a block, the newest
ten blocks the window, which is judged with every block.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from superpose.datasets.drift_counts import DriftCounts
from superpose.datasets.drift_streams import FALSE_ALARMS, OVER_ROWS, beyond_chance, more_than_chance
from superpose.errors import SuperposeError
from superpose.learning.calibration.novelty import are_novel

if TYPE_CHECKING:
    from superpose.learning.calibration.novelty import NoveltyScore
    from superpose.learning.predictor import Predictor
    from superpose.service.serving.loaded_models import Rows

__all__ = ["N_LOOKS", "ROWS_PER_S", "Finding", "Watch", "drift_finding"]

ROWS_PER_S = 50.0
"""Rows of a side that are looked at per second, on average, at most."""

_FOLD = 20
_BLOCK = 100
_WINDOW_BLOCKS = 10
_FEWEST_ROWS = 200
_SHARE_RAISED, _SHARE_CLEARED = 0.05, 0.025
N_LOOKS = OVER_ROWS // _BLOCK
"""Windows over which alarms keep their level."""

_PROMISE = {"false_alarms": FALSE_ALARMS, "over_rows": OVER_ROWS}


@dataclass(frozen=True)
class Finding:
    """What a window tells of one kind of alarm.

    Attributes:
        kind: "drift" or "novelty".
        verdict: "bad", "good", "between", which neither raises nor clears an alarm, or "blind": the version has nothing
            to tell by.
        message: in a sentence.
        facts: the figures; JSON values.
    """

    kind: str
    verdict: str
    message: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Counted:
    """Counts of some rows."""

    drift: DriftCounts = field(default_factory=DriftCounts)
    n_rows: int = 0
    n_novel: int = 0

    def __add__(self, other: _Counted) -> _Counted:
        return _Counted(self.drift + other.drift, self.n_rows + other.n_rows, self.n_novel + other.n_novel)


class Watch:
    """Watches one side of an endpoint. ``offer`` may be called from any event loop, ``count`` from any thread.

    Args:
        on_window: told what each window says; called in the thread that counts.
        clock_s: a clock that never goes back, in seconds.
    """

    def __init__(
        self, on_window: Callable[[Sequence[Finding]], None], clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_window = on_window
        self._clock_s = clock_s
        self._next_s = 0.0
        self._waiting: list[Any] = []
        self._taking = threading.Lock()
        self._counting = threading.Lock()
        self._block = _Counted()
        self._blocks: deque[_Counted] = deque(maxlen=_WINDOW_BLOCKS)

    def offer(self, rows: Rows) -> bool:
        """Take some of a request's rows if it is their turn; whether enough wait to be counted. Cost: a microsecond."""
        now_s = self._clock_s()
        if now_s < self._next_s:
            return False
        with self._taking:
            n_wanted = _FOLD - len(self._waiting)
            if n_wanted > 0:
                step = -(-len(rows) // n_wanted)
                taken = list(rows[::step])  # spread over the request
                self._waiting += taken
                self._next_s = now_s + len(taken) / ROWS_PER_S
            return len(self._waiting) >= _FOLD

    def count(self, predictor: Predictor) -> None:
        """Count the rows that wait, forget them, and judge the window if a block is full."""
        with self._taking:
            rows, self._waiting = self._waiting, []
        with self._counting:
            for part in _of_one_form(rows):
                counted = _counted(predictor, part)
                if counted is not None:
                    self._block += counted
            if self._block.n_rows < _BLOCK:
                return
            self._blocks.append(self._block)
            self._block = _Counted()
            window = sum(self._blocks, _Counted())
            if window.n_rows >= _FEWEST_ROWS:
                self._on_window(_findings(predictor, window))


def _of_one_form(rows: Sequence[Any]) -> list[list[Any]]:
    """Rows by their form, objects and lists apart."""
    forms: dict[bool, list[Any]] = {}
    for row in rows:
        forms.setdefault(isinstance(row, dict), []).append(row)
    return list(forms.values())


def _counted(predictor: Predictor, rows: list[Any]) -> _Counted | None:
    """The counts of rows; None where they cannot be read together, though each was predicted."""
    from superpose.learning.rows import read_rows

    preprocessor = predictor.model.preprocessor
    try:
        given = np.array(rows) if isinstance(rows[0], np.ndarray) else rows
        block = read_rows(given, preprocessor.columns)
        drift, baseline = DriftCounts(), predictor.manifest.get("drift_baseline")
        if baseline is not None:
            numbers = {name: block.numbers[:, i] for i, (_, name) in enumerate(preprocessor.columns.numbers)}
            words = {
                name: np.array(values, dtype=object)
                for (_, name), values in zip(preprocessor.columns.categories, block.categories, strict=True)
            }
            drift = DriftCounts.of(baseline, {**numbers, **words})
        novelty, n_novel = predictor.safeguards.novelty, 0
        if novelty is not None:
            encoded = preprocessor.encode_block(block).values
            n_novel = int(are_novel(novelty, novelty.scores(encoded)).sum())
    except (SuperposeError, ValueError, KeyError):
        return None
    return _Counted(drift, len(rows), n_novel)


def _findings(predictor: Predictor, window: _Counted) -> list[Finding]:
    found = []
    baseline = predictor.manifest.get("drift_baseline")
    if baseline is None:
        found.append(Finding("drift", "blind", "The version that answers has no drift baseline: nothing tells drift."))
    elif window.drift.columns:
        found.append(drift_finding(baseline, window.drift))
    if predictor.safeguards.novelty is None:
        found.append(
            Finding("novelty", "blind", "The version that answers has no novelty score: nothing tells novelty.")
        )
    else:
        found.append(_novelty_finding(window, predictor.safeguards.novelty))
    return found


def drift_finding(baseline: Mapping[str, Any], window: DriftCounts) -> Finding:
    """What a window tells of drift.

    A column that has drifted, beyond chance at whichever window, is bad; that none has even shifted is good.

    Args:
        baseline: from ``drift_baseline``.
        window: counts of the newest rows, by that baseline.
    """
    from superpose.datasets.drift import compare_counts

    report = compare_counts(baseline, window)
    beyond = beyond_chance(baseline, window, {c.name for c in report.columns if c.verdict == "drifted"}, N_LOOKS)
    moved = sorted((c for c in report.columns if c.verdict != "stable"), key=lambda c: (c.name not in beyond, -c.psi))
    columns = [
        {"name": c.name, "psi": c.psi, "ks": c.ks, "verdict": c.verdict, "beyond_chance": c.name in beyond}
        for c in moved[:10]
    ]
    facts = {"n_rows": report.n_rows, "columns": columns, **_PROMISE}
    return Finding("drift", "bad" if beyond else "between" if moved else "good", report.message, facts)


def _novelty_finding(window: _Counted, novelty: NoveltyScore) -> Finding:
    """More novel rows than chance explains at whichever window, and at least 5 % (three times the expected share), are
    bad; up to 2.5 % (half as much again) are good.

    The threshold is the ``r``-th smallest score of ``n`` validation rows. Of rows from the same source the share above
    it is not known: it has a beta distribution of ``n + 1 - r`` and ``r``, wide where validation rows are few, and the
    number of novel rows of one window is beta-binomial.
    """
    from scipy.stats import betabinom

    expected, share = novelty.expected_share, window.n_novel / window.n_rows
    above = max(1, round(expected * (novelty.n_rows + 1)))
    chance = float(betabinom.sf(window.n_novel - 1, window.n_rows, above, novelty.n_rows + 1 - above))
    beyond = more_than_chance(
        above - 1, novelty.n_rows, window.n_novel, window.n_rows, n_comparisons=1, n_looks=N_LOOKS
    )
    verdict = "between"
    if share >= max(_SHARE_RAISED, 3 * expected) and beyond:
        verdict = "bad"
    elif share <= max(_SHARE_CLEARED, 1.5 * expected):
        verdict = "good"
    message = (
        f"{window.n_novel} of {window.n_rows} rows ({100 * share:.1f} %) are unlike the training rows; "
        f"{100 * expected:.1f} % are expected."
    )
    facts = {"n_rows": window.n_rows, "n_novel": window.n_novel, "expected_share": expected, "p_value": chance}
    return Finding("novelty", verdict, message, {**facts, **_PROMISE})
