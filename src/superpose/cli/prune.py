"""`superpose prune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.config import ConfigOption
from superpose.cli.connection import JsonOption
from superpose.cli.output import note, print_json, section

__all__ = ["prune"]


def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be removed, and remove nothing.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="The service's data directory [default: as for serve].", metavar="DIR")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove what the settings no longer keep.

    The settings are keep_events_days, keep_results_days, keep_files_days,
    keep_deleted_days, keep_deliveries_days, keep_logs_days and
    keep_request_logs_days. What a model's lineage needs stays whatever its age. May run beside a server.
    """
    from superpose.cli.settings import load_settings
    from superpose.service.operations.retention import prune as prune_all

    settings = load_settings({"data_dir": data_dir}, config_file=config).service
    report = prune_all(settings, dry_run=dry_run)
    if as_json:
        print_json(report.to_json())
    else:
        section(report.to_json())
    keeps = [name for name in vars(settings) if name.startswith("keep_")]
    if all(getattr(settings, name) is None for name in keeps):
        note(f"Everything is kept: none of {', '.join(keeps)} is set.")
