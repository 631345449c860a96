"""`superpose datasets`: add, list, show, sheet, annotate, history, check, download, remove."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.deidentify import deidentify, removal_facts
from superpose.cli.lineage import DrawingOption, draw
from superpose.cli.output import age, note, print_json, print_table, removed, saved, section
from superpose.cli.units import read_units

__all__ = ["app"]

_SHOWN = 5

app = typer.Typer(name="datasets", help="Data sets to train on.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def add(  # noqa: PLR0913  # one parameter per option
    source: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A CSV, Parquet or NPZ file, or a folder of images.", show_default=False),
    ] = None,
    target: Annotated[str | None, typer.Option(help="Column to predict.", metavar="COLUMN")] = None,
    target_kind: Annotated[
        Literal["class", "number"] | None,
        typer.Option(help="What that column holds, number for demand [default: class]."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name in the project [default: the file's].", metavar="NAME")] = None,
    format: Annotated[
        str | None, typer.Option(help="csv, parquet, npz or images [default: by suffix].", metavar="FORMAT")
    ] = None,
    builtin: Annotated[
        str | None,
        typer.Option(
            help="Take built-in data: breast_cancer, digits, iris, wine, bars_and_stripes, hidden_manifold, "
            "hyperplanes or two_curves.",
            metavar="NAME",
        ),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Width and height that images are brought to [default: 28].", metavar="PIXELS")
    ] = None,
    image_mode: Annotated[str | None, typer.Option(help="grey or rgb [default: grey].", metavar="MODE")] = None,
    patients: Annotated[
        bool,
        typer.Option(
            "--patients",
            help="Add a column with a number for each patient: of DICOM files, or of folders inside the classes'.",
        ),
    ] = False,
    domain: Annotated[
        Literal["general", "medical"] | None,
        typer.Option(help="What the data are about; models trained on medical data are not for clinical use."),
    ] = None,
    unit: Annotated[
        list[str] | None, typer.Option(help="Unit of a column; may be repeated.", metavar="COLUMN=UNIT")
    ] = None,
    units: Annotated[
        Path | None,
        typer.Option(
            help="Units from a file: CSV with columns name and unit, or a YAML or JSON mapping.", metavar="FILE"
        ),
    ] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a table, a folder of images per class, or built-in data."""
    if (source is None) == (builtin is None):
        raise typer.BadParameter("give either a file or --builtin NAME")
    images = source is not None and (source.is_dir() or source.suffix.lower() == ".zip" or format == "images")
    if source is not None and target is None and not images:
        raise typer.BadParameter("say which column to predict: --target COLUMN")
    known = read_units(units, unit or [])
    if builtin is not None and target_kind is not None:
        raise typer.BadParameter("built-in data have classes; --target-kind is for files")
    if builtin is not None and known:
        raise typer.BadParameter("built-in data have their units")
    with connect(url, key_file) as client:
        if source is not None:
            dataset = client.datasets.add(
                source,
                target=target,
                name=name,
                format=format,
                units=known,
                image_size=image_size,
                image_mode=image_mode,
                image_patients=patients,
                domain=domain,
                target_kind=target_kind,
            )
        else:
            dataset = client.datasets.add_builtin(name or builtin or "", builtin, domain=domain)
    if as_json:
        print_json(dataset.to_dict())
        return
    typer.echo(
        f"{dataset.name}: {dataset.n_rows} rows, {dataset.n_features} features, target {dataset.target_told}; "
        f"id {dataset.id}"
    )
    for warning in dataset.warnings[:_SHOWN]:
        note(f"warning: {warning}")
    if dataset.warnings[_SHOWN:]:
        note(f"and {len(dataset.warnings) - _SHOWN} more; see: superpose datasets sheet {dataset.name}")


@app.command("list")
def list_datasets(url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False) -> None:
    """List the project's data sets."""
    with connect(url, key_file) as client:
        found = client.datasets.list()
    if as_json:
        print_json([dataset.to_dict() for dataset in found])
        return
    rows = [
        (d.name, d.n_rows, d.n_features, d.target, len(d.classes) or "numbers", age(d.created_at), d.id) for d in found
    ]
    header = ("name", "rows", "features", "target", "classes", "age", "id")
    print_table(header, rows, right=("rows", "features", "classes"))


