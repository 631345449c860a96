"""`superpose projects`: create, list, show, usage, quotas, residency, members, archive, restore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from superpose.cli import residency
from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import age, print_json, print_table, section

if TYPE_CHECKING:
    from superpose.client import Project

__all__ = ["app"]

app = typer.Typer(
    name="projects", help="Projects, their members and quotas.", no_args_is_help=True, rich_markup_mode=None
)

app.add_typer(residency.app)

NameArgument = Annotated[str, typer.Argument(metavar="PROJECT", help="Name of the project.")]
UserArgument = Annotated[str, typer.Argument(metavar="USER_ID", help="Id of the user (usr_...).")]
_Limit = Annotated[str | None, typer.Option(metavar="N", help="A whole number, or none for no limit.")]
_QUANTITIES: Final = ("jobs", "bytes", "seconds_per_day", "seconds_per_month", "requests_per_minute")


@app.command()
def create(
    name: NameArgument,
    title: Annotated[str, typer.Option(help="What people call it.", metavar="TEXT")] = "",
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a project (for operators)."""
    with connect(url, key_file) as client:
        made = client.projects.create(name, title=title)
    if as_json:
        print_json(made.to_dict())
        return
    typer.echo(f"project {made.name}; its first key: superpose keys create --project {made.name} --role admin")


@app.command("list")
def list_projects(url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False) -> None:
    """List your project; for operators, all."""
    with connect(url, key_file) as client:
        found = client.projects.list()
    if as_json:
        print_json([project.to_dict() for project in found])
        return
    rows = [(p.name, p.title, "archived" if p.archived_at else "in use", _limits(p), age(p.created_at)) for p in found]
    print_table(("name", "title", "state", "quotas", "age"), rows)


@app.command()
def show(
    name: NameArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Show a project."""
    with connect(url, key_file) as client:
        found = client.projects.get(name)
    if as_json:
        print_json(found.to_dict())
        return
    section(
        {
            "name": found.name,
            "title": found.title,
            "state": "archived" if found.archived_at else "in use",
            "service account": found.account,
            "created": found.created_at,
            "quotas": _limits(found) or "none",
        }
    )


@app.command()
def usage(
    name: Annotated[str | None, typer.Argument(metavar="PROJECT", help="Its name [default: yours].")] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a project uses of its quotas."""
    with connect(url, key_file) as client:
        found = client.projects.usage(name)
    if as_json:
        print_json(found.to_dict())
        return
    rows = [
        (quantity.replace("_", " "), _number(numbers["used"]), _number(numbers["allowed"], "no limit"))
        for quantity, numbers in found.quantities.items()
    ]
    print_table((found.project, "used", "allowed"), rows, right=("used", "allowed"))


@app.command()
def quotas(  # noqa: PLR0913  # one parameter per option
    name: NameArgument,
    jobs: _Limit = None,
    bytes_: Annotated[str | None, typer.Option("--bytes", metavar="N", help="The same for what is stored.")] = None,
    seconds_per_day: _Limit = None,
    seconds_per_month: _Limit = None,
    requests_per_minute: _Limit = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set what a project may use (for operators); what is not named stays."""
    given = (jobs, bytes_, seconds_per_day, seconds_per_month, requests_per_minute)
    wanted = {quantity: _limit(quantity, text) for quantity, text in zip(_QUANTITIES, given, strict=True) if text}
    if not wanted:
        raise typer.BadParameter("name at least one quota, such as --jobs 20")
    with connect(url, key_file) as client:
        changed: Any = {**client.projects.get(name).quotas, **wanted}
        found = client.projects.set_quotas(name, **changed)
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(f"{found.name}: {_limits(found) or 'no quotas'}")


@app.command()
def members(
    name: NameArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """List who belongs to a project."""
    with connect(url, key_file) as client:
        found = client.projects.members(name)
    if as_json:
        print_json([member.to_dict() for member in found])
        return
    print_table(("user", "name", "kind", "role"), [(m.user, m.name, m.kind, m.role) for m in found])


@app.command("set-member")
def set_member(
    name: NameArgument,
    user: UserArgument,
    role: Annotated[str, typer.Option(help="admin, editor, viewer or predictor.", metavar="ROLE")] = "editor",
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a user a role in a project."""
    with connect(url, key_file) as client:
        member = client.projects.set_member(name, user, role)
    if as_json:
        print_json(member.to_dict())
    else:
        typer.echo(f"{member.user} is {member.role} of {member.project}")


@app.command("remove-member")
def remove_member(
    name: NameArgument,
    user: UserArgument,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a user out of a project and revoke the user's keys there."""
    with connect(url, key_file) as client:
        client.projects.remove_member(name, user)
    if as_json:
        print_json({"project": name, "removed": user})
    else:
        typer.echo(f"{user} is out of {name}, and its keys there are revoked")


@app.command()
def archive(
    name: NameArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Have no key of a project open anything (for operators); all in it stays."""
    with connect(url, key_file) as client:
        found = client.projects.archive(name)
    _say(found, "archived", as_json)


@app.command()
def restore(
    name: NameArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Open an archived project again (for operators)."""
    with connect(url, key_file) as client:
        found = client.projects.restore(name)
    _say(found, "in use again", as_json)


def _say(project: Project, what: str, as_json: bool) -> None:
    if as_json:
        print_json(project.to_dict())
    else:
        typer.echo(f"{project.name} is {what}")


def _limits(project: Project) -> str:
    return ", ".join(f"{quantity} {n:,}" for quantity, n in project.quotas.items())


def _limit(quantity: str, text: str) -> int | None:
    if text == "none":
        return None
    if not (text.isascii() and text.isdigit()):
        option = f"--{quantity.replace('_', '-')}"
        raise typer.BadParameter(f"{text!r} is neither a whole number nor none", param_hint=option)
    return int(text)


def _number(value: float | None, otherwise: str = "–") -> str:
    return otherwise if value is None else f"{value:,.0f}"
