"""`superpose keys`: create, list, revoke."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import age, print_json, print_table

__all__ = ["app"]

app = typer.Typer(name="keys", help="API keys (needs the role admin).", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def create(  # noqa: PLR0913  # one parameter per option
    output: Annotated[
        Path | None, typer.Option(help="New file for the secret [default: ./KEY_ID.key].", metavar="FILE")
    ] = None,
    role: Annotated[str, typer.Option(help="admin, editor, viewer or predictor.", metavar="ROLE")] = "editor",
    project: Annotated[str | None, typer.Option(help="Project of the key [default: yours].", metavar="NAME")] = None,
    label: Annotated[str, typer.Option(help="What the key is for.", metavar="TEXT")] = "",
    expires_in_days: Annotated[
        float | None, typer.Option(help="Days until it expires [default: never].", metavar="DAYS")
    ] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and write its secret to a file that only you can read.

    The secret is never printed, and the service does not tell it again.
    """
    if output is not None and output.expanduser().exists():
        raise typer.BadParameter(f"{output} exists already; a key never overwrites a file", param_hint="--output")
    expires_at = None if expires_in_days is None else datetime.now(UTC) + timedelta(days=expires_in_days)
    with connect(url, key_file) as client:
        new = client.keys.create(project=project, role=role, label=label, expires_at=expires_at)
        try:
            path = new.write(output or Path(f"{new.key.id}.key")).absolute()
        except Exception:
            client.keys.revoke(new.key.id)  # nobody will ever hold its secret
            raise
    if as_json:
        print_json({**new.key.to_dict(), "key_file": str(path)})
        return
    typer.echo(f"key {new.key.id}: {new.key.role} of project {new.key.project}")
    typer.echo(f"secret written to {path} (mode 0600); use it with --key-file or SUPERPOSE_KEY_FILE")


@app.command("list")
def list_keys(url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False) -> None:
    """List keys, without their secrets."""
    with connect(url, key_file) as client:
        found = client.keys.list()
    if as_json:
        print_json([key.to_dict() for key in found])
        return
    now = datetime.now(UTC)
    rows = [
        (
            key.id,
            key.project,
            key.role,
            key.label,
            "revoked" if key.revoked_at else "expired" if key.expires_at and key.expires_at <= now else "active",
            key.expires_at,
            age(key.created_at),
        )
        for key in found
    ]
    print_table(("id", "project", "role", "label", "state", "expires", "age"), rows)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="Id of the key (key_...).")],
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key useless from now on."""
    with connect(url, key_file) as client:
        client.keys.revoke(key_id)
    if as_json:
        print_json({"revoked": key_id})
    else:
        typer.echo(f"revoked {key_id}")
