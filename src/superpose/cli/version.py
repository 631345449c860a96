"""`superpose version`."""

from __future__ import annotations

import platform

import typer

from superpose import __version__
from superpose.cli.connection import JsonOption
from superpose.cli.output import print_json

__all__ = ["show_version"]


def show_version(as_json: JsonOption = False) -> None:
    """Show the release of superpose and of Python."""
    if as_json:
        print_json({"superpose": __version__, "python": platform.python_version(), "platform": platform.platform()})
    else:
        typer.echo(f"superpose {__version__} (Python {platform.python_version()})")
