"""Python scripts behind `superpose run`: in a process of their own here, or as a job of the service."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import typer

from superpose.cli.connection import connect
from superpose.cli.output import note, print_json
from superpose.errors import CircuitFormatError

__all__ = ["run_script_file"]


def run_script_file(path: Path, service: tuple[str | None, Path | None] | None, *, as_json: bool) -> None:
    """Run a script and show what it printed; on stderr, how many circuits ran on the engine.

    Args:
        path: The script.
        service: Address and key file (either may be None) of the service that runs it as a job; None runs it here.
        as_json: Print one document: ``printed``, ``device_executions``, and for jobs the ``job``.

    Raises:
        CircuitFormatError: There is no such file.
        JobFailedError: The job did not succeed.
        ApiError: The service runs no user code.
    """
    if not path.is_file():
        raise CircuitFormatError(f"{path} cannot be read: there is no such file.")
    found = _here(path, shown=not as_json) if service is None else _as_job(path, *service, quiet=as_json)
    if as_json:
        print_json(found)
        return
    if service is not None:
        typer.echo(found["printed"], nl=False)
    note(f"superpose's PennyLane device ran {found['device_executions']} circuits")


def _here(path: Path, *, shown: bool) -> dict[str, Any]:
    """Run the script in a new process; what it prints passes through at once."""
    with tempfile.TemporaryDirectory() as directory:
        result = Path(directory) / "result.json"
        command = [sys.executable, "-m", "superpose.functions.scripts", str(path), str(result)]
        out = None if shown else subprocess.DEVNULL
        ended = subprocess.run(command, stdout=out)  # noqa: S603  # this Python, and the user's own file
        if ended.returncode or not result.is_file():
            raise typer.Exit(ended.returncode or 1)
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found


def _as_job(path: Path, url: str | None, key_file: Path | None, *, quiet: bool) -> dict[str, Any]:
    from superpose.functions.scripts import script_source

    source = script_source(path)
    with connect(url, key_file) as client:
        job = client.jobs.submit(source)
        if not quiet:
            note(f"submitted {job.id}")
        job = client.jobs.wait(job.id)
    if not job.succeeded:
        from superpose.client.problems import job_failed

        raise job_failed(f"Job {job.id}", job.id, job.status, job.error)
    value = (job.result or {}).get("value")
    return {"job": job.id, **(value if isinstance(value, dict) else {"printed": "", "device_executions": 0})}
