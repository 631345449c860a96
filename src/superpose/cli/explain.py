"""`superpose explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import print_json, print_table
from superpose.cli.predict import read_rows

__all__ = ["explain"]

_SHOWN = 8
"""Columns that a terminal shows, the strongest; --json has all."""


def explain(
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help="Name of the endpoint.")],
    rows: Annotated[
        str, typer.Argument(metavar="ROWS", help="A .json, .csv or .parquet file with rows; - reads JSON from stdin.")
    ],
    method: Annotated[
        str,
        typer.Option(help="integrated_gradients, gradient_x_input, occlusion or shapley.", metavar="NAME"),
    ] = "integrated_gradients",
    of_class: Annotated[
        str | None,
        typer.Option("--class", help="Explain this class [default: the predicted one].", metavar="CLASS"),
    ] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain which columns moved predictions.

    Attributions share the difference to a typical row's probability out among the columns. They speak of the model,
    not of causes.
    """
    wanted = read_rows(rows)
    with connect(url, key_file) as client:
        found = client.explain(endpoint, wanted, method=method, of_class=of_class)
    if as_json:
        print_json(found.to_dict())
        return
    for index, row in enumerate(found.rows):
        shown = list(row.attributions.items())[:_SHOWN]
        rest = sum(row.attributions.values()) - sum(value for _, value in shown)
        lines = [(name, f"{value:+.4f}") for name, value in shown]
        if len(row.attributions) > _SHOWN:
            lines.append((f"{len(row.attributions) - _SHOWN} other columns", f"{rest:+.4f}"))
        typer.echo(f"row {index}: {row.label} {row.probability:.4f}, a typical row {row.typical_probability:.4f}")
        print_table(("column", "attribution"), lines, right=("attribution",))
        typer.echo("")
    typer.echo(f"{found.model} version {found.model_version}, {found.method}", err=True)
