"""`superpose doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superpose.cli.config import ConfigOption
from superpose.cli.connection import JsonOption
from superpose.cli.output import console, note, print_json, print_table, show

if TYPE_CHECKING:
    from superpose.cli.checks import Check
    from superpose.cli.settings import Settings

__all__ = ["doctor"]

_ELSEWHERE = "Set SUPERPOSE_CACHE_DIR to a private directory."


def doctor(
    warm: Annotated[bool, typer.Option("--warm", help="Build all kernels of the engine now, and keep them.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="The service's data directory [default: as for serve].", metavar="DIR")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check that superpose works on this machine.

    Looks at Python, packages, processor, memory and the engine's kernels, and
    at a service's settings, disk, data directory, store, artifacts, clock,
    certificate and port. Each check is ok, warn or fail, with what to do.
    Exits with 1 if one fails, or if --warm could not keep the kernels.
    """
    from superpose.cli.checks import MACHINE_CHECKS, attempt, kernel_state
    from superpose.cli.service_checks import SERVICE_CHECKS

    warm_s = build_kernels() if warm else None
    settings, outcomes = _settings(data_dir, config)
    outcomes += [attempt(check.__name__, check) for check in MACHINE_CHECKS]
    outcomes += [attempt(check.__name__.replace("_", " "), partial(check, settings)) for check in SERVICE_CHECKS]
    state = kernel_state()
    kept = state["directory"] is not None and all(row["n_bytes"] is not None for row in state["rows"])
    healthy = all(outcome.status != "fail" for outcome in outcomes) and (kept or not warm)
    if as_json:
        checks = [outcome.to_json() for outcome in outcomes]
        document = {"healthy": healthy, "warm_s": warm_s, "kernels": state, "checks": checks, **settings.to_json()}
        print_json(document)
    else:
        _show(outcomes, settings)
        if warm_s is not None and not kept:
            note(f"The kernels were built but could not be kept. {_ELSEWHERE}")
    if not healthy:
        raise typer.Exit(1)


def _settings(data_dir: Path | None, config: Path | None) -> tuple[Settings, list[Check]]:
    """The settings; where they are wrong, a failed check, and the defaults so that the rest can be looked at."""
    from superpose.cli.checks import Check
    from superpose.cli.settings import load_settings
    from superpose.errors import SettingError

    try:
        return load_settings({"data_dir": data_dir}, config_file=config), []
    except SettingError as error:
        failed = Check("settings", "fail", error.message, "put it right; until then the defaults are looked at")
        return load_settings({"data_dir": data_dir}, environment={"SUPERPOSE_CONFIG": "none"}), [failed]


def _show(outcomes: Sequence[Check], settings: Settings) -> None:
    """Print checks with advice below, then the settings that somebody has set."""
    from rich.table import Table
    from rich.text import Text

    styles = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for outcome in outcomes:
        told = outcome.detail + (f"; {outcome.advice}" if outcome.advice else "")
        made.add_row(Text(outcome.status, style=styles[outcome.status]), outcome.name, Text(told))
    show(console(), made)
    if settings.changed():
        typer.echo("")
        print_table(["setting", "value", "origin"], [(s.name, s.value, s.origin) for s in settings.changed()])


def build_kernels() -> float | None:
    """Build the kernels, telling each on stderr; seconds that it took, or None if they had nowhere to be kept."""
    from superpose.engine.warming import nowhere_to_keep, warm_all

    if (reason := nowhere_to_keep()) is not None:
        note(f"No kernel was built, as none could be kept: {reason}. {_ELSEWHERE}")
        return None
    elapsed_s = warm_all(note)
    note(f"kernels ready after {elapsed_s:.1f} s")
    return elapsed_s
