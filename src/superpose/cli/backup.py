"""`superpose backup` and `superpose restore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superpose.cli.config import ConfigOption
from superpose.cli.connection import JsonOption
from superpose.cli.output import note, print_json, section

if TYPE_CHECKING:
    from superpose.service.operations.backup import BackupReport

__all__ = ["backup", "restore"]

SECRETS = "It holds the admin key and every project's data: keep it as secret as the service itself."


def backup(
    file: Annotated[Path, typer.Argument(help="The tar file to make.", metavar="FILE")],
    data_dir: Annotated[
        Path | None, typer.Option(help="The service's data directory [default: as for serve].", metavar="DIR")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Back up the data of a service, running or not.

    Store, artifacts and admin key go into one tar file. It appears whole or
    not at all and is readable by its owner only.
    """
    from superpose.cli.settings import load_settings
    from superpose.service.operations.backup import make_backup

    settings = load_settings({"data_dir": data_dir}, config_file=config).service
    report = make_backup(
        settings.data_dir, file, artifact_url=settings.artifact_url, busy_timeout_s=settings.busy_timeout_s
    )
    _tell(report, "Put it back from an older backup, which you therefore keep", as_json=as_json)
    note(SECRETS)


def restore(
    file: Annotated[Path, typer.Argument(help="A backup.", metavar="FILE")],
    directory: Annotated[Path, typer.Argument(help="An empty or new directory.", metavar="DIR")],
    as_json: JsonOption = False,
) -> None:
    """Make a data directory from a backup.

    Every file is checked against its digest first; nothing appears in the
    directory if one is damaged. Then: superpose serve --data-dir DIR
    """
    from superpose.service.operations.restore import restore_backup

    report = restore_backup(file, directory)
    _tell(report, "Put it there from an older backup", as_json=as_json)
    note(f"The admin key is in {report.path / 'keys' / 'admin.key'}; keys revoked since the backup are valid again.")


def _tell(report: BackupReport, cure: str, *, as_json: bool) -> None:
    if as_json:
        print_json(report.to_json())
    else:
        section({name: value for name, value in report.to_json().items() if name != "missing"})
    for one in report.missing:
        note(f"warning: not in the backup, because it is gone: {one}. {cure}.")
