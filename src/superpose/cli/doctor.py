"""`superpose doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.cli.connection import JsonOption
from superpose.cli.output import console, note, print_json, show

__all__ = ["doctor"]


def doctor(
    warm: Annotated[bool, typer.Option("--warm", help="Build all kernels of the engine now, and keep them.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check that superpose works on this machine.

    Looks at Python, packages, processor, memory, disk, ports and the engine's
    kernels. Exits with 1 if something is broken, or if --warm could not keep
    the kernels.
    """
    from superpose.cli.checks import kernel_state, run_checks

    warm_s = build_kernels() if warm else None
    outcomes, state = run_checks(), kernel_state()
    kept = state["directory"] is not None and all(row["n_bytes"] is not None for row in state["rows"])
    healthy = all(outcome.status != "broken" for outcome in outcomes) and (kept or not warm)
    if as_json:
        checks = [{"name": o.name, "status": o.status, "detail": o.detail} for o in outcomes]
        print_json({"healthy": healthy, "warm_s": warm_s, "kernels": state, "checks": checks})
    else:
        from rich.table import Table
        from rich.text import Text

        styles = {"ok": "green", "note": "yellow", "broken": "bold red"}
        made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        for outcome in outcomes:
            made.add_row(Text(outcome.status, style=styles[outcome.status]), outcome.name, Text(outcome.detail))
        show(console(), made)
        if warm and not kept:
            note("The kernels were built but could not be kept; set SUPERPOSE_CACHE_DIR to a private directory.")
    if not healthy:
        raise typer.Exit(1)


def build_kernels() -> float:
    """Build the kernels, telling each on stderr; seconds that it took."""
    from superpose.engine.warming import warm_all

    elapsed_s = warm_all(note)
    note(f"kernels ready after {elapsed_s:.1f} s")
    return elapsed_s
