"""`superpose webhooks`: create, list, show, rotate, test, deliveries, enable, disable, delete."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import age, check_room, print_json, print_table, removed, section

if TYPE_CHECKING:
    from superpose.client import Client, Delivery, NewWebhook, Webhook

__all__ = ["app"]

app = typer.Typer(
    name="webhooks",
    help="Events of jobs, pushed to an address.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

IdArgument = Annotated[str, typer.Argument(metavar="WEBHOOK_ID", help="Id of the webhook (webhook_...).")]
OutputOption = Annotated[
    Path | None, typer.Option(help="New file for the secret [default: ./WEBHOOK_ID.secret].", metavar="FILE")
]


@app.command()
def create(  # noqa: PLR0913  # one parameter per option
    address: Annotated[str, typer.Argument(metavar="URL", help="Where messages are posted (https).")],
    event: Annotated[
        list[str] | None,
        typer.Option(
            help="What it listens to, repeatable, such as job.failed [default: ends of jobs].", metavar="EVENT"
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Kind of jobs, repeatable, such as train [default: all].", metavar="KIND"),
    ] = None,
    label: Annotated[str, typer.Option(help="What it is for.", metavar="TEXT")] = "",
    output: OutputOption = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a webhook and write its secret to a file that only you can read.

    The secret is never printed, and the service does not tell it again.
    """
    _check_output(output)
    with connect(url, key_file) as client:
        new = client.webhooks.create(address, events=event or None, kinds=kind or None, label=label)
        try:
            path = new.write(output or Path(f"{new.webhook.id}.secret")).absolute()
        except Exception:
            client.webhooks.delete(new.webhook.id)  # nobody will ever hold its secret
            raise
    _tell_secret(new, path, f"webhook {new.webhook.id}: {', '.join(new.webhook.events)}", as_json)


@app.command("list")
def list_webhooks(url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False) -> None:
    """List webhooks, without their secrets."""
    with connect(url, key_file) as client:
        found = client.webhooks.list()
    if as_json:
        print_json([webhook.to_dict() for webhook in found])
        return
    rows = [(one.id, one.label, one.url, ", ".join(one.events), _state(one), age(one.created_at)) for one in found]
    print_table(("id", "label", "url", "events", "state", "age"), rows)


