"""`superpose doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.cli.connection import JsonOption
from superpose.cli.output import console, note, print_json, show

__all__ = ["doctor"]


def doctor(
    warm: Annotated[bool, typer.Option("--warm", help="Build the engine's kernels now.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check that superpose works on this machine.

    Looks at Python, packages, processor, memory, disk, ports and the engine's kernels. Exits with 1 if
    something is broken.
    """
    from superpose.cli.checks import run_checks

    warm_s = build_kernels() if warm else None
    outcomes = run_checks()
    healthy = all(outcome.status != "broken" for outcome in outcomes)
    if as_json:
        checks = [{"name": o.name, "status": o.status, "detail": o.detail} for o in outcomes]
        print_json({"healthy": healthy, "warm_s": warm_s, "checks": checks})
    else:
        from rich.table import Table
        from rich.text import Text

        styles = {"ok": "green", "note": "yellow", "broken": "bold red"}
        made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        for outcome in outcomes:
            made.add_row(Text(outcome.status, style=styles[outcome.status]), outcome.name, Text(outcome.detail))
        show(console(), made)
    if not healthy:
        raise typer.Exit(1)


def build_kernels() -> float:
    """Build the kernels, telling each on stderr; seconds that it took."""
    from superpose.engine import warm

    elapsed_s = warm(note)
    note(f"kernels ready after {elapsed_s:.1f} s")
    return elapsed_s
