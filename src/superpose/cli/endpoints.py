"""`superpose deploy` and `superpose endpoints`: list, show, lineage, remove."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.lineage import DrawingOption, draw
from superpose.cli.models import reference
from superpose.cli.output import age, print_json, print_table, section

__all__ = ["app", "deploy"]

app = typer.Typer(name="endpoints", help="Deployed models.", no_args_is_help=True, rich_markup_mode=None)


def deploy(  # one parameter per option
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model to deploy.")],
    version: Annotated[str | None, typer.Option(help="Number or alias [default: the latest].", metavar="N")] = None,
    name: Annotated[str | None, typer.Option(help="Endpoint [default: the model's name].", metavar="NAME")] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a model version behind an endpoint."""
    with connect(url, key_file) as client:
        endpoint = client.endpoints.create(name or model, model, reference(version))
        address = client.url + endpoint.url
    if as_json:
        print_json(endpoint.to_dict())
    else:
        by = f" ({endpoint.alias})" if endpoint.alias else ""
        typer.echo(f"{endpoint.name}: {endpoint.model} version {endpoint.version}{by} answers at {address}")


@app.command("list")
def list_endpoints(url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False) -> None:
    """List the project's endpoints."""
    with connect(url, key_file) as client:
        found = client.endpoints.list()
    if as_json:
        print_json([endpoint.to_dict() for endpoint in found])
        return
    rows = [(e.name, e.model, e.version, e.state, age(e.created_at)) for e in found]
    print_table(("name", "model", "version", "state", "age"), rows, right=("version",))


@app.command()
def show(
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help="Name of the endpoint.")],
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show an endpoint."""
    with connect(url, key_file) as client:
        found = client.endpoints.get(endpoint)
        address = client.url + found.url
    if as_json:
        print_json(found.to_dict())
        return
    section(
        {
            "name": found.name,
            "model": f"{found.model} version {found.version}",
            "state": found.state,
            "url": address,
            "created": found.created_at,
        }
    )


@app.command()
def lineage(
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help="Name of the endpoint.")],
    form: DrawingOption = "text",
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw what the endpoint's answers come from."""
    with connect(url, key_file) as client:
        draw(client.endpoints.lineage(endpoint), form, as_json=as_json)


@app.command()
def remove(
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help="Name of the endpoint.")],
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove an endpoint; the model stays."""
    with connect(url, key_file) as client:
        client.endpoints.delete(endpoint)
    if as_json:
        print_json({"removed": endpoint})
    else:
        typer.echo(f"removed endpoint {endpoint}")
