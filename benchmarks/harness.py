"""What every benchmark shares: facts about the machine, medians, and one way to print.

A benchmark prints a table for people, or with ``--json`` one object ``{"environment": {...}, "rows": [...]}``.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["environment_facts", "format_ms", "print_json", "print_table", "say", "spread", "version_of"]


def version_of(distribution: str) -> str | None:
    """Installed version, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment_facts(threads: int, **further: object) -> dict[str, object]:
    """Machine, Python, superpose and date, for the ``environment`` of a report; ``further`` is added as given.

    ``load_1min`` is the load at the start: above a few tenths, times are not to be trusted.
    """
    return {
        "cpu": _cpu_name(),
        "cores": available_cores(),
        "memory_gb": _memory_gb(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "superpose": version_of("superpose"),
        "threads": threads,
        "load_1min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **further,
    }


def spread(samples: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest of the samples."""
    return {"ms": median(samples), "low_ms": min(samples), "high_ms": max(samples)}


def format_ms(value: float | None) -> str:
    """Milliseconds to three digits, seconds above 10,000 ms."""
    if value is None:
        return "–"
    if value >= 10_000:
        return f"{value / 1e3:.3g} s"
    return f"{value:.3g} ms" if value < 1_000 else f"{value:.0f} ms"


def say(message: str) -> None:
    """Progress, on stderr, so that stdout holds the report alone."""
    print(message, file=sys.stderr, flush=True)


def print_json(environment: Mapping[str, object], rows: Sequence[Mapping[str, Any]]) -> None:
    """One JSON object on stdout."""
    print(json.dumps({"environment": environment, "rows": rows}, indent=2, ensure_ascii=False))


def print_table(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Callable[[Mapping[str, Any]], str]],
    footnotes: Sequence[str] = (),
) -> None:
    """A table on stdout: ``columns`` maps each heading to what it shows of a row."""
    table = Table(title=title, title_justify="left")
    for index, heading in enumerate(columns):
        table.add_column(heading, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*(show(row) for show in columns.values()))
    wide = max(Console().width, 140) if not sys.stdout.isatty() else None
    console = Console(width=wide, highlight=False)
    console.print(table)
    for note in footnotes:
        console.print(note, markup=False)
