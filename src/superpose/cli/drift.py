"""`superpose models drift`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.models import NameArgument, VersionOption, reference
from superpose.cli.output import print_json, print_table, section
from superpose.cli.registry import app
from superpose.errors import NoBaselineError

if TYPE_CHECKING:
    from superpose.client import ModelVersion

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
    """Show how far rows have moved from what the model was trained on.

    Without rows, shows the baseline that they would be held against.
    """
    if source is not None and dataset is not None:
        raise typer.BadParameter("give either a file or --dataset NAME")
    if source is None and dataset is None:
        with connect(url, key_file) as client:
            _show_baseline(client.models.version(name, reference(version)), as_json=as_json)
        return
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


def _show_baseline(version: ModelVersion, *, as_json: bool) -> None:
    """Print how the columns of a version's training rows were distributed."""
    baseline: Any = version.manifest.get("drift_baseline")
    if not baseline:
        raise NoBaselineError(
            f"Version {version.version} of model {version.model!r} has no drift baseline. How it gets one is told by: "
            f"superpose models gate {version.model} --version {version.version}"
        )
    if as_json:
        print_json({"model": version.model, "version": version.version, **baseline})
        return
    section({"model": f"{version.model} version {version.version}", "training rows": baseline["n_rows"]})
    typer.echo()
    rows = [(c["name"], c["kind"], len(c["shares"]), _distribution(c), c["missing"]) for c in baseline["columns"]]
    print_table(("column", "kind", "parts", "values", "missing"), rows, right=("parts", "missing"))


def _distribution(column: Any) -> str:
    """Where the edges of a number column's parts lie, or the most frequent categories."""
    if column["kind"] == "number":
        edges = column["edges"]
        return f"{edges[0]:.4g} .. {edges[len(edges) // 2]:.4g} .. {edges[-1]:.4g}" if edges else "one value"
    frequent = sorted(column["shares"].items(), key=lambda item: -item[1])[:4]
    return ", ".join(f"{word} {100 * share:.0f} %" for word, share in frequent)
