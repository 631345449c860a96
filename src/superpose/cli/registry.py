"""`superpose models`: import, alias, unalias, annotate, withdraw, history, lineage, diff, export, remove."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.lineage import DrawingOption, draw
from superpose.cli.models import NameArgument, VersionOption, app, reference
from superpose.cli.output import console, print_json, print_table, section
from superpose.errors import JobFailedError, RequestError

__all__ = ["app"]

AliasArgument = Annotated[str, typer.Argument(metavar="ALIAS", help="Such as champion.")]


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A model file (.superpose).")],
    name: Annotated[
        str | None, typer.Option(help="Name in the registry [default: the file's].", metavar="MODEL")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Submit and return at once.")] = False,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a model file a version of the registry.

    It may come from `superpose train pneumonia`, from another service's
    `superpose models download`, or from the Python library.
    """
    from superpose.cli.following import follow

    with connect(url, key_file) as client:
        job = client.models.import_file(name or file.stem, file)
        if detach:
            if as_json:
                print_json(job.to_dict())
            else:
                typer.echo(f"submitted {job.id}; see it with: superpose jobs show {job.id}")
            return
        job = follow(client, job.id)
        if job.model_version is None:
            raise JobFailedError(
                f"Job {job.id} {job.status}; nothing was imported.",
                job_id=job.id,
                problem_code=str((job.error or {}).get("code", job.status)),
            )
        found = client.models.version(str(job.model), job.model_version)
    if as_json:
        print_json(found.to_dict())
        return
    notice = f"; {found.notice}" if found.notice else ""
    typer.echo(f"{found.model} version {found.version}, digest {found.digest[:12]}{notice}")


@app.command()
def alias(
    name: NameArgument,
    alias: AliasArgument,
    version: VersionOption = None,
    expected: Annotated[
        int | None, typer.Option(help="Refuse unless it stands for version N now (0: is new).", metavar="N", min=0)
    ] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let an alias stand for a version, in one step."""
    with connect(url, key_file) as client:
        found = client.models.move_alias(name, alias, reference(version), expected=expected)
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(f"{alias} of {name} is version {found.version}")


@app.command()
def unalias(
    name: NameArgument,
    alias: AliasArgument,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove an alias; the version stays."""
    with connect(url, key_file) as client:
        client.models.remove_alias(name, alias)
    if as_json:
        print_json({"model": name, "removed": alias})
    else:
        typer.echo(f"removed alias {alias} of {name}")


@app.command()
def annotate(  # noqa: PLR0913  # one parameter per option
    name: NameArgument,
    version: Annotated[
        str | None, typer.Option(help="Number or alias [default: the model itself].", metavar="N")
    ] = None,
    note: Annotated[str | None, typer.Option(help="The new note; empty removes it.", metavar="TEXT")] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="NAME=VALUE to set, NAME= to remove.", metavar="TAG")
    ] = None,
    intended_use: Annotated[
        str | None, typer.Option(help="State what a version is for, and for whom.", metavar="TEXT")
    ] = None,
    limits: Annotated[str | None, typer.Option(help="State where it must not be used.", metavar="TEXT")] = None,
    no_subgroups: Annotated[
        str | None, typer.Option(help="State why no subgroups were compared.", metavar="REASON")
    ] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change the note and tags of a model or of a version, and what is stated about a version."""
    tags = {key: value or None for key, value in map(_tag, tag or [])}
    given = {"intended_use": intended_use, "limits": limits, "no_subgroups": no_subgroups}
    statements = {key: text for key, text in given.items() if text is not None}
    if note is None and not tags and not statements:
        raise typer.BadParameter("say what to change: --note, --tag, --intended-use, --limits or --no-subgroups")
    with connect(url, key_file) as client:
        named = client.models.get(name).latest if version == "latest" else reference(version)
        found = client.models.edit(name, version=named, note=note, tags=tags, statements=statements)
    if as_json:
        print_json(found.to_dict())
        return
    said = {key.replace("_", " "): text for key, text in getattr(found, "statements", {}).items()}
    section({"note": found.note or None, "tags": [f"{k}={v}" for k, v in found.tags.items()] or None, **said})


@app.command()
def withdraw(
    name: NameArgument,
    site: Annotated[str, typer.Argument(metavar="SITE", help="What the rows were called.")],
    reason: Annotated[str, typer.Option(help="Why its figures do not count.", metavar="TEXT")],
    version: VersionOption = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Mark an external validation as one that does not count.

    It stays to be seen, with the reason. `superpose evaluate --record` keeps them.
    """
    with connect(url, key_file) as client:
        found = client.models.withdraw_validation(name, site, reason, reference(version))
    if as_json:
        print_json(found)
    else:
        typer.echo(f"withdrawn {site} of {name}")


def _tag(text: str) -> tuple[str, str]:
    name, equal, value = text.partition("=")
    if not equal:
        raise RequestError(f"--tag takes NAME=VALUE, or NAME= to remove it; got {text!r}.", field="tag")
    return name, value


