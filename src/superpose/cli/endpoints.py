"""`superpose deploy` and `superpose endpoints`: list, show, lineage, update, rollback, canary, promote, remove."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated, Final

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.lineage import DrawingOption, draw
from superpose.cli.models import reference
from superpose.cli.output import age, print_json, print_table, removed, section
from superpose.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from superpose.client import Endpoint
    from superpose.client.endpoint_nouns import Alarm

__all__ = ["app", "deploy"]

app = typer.Typer(name="endpoints", help="Deployed models.", no_args_is_help=True, rich_markup_mode=None)

_LIMITS: Final = ("max_batch_rows", "max_delay_ms", "max_queue_rows", "max_concurrency")

NameArgument = Annotated[str, typer.Argument(metavar="ENDPOINT", help="Name of the endpoint.")]
VersionOption = Annotated[
    str | None, typer.Option("--version", help="Number or alias [default: the latest].", metavar="N")
]
ModelOption = Annotated[str | None, typer.Option("--model", help="Model [default: the endpoint's].", metavar="MODEL")]
LimitOption = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="NAME=VALUE",
        help=f"{', '.join(_LIMITS[:-1])} or {_LIMITS[-1]}; =default resets. Repeatable.",
    ),
]

OverrideOption = Annotated[
    str | None,
    typer.Option(help="Admins: why production takes a version that lacks something.", metavar="REASON"),
]
StageOption = Annotated[str | None, typer.Option(help="development or production.", metavar="STAGE")]


def deploy(  # noqa: PLR0913  # one parameter per option
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model to deploy.")],
    version: Annotated[str | None, typer.Option(help="Number or alias [default: the latest].", metavar="N")] = None,
    name: Annotated[str | None, typer.Option(help="Endpoint [default: the model's name].", metavar="NAME")] = None,
    limit: LimitOption = None,
    production: Annotated[
        bool, typer.Option("--production", help="For production: the version must be complete (see models gate).")
    ] = False,
    override: OverrideOption = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a model version behind an endpoint."""
    with connect(url, key_file) as client:
        endpoint = client.endpoints.create(
            name or model,
            model,
            reference(version),
            stage="production" if production else None,
            override=override,
            **_limits(limit),
        )
        address = client.url + endpoint.url
    if as_json:
        print_json(endpoint.to_dict())
    else:
        by = f" ({endpoint.alias})" if endpoint.alias else ""
        typer.echo(f"{endpoint.name}: {endpoint.model} version {endpoint.version}{by} answers at {address}")
        _say_notice(endpoint)


@app.command("list")
def list_endpoints(url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False) -> None:
    """List the project's endpoints."""
    with connect(url, key_file) as client:
        found = client.endpoints.list()
    if as_json:
        print_json([endpoint.to_dict() for endpoint in found])
        return
    rows = [(e.name, e.model, e.version, e.stage, _canary_text(e), e.state, age(e.created_at)) for e in found]
    print_table(("name", "model", "version", "stage", "canary", "state", "age"), rows, right=("version",))


