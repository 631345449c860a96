"""`superpose models`: list, show, download, card; what changes the registry is in `registry.py`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import console, print_json, print_table, saved, section
from superpose.learning.canonical import write_whole

__all__ = ["NameArgument", "VersionOption", "app", "reference"]

app = typer.Typer(name="models", help="Trained models and their versions.", no_args_is_help=True, rich_markup_mode=None)
NameArgument = Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.")]
VersionOption = Annotated[
    str | None, typer.Option("--version", help="Number or alias [default: the latest].", metavar="N")
]


def reference(version: str | None) -> int | str | None:
    """A version as it was named on the command line: a number, an alias, or the latest."""
    if version is None or version == "latest":
        return None
    return int(version) if version.isascii() and version.isdigit() else version


@app.command("list")
def list_models(
    query: Annotated[
        str | None,
        typer.Argument(metavar="[QUERY]", help="Terms that must all hold, such as: 'accuracy>0.9 tag:site=north'."),
    ] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the project's models, or search them.

    A term is a word, a comparison (accuracy>0.9, n_qubits<=4), or tag:NAME=VALUE,
    dataset:, family:, alias:, name:, note: with a text.
    """
    with connect(url, key_file) as client:
        found = client.models.list(query)
    if as_json:
        print_json([model.to_dict() for model in found])
        return
    rows = [
        (
            model.name,
            len(model.versions),
            model.latest,
            [f"{alias}={version}" for alias, version in model.aliases.items()] or None,
            *(() if model.matched is None else (list(model.matched),)),
        )
        for model in found
    ]
    heads = ("name", "versions", "latest", "aliases", *(("matched",) if query else ()))
    print_table(heads, rows, right=("versions", "latest"))


@app.command()
def show(
    name: NameArgument,
    version: VersionOption = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a version with the comparison it was judged by."""
    with connect(url, key_file) as client:
        found = client.models.version(name, reference(version))
    if as_json:
        print_json(found.to_dict())
        return
    from superpose.cli.comparison import print_comparison

    section(
        {
            "model": f"{found.model} version {found.version}",
            "job": found.job_id,
            "created": found.created_at,
            "digest": found.digest,
            "aliases": list(found.aliases) or None,
            "tags": [f"{name}={value}" for name, value in found.tags.items()] or None,
            "note": found.note or None,
            "notice": found.notice,
            **{name.replace("_", " "): text for name, text in found.statements.items()},
            "external validation": [_validation_words(one) for one in found.validations] or None,
        }
    )
    console().print()
    print_comparison(found.evaluation)


def _validation_words(record: Mapping[str, Any]) -> str:
    """An external validation in a few words."""
    if "withdrawn_at" in record:
        return f"{record['site']} (withdrawn)"
    from superpose.learning.metrics import form_of, reading

    named = "auc" if "auc" in record["metrics"] else "rmse" if "rmse" in record["metrics"] else "mae"
    value = (record["metrics"].get(named) or {"value": None})["value"]
    figure = "" if value is None else f", {reading(named)[1]} {value:{form_of(named, value)}}"
    return f"{record['site']} ({record['n_rows']:,} rows{figure})"


@app.command()
def download(
    name: NameArgument,
    version: VersionOption = None,
    output: Annotated[
        Path | None, typer.Option(help="File or directory [default: ./NAME-N.superpose].", metavar="PATH")
    ] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Save a version's model file, checked against the registry's digest."""
    with connect(url, key_file) as client:
        saved(
            lambda: client.models.download(name, reference(version), output),
            output,
            {"model": name},
            as_json=as_json,
            sized=True,
        )


@app.command()
def card(
    name: NameArgument,
    version: VersionOption = None,
    output: Annotated[Path | None, typer.Option(help="Write it to this file.", metavar="FILE")] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a version's model card in Markdown: data, training, comparison, verdict, limits."""
    from superpose.explain import model_card

    with connect(url, key_file) as client:
        found = client.models.version(name, reference(version))
        passed = client.models.gate(name, found.version).overrides
    text = model_card(
        found.manifest,
        evidence=found.evidence,
        statements=found.statements,
        overrides=[override.to_dict() for override in passed],
        validations=found.validations,
    )
    if output is not None:
        write_whole(output, text)
    if as_json:
        print_json({"model": name, "card": text, "path": None if output is None else str(output.absolute())})
    elif output is None:
        typer.echo(text, nl=False)
    else:
        typer.echo(str(output.absolute()))
