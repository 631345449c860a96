"""`superpose backends check`: a backend held to every contract."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from superpose.cli.connection import JsonOption
from superpose.cli.output import note, print_json, print_table

__all__ = ["check"]

FAILED: Final = 1


def check(
    name: Annotated[str, typer.Argument(help="As `superpose backends` lists it, or an own one.", metavar="NAME")],
    tolerance: Annotated[
        float, typer.Option(help="What a noisy backend's expectations may be off.", metavar="X", min=0)
    ] = 0.0,
    leave_out: Annotated[
        list[str] | None, typer.Option(help="Do not look at this contract, repeatable.", metavar="CONTRACT")
    ] = None,
    max_usd: Annotated[float, typer.Option(help="What it may cost.", metavar="USD", min=0)] = 0.0,
    yes: Annotated[bool, typer.Option("--yes", help="Whatever it costs, also where nobody says.")] = False,
    timeout_s: Annotated[float, typer.Option("--timeout", help="How long a result may take.", metavar="S", min=0)] = (
        600.0
    ),
    as_json: JsonOption = False,
) -> None:
    """Hold a backend to every contract that it offers.

    Some sixty small programs are sent. What that costs is told first;
    what costs more than --max-usd is not sent without --yes.
    Exits with 1 where a contract is broken.
    """
    from dataclasses import asdict

    from superpose.backends.providers import find_backend
    from superpose.errors import BudgetError, PriceUnknownError
    from superpose.testing import conformance, conformance_cost
    from superpose.testing.reporting import CONTRACTS

    unknown = sorted(set(leave_out or ()) - {one.name for one in CONTRACTS})
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is no contract; they are {', '.join(c.name for c in CONTRACTS)}")
    backend = find_backend(name)
    cost = conformance_cost(backend, leave_out or ())
    price = "at a price that nobody says" if cost.usd is None else f"for {cost.usd:,.2f} USD"
    note(f"{name}: {cost.n_programs} programs, {cost.n_circuits} circuits, {cost.n_shots:,} shots in all, {price}.")
    if cost.usd is None and not yes:
        raise PriceUnknownError(
            f"Nobody says what {cost.n_programs} programs cost on {name}; nothing was sent. Add --yes to send them all "
            "the same.",
            backend=name,
        )
    if cost.usd is not None and cost.usd > max_usd and not yes:
        raise BudgetError(
            f"Looking at {name} costs {cost.usd:,.2f} USD, allowed are {max_usd:,.2f}; nothing was sent. Add "
            f"--max-usd {cost.usd:.2f}, leave contracts out, or add --yes.",
            cost_usd=cost.usd,
            limit_usd=max_usd,
        )
    report = conformance(
        backend, tolerance=tolerance, timeout_s=timeout_s, leave_out=leave_out or (), told=lambda one: note(f"  {one}")
    )
    if as_json:
        print_json({**report.to_json(), "cost": asdict(cost)})
    else:
        rules = {contract.name: contract.what for contract in CONTRACTS}
        rows = [(one.contract, one.outcome, one.note or rules[one.contract]) for one in report.findings]
        print_table(("contract", "outcome", "what it asks, or what is wrong"), rows)
    if not report.passed:
        raise typer.Exit(FAILED)
