"""The demand template's figures: `superpose train demand` on real monthly series, from rolling origins.

    python benchmarks/demand.py [--run DIR] [--json] [--save]

- turnover: what the makers of electrical equipment in the euro area sold, an index, 1995 to 2016 (Eurostat, in
  statsmodels, public domain): trend, season, and the fall of 2008.
- prescriptions: prescriptions of immune sera in Australia, 1991 to 2008 (Pharmaceutical Benefits Scheme, in sktime's
  package, BSD 3-Clause): a few a month, often none. Left out where sktime's files are not installed.

Every model is trained anew at each origin, on the same rows; see ``docs/demand.md``.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from harness import environment_facts, print_json, print_table, say, version_of
from results import RESULTS
from superpose.learning.templates.demand import train_demand

_SHOWN = ("mase", "mae", "rmse", "smape", "pinball", "coverage")


def _prescriptions(place: Path) -> Path | None:
    """sktime's file as the template reads it; None where it is not installed."""
    found = importlib.util.find_spec("sktime")
    if found is None or found.submodule_search_locations is None:
        return None
    source = (
        Path(next(iter(found.submodule_search_locations))) / "datasets" / "data" / "PBS_dataset" / "PBS_dataset.csv"
    )
    place.mkdir(parents=True, exist_ok=True)
    target = place / "prescriptions.csv"
    with source.open(newline="") as read, target.open("w", newline="") as written:
        rows = csv.writer(written)
        rows.writerow(("date", "quantity"))
        for row in csv.DictReader(read):
            month = datetime.strptime(row["Month"], "%Y %b")  # a month, no time
            rows.writerow((month.strftime("%Y-%m"), row["Scripts"]))
    return target


def measure(place: Path) -> list[dict[str, Any]]:
    """A row per series and model."""
    rows: list[dict[str, Any]] = []
    for case, source in (("turnover", None), ("prescriptions", _prescriptions(place))):
        if case == "prescriptions" and source is None:
            say("prescriptions: left out, sktime is not installed")
            continue
        report = train_demand(source, place / case, tell=say)
        for name, row in report["variants"].items():
            rows.append({
                "case": case, "model": name, "label": row["label"], "n_params": row["n_params"],
                "seconds": row["seconds"], **{key: row["metrics"][key] for key in (*_SHOWN, "width")},
                "diebold_mariano": next((r for r in report["diebold_mariano"] if r["against"] == name), None),
                "verdict": report["verdict"] if name == "hybrid" else None,
                "configuration_sha256": report["configuration_sha256"],
            })  # fmt: skip
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--run", type=Path, help="directory to go on in [default: a new one, removed at the end]")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--save", action="store_true", help="keep the rows in results/demand.json")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    versions = {name: version_of(name) for name in ("statsmodels", "scikit-learn", "torch")}
    environment = environment_facts(1, versions=versions)
    with tempfile.TemporaryDirectory() as made:
        rows = measure(arguments.run or Path(made))
    if arguments.save:
        content = {"environment": environment, "rows": rows}
        (RESULTS / "demand.json").write_text(json.dumps(content, indent=1) + "\n")
    if arguments.json:
        print_json(environment, rows)
        return 0
    for case in dict.fromkeys(row["case"] for row in rows):
        shown = {"model": lambda row: row["label"]}
        shown |= {key: (lambda row, key=key: f"{row[key]['mean']:.3g}") for key in _SHOWN}
        print_table(f"Demand: {case}", [row for row in rows if row["case"] == case], shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
