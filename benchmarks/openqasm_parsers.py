"""Our OpenQASM reader beside the reference parser, on QASMBench: time and memory for each file.

``python benchmarks/openqasm_parsers.py [--json] [--max-kb 60]``. Ours is timed from text to circuit,
`openqasm3` from text to its syntax tree only, so that the comparison favours it.
"""

from __future__ import annotations

import argparse
import json
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import openqasm3

from superpose.circuits import from_qasm
from superpose.errors import QasmError

BENCH = Path(__file__).parents[2] / "shared" / "data" / "circuits" / "qasmbench"


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds without tracing, and the peak of memory in MB with it."""
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return seconds, peak


def main() -> None:
    """Print a row per file, and sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--max-kb", type=float, default=30.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for path in sorted(BENCH.glob("*/*/*.qasm")):
        text = path.read_text(encoding="utf-8")
        if len(text) > options.max_kb * 1024:
            continue
        try:
            from_qasm(text)
        except QasmError:
            continue  # the six broken files
        ours, theirs = measured(lambda t=text: from_qasm(t)), measured(lambda t=text: openqasm3.parse(t))
        rows.append({"file": path.stem, "bytes": len(text), "ours_s": ours[0], "ours_mb": ours[1],
                     "openqasm3_s": theirs[0], "openqasm3_mb": theirs[1]})  # fmt: skip
    total = {key: sum(row[key] for row in rows) for key in ("bytes", "ours_s", "openqasm3_s")}
    total |= {key: max(row[key] for row in rows) for key in ("ours_mb", "openqasm3_mb")}
    if options.json:
        print(json.dumps({"rows": rows, "total": {"files": len(rows), **total}}))
        return
    for row in rows:
        print("{file:28} {bytes:8} B  ours {ours_s:8.4f} s {ours_mb:7.2f} MB  openqasm3 {openqasm3_s:8.3f} s "
              "{openqasm3_mb:7.2f} MB".format(**row))  # fmt: skip
    print(f"{len(rows)} files: {total}")


if __name__ == "__main__":
    main()
