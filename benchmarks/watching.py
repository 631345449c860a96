"""What watching an endpoint's rows costs, how often its alarms are false over a long stream, and which shifts they see.

    python benchmarks/watching.py                     # all parts; --part cost, tables, known or novelty; --json, --save
    python benchmarks/watching.py --part known --only skewed --save   # one distribution; --save adds to what is kept

``cost``: processor time of offering a request's rows to the watch and of counting and judging those that it takes, by
number of columns. A side counts at most 50 rows a second, so the last column is the most that watching takes of a core.

``tables``: the rows of a real table stand for a population. Training rows, as many as the table has, and the rows of
the stream are both drawn from it with replacement, so nothing drifts and every alarm is false; a model is trained for
each stream. (Held-out rows of a small table are no fair stream: redrawn over and over they repeat whatever chance put
into these few rows, which an alarm may well notice.)

``known``: 13 columns of a known distribution, of which one moves by so many standard deviations (of categories: by so
much of half the rows) or none does, beside baselines of 30 to 1000 rows; every row is drawn anew. Skewed columns are
the normal ones' exponentials, of the same seeds, and give the same alarms, as only ranks count. Windows, verdicts and
patience are those of endpoints. ``looked_at`` is the median of rows until an alarm, where there was one.

``novelty``: the smallest share of novel rows that raises an alarm in a window of 1000, by number of validation rows.
Seeds are 0, 1, ..., and all are reported.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness import environment_facts, print_json, print_table, say
from results import RESULTS

_TABLES = ("breast_cancer", "wine", "digits")
_SPEC: dict[str, Any] = {
    "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
    "training": {"epochs": 1},
    "evaluation": {"n_splits": 2, "test_fraction": 0.1, "controls": [], "baseline": "none"},
}
_BASELINES, _SHIFTS, _N_COLUMNS = (30, 100, 300, 1_000), (0.0, 0.25, 0.5, 1.0), 13
_SHIFTED_ROWS = 5_000
_FILE = RESULTS / "watching.json"


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["cost", "tables", "known", "novelty"])
    parser.add_argument("--only", help="one table or distribution")
    parser.add_argument("--seeds", type=int, default=20, help="streams of each sort")
    parser.add_argument("--rows", type=int, default=20_000, help="of each stream in which nothing moves")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true", help="add to the figures kept in results/watching.json")
    given = parser.parse_args()
    environment = environment_facts(1, seeds=given.seeds, rows=given.rows)
    found = []
    for row in _rows(given):
        found.append(row)
        say(", ".join(f"{name} {value}" for name, value in row.items()))
        if given.save:
            _keep(environment, row)
    if given.json:
        print_json(environment, found)
        return
    for part in dict.fromkeys(row["part"] for row in found):
        rows = [row for row in found if row["part"] == part]
        print_table(part, rows, {name: (lambda row, name=name: str(row[name])) for name in rows[0] if name != "part"})


def _rows(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    tables = [name for name in _TABLES if given.only in (None, name)]
    with tempfile.TemporaryDirectory() as work:
        if given.part in (None, "cost"):
            yield from ({"part": "cost", **_cost(name, Path(work))} for name in tables)
        if given.part in (None, "tables"):
            yield from ({"part": "tables", **_false_alarms(name, Path(work), given)} for name in tables)
    if given.part in (None, "known"):
        for name in (name for name in _KNOWN if given.only in (None, name)):
            yield from _of_known(name, given)
    if given.part in (None, "novelty"):
        yield from ({"part": "novelty", **_least_novel(n)} for n in _BASELINES)


def _keep(environment: Any, row: dict[str, Any]) -> None:
    """Add a row to the file of results, in the place of the one of the same sort."""
    kept = json.loads(_FILE.read_text(encoding="utf-8"))["rows"] if _FILE.exists() else []
    sort = ("part", "table", "columns_are", "baseline_rows", "shift", "validation_rows_are")
    kept = [one for one in kept if any(one.get(name) != row.get(name) for name in sort)]
    text = json.dumps({"environment": environment, "rows": [*kept, row]}, indent=1)
    _FILE.write_text(text + "\n", encoding="utf-8")


def _population(name: str) -> Any:
    from superpose.datasets import builtin_table

    return builtin_table(name)


def _trained(table: Any, work: Path, seed: int) -> Any:
    """A model trained on as many rows as the table has, drawn from it with replacement."""
    from superpose.datasets import Table
    from superpose.learning import Predictor, TrainingSpec, run_experiment

    rows = np.random.default_rng([seed, 0]).integers(0, table.n_rows, table.n_rows)
    columns = {name: table.features[name].to_numpy()[rows] for name in table.feature_names}
    drawn = Table.from_columns(table.name, columns, table.target_name, table.target.to_numpy(dtype=object)[rows])
    spec = TrainingSpec.from_dict({**_SPEC, "training": {**_SPEC["training"], "seed": seed}})
    with tempfile.TemporaryDirectory(dir=work) as place:
        return Predictor.load(run_experiment(spec, drawn, Path(place)).model_path)


def _cost(name: str, work: Path, n_requests: int = 100_000) -> dict[str, Any]:
    from superpose.service.serving.watching import ROWS_PER_S, Watch

    table = _population(name)
    predictor = _trained(table, work, 0)
    rows = table.features.to_dict("records")
    now = [0.0]
    busy, idle = Watch(lambda _: None, lambda: now[0]), Watch(lambda _: None, lambda: -1.0)
    began = time.process_time()
    for _ in range(n_requests):
        idle.offer(rows[:1])
    offered_s = time.process_time() - began
    counted_s, n_counted = 0.0, 0
    for start in range(0, 4_000, 20):
        now[0] += 1.0
        batch = [rows[(start + i) % len(rows)] for i in range(20)]
        if busy.offer(batch):
            began = time.process_time()
            busy.count(predictor)
            if start >= 400:  # by then all that is loaded once is there
                counted_s += time.process_time() - began
                n_counted += 20
    per_row_us = 1e6 * counted_s / n_counted
    return {
        "table": name,
        "columns": table.n_features,
        "us_per_request_offered": round(1e6 * offered_s / n_requests, 3),
        "us_per_row_counted": round(per_row_us, 1),
        "share_of_a_core_at_most": round(per_row_us * ROWS_PER_S / 1e6, 5),
    }


def _false_alarms(name: str, work: Path, given: argparse.Namespace) -> dict[str, Any]:
    table, n_held, n_windows = _population(name), [], 0
    raised: dict[str, list[int]] = {"drift": [], "novelty": []}
    bad: dict[str, int] = {"drift": 0, "novelty": 0}
    for seed in range(given.seeds):
        predictor = _trained(table, work, seed)
        n_held.append(predictor.safeguards.novelty.n_rows)
        verdicts = _verdicts(table, predictor, seed, given.rows)
        n_windows += len(verdicts["drift"])
        for kind, told in verdicts.items():
            raised[kind].append(len(raised(told)))
            bad[kind] += told.count("bad")
    return {
        "table": name,
        "training_rows": predictor.manifest["drift_baseline"]["n_rows"],
        "validation_rows": int(np.median(n_held)),
        "streams": given.seeds,
        "rows_each": given.rows,
        "windows": n_windows,
        **{f"{kind}_streams_with_an_alarm": sum(n > 0 for n in counts) for kind, counts in raised.items()},
        **{f"{kind}_bad_windows": count for kind, count in bad.items()},
    }


def _verdicts(table: Any, predictor: Any, seed: int, n_rows: int) -> dict[str, list[str]]:
    """What the windows of a stream say, by kind of alarm."""
    from superpose.service.serving.watching import Watch

    now, told = [0.0], {"drift": [], "novelty": []}  # type: dict[str, list[str]]

    def on_window(findings: Sequence[Any]) -> None:
        for finding in findings:
            told[finding.kind].append(finding.verdict)

    watch, drawn, rows = Watch(on_window, lambda: now[0]), np.random.default_rng([seed, 1]), table.features.to_numpy()
    for _ in range(n_rows // 20):
        now[0] += 1.0
        if watch.offer(list(rows[drawn.integers(0, len(rows), 20)])):
            watch.count(predictor)
    return told


def raised(verdicts: Sequence[str]) -> list[int]:
    """After which of these verdicts an alarm was raised."""
    from superpose.service.serving.alarms import Patience

    patience, is_open, found = Patience(), False, []
    for n, verdict in enumerate(verdicts):
        if patience.is_due("stream", verdict) and is_open != (verdict == "bad"):
            is_open = verdict == "bad"
            found += [n] if is_open else []
    return found


_Draw = Callable[[np.random.Generator, int, float], Any]


def _words(n_words: int) -> _Draw:
    words = np.array([f"w{i:03}" for i in range(n_words)], dtype=object)
    return lambda drawn, n, shift: words[np.where(drawn.random(n) < shift / 2, 0, drawn.integers(0, n_words, n))]


_KNOWN: dict[str, _Draw] = {
    "normal": lambda drawn, n, shift: drawn.normal(shift, size=n),
    "skewed": lambda drawn, n, shift: np.exp(drawn.normal(shift, size=n)),
    "counts": lambda drawn, n, shift: drawn.poisson(3 + shift * 3**0.5, size=n).astype(np.float64),
    "4 categories": _words(4),
    "60 categories": _words(60),
}


def _of_known(name: str, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for n_before in _BASELINES:
        for shift in _SHIFTS:
            n_rows = _SHIFTED_ROWS if shift else given.rows
            raised = [raised(_known_verdicts(name, n_before, shift, seed, n_rows)) for seed in range(given.seeds)]
            when = [100 * (first[0] + 2) for first in raised if first]
            yield {
                "part": "known",
                "columns_are": name,
                "baseline_rows": n_before,
                "shift": shift,
                "streams": given.seeds,
                "rows_each": n_rows,
                "streams_with_an_alarm": len(when),
                "looked_at": int(np.median(when)) if when else "",
            }


def _known_verdicts(name: str, n_before: int, shift: float, seed: int, n_rows: int) -> list[str]:
    """What the windows of a stream say until an alarm is raised."""
    from superpose.datasets import column_baseline
    from superpose.datasets.drift_counts import DriftCounts
    from superpose.service.serving.watching import drift_finding

    draw, drawn = _KNOWN[name], np.random.default_rng([seed, n_before, int(100 * shift)])
    baseline = column_baseline({f"x{i}": draw(drawn, n_before, 0.0) for i in range(_N_COLUMNS)})
    blocks: deque[DriftCounts] = deque(maxlen=10)
    told: list[str] = []
    for _ in range(n_rows // 100):
        columns = {f"x{i}": draw(drawn, 100, 0.0 if i else shift) for i in range(_N_COLUMNS)}
        blocks.append(DriftCounts.of(baseline, columns))
        if len(blocks) >= 2:
            told.append(drift_finding(baseline, sum(blocks, DriftCounts())).verdict)
            if told[-2:] == ["bad", "bad"]:
                break
    return told


def _least_novel(n_validation: int) -> dict[str, Any]:
    from superpose.datasets.drift_streams import more_than_chance
    from superpose.service.serving.watching import N_LOOKS

    above = n_validation + 1 - min(n_validation, int(np.ceil((n_validation + 1) * 0.99)))
    novel = np.arange(1, 1_001)
    beyond = more_than_chance(np.full(1_000, above - 1), n_validation, novel, 1_000, n_comparisons=1, n_looks=N_LOOKS)
    least = max(0.05, 3 * above / (n_validation + 1), float(novel[beyond][0]) / 1_000)
    return {
        "validation_rows_are": n_validation,
        "expected_share": round(above / (n_validation + 1), 4),
        "least_share_that_rings": round(least, 3),
    }


if __name__ == "__main__":
    main()