@app.command()
def show(
    webhook_id: IdArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Show a webhook."""
    with connect(url, key_file) as client:
        found = client.webhooks.get(webhook_id)
    if as_json:
        print_json(found.to_dict())
        return
    section(
        {
            "webhook": found.id,
            "label": found.label,
            "url": found.url,
            "events": ", ".join(found.events),
            "kinds": "all" if found.kinds is None else ", ".join(found.kinds),
            "state": _state(found),
            "why": found.disabled_why,
            "created": found.created_at,
            "old secret until": found.previous_until,
        }
    )


@app.command()
def rotate(
    webhook_id: IdArgument,
    output: Annotated[
        Path | None, typer.Option(help="New file for the secret [default: ./WEBHOOK_ID.new.secret].", metavar="FILE")
    ] = None,
    grace_hours: Annotated[
        float, typer.Option(help="How long messages are signed with both.", metavar="HOURS", min=0.0, max=720.0)
    ] = 24.0,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a webhook a new secret; messages are signed with both for a while."""
    target = output or Path(f"{webhook_id}.new.secret")
    _check_output(target)
    check_room(target.expanduser())
    with connect(url, key_file) as client:
        new = client.webhooks.rotate(webhook_id, grace_s=grace_hours * 3600)
        path = new.write(target).absolute()
    until = new.webhook.previous_until
    old = "ends now" if until is None else f"signs until {until.astimezone():%Y-%m-%d %H:%M:%S}"
    _tell_secret(new, path, f"webhook {webhook_id}: the old secret {old}", as_json)


@app.command()
def test(
    webhook_id: IdArgument,
    timeout_s: Annotated[float, typer.Option(help="How long to wait.", metavar="SECONDS", min=0.0)] = 20.0,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a test message and tell what came of it; exit code 1 unless it was received.

    A message that was not received is tried again, as all are.
    """
    with connect(url, key_file) as client:
        sent = client.webhooks.test(webhook_id)
        found = _tried(client, webhook_id, sent, timeout_s)
    last = found.tries[-1] if found.tries else None
    if as_json:
        print_json(found.to_dict())
    elif found.status == "delivered" and last is not None:
        typer.echo(f"{found.id} was received: {last.http_status} after {last.seconds:.2f} s")
    else:
        typer.echo(f"{found.id} was not received: {'not tried yet' if last is None else last.error}")
    if found.status != "delivered":
        raise typer.Exit(1)


@app.command()
def deliveries(
    webhook_id: IdArgument,
    status: Annotated[
        str | None, typer.Option(help="Only those waiting, delivered or given_up.", metavar="STATUS")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most this many, newest first.")] = 20,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was and is to be sent, newest first, with what came of it."""
    with connect(url, key_file) as client:
        found = client.webhooks.deliveries(webhook_id, status=status, limit=limit)
    if as_json:
        print_json([delivery.to_dict() for delivery in found])
        return
    rows = [
        (one.id, one.type, one.job or "", one.status, len(one.tries), _last(one), age(one.created_at)) for one in found
    ]
    print_table(("id", "type", "job", "status", "tries", "last", "age"), rows, right=("tries",))


@app.command()
def enable(
    webhook_id: IdArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Send to a disabled webhook again, from the next event on."""
    with connect(url, key_file) as client:
        found = client.webhooks.enable(webhook_id)
    _tell_state(found, as_json)


@app.command()
def disable(
    webhook_id: IdArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Send nothing more until it is enabled; what waits is given up."""
    with connect(url, key_file) as client:
        found = client.webhooks.disable(webhook_id)
    _tell_state(found, as_json)


@app.command()
def delete(
    webhook_id: IdArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Remove a webhook, and what waits for it."""
    with connect(url, key_file) as client:
        client.webhooks.delete(webhook_id)
    removed(webhook_id, webhook_id, as_json=as_json)


def _tried(client: Client, webhook_id: str, sent: Delivery, timeout_s: float) -> Delivery:
    """The test message once it has been tried, or when the time is over."""
    until_s = time.monotonic() + timeout_s
    while True:
        listed = client.webhooks.deliveries(webhook_id, limit=50)
        found = next((one for one in listed if one.id == sent.id), sent)
        if found.tries or time.monotonic() >= until_s:
            return found
        time.sleep(0.1)


def _tell_secret(new: NewWebhook, path: Path, what: str, as_json: bool) -> None:
    if as_json:
        print_json({**new.webhook.to_dict(), "secret_file": str(path)})
        return
    typer.echo(what)
    typer.echo(f"secret written to {path} (mode 0600); the receiver checks signatures with it")


def _tell_state(webhook: Webhook, as_json: bool) -> None:
    if as_json:
        print_json(webhook.to_dict())
    else:
        typer.echo(f"webhook {webhook.id}: {_state(webhook)}")


def _state(webhook: Webhook) -> str:
    if webhook.disabled_at is not None:
        return "disabled"
    return "works" if webhook.failing_since is None else f"fails for {age(webhook.failing_since)}"


def _last(delivery: Delivery) -> str:
    if not delivery.tries:
        return ""
    last = delivery.tries[-1]
    return last.error or str(last.http_status)


def _check_output(output: Path | None) -> None:
    if output is None:
        return
    target = output.expanduser()
    if target.exists():
        raise typer.BadParameter(f"{output} exists already; a secret never overwrites a file", param_hint="--output")
    if not target.parent.is_dir():
        raise typer.BadParameter(f"{target.parent} is no directory", param_hint="--output")
