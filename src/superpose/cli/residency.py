"""`superpose projects residency`: show, set, clear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import print_json, section

if TYPE_CHECKING:
    from superpose.client import Residency

__all__ = ["app"]

app = typer.Typer(
    name="residency",
    help="Where a project's programs and data may go.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

NameArgument = Annotated[str, typer.Argument(metavar="PROJECT", help="Name of the project.")]
_Names = list[str] | None


@app.command()
def show(
    name: NameArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Show a project's rules."""
    with connect(url, key_file) as client:
        found = client.projects.residency(name)
    _show(found, as_json)


@app.command("set")
def set_rules(  # noqa: PLR0913  # one parameter per option
    name: NameArgument,
    region: Annotated[
        _Names,
        typer.Option(
            metavar="NAME", help="Allowed: here, eu, us (a country), eu-north-1 (a provider's word); repeatable."
        ),
    ] = None,
    provider: Annotated[_Names, typer.Option(metavar="NAME", help="Allowed provider, repeatable.")] = None,
    deny_provider: Annotated[_Names, typer.Option(metavar="NAME", help="Denied provider, repeatable.")] = None,
    backend: Annotated[_Names, typer.Option(metavar="NAME", help="Allowed backend or pattern, repeatable.")] = None,
    deny_backend: Annotated[_Names, typer.Option(metavar="NAME", help="Denied backend or pattern, repeatable.")] = None,
    processors: Annotated[
        bool, typer.Option("--processors/--no-processors", help="Whether quantum processors may be used at all.")
    ] = True,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set all rules of a project at once (for its admins); what is not said is no rule."""
    with connect(url, key_file) as client:
        found = client.projects.set_residency(
            name,
            regions=region,
            providers=provider,
            deny_providers=deny_provider or (),
            backends=backend,
            deny_backends=deny_backend or (),
            processors=processors,
        )
    _show(found, as_json)


@app.command()
def clear(
    name: NameArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Let programs of a project go anywhere again (for its admins)."""
    with connect(url, key_file) as client:
        client.projects.clear_residency(name)
    if as_json:
        print_json({"project": name, "rules": None})
    else:
        typer.echo(f"programs of {name} may go anywhere")


def _show(found: Residency, as_json: bool) -> None:
    if as_json:
        print_json(found.to_dict())
        return
    if found.rules is None:
        typer.echo(f"programs of {found.project} may go anywhere")
        return
    rules: dict[str, Any] = {"project": found.project}
    for rule, value in found.rules.items():
        if rule != "processors" and value:
            rules[rule.replace("_", " ")] = ", ".join(value)
    rules["processors"] = "allowed" if found.rules.get("processors", True) else "none"
    section(rules | {"set": found.set_at, "by": found.set_by})
