"""`superpose config`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.connection import JsonOption
from superpose.cli.output import note, print_json, print_table

__all__ = ["ConfigOption", "app"]

app = typer.Typer(name="config", help="Settings of the service and where they come from.", rich_markup_mode=None)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings in TOML [env: SUPERPOSE_CONFIG; else superpose.toml here, in ~/.config/superpose or "
        "/etc/superpose].",
    ),
]


@app.callback()
def root() -> None:
    """Settings of the service and where they come from."""


@app.command("show")
def show_config(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show every setting with its value and its origin.

    A flag of serve goes before the environment (SUPERPOSE_LEASE_S for
    lease_s), which goes before the file, which goes before the default.
    """
    from superpose.cli.settings import load_settings

    settings = load_settings(config_file=config)
    if as_json:
        print_json(settings.to_json())
        return
    print_table(["setting", "value", "origin"], [(item.name, item.value, item.origin) for item in settings.values])
    if settings.file is None:
        note("No configuration file is read.")
