"""What watching an endpoint's rows costs, and how often its alarms are false over a long stream of ordinary rows.

    python benchmarks/watching.py                     # both parts; --part cost or alarms; --json, --save
    python benchmarks/watching.py --x-rays FILE.npz   # PneumoniaMNIST's pictures as well, 14 x 14 pixels

``cost``: processor time of offering a request's rows to the watch and of counting those that it takes, by number of
columns. A side counts at most 50 rows a second, so the last column is the most that watching takes of one core.

``alarms``: a model is trained on part of a table; rows of the rest, which it has not seen in any way, are drawn with
replacement and shown to the watch, 20 at a time, as live traffic is. Nothing drifts, so every alarm is false. The rows
left over are few and are no second copy of the training rows, which is the harder case: a stream repeats whatever
chance put into them. Seeds are 0, 1, ..., and all are reported.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
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
_STREAM_SHARE = 0.3


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["cost", "alarms"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rows", type=int, default=50_000, help="of each stream")
    parser.add_argument("--x-rays", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true")
    given = parser.parse_args()
    environment = environment_facts(1, seeds=given.seeds, rows=given.rows)
    tables, found = list(_tables(given.x_rays)), []
    with tempfile.TemporaryDirectory() as work:
        if given.part != "alarms":
            found += [{"part": "cost", **_cost(table, Path(work))} for table in tables]
        if given.part != "cost":
            found += [
                {"part": "alarms", **_false_alarms(table, Path(work), given.seeds, given.rows)} for table in tables
            ]
    if given.save:
        text = json.dumps({"environment": environment, "rows": found}, indent=1)
        (RESULTS / "watching.json").write_text(text + "\n", encoding="utf-8")
    if given.json:
        print_json(environment, found)
        return
    for part in ("cost", "alarms"):
        rows = [row for row in found if row["part"] == part]
        if rows:
            shown = {name: (lambda row, name=name: str(row[name])) for name in rows[0] if name != "part"}
            print_table(part, rows, shown)


def _tables(x_rays: Path | None) -> Iterator[Any]:
    from superpose.datasets import Table, builtin_table

    yield from (builtin_table(name) for name in _TABLES)
    if x_rays is not None:
        arrays = np.load(x_rays)
        images = arrays["train_images"].reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))
        columns = {f"x{i}": column for i, column in enumerate(images.reshape(len(images), -1).T)}
        labels = np.array(["normal", "pneumonia"], dtype=object)[arrays["train_labels"].reshape(-1)]
        yield Table.from_columns("x-rays", columns, "kind", labels)


def _part(table: Any, rows: np.ndarray) -> Any:
    from superpose.datasets import Table

    columns = {name: table.features[name].to_numpy()[rows] for name in table.feature_names}
    return Table.from_columns(table.name, columns, table.target_name, table.target.to_numpy(dtype=object)[rows])


def _trained(table: Any, work: Path, seed: int) -> tuple[Any, np.ndarray]:
    """A model of some rows, and the places of the others."""
    from superpose.learning import Predictor, TrainingSpec, run_experiment

    order = np.random.default_rng(seed).permutation(table.n_rows)
    n_stream = round(_STREAM_SHARE * table.n_rows)
    spec = TrainingSpec.from_dict({**_SPEC, "training": {**_SPEC["training"], "seed": seed}})
    with tempfile.TemporaryDirectory(dir=work) as place:
        found = run_experiment(spec, _part(table, order[n_stream:]), Path(place))
        return Predictor.load(found.model_path), order[:n_stream]


def _cost(table: Any, work: Path, n_requests: int = 100_000) -> dict[str, Any]:
    from superpose.service.serving.watching import ROWS_PER_S, Watch

    predictor, places = _trained(table, work, 0)
    rows = table.features.iloc[places].to_dict("records")
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
            counted_s += time.process_time() - began
            n_counted += 20
    per_row_us = 1e6 * counted_s / n_counted
    return {
        "table": table.name,
        "columns": table.n_features,
        "us_per_request_offered": round(1e6 * offered_s / n_requests, 3),
        "us_per_row_counted": round(per_row_us, 1),
        "share_of_a_core_at_most": round(per_row_us * ROWS_PER_S / 1e6, 5),
    }


def _false_alarms(table: Any, work: Path, n_seeds: int, n_rows: int) -> dict[str, Any]:
    raised: dict[str, list[int]] = {"drift": [], "novelty": []}
    bad: dict[str, int] = {"drift": 0, "novelty": 0}
    n_windows, n_held = 0, []
    for seed in range(n_seeds):
        predictor, places = _trained(table, work, seed)
        n_held.append(predictor.safeguards.novelty.n_rows)
        verdicts = _verdicts(table, predictor, places, seed, n_rows)
        n_windows += len(verdicts["drift"])
        for kind, told in verdicts.items():
            raised[kind].append(_raised(told))
            bad[kind] += told.count("bad")
        say(f"{table.name} seed {seed}: {', '.join(f'{kind} {counts[-1]}' for kind, counts in raised.items())}")
    return {
        "table": table.name,
        "rows": table.n_rows,
        "validation_rows": int(np.median(n_held)),
        "streams": n_seeds,
        "rows_each": n_rows,
        "windows": n_windows,
        **{f"{kind}_streams_with_an_alarm": sum(n > 0 for n in counts) for kind, counts in raised.items()},
        **{f"{kind}_alarms": sum(counts) for kind, counts in raised.items()},
        **{f"{kind}_bad_windows": count for kind, count in bad.items()},
    }


def _verdicts(table: Any, predictor: Any, places: np.ndarray, seed: int, n_rows: int) -> dict[str, list[str]]:
    """What the windows of a stream say, by kind of alarm."""
    from superpose.service.serving.watching import Watch

    now, told = [0.0], {"drift": [], "novelty": []}  # type: dict[str, list[str]]

    def on_window(findings: Sequence[Any]) -> None:
        for finding in findings:
            told[finding.kind].append(finding.verdict)

    watch = Watch(on_window, lambda: now[0])
    drawn = np.random.default_rng([seed, 1])
    frame = table.features.iloc[places]
    numeric = all(column.kind == "number" for column in table.columns)
    rows: Any = frame.to_numpy() if numeric else np.array(frame.to_dict("records"), dtype=object)
    for _ in range(n_rows // 20):
        now[0] += 1.0
        if watch.offer(list(rows[drawn.integers(0, len(rows), 20)])):
            watch.count(predictor)
    return told


def _raised(verdicts: Sequence[str]) -> int:
    """Alarms that these verdicts raise, one after the other."""
    from superpose.service.serving.alarms import Patience

    patience, is_open, count = Patience(), False, 0
    for verdict in verdicts:
        if patience.is_due("stream", verdict) and is_open != (verdict == "bad"):
            is_open = verdict == "bad"
            count += is_open
    return count


if __name__ == "__main__":
    main()
