"""`superpose quickstart`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from superpose.cli.connection import JsonOption
from superpose.cli.output import console, print_json

__all__ = ["quickstart"]


def quickstart(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the service up at the end.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep the data here [default: a temporary directory].", metavar="DIR")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train, judge, deploy and call a model in a minute.

    A hybrid quantum-classical model, on real medical data, beside its controls and a baseline. Starts a service of
    its own on a free loopback port, needs no network and no configuration, and cleans up.
    """
    from superpose.cli.quickstart_steps import Quickstart
    from superpose.cli.quickstart_story import Story

    story = Story(console(sys.stderr if as_json else sys.stdout))
    with ended_by_signals():
        outcome = Quickstart(story, data_dir, keep=keep).run()
    if as_json:
        print_json(outcome)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the command like an exception, so that everything is cleaned up."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
