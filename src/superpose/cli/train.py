"""`superpose train`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import note, print_json
from superpose.cli.templates import TEMPLATES, Template, train_template
from superpose.errors import SpecError

if TYPE_CHECKING:
    from superpose.client import Client, Job

__all__ = ["finish", "read_spec", "tell_estimate", "train"]


def train(  # noqa: PLR0913  # one parameter per option
    spec: Annotated[
        str | None,
        typer.Argument(
            metavar="SPEC",
            help="Training spec, YAML or JSON; - reads stdin. Or a template: pneumonia, demand. Optional with --from.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Name or id of the data set; every spec needs one.", metavar="NAME")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Model to file it under [default: the data set's name].", metavar="NAME")
    ] = None,
    priority: Annotated[int, typer.Option(help="-10 to 10; higher starts first.", metavar="N")] = 0,
    after: Annotated[
        list[str] | None, typer.Option(help="Begin once this job has succeeded; may be given again.", metavar="JOB")
    ] = None,
    max_cost: Annotated[float | None, typer.Option(metavar="USD", min=0.0, help="Refuse if it may cost more.")] = None,
    max_seconds: Annotated[
        float | None, typer.Option(metavar="S", min=0.001, help="Longest time that workers may hold it.")
    ] = None,
    backend: Annotated[
        str | None, typer.Option(metavar="NAME", help="Measure circuits there in training [default: exact, here].")
    ] = None,
    shots: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Of each circuit on the backend, on average at most.")
    ] = None,
    gradient: Annotated[
        str | None, typer.Option(metavar="METHOD", help="On the backend: parameter-shift or spsa.")
    ] = None,
    parent: Annotated[
        str | None,
        typer.Option("--from", metavar="MODEL", help="Begin from this model, as NAME:VERSION, and fine-tune it."),
    ] = None,
    freeze: Annotated[
        str | None, typer.Option(metavar="BLOCKS", help="With --from: do not train features, entry, circuit, head.")
    ] = None,
    block_rates: Annotated[
        str | None,
        typer.Option(
            "--learning-rates", metavar="RATES", help="With --from: by block, such as circuit=0.002,head=0.02."
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Submit and return at once.")] = False,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="With --dataset: tell what it takes, and submit nothing.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Template: pictures (.npz, folder, .zip), or CSV of demand."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Template: where the run is kept [default: NAME-run].")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Template: settings, chest, breast or pretrained [default: chest]."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Template: how many [default: 5, demand 3].")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Template: of every training [default: the preset's].")
    ] = None,
    beside: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="Template: what to train beside it, all or none [default: all but ResNet-18]."
        ),
    ] = None,
    reuse: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="pneumonia: take networks over from an earlier run; may be given again."),
    ] = None,
    frequency: Annotated[
        str | None, typer.Option(metavar="WORD", help="demand: daily, weekly or monthly [default: as the dates are].")
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="demand: periods ahead [default: 14 d, 8 w or 12 m].")
    ] = None,
    origins: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="demand: origins that test [default: 8].")
    ] = None,
    gaps: Annotated[
        str | None, typer.Option(metavar="WORD", help="demand: missing periods, refuse or zero [default: refuse].")
    ] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a model with its controls and a baseline.

    Shows the comparison once all have been trained.
    With --from, training begins from a registered model, and the same model
    trained from scratch stands among the controls.
    Ctrl-C stops watching; the job goes on (see `superpose jobs`).
    A template trains here, without a service; started again, it goes on
    where it was. With --dataset it is a job of the service.
    Models of pictures are not for clinical use.
    """
    template = Template(
        data=data,
        out=out,
        preset=preset,
        seeds=seeds,
        epochs=epochs,
        beside=beside,
        reuse=tuple(reuse) if reuse else None,
        frequency=frequency,
        horizon=horizon,
        origins=origins,
        gaps=gaps,
    )
    if estimate and dataset is None:
        raise typer.BadParameter("--estimate needs --dataset NAME: the service counts by registered data.")
    if spec in TEMPLATES:
        if parent is not None:
            raise typer.BadParameter(_from_of_template(spec, parent, dataset))
        if dataset is None:
            train_template(spec, template, as_json=as_json)
            return
        options = template.options_of_job(spec)
        with connect(url, key_file) as client:
            if estimate:
                tell_estimate(
                    client.jobs.estimate_template(spec, dataset=dataset, options=options, max_seconds=max_seconds),
                    as_json=as_json,
                )
                return
            job = client.jobs.train_template(
                spec,
                dataset=dataset,
                model=model,
                options=options,
                priority=priority,
                after=after or (),
                max_cost_usd=max_cost,
                max_seconds=max_seconds,
            )
            finish(client, job, detach=detach, as_json=as_json)
        return
    if spec is None and parent is None:
        raise typer.BadParameter("a SPEC is needed, or --from MODEL")
    template.refuse(spec or "--from")
    if dataset is None:
        raise typer.BadParameter("a spec needs --dataset NAME")
    wanted = {} if spec is None else read_spec(spec)
    _put_parent(wanted, parent, freeze, block_rates)
    _put_backend(wanted, name=backend, shots=shots, gradient=gradient)
    with connect(url, key_file) as client:
        if estimate:
            tell_estimate(client.jobs.estimate(dataset=dataset, spec=wanted, max_seconds=max_seconds), as_json=as_json)
            return
        job = client.jobs.train(
            dataset=dataset,
            model=model or dataset,
            spec=wanted,
            priority=priority,
            after=after or (),
            max_cost_usd=max_cost,
            max_seconds=max_seconds,
        )
        finish(client, job, detach=detach, as_json=as_json)


