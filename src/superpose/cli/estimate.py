"""`superpose estimate`: how good, how dear and how soon a program would be on every backend."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli.connection import JsonOption
from superpose.cli.output import console, note, print_json, show, table
from superpose.cli.run_program import load_program, parse_observable, parse_param, split_name

if TYPE_CHECKING:
    from superpose.backends.estimates import BackendEstimate, Knowledge

__all__ = ["estimate", "read_knowledge"]

SHOTS = 1000


def estimate(  # noqa: PLR0913  # one parameter per option
    file: Annotated[
        str,
        typer.Argument(
            metavar="PROGRAM",
            help="A circuit (.qasm, .json, .quil, .qs, .py:NAME) or a program (.json).",
            show_default=False,
        ),
    ],
    param: Annotated[
        list[str] | None, typer.Option(help="Value of a parameter, repeatable.", metavar="NAME=VALUE[,...]")
    ] = None,
    observable: Annotated[
        list[str] | None,
        typer.Option(help='Pauli sum such as "ZZ" or "0.5*ZI - XX", repeatable.', metavar="PAULIS"),
    ] = None,
    shots: Annotated[
        int | None, typer.Option(help="Measure this often [default: the program's, else 1000].", metavar="N", min=1)
    ] = None,
    backend: Annotated[
        list[str] | None, typer.Option(help="Only this backend, repeatable [default: all].", metavar="NAME")
    ] = None,
    prices: Annotated[
        Path | None, typer.Option(help="Your own prices, asked before the published ones.", metavar="FILE")
    ] = None,
    waits: Annotated[
        Path | None, typer.Option(help="Waits that were seen, as JSON lines (backend, at, wait_s).", metavar="FILE")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw a picture, .png or .svg.", metavar="FILE")] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell fidelity, price and wait before anything runs.

    Fidelity is the probability of a shot without error, from calibrations.
    Prices come from published tables, with date and source in --json.
    A star marks the backends that no other beats in all three.
    Nothing is run or charged, and what nobody knows stays open.
    """
    from superpose.backends.estimates import estimate_backends, pareto_front

    path, name = split_name(file)
    given = dict(parse_param(text) for text in param or ())
    observables = tuple(parse_observable(text) for text in observable or ())
    program = load_program(path, given, observables, shots, None, name)
    if program.shots is None:
        program = replace(program, shots=SHOTS)
    found = estimate_backends(program, backend, read_knowledge(prices, waits))
    front = pareto_front(found)
    rows = [{**item.to_json(), "on_front": item.info.name in front} for item in found]
    if plot is not None:
        from superpose.explain import plot_estimates

        plot_estimates(rows, plot, title=f"{program.circuit.name}, {program.shots} shots")
        if not as_json:
            note(f"{plot}: written")
    if as_json:
        print_json({"program_digest": program.digest, "shots": program.shots, "backends": rows})
    else:
        show_estimates(found, front)


def read_knowledge(prices: Path | None, waits: Path | None) -> Knowledge:
    """What the files say."""
    from superpose.backends.estimates import Knowledge, PriceTable, read_waits

    return Knowledge(
        prices=None if prices is None else PriceTable.read(prices),
        waits=() if waits is None else tuple(read_waits(waits)),
        now=datetime.now(UTC),
    )


def show_estimates(found: list[BackendEstimate], front: frozenset[str]) -> None:
    """Print the table, the best first; then why the others cannot run it, each reason once."""
    out = console()
    able = [item for item in found if item.estimate is not None]
    able.sort(key=lambda item: (item.info.name not in front, -_known(item, "fidelity"), item.info.name))
    rows = [
        (
            "*" if item.info.name in front else "",
            item.info.name,
            item.info.kind,
            _shown(item, "fidelity", "{:.4f}"),
            _shown(item, "price_usd", "{:,.2f}"),
            _shown(item, "wait_s", "{:,.0f} s"),
            _shown(item, "run_s", "{:.3g} s"),
        )
        for item in able
    ]
    right = ("fidelity", "price/$", "wait", "run")
    show(out, table(("", "backend", "kind", *right), rows, right=right))
    for item in found:
        if item.estimate is None:
            note(f"{item.info.name}: {' '.join(item.reasons)}")


def _known(item: BackendEstimate, member: str) -> float:
    value: Any = getattr(item.estimate, member)
    return -1.0 if value is None else float(value)


def _shown(item: BackendEstimate, member: str, form: str) -> str | None:
    value = getattr(item.estimate, member)
    return None if value is None else form.format(value)
