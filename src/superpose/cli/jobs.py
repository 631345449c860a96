"""`superpose jobs`: list, show, watch, cancel."""

from __future__ import annotations

from typing import Annotated

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
        (job.id, job.kind, job.status, share(job.progress.get("fraction")), job.dataset, job.model, age(job.created_at))
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
    from superpose.cli.following import progress_text

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


def share(fraction: object) -> str:
    """A fraction in per cent."""
    return f"{100 * fraction:.0f} %" if isinstance(fraction, int | float) else "–"
