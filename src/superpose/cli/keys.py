"""`superpose keys`: create, list, rotate, revoke."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import age, check_room, print_json, print_table

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
    user: Annotated[
        str | None, typer.Option(help="Member to whom it belongs [default: yours].", metavar="USER_ID")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="What it may touch, repeatable: datasets:read, endpoints/NAME:predict.", metavar="SCOPE"),
    ] = None,
    operator: Annotated[
        bool, typer.Option("--operator", help="It operates the whole installation (role admin).")
    ] = False,
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
        new = client.keys.create(
            project=project,
            role=role,
            label=label,
            expires_at=expires_at,
            user=user,
            scopes=scope or None,
            operator=operator,
        )
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
            "–" if key.last_used_at is None else f"{age(key.last_used_at)} ago",
            age(key.created_at),
        )
        for key in found
    ]
    print_table(("id", "project", "role", "label", "state", "expires", "used", "age"), rows)


@app.command()
def rotate(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="Id of the key (key_...).")],
    output: Annotated[
        Path | None, typer.Option(help="New file for the secret [default: ./KEY_ID.new.key].", metavar="FILE")
    ] = None,
    grace_hours: Annotated[
        float, typer.Option(help="How long the old secret still counts.", metavar="HOURS", min=0.0, max=720.0)
    ] = 24.0,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a key a new secret; the old one counts for a while.

    Id, role and scopes stay. The secret is written to a file, never printed.
    Rotate again with --grace-hours 0 if it is lost.
    """
    target = (output or Path(f"{key_id}.new.key")).expanduser()
    if target.exists():
        raise typer.BadParameter(f"{target} exists already; a key never overwrites a file", param_hint="--output")
    if not target.parent.is_dir():
        raise typer.BadParameter(f"{target.parent} is no directory", param_hint="--output")
    check_room(target)
    with connect(url, key_file) as client:
        new = client.keys.rotate(key_id, grace_s=grace_hours * 3600)
        path = new.write(target).absolute()
    if as_json:
        print_json({**new.key.to_dict(), "key_file": str(path)})
        return
    until = new.key.previous_until
    old = "ends now" if until is None else f"counts until {until.astimezone():%Y-%m-%d %H:%M:%S}"
    typer.echo(f"key {key_id}: the old secret {old}")
    typer.echo(f"new secret written to {path} (mode 0600)")


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
