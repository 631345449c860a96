"""The figures of emulators that are published are those that were measured, and meet the goal."""

from __future__ import annotations

import json
from pathlib import Path

import emulators
from harness import format_ms

ROOT = Path(__file__).parents[2]
FOUND = json.loads((ROOT / "benchmarks" / "results" / "emulators.json").read_text(encoding="utf-8"))


def test_every_device_was_measured_after_its_counts_agreed() -> None:
    rows = {row["case"]: row for row in FOUND["rows"]}
    assert list(rows) == list(emulators.DEVICES)
    for row in rows.values():
        assert row["p_value"] > emulators.FAILURE_PROBABILITY
        assert row["met"] is (row["ours_ms"] < emulators.GOAL_MS)
    assert rows["ibm_fez"]["n_qubits"] == 156 and rows["ibm_fez"]["met"]


def test_the_page_shows_them() -> None:
    page = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
    for row in FOUND["rows"]:
        aer = min(time for name, time in row["rival_tried_ms"].items() if name != "fake_run")
        times = " | ".join(format_ms(value) for value in (row["first_ms"], row["ours_ms"], aer, row["fake_run_ms"]))
        shown = f"| `{row['case']}` ({row['entangler']}) | {row['n_qubits']} | {times} | {row['ratio']:.0f} |"
        assert shown in page, shown
