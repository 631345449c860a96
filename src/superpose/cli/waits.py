"""`superpose waits`: how long programs have waited in providers' queues."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import note, print_json, print_table

__all__ = ["waits"]


def waits(
    output: Annotated[
        Path | None, typer.Option(help="Append them to a file for `superpose estimate --waits`.", metavar="FILE")
    ] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how long programs have waited in providers' queues.

    They are those of your project's program jobs, sets and trainings of the last
    14 days; the service's own choices (auto) rest on those of all projects.
    """
    with connect(url, key_file) as client:
        found = client.waits.list()
    if output is not None:
        from superpose.backends.estimates import SeenWait, write_wait

        for one in found:
            for wait in one.seen:
                write_wait(output, SeenWait(backend=one.backend, at=wait.at, wait_s=wait.wait_s))
    if as_json:
        print_json([one.to_dict() for one in found])
        return
    rows = [(one.backend, one.n_seen, _seconds(one.median_s), _seconds(one.p90_s), one.model or "") for one in found]
    print_table(("backend", "seen", "median", "90 %", "model"), rows, right=("seen", "median", "90 %"))
    if output is not None:
        note(f"{output}: written")


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f} s"