@app.command()
def show(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Name or id.")],
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a data set and its columns."""
    with connect(url, key_file) as client:
        found = client.datasets.get(dataset)
    if as_json:
        print_json(found.to_dict())
        return
    section(
        {
            "name": found.name,
            "id": found.id,
            "rows": found.n_rows,
            "target": found.target_told,
            "domain": found.domain,
            "added": found.created_at,
            "digest": found.digest,
        }
    )
    rows = [(c.name, c.kind, c.unit, c.n_missing) for c in found.columns]
    typer.echo()
    print_table(("column", "kind", "unit", "missing"), rows, right=("missing",))


@app.command()
def lineage(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Name or id of the data set.")],
    form: DrawingOption = "text",
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw what was made from the data set's content."""
    with connect(url, key_file) as client:
        draw(client.datasets.lineage(dataset), form, as_json=as_json)


@app.command()
def sheet(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Name or id.")],
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what each column is and holds, and what is odd."""
    with connect(url, key_file) as client:
        found = client.datasets.sheet(dataset)
    if as_json:
        print_json(found.to_dict())
        return
    facts = {"name": found.name, "rows": found.n_rows, "target": found.target_told}
    section({**facts, "note": found.note or None, "revision": found.revision})
    typer.echo()
    described = any(c.description for c in found.columns)  # a column of the table only where there is something in it
    rows = [
        (c.name, c.type, c.unit, c.n_missing, c.n_distinct, c.summary, *([c.description] if described else []))
        for c in found.columns
    ]
    heads = ("column", "type", "unit", "missing", "distinct", "values", *(["description"] if described else []))
    print_table(heads, rows, right=("missing", "distinct"))
    if found.deidentification:
        typer.echo()
        section(removal_facts(found.deidentification))
    if found.warnings:
        typer.echo()
    for warning in found.warnings:
        typer.echo(f"warning: {warning}")


@app.command()
def annotate(  # noqa: PLR0913  # one parameter per option
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Name or id.")],
    unit: Annotated[
        list[str] | None,
        typer.Option(help="Unit of a column, COLUMN= to remove it; repeatable.", metavar="COLUMN=UNIT"),
    ] = None,
    units: Annotated[
        Path | None, typer.Option(help="Units from a file, as `superpose datasets add` takes it.", metavar="FILE")
    ] = None,
    describe: Annotated[
        list[str] | None,
        typer.Option(help="What a column holds, COLUMN= to remove it; repeatable.", metavar="COLUMN=TEXT"),
    ] = None,
    note: Annotated[str | None, typer.Option(help="The new note; empty removes it.", metavar="TEXT")] = None,
    expected: Annotated[
        int | None, typer.Option(help="Refuse unless the sheet is at this revision now.", metavar="N", min=1)
    ] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change units, descriptions and note of a data sheet.

    Each edit is a revision; `superpose datasets history` has what was there
    before. Models trained from now on carry the new units.
    """
    wanted: dict[str, str | None] = dict(read_units(units, []))
    wanted |= {name: text or None for name, text in map(_pair, unit or [])}
    descriptions = {name: text or None for name, text in map(_pair, describe or [])}
    if not wanted and not descriptions and note is None:
        raise typer.BadParameter("say what to change: --unit, --units, --describe or --note")
    with connect(url, key_file) as client:
        found = client.datasets.edit_sheet(
            dataset, units=wanted, descriptions=descriptions, note=note, expected=expected
        )
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(f"{found.name}: data sheet at revision {found.revision}")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise typer.BadParameter(f"{text!r} is not COLUMN=TEXT, or COLUMN= to remove it")
    return name.strip(), value.strip()


@app.command()
def history(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Name or id.")],
    limit: Annotated[int, typer.Option(help="At most this many, newest first.", metavar="N", min=1)] = 20,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a data set's registration and edits of its sheet."""
    with connect(url, key_file) as client:
        found = client.datasets.history(dataset, limit=limit)
    if as_json:
        print_json([event.to_dict() for event in found])
        return
    rows = [(event.at, event.kind.replace("_", " "), _said(event.data), event.data.get("by")) for event in found]
    print_table(("at", "what", "changes", "by"), rows)


def _said(data: Mapping[str, Any]) -> str:
    """The changes of an edit, such as ``age: none -> a``."""
    before, after = data.get("before") or {}, data.get("after") or {}
    changes = [
        f"{name}: {before.get(kind, {}).get(name) or 'none'} -> {value or 'none'}"
        for kind in ("units", "descriptions")
        for name, value in after.get(kind, {}).items()
    ]
    return ", ".join([*changes, *(["note"] if "note" in after else [])])


@app.command()
def check(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Name or id.")],
    spec: Annotated[
        str | None, typer.Option(help="Training spec whose split is looked at; - reads it from stdin.", metavar="SPEC")
    ] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for leaks, shared patients, doubles and drift between train and test rows."""
    from superpose.cli.train import read_spec

    wanted = {} if spec is None else read_spec(spec)
    with connect(url, key_file) as client:
        found = client.datasets.check(dataset, wanted)
    if as_json:
        print_json([finding.to_dict() for finding in found])
        return
    for finding in found:
        typer.echo(f"{finding.kind}: {finding.message}")
    if not found:
        typer.echo("nothing odd between train and test rows")


@app.command()
def download(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Name or id.")],
    output: Annotated[
        Path | None, typer.Option(help="File or directory [default: ./NAME.parquet].", metavar="PATH")
    ] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Save a data set as Parquet, checked against the service's digest."""
    with connect(url, key_file) as client:
        saved(
            lambda: client.datasets.download(dataset, output), output, {"dataset": dataset}, as_json=as_json, sized=True
        )


@app.command()
def remove(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Name or id.")],
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a data set; models trained on it stay."""
    with connect(url, key_file) as client:
        client.datasets.delete(dataset)
    removed(dataset, f"data set {dataset}", as_json=as_json)


app.command("deidentify")(deidentify)