def tell_estimate(quote: dict[str, Any], *, as_json: bool) -> None:
    """Print what a training job or a sweep would take, what is to be said about that, and what would be set aside."""
    from superpose.cli.budgets import money
    from superpose.cli.following import estimate_text

    if as_json:
        print_json(quote)
        return
    if quote["estimate"] is not None:
        typer.echo(estimate_text(quote["estimate"]))
    for remark in quote.get("remarks", ()):  # a service of an older release has none
        typer.echo(remark["message"])
    longest = quote["max_seconds"]
    bound = "" if longest is None else f", for at most {longest:,.0f} s of workers"
    again = ", and as much for each trial and the final training when it begins" if quote["kind"] == "sweep" else ""
    typer.echo(f"set aside when submitted: {money(quote['reserved_usd'])}{bound}{again}")


def _from_of_template(name: str, parent: str, dataset: str | None) -> str:
    """What to do instead of beginning a template from a model."""
    said = f"{name} is a template, which begins from no model; leave --from out."
    if name != "pneumonia":
        return said
    return (
        f"{said} To fine-tune a model on registered pictures: superpose train --from {parent} --dataset "
        f"{dataset or 'NAME'} (docs/fine-tuning.md)."
    )


def _put_parent(spec: dict[str, Any], parent: str | None, freeze: str | None, learning_rates: str | None) -> None:
    """Put what the command says about fine-tuning into the spec's section, over what stands there.

    Raises:
        SpecError: a rate that is no number.
    """
    given: dict[str, Any] = {} if parent is None else {"parent": parent}
    if freeze is not None:
        given["freeze"] = [block.strip() for block in freeze.split(",") if block.strip()]
    if learning_rates is not None:
        pairs = [part.partition("=") for part in learning_rates.split(",")]
        try:
            given["learning_rates"] = {block.strip(): float(rate) for block, _, rate in pairs}
        except ValueError:
            raise SpecError(
                f"must be BLOCK=RATE, separated by commas, got {learning_rates!r}", "fine_tune.learning_rates"
            ) from None
    if given:
        section = spec.get("fine_tune")
        spec["fine_tune"] = {**(section if isinstance(section, dict) else {}), **given}


def _put_backend(spec: dict[str, Any], **said: str | int | None) -> None:
    """Put what the command says about the backend into the spec's section, over what stands there.

    Raises:
        SpecError: shots or a gradient without a backend.
    """
    given = {name: value for name, value in said.items() if value is not None}
    if not given:
        return
    section = spec.get("backend")
    section = {**(section if isinstance(section, dict) else {}), **given}
    if section.get("name") is None:
        raise SpecError(
            "is needed: --shots and --gradient are for training on a backend; add --backend NAME", "backend"
        )
    spec["backend"] = section


def finish(client: Client, job: Job, *, detach: bool, as_json: bool) -> None:
    """Follow a training job to its end and show what came of it, or say only that it was submitted.

    Raises:
        JobFailedError: it did not succeed.
    """
    from superpose.cli.comparison import print_comparison
    from superpose.cli.following import estimate_text, follow

    if job.estimate is not None:
        note(f"job {job.id}: expected to take {estimate_text(job.estimate)}")
    for remark in job.remarks:
        note(f"job {job.id}: {remark.get('message')}")
    if detach:
        if as_json:
            print_json(job.to_dict())
        else:
            typer.echo(f"submitted {job.id}; watch it with: superpose jobs watch {job.id}")
        return
    note(f"job {job.id}: {job.status}")
    try:
        job = follow(client, job.id, verdict=as_json)  # else it stands under the comparison
    except KeyboardInterrupt:
        note(f"\njob {job.id} goes on; watch it with: superpose jobs watch {job.id}")
        raise
    if not job.succeeded:
        from superpose.client.problems import job_failed

        raise job_failed(f"Job {job.id}", job.id, job.status, job.error)
    version = client.models.version(job.model or "", job.model_version)
    if as_json:
        print_json({"job": job.to_dict(), "model_version": version.to_dict()})
        return
    print_comparison(version.evaluation)
    typer.echo(
        f"\n{version.model} version {version.version} is registered; deploy it with: superpose deploy {version.model}"
    )


def read_spec(source: str) -> dict[str, Any]:
    """A training spec from a file or stdin; the service checks its fields.

    Raises:
        SpecError: it cannot be read, or is not one YAML or JSON object.
    """
    import yaml

    try:
        document = yaml.safe_load(sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8"))
    except OSError as error:
        templates = ""
        if isinstance(error, FileNotFoundError) and not Path(source).suffix:
            templates = f"; a template is {' or '.join(TEMPLATES)}, a spec is a YAML or JSON file"
        raise SpecError(f"{source} cannot be read: {error.strerror or error}{templates}", "spec") from None
    except UnicodeDecodeError:
        raise SpecError(f"{source} is not UTF-8 text", "spec") from None
    except yaml.YAMLError as error:
        raise SpecError(f"{source} is neither YAML nor JSON: {' '.join(str(error).split())}", "spec") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SpecError(f"{source} must hold one object of fields, got {type(document).__name__}", "spec")
    return document
