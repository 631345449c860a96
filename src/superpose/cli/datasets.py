"""`superpose datasets`: add, list, show, sheet, check, download, remove."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
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
    name: Annotated[str | None, typer.Option(help="Name in the project [default: the file's].", metavar="NAME")] = None,
    format: Annotated[
        str | None, typer.Option(help="csv, parquet, npz or images [default: by suffix].", metavar="FORMAT")
    ] = None,
    builtin: Annotated[
        str | None, typer.Option(help="Take built-in data: breast_cancer, digits, iris or wine.", metavar="NAME")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Width and height that images are brought to [default: 28].", metavar="PIXELS")
    ] = None,
    image_mode: Annotated[str | None, typer.Option(help="grey or rgb [default: grey].", metavar="MODE")] = None,
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
            )
        else:
            dataset = client.datasets.add_builtin(name or builtin or "", builtin)
    if as_json:
        print_json(dataset.to_dict())
        return
    typer.echo(
        f"{dataset.name}: {dataset.n_rows} rows, {dataset.n_features} features, target {dataset.target} "
        f"({', '.join(dataset.classes)}); id {dataset.id}"
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
    rows = [(d.name, d.n_rows, d.n_features, d.target, len(d.classes), age(d.created_at), d.id) for d in found]
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
            "target": f"{found.target} ({', '.join(found.classes)})",
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
    classes = ", ".join(f"{label} {count}" for label, count in found.class_counts.items())
    section({"name": found.name, "rows": found.n_rows, "target": f"{found.target} ({classes})"})
    typer.echo()
    rows = [(c.name, c.type, c.unit, c.n_missing, c.n_distinct, c.summary) for c in found.columns]
    print_table(("column", "type", "unit", "missing", "distinct", "values"), rows, right=("missing", "distinct"))
    if found.warnings:
        typer.echo()
    for warning in found.warnings:
        typer.echo(f"warning: {warning}")


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
