"""`superpose predict-file` and `superpose predictions`: of-dataset, list, show, download, remove."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.file_jobs import FileJobFace, add_file_job_commands, check_folder, fetched, followed
from superpose.cli.models import NameArgument, VersionOption, reference
from superpose.cli.output import note, print_json
from superpose.cli.predict import AbstainOption, NoveltyOption, SetsOption, abstain_rule

if TYPE_CHECKING:
    from superpose.client import BatchPrediction, Client

__all__ = ["app", "predict_file"]

app = typer.Typer(
    name="predictions", help="Batch predictions: files in, files out.", no_args_is_help=True, rich_markup_mode=None
)


AfterOption = Annotated[
    list[str] | None, typer.Option(help="Begin once this job has succeeded; may be given again.", metavar="JOB")
]
PriorityOption = Annotated[int, typer.Option(help="-10 to 10; higher starts first.", metavar="N")]
PolicyOption = Annotated[
    str, typer.Option(help="For rows that cannot be predicted: fail, or skip and report.", metavar="POLICY")
]
DetachOption = Annotated[bool, typer.Option("--detach", help="Submit and return at once; OUT is not written.")]
TargetArgument = Annotated[Path, typer.Argument(metavar="OUT", help="Predictions: .csv, .parquet or .npz.")]


def predict_file(  # noqa: PLR0913  # one parameter per option
    model: NameArgument,
    source: Annotated[Path, typer.Argument(metavar="IN", help="Rows: a .csv, .parquet or .npz file.")],
    target: TargetArgument,
    version: VersionOption = None,
    on_error: PolicyOption = "fail",
    priority: PriorityOption = 0,
    after: AfterOption = None,
    sets: SetsOption = False,
    abstain: AbstainOption = None,
    novelty: NoveltyOption = False,
    detach: DetachOption = False,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict a file's rows with a model, as a durable job.

    OUT has each row's number in IN (from 0), its class, and a probability per
    class. Columns that the model does not need are ignored.
    """
    from superpose.client.predictions import format_of

    if not detach:
        check_folder(target)
    asked: dict[str, Any] = {
        "version": reference(version),
        "on_error": on_error,
        "priority": priority,
        "after": after or (),
        "prediction_set": sets,
        "abstain": abstain_rule(abstain),
        "novelty": novelty,
    }
    with connect(url, key_file) as client:
        made = client.predictions.create(model, source, format=format_of(target), **asked)
        _finish(client, made, target, detach=detach, as_json=as_json)


@app.command("of-dataset")
def of_dataset(  # noqa: PLR0913  # one parameter per option
    model: NameArgument,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Name or id of a registered data set.")],
    target: TargetArgument,
    version: VersionOption = None,
    on_error: PolicyOption = "fail",
    priority: PriorityOption = 0,
    after: AfterOption = None,
    sets: SetsOption = False,
    abstain: AbstainOption = None,
    novelty: NoveltyOption = False,
    detach: DetachOption = False,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict the rows of a registered data set; its target is ignored."""
    from superpose.client.predictions import format_of

    if not detach:
        check_folder(target)
    asked: dict[str, Any] = {
        "version": reference(version),
        "on_error": on_error,
        "priority": priority,
        "after": after or (),
        "prediction_set": sets,
        "abstain": abstain_rule(abstain),
        "novelty": novelty,
    }
    with connect(url, key_file) as client:
        made = client.predictions.create(model, dataset=dataset, format=format_of(target), **asked)
        _finish(client, made, target, detach=detach, as_json=as_json)


def _finish(client: Client, made: BatchPrediction, target: Path, *, detach: bool, as_json: bool) -> None:
    """Wait for the end and write OUT, unless detached; say what came of it."""
    if not detach:
        note(f"job {made.id}: {made.model} version {made.version}")
        made = followed(client, client.predictions, made.id)
        fetched(client.predictions, made.id, target, "predictions")
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
    if result.get("notice"):
        note(result["notice"])


add_file_job_commands(
    app,
    FileJobFace(
        title="batch prediction",
        jobs=lambda client: client.predictions,
        columns=(("model", "version", "rows"), ("version", "rows")),
        row=lambda one: (one.model, one.version, (one.result or one.progress).get("n_rows")),
        members=lambda one: {
            "model": f"{one.model} version {one.version}",
            "data set": one.dataset,
            "format": one.format,
        },
        tell=_tell,
    ),
)
