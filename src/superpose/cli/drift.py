"""`superpose models drift`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.models import NameArgument, VersionOption, reference
from superpose.cli.output import print_json, print_table
from superpose.cli.registry import app

__all__ = ["app"]


@app.command()
def drift(
    name: NameArgument,
    source: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="CSV, Parquet or NPZ file of rows.", show_default=False)
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="A registered data set instead.", metavar="NAME")] = None,
    version: VersionOption = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how far rows have moved from what the model was trained on."""
    if (source is None) == (dataset is None):
        raise typer.BadParameter("give either a file or --dataset NAME")
    with connect(url, key_file) as client:
        found = client.models.drift(name, source, dataset=dataset, version=reference(version))
    if as_json:
        print_json(found.to_dict())
        return
    worst_first = sorted(found.columns, key=lambda column: -column.psi)
    rows = [(c.name, c.psi, c.ks, c.missing_before, c.missing_now, c.unknown_now, c.verdict) for c in worst_first]
    header = ("column", "PSI", "KS", "missing before", "now", "unknown", "verdict")
    print_table(header, rows, right=header[1:-1])
    limits = found.thresholds
    typer.echo(
        f"\n{found.message}\nshifted: PSI from {limits['psi_shift']:g} or KS from {limits['ks_shift']:g}; drifted: PSI "
        f"from {limits['psi_drift']:g}; and not by chance (level {limits['alpha']:g} over all columns)"
    )