@app.command()
def history(
    name: NameArgument,
    limit: Annotated[int, typer.Option(help="At most this many, newest first.", metavar="N", min=1)] = 20,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what happened to a model: versions, aliases, notes, deletions."""
    with connect(url, key_file) as client:
        found = client.models.history(name, limit=limit)
    if as_json:
        print_json([event.to_dict() for event in found])
        return
    rows = [(event.at, event.kind.replace("_", " "), _said(event.data), event.data.get("by")) for event in found]
    print_table(("at", "what", "of", "by"), rows)


def _said(data: Mapping[str, Any]) -> str:
    if "alias" in data:
        return f"{data['alias']}: {data.get('before') or 'none'} -> {data.get('version') or 'none'}"
    if "after" in data:
        where = f"version {data['version']}: " if data.get("version") else ""
        return where + ", ".join(data["after"])
    return f"version {data.get('version')}" + (f": {data['site']}" if "site" in data else "")


@app.command()
def lineage(
    name: NameArgument,
    form: DrawingOption = "text",
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw what a model's versions come from and what uses them."""
    with connect(url, key_file) as client:
        draw(client.models.lineage(name), form, as_json=as_json)


@app.command()
def diff(
    name: NameArgument,
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="Number or alias.")],
    after: Annotated[str | None, typer.Argument(metavar="[AFTER]", help="Number or alias [default: latest].")] = None,
    other: Annotated[str | None, typer.Option(help="The model of AFTER, if it is another.", metavar="MODEL")] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what sets one version apart from another."""
    with connect(url, key_file) as client:
        found = client.models.diff(name, reference(before) or "latest", reference(after), other=other)
    if as_json:
        print_json(found)
        return
    sides = [f"{found[side]['model']} version {found[side]['version']}" for side in ("before", "after")]
    told = {name: "no difference" if any_told else _UNTOLD for name, any_told in found["told"].items()}
    _changes("spec", sides, ((row["path"], row["before"], row["after"]) for row in found["spec"]), told["spec"])
    console().print(f"\ndata: {_CONTENT[found['data']['same']]}", markup=False)
    figures = found["metrics"]["figures"]
    rows = [(title, _figure(f["before"]), _figure(f["after"]), _difference(f)) for title, f in figures.items()]
    _changes("metric", [*sides, "difference"], rows, _UNTOLD)
    circuits = [found["circuit"][side] or {} for side in ("before", "after")]
    _changes("circuit", sides, ((key, *(c.get(key) for c in circuits)) for key in _keys(circuits)), "none")
    weights = (
        (array, *((row[side] or {}).get("norm") for side in ("before", "after")), row["difference"])
        for array, row in (found["weights"] or {}).items()
    )
    _changes("norm of weights", [*sides, "of the change"], weights)
    environment = ((row["path"], row["before"], row["after"]) for row in found["environment"])
    _changes("environment", sides, environment, told["environment"])


_UNTOLD = "the files do not tell"
_CONTENT = {
    True: "the same content",
    False: "different content",
    None: "the files do not tell whether they are the same",
}


def _changes(
    title: str, sides: Iterable[str], rows: Iterable[tuple[object, ...]], otherwise: str = "no difference"
) -> None:
    console().print()
    shown = [tuple(map(_cell, row)) for row in rows]
    if shown:
        print_table((title, *sides), shown)
    else:
        console().print(f"{title}: {otherwise}", markup=False)


def _cell(value: object) -> object:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {count}" for name, count in value.items())
    return value


def _keys(circuits: list[Mapping[str, Any]]) -> list[str]:
    return [key for key in (circuits[0] or circuits[1]) if any(circuits)]


def _figure(figure: Mapping[str, float] | None) -> str:
    return f"{figure['mean']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})" if figure else "–"


def _difference(figure: Mapping[str, Any]) -> str:
    if figure["difference"] is None:
        return "–"
    paired = figure["paired"]
    tail = f" ({paired['low']:+.3f} to {paired['high']:+.3f}, paired)" if paired else ""
    return f"{figure['difference']:+.3f}{tail}"


@app.command()
def export(
    name: NameArgument,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The MLflow store: made if absent.")],
    version: VersionOption = None,
    form: Annotated[str, typer.Option("--format", help="mlflow.", metavar="FORM")] = "mlflow",
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a version as an MLflow run with a registered model."""
    with connect(url, key_file) as client:
        found = client.models.export(name, directory, reference(version), format=form)
    if as_json:
        print_json(found.to_dict())
    else:
        section({"tracking uri": found.tracking_uri, "run": found.run_id, "model uri": found.model_uri})


@app.command()
def remove(
    name: NameArgument,
    version: Annotated[str | None, typer.Option(help="Number [default: the whole model].", metavar="N")] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a version, or a model with all of them, that nothing uses."""
    with connect(url, key_file) as client:
        client.models.delete(name, reference(version) if version != "latest" else "latest")
    if as_json:
        print_json({"removed": name, "version": reference(version)})
    else:
        typer.echo(f"removed {name}{f' version {version}' if version else ''}")
