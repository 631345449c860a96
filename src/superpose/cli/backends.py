"""`superpose backends`: what programs can run on, and whether it keeps its contracts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from superpose.cli.backend_check import check
from superpose.cli.connection import JsonOption
from superpose.cli.output import note, print_json, print_table

__all__ = ["app"]

app = typer.Typer(
    name="backends", help="List the backends that programs can run on, or check one.", rich_markup_mode=None
)
app.command("check")(check)


@app.callback(invoke_without_command=True)
def backends(
    context: typer.Context,
    kind: Annotated[
        list[str] | None, typer.Option(help="Only simulator, emulator or qpu, repeatable.", metavar="KIND")
    ] = None,
    reachable: Annotated[bool, typer.Option("--online", help="Only those that take programs now.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the backends that programs can run on, or check one.

    This machine's, and those of every installed provider.
    What cannot be reached stands there with the reason.
    """
    if context.invoked_subcommand is not None:
        return
    from superpose.backends.providers import list_backends

    unknown = sorted(set(kind or ()) - {"simulator", "emulator", "qpu"})
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is not simulator, emulator or qpu")
    found = [
        info
        for info in list_backends()
        if (not kind or info.kind is None or info.kind in kind) and (not reachable or info.status == "online")
    ]
    if as_json:
        at = [None if info.calibration_at is None else info.calibration_at.isoformat() for info in found]
        rows = [{**asdict(info), "calibration_at": when} for info, when in zip(found, at, strict=True)]
        print_json({"backends": rows})
        return
    print_table(
        ("backend", "provider", "qubits", "kind", "calibrated", "status"),
        [(i.name, i.provider, i.n_qubits, i.kind, i.calibration_at, i.status) for i in found],
        right=("qubits",),
    )
    for info in found:
        if info.note and info.status != "online":
            note(f"{info.name}: {info.note}")
