"""`superpose health`."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.cli.connection import JsonOption, UrlOption, connect
from superpose.cli.output import print_json

__all__ = ["health"]


def health(
    url: UrlOption = None,
    live: Annotated[bool, typer.Option("--live", help="Ask only whether it lives, not whether it is ready.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Ask a service whether it takes requests.

    Needs no key. Exits with 1 if it does not, so that a container's health
    check or a script can ask.
    """
    with connect(url, None) as client:
        good = client.live() if live else client.ready()
    if as_json:
        print_json({"url": client.url, "live" if live else "ready": good})
    else:
        typer.echo(f"{client.url} {'lives' if live else 'is ready'}" if good else f"{client.url} is not ready")
    if not good:
        raise typer.Exit(1)