@app.command()
def show(
    endpoint: NameArgument,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show an endpoint: what answers, its revisions, requests and latency."""
    with connect(url, key_file) as client:
        found = client.endpoints.get(endpoint)
        sides, revisions = client.endpoints.stats(endpoint), client.endpoints.revisions(endpoint)
        events, alarms = client.endpoints.events(endpoint), client.endpoints.alarms(endpoint)
        address = client.url + found.url
    if as_json:
        document = found.to_dict()
        document["stats"] = [side.to_dict() for side in sides]
        document["revisions"] = [revision.to_dict() for revision in revisions]
        document["events"] = [event.to_dict() for event in events]
        document["alarms"] = [alarm.to_dict() for alarm in alarms]
        print_json(document)
        return
    own = {name: value for name, value in found.limits.items() if value is not None}
    section(
        {
            "name": found.name,
            "model": f"{found.model} version {found.version}",
            "revision": found.revision,
            "canary": _canary_text(found),
            "stage": found.stage,
            "override": None
            if found.override is None
            else f"without {', '.join(found.override.missing)}: {found.override.reason}",
            "notice": found.notice,
            "limits": ", ".join(f"{name} {value:g}" for name, value in own.items()) or "the service's",
            "state": found.state,
            "url": address,
            "created": found.created_at,
            "alarms": _alarms_text(alarms),
        }
    )
    typer.echo()
    header = ("side", "version", "requests", "errors", "refused", "mean ms", "p50 ms", "p99 ms")
    ms = ("mean", "p50", "p99")
    rows = [(s.side, s.version, s.requests, s.errors, s.refused, *(s.latency_ms.get(n) for n in ms)) for s in sides]
    print_table(header, rows, right=header[1:])
    typer.echo()
    print_table(
        ("revision", "model", "version", "repeats", "age"),
        [
            (r.revision, r.model, r.version, None if r.origin == r.revision else r.origin, age(r.created_at))
            for r in revisions
        ],
        right=("revision", "version", "repeats"),
    )


@app.command()
def update(  # noqa: PLR0913  # one parameter per option
    endpoint: NameArgument,
    version: Annotated[str | None, typer.Option(help="Number or alias that is to answer.", metavar="N")] = None,
    model: ModelOption = None,
    limit: LimitOption = None,
    stage: StageOption = None,
    override: OverrideOption = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put another version behind an endpoint, or change limits or stage; no request fails meanwhile."""
    with connect(url, key_file) as client:
        if version == "latest" and model is None:
            model = client.endpoints.get(endpoint).model  # of a model that is named the newest is meant
        changed = client.endpoints.update(
            endpoint, reference(version), model=model, stage=stage, override=override, **_limits(limit)
        )
    _say(changed, as_json)


@app.command()
def rollback(
    endpoint: NameArgument,
    revision: Annotated[
        int | None, typer.Option(help="Revision to repeat [default: the one before].", metavar="N")
    ] = None,
    override: OverrideOption = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put back what answered before."""
    with connect(url, key_file) as client:
        _say(client.endpoints.rollback(endpoint, revision, override=override), as_json)


@app.command()
def canary(  # noqa: PLR0913  # one parameter per option
    endpoint: NameArgument,
    percent: Annotated[
        float | None, typer.Argument(metavar="[PERCENT]", help="Share of the requests, above 0 and below 100.")
    ] = None,
    version: VersionOption = None,
    model: ModelOption = None,
    at_random: Annotated[
        bool, typer.Option("--random", help="Choose requests at random, not by their request id.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the choice.", metavar="N")] = 0,
    stop: Annotated[bool, typer.Option("--stop", help="End the canary.")] = False,
    override: OverrideOption = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let another version answer a share of the requests, or stop that."""
    if stop == (percent is not None):
        raise RequestError("Give either PERCENT to start a canary, or --stop to end it.", field="percent")
    by = "random" if at_random else "request_id"
    with connect(url, key_file) as client:
        if percent is None:
            changed = client.endpoints.stop_canary(endpoint)
        else:
            changed = client.endpoints.canary(
                endpoint, percent, reference(version), model=model, by=by, seed=seed, override=override
            )
    _say(changed, as_json)


@app.command()
def promote(
    endpoint: NameArgument,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the canary answer all requests."""
    with connect(url, key_file) as client:
        _say(client.endpoints.promote(endpoint), as_json)


@app.command()
def lineage(
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help="Name of the endpoint.")],
    form: DrawingOption = "text",
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw what the endpoint's answers come from."""
    with connect(url, key_file) as client:
        draw(client.endpoints.lineage(endpoint), form, as_json=as_json)


@app.command()
def remove(
    endpoint: NameArgument,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove an endpoint; the model stays."""
    with connect(url, key_file) as client:
        client.endpoints.delete(endpoint)
    removed(endpoint, f"endpoint {endpoint}", as_json=as_json)


def _say(endpoint: Endpoint, as_json: bool) -> None:
    if as_json:
        print_json(endpoint.to_dict())
        return
    shared = f", {_canary_text(endpoint)}" if endpoint.canary else ""
    typer.echo(
        f"{endpoint.name}: {endpoint.model} version {endpoint.version} answers (revision {endpoint.revision}){shared}"
    )
    _say_notice(endpoint)


def _say_notice(endpoint: Endpoint) -> None:
    """What must be said of a model, and of a version that is in production without something."""
    if endpoint.notice:
        typer.echo(endpoint.notice)
    if endpoint.override is not None and endpoint.stage == "production":
        typer.echo(f"in production without {', '.join(endpoint.override.missing)}: {endpoint.override.reason}")


def _alarms_text(alarms: Sequence[Alarm]) -> str:
    """Open alarms with what they say, and how many are over."""
    still = [f"{alarm.kind} since {age(alarm.raised_at)}: {alarm.message}" for alarm in alarms if not alarm.cleared_at]
    over = len(alarms) - len(still)
    return "; ".join([*still, *([f"{over} cleared"] if over else [])]) or "none"


def _canary_text(endpoint: Endpoint) -> str | None:
    canary = endpoint.canary
    if canary is None:
        return None
    other = "" if canary.model == endpoint.model else f"{canary.model} "
    return f"{other}version {canary.version} at {canary.percent:g} %"


def _limits(given: list[str] | None) -> dict[str, float | None]:
    """Limits as NAME=VALUE; the service knows their ranges."""
    limits: dict[str, float | None] = {}
    for text in given or []:
        name, _, value = text.partition("=")
        try:
            number = None if value == "default" else float(value)
            whole = number is not None and number == int(number)
        except (ValueError, OverflowError):
            raise RequestError(f"--limit takes NAME=VALUE with a number or 'default', got {text!r}.") from None
        if name not in _LIMITS:
            near = difflib.get_close_matches(name, _LIMITS, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise RequestError(f"--limit knows {', '.join(_LIMITS)}, got {name!r:.80}.{hint}", field=name[:80])
        limits[name] = int(number) if number is not None and whole else number
    return limits
