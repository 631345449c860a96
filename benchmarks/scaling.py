"""Measures how our training step grows with batch, layers and amplitudes, and plots it: is it linear?

One quantity grows, the others stay. Beside each curve, the exponent of a straight line through its upper half on
logarithmic axes: 1 is linear. Writes ``results/scaling.json`` and one picture per quantity, ``results/scaling_*.png``.

    python benchmarks/scaling.py [--quick] [--json] [--save]
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness import available_cores, environment_facts, format_ms, print_json, print_table, say
from results import RESULTS, Results, sources_key
from rivals.circuit import Case, make_task
from rivals.protocol import time_steps

FAMILIES = ("strongly_entangling", "reuploading", "iqp", "hardware_efficient")
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
LAYERS = (1, 2, 4, 8, 16, 32)
QUBITS = tuple(range(2, 21))
QUICK = {"batch": (1, 16, 256), "layers": (1, 4, 16), "amplitudes": (4, 8, 12)}
_CASE_S = 0.4
_COLOURS = {
    "strongly_entangling": "#0b5fa5",
    "reuploading": "#c4520d",
    "iqp": "#2f7d32",
    "hardware_efficient": "#7b3fa0",
}
_MARKS = {"strongly_entangling": "o", "reuploading": "s", "iqp": "^", "hardware_efficient": "D"}
_AXES = {
    "batch": "samples in the batch",
    "layers": "layers",
    "amplitudes": "amplitudes of one state, $2^n$",
}
_HELD = {
    "batch": "8 qubits, 4 layers",
    "layers": "8 qubits, 64 samples",
    "amplitudes": "2 to 20 qubits, 2 layers, one sample",
}


def cases_of(quantity: str, family: str, values: Sequence[int]) -> list[tuple[int, Case]]:
    """(what grows, case) for each value; amplitudes are given as numbers of qubits."""
    if quantity == "batch":
        return [(value, Case(8, 4, value, family)) for value in values]
    if quantity == "layers":
        return [(value, Case(8, value, 64, family)) for value in values]
    return [(1 << value, Case(value, 2, 1, family)) for value in values]


def exponent(sizes: Sequence[float], times: Sequence[float]) -> float:
    """Slope of a least-squares line through the upper half of the points, on logarithmic axes."""
    kept = max(2, (len(sizes) + 1) // 2)
    return float(np.polyfit(np.log(sizes[-kept:]), np.log(times[-kept:]), 1)[0])


def _step_ms(case: Case, threads: int) -> float:
    """The shortest of the steps of about half a second, three at least: the others tell what else the machine did."""
    contestant = importlib.import_module("rivals.superpose_engine")
    (candidate,) = contestant.candidates(make_task(case, threads))
    run = candidate.build().run
    first_s = min(time_steps(run, 2)) / 1e3
    return min(time_steps(run, int(np.clip(_CASE_S / first_s, 2, 5000))))


def measure(ranges: Mapping[str, Sequence[int]], threads: int, results: Results) -> None:
    """Adds a row for each quantity and family."""
    for quantity, values in ranges.items():
        for family in FAMILIES:
            found = [(size, _step_ms(case, threads)) for size, case in cases_of(quantity, family, values)]
            sizes, times = [size for size, _ in found], [ms for _, ms in found]
            slope = exponent(sizes, times)
            say(f"{quantity}, {family}: exponent {slope:.2f}")
            row = {"case": f"{quantity}, {family}", "quantity": quantity, "family": family, "held": _HELD[quantity]}
            results.add({**row, "sizes": sizes, "ms": times, "exponent": slope}, {})


def plot(rows: Sequence[Mapping[str, Any]], quantity: str, path: Path, machine: str) -> None:
    """One picture: time against size, a line of slope 1 for the eye, exponents in the legend."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.2, 4.8), layout="constrained")
    shown = [row for row in rows if row["quantity"] == quantity]
    for row in shown:
        name = row["family"].replace("_", " ")
        label = f"{name}: exponent {row['exponent']:.2f}"
        axes.plot(
            row["sizes"], row["ms"], label=label, color=_COLOURS[row["family"]], marker=_MARKS[row["family"]], ms=4.5
        )
    largest = max(row["sizes"][-1] for row in shown)
    top = max(row["ms"][-1] for row in shown) * 2.2
    line = np.array([largest / 32, largest])
    axes.plot(line, top * line / largest, color="#777777", ls="--", lw=1.2, label="linear, for comparison")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel(_AXES[quantity])
    axes.set_ylabel("one training step, milliseconds")
    axes.set_title(f"Training step against {quantity} ({_HELD[quantity]})", loc="left", fontsize=12)
    axes.grid(True, which="major", color="#dddddd", lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    figure.text(0.995, 0.005, machine, ha="right", va="bottom", fontsize=7, color="#777777")
    figure.get_layout_engine().set(rect=(0, 0.025, 1, 0.975))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": None})
    pyplot.close(figure)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="three points per curve, some seconds")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--save", action="store_true", help="write results/scaling.json and the pictures")
    parser.add_argument("--threads", type=int, default=2, help="threads (2)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark."""
    arguments = _arguments(argv)
    threads = max(1, min(arguments.threads, available_cores()))
    ranges = QUICK if arguments.quick else {"batch": BATCHES, "layers": LAYERS, "amplitudes": QUBITS}
    environment = environment_facts(threads)
    results = Results(
        RESULTS / "scaling.json" if arguments.save else None, environment, sources_key(threads), fresh=True
    )
    measure(ranges, threads, results)
    rows = results.rows()
    if arguments.save:
        machine = f"superpose {environment['superpose']}, {environment['cpu']}, {threads} threads, float32"
        for quantity in ranges:
            plot(rows, quantity, RESULTS / f"scaling_{quantity}.png", machine)
    if arguments.json:
        print_json(results.environment, rows)
    else:
        shown = {
            "what grows": lambda row: row["case"],
            "from": lambda row: f"{row['sizes'][0]}: {format_ms(row['ms'][0])}",
            "to": lambda row: f"{row['sizes'][-1]}: {format_ms(row['ms'][-1])}",
            "exponent": lambda row: f"{row['exponent']:.2f}",
        }
        print_table("Growth of one training step; 1 is linear", rows, shown, [_HELD[quantity] for quantity in ranges])
    return 0


if __name__ == "__main__":
    sys.exit(main())
