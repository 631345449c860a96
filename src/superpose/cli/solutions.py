"""`superpose solutions`: submit, list, show, download, remove."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.file_jobs import FileJobFace, add_file_job_commands, followed
from superpose.cli.following import progress_text
from superpose.cli.output import console, note, paragraph, print_json, print_table

if TYPE_CHECKING:
    from superpose.client import Solution

__all__ = ["app"]

app = typer.Typer(
    name="solutions",
    help="Problems from logistics, solved by a service.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def submit(  # noqa: PLR0913  # one parameter per option
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A problem, as `superpose solve` takes it.")],
    method: Annotated[str, typer.Option(help="qaoa, vqe, annealing or classical.", metavar="NAME")] = "qaoa",
    option: Annotated[
        list[str] | None,
        typer.Option(
            help="Of `superpose solve`, as layers=3 or time_limit_s=60; may be repeated.", metavar="NAME=VALUE"
        ),
    ] = None,
    reference: Annotated[float | None, typer.Option(help="Best objective known.", metavar="VALUE")] = None,
    priority: Annotated[int, typer.Option(help="-10 to 10; higher starts first.", metavar="N")] = 0,
    after: Annotated[
        list[str] | None, typer.Option(help="Begin once this job has succeeded; may be given again.", metavar="JOB")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Submit and return at once.")] = False,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Solve a problem on a service, as a durable job.

    The same as `superpose solve`, with controls; a job whose worker dies begins
    again with the same seed.
    """
    import yaml

    options: dict[str, Any] = {}
    for one in option or ():
        name, sign, value = one.partition("=")
        if not sign:
            raise typer.BadParameter(f"{one!r} is not NAME=VALUE")
        options[name] = yaml.safe_load(value)
    with connect(url, key_file) as client:
        made = client.solutions.create(
            file, method=method, options=options, reference=reference, priority=priority, after=after or ()
        )
        if not detach:
            note(f"job {made.id}: {made.name}, {made.n_variables:,} variables")
            made = followed(client, client.solutions, made.id, verdict=as_json)
    if as_json:
        print_json(made.to_dict())
    elif detach:
        typer.echo(f"submitted {made.id}; see it with: superpose solutions show {made.id}")
    else:
        rows = [
            (row["method"], row["value"], "yes" if row["feasible"] else "no") for row in (made.result or {})["methods"]
        ]
        print_table(("method", "value", "feasible"), rows, right=("value",))
        for name, value in ((made.result or {}).get("solution") or {}).items():
            paragraph(console(), f"{name}: {value}")
        _tell(made)


def _tell(found: Solution) -> None:
    if (found.result or {}).get("verdict"):
        note(str((found.result or {})["verdict"]))


add_file_job_commands(
    app,
    FileJobFace(
        title="solution",
        jobs=lambda client: client.solutions,
        columns=(("problem", "kind", "variables", "method", "value"), ("variables", "value")),
        row=lambda one: (one.name, one.problem_kind, one.n_variables, one.method, one.value),
        members=lambda one: {
            "problem": f"{one.name} ({one.problem_kind}, {one.n_variables:,} variables)",
            "method": one.method,
            "value": one.value,
            "progress": progress_text(one.progress) or None,
        },
        tell=_tell,
    ),
)
