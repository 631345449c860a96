"""`superpose budgets`: list, set, lift, costs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import age, print_json, print_table, section

__all__ = ["app"]

app = typer.Typer(
    name="budgets", help="What jobs may cost, and what they did.", no_args_is_help=True, rich_markup_mode=None
)

PeriodArgument = Annotated[str, typer.Argument(metavar="PERIOD", help="day, month (UTC) or total.")]
ProjectOption = Annotated[str | None, typer.Option(metavar="NAME", help="Project [default: yours].")]
UserOption = Annotated[
    str | None, typer.Option(metavar="USER_ID", help="User whose jobs count [default: all jobs of the project].")
]


@app.command("list")
def list_budgets(
    project: ProjectOption = None, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """List the budgets of a project and of its users."""
    with connect(url, key_file) as client:
        found = list(client.budgets.list(project))
    if as_json:
        print_json([budget.to_dict() for budget in found])
        return
    rows = [
        (b.project, b.user or "all", b.period, money(b.limit_usd), money(b.used_usd), money(b.left_usd)) for b in found
    ]
    print_table(("project", "user", "period", "limit", "used", "left"), rows, right=("limit", "used", "left"))


@app.command("set")
def set_budget(
    period: PeriodArgument,
    limit_usd: Annotated[float, typer.Argument(metavar="USD", help="The most, in US dollars.", min=0.0)],
    project: ProjectOption = None,
    user: UserOption = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set what jobs may cost in a period (of a project, for operators; of a user, for admins)."""
    with connect(url, key_file) as client:
        made = client.budgets.set(period, limit_usd, project=project, user=user)
    if as_json:
        print_json(made.to_dict())
        return
    whose = f"user {made.user} in {made.project}" if made.user else made.project
    typer.echo(f"{whose}: {money(made.limit_usd)} per {made.period}, {money(made.left_usd)} left")


@app.command()
def lift(
    period: PeriodArgument,
    project: ProjectOption = None,
    user: UserOption = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lift a budget."""
    with connect(url, key_file) as client:
        client.budgets.lift(period, project=project, user=user)
    if as_json:
        print_json({"period": period, "limit_usd": None})
    else:
        typer.echo(f"no budget per {period} any more")


@app.command()
def costs(  # noqa: PLR0913  # one parameter per option
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="One job (job_...) [default: the newest].")] = None,
    project: ProjectOption = None,
    user: UserOption = None,
    backend: Annotated[str | None, typer.Option(metavar="NAME", help="Only jobs on this backend.")] = None,
    since: Annotated[str | None, typer.Option(metavar="DATE", help="Only since then, ISO 8601, UTC.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most this many, newest first.")] = 20,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a job, or the newest ones, cost."""
    with connect(url, key_file) as client:
        if job is not None:
            found = client.budgets.cost(job)
            if as_json:
                print_json(found.to_dict())
                return
            charged = "not ended" if found.charged_usd is None else money(found.charged_usd)
            section(
                {
                    "job": found.job,
                    "kind": found.kind,
                    "backend": found.backend,
                    "user": found.user,
                    "set aside": money(found.reserved_usd),
                    "charged": charged,
                    "worker seconds": None if found.seconds is None else f"{found.seconds:.1f}",
                    "submitted": found.reserved_at,
                    "settled": found.settled_at,
                }
            )
            return
        listed = client.budgets.costs(project=project, user=user, backend=backend, since=_moment(since), limit=limit)
    if as_json:
        print_json([cost.to_dict() for cost in listed])
        return
    rows = [
        (
            c.job,
            c.kind,
            c.backend,
            money(c.reserved_usd),
            "" if c.charged_usd is None else money(c.charged_usd),
            age(c.reserved_at),
        )
        for c in listed
    ]
    print_table(("job", "kind", "backend", "set aside", "charged", "age"), rows, right=("set aside", "charged"))


def money(usd: float) -> str:
    """Dollars with cents, or with as many places as a small amount takes."""
    text = f"{usd:.6f}".rstrip("0")
    whole, _, part = text.partition(".")
    return f"${int(whole):,}.{part.ljust(2, '0')}"


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--since must be a date or time in ISO 8601, got {text!r}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
