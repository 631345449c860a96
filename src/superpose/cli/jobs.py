"""`superpose jobs`: list, show, watch, cancel, submit, metrics, artifacts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import age, print_json, print_table, section

__all__ = ["app"]

app = typer.Typer(name="jobs", help="Training jobs and program runs.", no_args_is_help=True, rich_markup_mode=None)
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job (job_...).")]


@app.command("list")
def list_jobs(
    status: Annotated[str | None, typer.Option(help="Only jobs of this status.", metavar="STATUS")] = None,
    limit: Annotated[int, typer.Option(help="At most this many, newest first.", metavar="N", min=1)] = 20,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List jobs, newest first."""
    with connect(url, key_file) as client:
        found = client.jobs.list(status=status, limit=limit)
    if as_json:
        print_json([job.to_dict() for job in found])
        return
    rows = [
        (
            job.id,
            job.kind,
            f"{job.status} (held)" if job.held else job.status,
            share(job.progress.get("fraction")),
            job.dataset,
            job.model,
            age(job.created_at),
        )
        for job in found
    ]
    print_table(("id", "kind", "status", "done", "dataset", "model", "age"), rows, right=("done",))


@app.command()
def show(
    job_id: JobArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Show a job as it stands now."""
    with connect(url, key_file) as client:
        job = client.jobs.get(job_id)
    if as_json:
        print_json(job.to_dict())
        return
    from superpose.cli.following import estimate_text, progress_text

    section(
        {
            "id": job.id,
            "kind": job.kind,
            "status": job.status,
            "progress": progress_text(job.progress) or None,
            "attempt": job.attempt,
            "priority": job.priority,
            **({"after": ", ".join(job.after)} if job.after else {}),
            **({"not before": job.not_before_at} if job.not_before_at else {}),
            **({"held": job.held.get("message")} if job.held else {}),
            **({"estimate": estimate_text(job.estimate)} if job.estimate else {}),
            **({"remarks": " ".join(str(remark.get("message")) for remark in job.remarks)} if job.remarks else {}),
            "data set": job.dataset,
            "model": job.model if job.model_version is None else f"{job.model} version {job.model_version}",
            "submitted": job.created_at,
            "started": job.started_at,
            "finished": job.finished_at,
            "error": f"{job.error.get('code')}: {job.error.get('message')}" if job.error else None,
        }
    )


@app.command()
def watch(
    job_id: JobArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Follow a job until it has finished; exit 1 unless it succeeded. Ctrl-C leaves it running."""
    from superpose.cli.following import follow

    with connect(url, key_file) as client:
        job = follow(client, job_id)
    if as_json:
        print_json(job.to_dict())
    else:
        reason = f": {job.error.get('message')}" if job.error else ""
        typer.echo(f"{job.id} {job.status}{reason}")
    if not job.succeeded:
        raise typer.Exit(1)


@app.command()
def cancel(
    job_id: JobArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Stop a job."""
    with connect(url, key_file) as client:
        job = client.jobs.cancel(job_id)
    if as_json:
        print_json(job.to_dict())
    else:
        typer.echo(f"{job.id} {job.status}")


@app.command()
def submit(  # noqa: PLR0913  # one parameter per option
    function: Annotated[
        str, typer.Argument(metavar="FUNCTION", help="FILE.py:NAME of a function decorated with @superpose.job.")
    ],
    param: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE, as JSON or text; may be given again.", metavar="PARAM"),
    ] = None,
    copy_from: Annotated[
        str | None, typer.Option(help="Start with this finished job's checkpoint directory.", metavar="JOB")
    ] = None,
    priority: Annotated[int, typer.Option(help="-10 to 10; higher starts first.", metavar="N")] = 0,
    after: Annotated[
        list[str] | None, typer.Option(help="Begin once this job has succeeded; may be given again.", metavar="JOB")
    ] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Submit a function of your own; the service must allow user code."""
    with connect(url, key_file) as client:
        job = client.jobs.submit(
            function, params_of(param or []), copy_from=copy_from, priority=priority, after=after or ()
        )
    if as_json:
        print_json(job.to_dict())
    else:
        typer.echo(f"submitted {job.id}; watch it with: superpose jobs watch {job.id}")


@app.command()
def metrics(
    job_id: JobArgument,
    name: Annotated[str | None, typer.Option(help="Only this metric.", metavar="NAME")] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the numbers that a job's function logged."""
    with connect(url, key_file) as client:
        found = client.jobs.metrics(job_id, name)
    if as_json:
        print_json([point.to_dict() for point in found])
        return
    rows = [(point.name, point.step, f"{point.value:.6g}", point.attempt, age(point.at)) for point in found]
    print_table(("metric", "step", "value", "attempt", "age"), rows, right=("step", "value", "attempt"))


@app.command()
def artifacts(
    job_id: JobArgument,
    download: Annotated[
        Path | None, typer.Option(help="Save the job's outputs in this directory.", metavar="DIR")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove all files that the job left.")] = False,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List, save or remove the files that a job left."""
    saved = {}
    with connect(url, key_file) as client:
        found = client.jobs.artifacts(job_id)
        for file in found if download is not None else []:
            if file.role == "output":
                target = (download or Path()) / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                saved[file.name] = str(client.jobs.download(job_id, file.name, target))
        if remove:
            client.jobs.remove_artifacts(job_id)
    if as_json:
        print_json({"artifacts": [file.to_dict() for file in found], "saved": saved, "removed": remove})
        return
    rows = [(file.name, file.role, file.n_bytes, file.digest[:12], file.attempt) for file in found]
    print_table(("name", "role", "bytes", "digest", "attempt"), rows, right=("bytes", "attempt"))
    for path in saved.values():
        typer.echo(f"saved {path}")
    if remove:
        typer.echo(f"removed {len(found)} files")


def params_of(given: list[str]) -> dict[str, Any]:
    """Parameters from NAME=VALUE, the value as JSON where it is some, else as text."""
    params: dict[str, Any] = {}
    for item in given:
        name, equals, text = item.partition("=")
        if not equals or not name.isidentifier():
            raise typer.BadParameter(f"a parameter is NAME=VALUE, got {item!r}", param_hint="--param")
        try:
            params[name] = json.loads(text)
        except (ValueError, RecursionError):
            params[name] = text
    return params


def share(fraction: object) -> str:
    """A fraction in per cent."""
    return f"{100 * fraction:.0f} %" if isinstance(fraction, int | float) else "–"
