"""`superpose users`: create, list, show, change, disable, enable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import print_json, print_table, section

if TYPE_CHECKING:
    from superpose.client import User

__all__ = ["app"]

app = typer.Typer(name="users", help="People and service accounts.", no_args_is_help=True, rich_markup_mode=None)

UserArgument = Annotated[str, typer.Argument(metavar="USER_ID", help="Id of the user (usr_...).")]


@app.command()
def create(  # noqa: PLR0913  # one parameter per option
    name: Annotated[str, typer.Argument(metavar="NAME", help="What people call the user.")],
    email: Annotated[str | None, typer.Option(help="Where to reach it.", metavar="ADDRESS")] = None,
    service: Annotated[bool, typer.Option("--service", help="An account that a program uses.")] = False,
    project: Annotated[str | None, typer.Option(help="First project [default: yours].", metavar="NAME")] = None,
    role: Annotated[str, typer.Option(help="admin, editor, viewer or predictor.", metavar="ROLE")] = "editor",
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a user (for admins); keys for it come from `superpose keys create --user`."""
    kind = "service" if service else "person"
    with connect(url, key_file) as client:
        made = client.users.create(name, email=email, kind=kind, project=project, role=role)
    _say(made, "made", as_json)


@app.command("list")
def list_users(url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False) -> None:
    """List the members of your project; for operators, all users."""
    with connect(url, key_file) as client:
        found = client.users.list()
    if as_json:
        print_json([user.to_dict() for user in found])
        return
    rows = [(u.id, u.name, u.email, u.kind, "disabled" if u.disabled_at else "active", _roles(u)) for u in found]
    print_table(("id", "name", "e-mail", "kind", "state", "projects"), rows)


@app.command()
def show(
    user: UserArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Show a user."""
    with connect(url, key_file) as client:
        found = client.users.get(user)
    if as_json:
        print_json(found.to_dict())
        return
    section({**found.to_dict(), "created_at": found.created_at, "projects": _roles(found)})


@app.command()
def change(
    user: UserArgument,
    name: Annotated[str | None, typer.Option(help="The new name.", metavar="NAME")] = None,
    email: Annotated[str | None, typer.Option(help="The new address; empty removes it.", metavar="ADDRESS")] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a user another name or address (for operators)."""
    with connect(url, key_file) as client:
        found = client.users.change(user, name=name, email=email)
    _say(found, "changed", as_json)


@app.command()
def disable(
    user: UserArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Have no key of a user open anything, in any project (for operators)."""
    with connect(url, key_file) as client:
        found = client.users.disable(user)
    _say(found, "disabled", as_json)


@app.command()
def enable(
    user: UserArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Let a disabled user's keys open again (for operators)."""
    with connect(url, key_file) as client:
        found = client.users.enable(user)
    _say(found, "enabled", as_json)


def _say(user: User, what: str, as_json: bool) -> None:
    if as_json:
        print_json(user.to_dict())
    else:
        typer.echo(f"user {user.id} ({user.name}) {what}")


def _roles(user: User) -> str:
    return ", ".join(f"{project}: {role}" for project, role in user.projects.items())
