"""`superpose worker`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.connection import JsonOption
from superpose.cli.output import print_json

__all__ = ["worker"]


def worker(
    data_dir: Annotated[
        Path | None, typer.Option(help="The service's data directory [default: as for serve].", metavar="DIR")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads to use [default: all].", metavar="N", min=1)] = None,
    as_json: JsonOption = False,
) -> None:
    """Run one more worker beside a service.

    It works on the same machine until Ctrl-C or SIGTERM; it reaches a checkpoint and gives its job back before it ends.
    """
    from superpose.client import default_data_dir
    from superpose.service import ServiceConfig, run_worker

    config = ServiceConfig(data_dir=data_dir or default_data_dir(), threads_per_worker=threads)

    def tell() -> None:
        if as_json:
            print_json({"data_dir": str(config.data_dir), "pid": os.getpid(), "threads": config.worker_threads})

    run_worker(config, on_ready=tell)
