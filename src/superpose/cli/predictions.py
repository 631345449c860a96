"""`superpose predict-file` and `superpose predictions`: list, show, download, remove."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.models import NameArgument, VersionOption, reference
from superpose.cli.output import age, note, print_json, print_table, section
from superpose.errors import JobFailedError, RequestError

if TYPE_CHECKING:
    from superpose.client import BatchPrediction

__all__ = ["app", "predict_file"]

app = typer.Typer(
    name="predictions", help="Batch predictions: files in, files out.", no_args_is_help=True, rich_markup_mode=None
)
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the batch prediction (job_...).")]


def predict_file(  # noqa: PLR0913  # one parameter per option
    model: NameArgument,
    source: Annotated[Path, typer.Argument(metavar="IN", help="Rows: a .csv, .parquet or .npz file.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Predictions: .csv, .parquet or .npz.")],
    version: VersionOption = None,
    on_error: Annotated[
        str, typer.Option(help="For rows that cannot be predicted: fail, or skip and report.", metavar="POLICY")
    ] = "fail",
    detach: Annotated[bool, typer.Option("--detach", help="Submit and return at once; OUT is not written.")] = False,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict a file's rows with a model, as a durable job.

    OUT has each row's number in IN (from 0), its class, and a probability per
    class. Columns that the model does not need are ignored.
    """
    from superpose.cli.following import follow
    from superpose.client.predictions import format_of

    with connect(url, key_file) as client:
        made = client.predictions.create(
            model, source, version=reference(version), format=format_of(target), on_error=on_error
        )
        if not detach:
            note(f"job {made.id}: {made.model} version {made.version}")
            job = follow(client, made.id)
            if not job.succeeded:
                error = job.error or {}
                message = f"Batch prediction {job.id} {job.status}: {error.get('message', 'no reason was given')}"
                raise JobFailedError(message, job_id=job.id, problem_code=str(error.get("code", job.status)))
            try:
                client.predictions.download(made.id, target)
            except OSError as error:
                raise RequestError(f"{target} cannot be written: {error.strerror}.", path=str(target)) from error
            made = client.predictions.get(made.id)
    if as_json:
        print_json({**made.to_dict(), "path": None if detach else str(target.absolute())})
    elif detach:
        typer.echo(f"submitted {made.id}; fetch it with: superpose predictions download {made.id}")
    else:
        _tell(made)
        typer.echo(str(target))


def _tell(found: BatchPrediction) -> None:
    """What there is to say besides the file, on stderr."""
    result = found.result or {}
    note(f"{result.get('n_predicted', 0):,} of {result.get('n_rows', 0):,} rows predicted")
    for failure in result.get("failures", [])[:10]:
        note(f"  row {failure['row']} left out: {failure['reason']}")
    if result.get("n_failed", 0) > 10:
        note(f"  and {result['n_failed'] - 10:,} more; see: superpose predictions show {found.id} --json")
    for column, count in result.get("unknown_categories", {}).items():
        note(f"  column {column!r}: {count:,} values that the model does not know")
    if result.get("ignored_columns"):
        note(f"  columns ignored: {', '.join(result['ignored_columns'][:10])}")


@app.command("list")
def list_predictions(
    limit: Annotated[int, typer.Option(help="At most this many, newest first.", metavar="N", min=1)] = 20,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List batch predictions, newest first."""
    with connect(url, key_file) as client:
        found = client.predictions.list(limit=limit)
    if as_json:
        print_json([one.to_dict() for one in found])
        return
    rows = [
        (one.id, one.status, one.model, one.version, (one.result or one.progress).get("n_rows"), age(one.created_at))
        for one in found
    ]
    print_table(("id", "status", "model", "version", "rows", "age"), rows, right=("version", "rows"))


@app.command()
def show(
    prediction_id: IdArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Show a batch prediction and what it has to report."""
    with connect(url, key_file) as client:
        found = client.predictions.get(prediction_id)
    if as_json:
        print_json(found.to_dict())
        return
    section(
        {
            "id": found.id,
            "status": found.status,
            "model": f"{found.model} version {found.version}",
            "data set": found.dataset,
            "format": found.format,
            "error": (found.error or {}).get("message"),
        }
    )
    if found.result is not None:
        _tell(found)


@app.command()
def download(
    prediction_id: IdArgument,
    output: Annotated[
        Path | None, typer.Option(help="File or directory [default: ./ID.FORMAT].", metavar="PATH")
    ] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Save the predictions."""
    with connect(url, key_file) as client:
        try:
            path = client.predictions.download(prediction_id, output).absolute()
        except OSError as error:
            raise RequestError(f"The file cannot be written: {error.strerror}. Choose another --output.") from error
    if as_json:
        print_json({"id": prediction_id, "path": str(path), "size_bytes": path.stat().st_size})
    else:
        typer.echo(str(path))


@app.command()
def remove(
    prediction_id: IdArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Delete the files of a batch prediction that has ended."""
    with connect(url, key_file) as client:
        client.predictions.delete(prediction_id)
    if as_json:
        print_json({"removed": prediction_id})
    else:
        typer.echo(f"removed the files of {prediction_id}")
