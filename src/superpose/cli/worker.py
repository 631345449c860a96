"""`superpose worker`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.config import ConfigOption
from superpose.cli.connection import JsonOption
from superpose.cli.output import print_json

__all__ = ["worker"]


def worker(
    data_dir: Annotated[
        Path | None, typer.Option(help="The service's data directory [default: as for serve].", metavar="DIR")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads to use [default: all].", metavar="N", min=1)] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run one more worker beside a service.

    It works on the same machine until Ctrl-C or SIGTERM; it reaches a checkpoint and gives its job back before it ends.
    """
    from superpose.cli.settings import load_settings
    from superpose.service import run_worker

    flags = {"data_dir": data_dir, "threads_per_worker": threads}
    found = load_settings(flags, config_file=config).service

    def tell() -> None:
        if as_json:
            print_json({"data_dir": str(found.data_dir), "pid": os.getpid(), "threads": found.worker_threads})

    run_worker(found, on_ready=tell)
