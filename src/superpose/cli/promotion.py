"""`superpose models gate`."""

from __future__ import annotations

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.drift import app
from superpose.cli.models import NameArgument, VersionOption, reference
from superpose.cli.output import print_json, print_table

__all__ = ["app"]


@app.command()
def gate(
    name: NameArgument,
    version: VersionOption = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a version has and lacks for production.

    Ends with 1 where something is missing. An admin may override that with a reason:
    superpose deploy MODEL --production --override REASON.
    """
    with connect(url, key_file) as client:
        found = client.models.gate(name, reference(version))
    if as_json:
        print_json(found.to_dict())
    else:
        rows = [(one.name, "met" if one.met else "missing", one.found or one.how) for one in found.requirements]
        print_table(("requirement", "", "found, or how to meet it"), rows)
        typer.echo("")
        for override in found.overrides:
            typer.echo(f"overridden at {override.endpoint} by {override.overridden_by}: {override.reason}")
        if found.notice:
            typer.echo(found.notice)
        lacks = "ready for production" if found.ready else f"not ready for production: {len(found.missing)} missing"
        typer.echo(f"{found.model} version {found.version}: {lacks}")
    if not found.ready:
        raise typer.Exit(1)
