"""`superpose sweep` and `superpose sweeps`: list, show, plot, cancel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import age, console, note, print_json, print_table, section
from superpose.cli.train import read_spec, tell_estimate
from superpose.errors import RequestError, SpecError

if TYPE_CHECKING:
    from superpose.client import Sweep

__all__ = ["app", "sweep"]

app = typer.Typer(name="sweeps", help="Searches for a good training spec.", no_args_is_help=True, rich_markup_mode=None)
NameArgument = Annotated[str, typer.Argument(metavar="SWEEP", help="Name of the sweep.")]


def sweep(  # noqa: PLR0913  # one parameter per option
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="The sweep, YAML or JSON; - reads it from stdin.")],
    dataset: Annotated[str | None, typer.Option(help="Data set [default: as SPEC says].", metavar="NAME")] = None,
    name: Annotated[str | None, typer.Option(help="Name [default: the model's].", metavar="NAME")] = None,
    model: Annotated[
        str | None, typer.Option(help="Model that gets the best trial [default: the data set's name].", metavar="NAME")
    ] = None,
    priority: Annotated[int, typer.Option(help="-10 to 10; higher starts first.", metavar="N")] = 0,
    after: Annotated[
        list[str] | None, typer.Option(help="Begin once this job has succeeded; may be given again.", metavar="JOB")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Submit and return at once.")] = False,
    estimate: Annotated[bool, typer.Option("--estimate", help="Tell what it takes, and submit nothing.")] = False,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search for a good training spec, then train the best.

    Trials are measured by cross-validation on rows that no test sees.
    Ctrl-C stops watching; the sweep goes on (see `superpose sweeps`).
    """
    from superpose.cli.following import estimate_text, follow

    wanted = read_spec(spec)
    said = {key: wanted.pop(key, None) for key in ("dataset", "name", "model", "priority", "after")}
    dataset = dataset or said["dataset"]
    if not isinstance(dataset, str):
        raise SpecError("is needed: name the data set in the sweep, or with --dataset", "dataset")
    with connect(url, key_file) as client:
        if estimate:
            tell_estimate(client.sweeps.estimate(wanted, dataset=dataset), as_json=as_json)
            return
        made = client.sweeps.create(
            wanted,
            dataset=dataset,
            name=name or said["name"],
            model=model or said["model"],
            priority=priority or said["priority"] or 0,
            after=after or said["after"] or (),
        )
        if made.estimate is not None:
            note(f"sweep {made.name}: expected to take {estimate_text(made.estimate)}")
        for remark in made.remarks:
            note(f"sweep {made.name}: {remark.get('message')}")
        if not detach:
            note(f"sweep {made.name}: job {made.job}")
            job = follow(client, made.job)
            made = client.sweeps.get(made.name)
            if not job.succeeded:
                from superpose.client.problems import job_failed

                raise job_failed(f"Sweep {made.name}", job.id, job.status, job.error)
    if as_json:
        print_json(made.to_dict())
    elif detach:
        typer.echo(f"submitted {made.name}; see it with: superpose sweeps show {made.name}")
    else:
        _show(made)


@app.command("list")
def list_sweeps(url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False) -> None:
    """List the project's sweeps."""
    with connect(url, key_file) as client:
        found = client.sweeps.list()
    if as_json:
        print_json([one.to_dict() for one in found])
        return
    rows = [
        (one.name, one.status, f"{one.progress.get('n_ended', 0)} of {one.progress.get('n_trials', '?')}",
         (one.best or {}).get("value"), one.dataset, one.model, age(one.created_at))
        for one in found
    ]  # fmt: skip
    print_table(("name", "status", "trials", "best", "dataset", "model", "age"), rows, right=("trials", "best"))


@app.command()
def show(
    name: NameArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Compare the trials of a sweep, the best first."""
    with connect(url, key_file) as client:
        found = client.sweeps.get(name)
    if as_json:
        print_json(found.to_dict())
    else:
        _show(found)


def _show(found: Sweep) -> None:
    from superpose.cli.following import estimate_text

    best = found.best or {}
    objective = found.sweep.get("objective", {})
    section(
        {
            "sweep": f"{found.name} ({found.status})",
            "data set": found.dataset,
            "objective": f"{objective.get('metric')}, mean over {objective.get('folds')} tuning folds",
            **({"estimate": estimate_text(found.estimate)} if found.estimate else {}),
            **({"remarks": " ".join(str(remark.get("message")) for remark in found.remarks)} if found.remarks else {}),
            "best": f"trial {best['number']}: {best['value']:.4f}" if best else None,
            "model": found.model if found.model_version is None else f"{found.model} version {found.model_version}",
            "error": (found.error or {}).get("message"),
        }
    )
    console().print()
    names = list(found.sweep.get("space", {}))
    sign = -1 if _higher(objective.get("metric")) else 1
    worst = float("inf")
    ordered = sorted(found.trials, key=lambda t: (worst if t.value is None else sign * t.value, t.number))
    rows = [
        (
            trial.number,
            trial.state,
            trial.value,
            None if len(trial.folds) < 2 else f"{min(trial.folds):.3f} to {max(trial.folds):.3f}",
            trial.n_params,
            *(trial.params.get(path) for path in names),
        )
        for trial in ordered
    ]
    heads = ("trial", "state", "value", "over folds", "parameters", *(path.rpartition(".")[2] for path in names))
    print_table(heads, rows, right=("trial", "value", "parameters"))
    if found.importances:
        console().print()
        print_table(("importance of", "share"), [(n, f"{share:.3f}") for n, share in found.importances.items()])


def _higher(metric: object) -> bool:
    from superpose.learning.metrics import METRICS

    return str(metric) not in METRICS or METRICS[str(metric)].higher_is_better


@app.command()
def plot(
    name: NameArgument,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write the files.")],
    form: Annotated[list[str] | None, typer.Option("--format", help="png or svg [default: png].", metavar="F")] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw a sweep: history, importance of parameters, parallel coordinates."""
    from superpose.explain import plot_sweep

    with connect(url, key_file) as client:
        found = client.sweeps.get(name)
    try:
        written = plot_sweep(found.to_dict(), directory, form or ["png"])
    except OSError as error:
        raise RequestError(f"{directory} cannot be written: {error.strerror or error}.", path=str(directory)) from error
    if as_json:
        print_json({"sweep": name, "files": [str(path.absolute()) for path in written]})
    else:
        for path in written:
            typer.echo(str(path))


@app.command()
def cancel(
    name: NameArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Cancel a sweep and all that it has begun."""
    with connect(url, key_file) as client:
        found = client.sweeps.cancel(name)
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(f"{found.name} {found.status}")
