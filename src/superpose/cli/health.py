"""`superpose health`."""

from __future__ import annotations

import contextlib
import http.client
import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import typer

from superpose.cli.config import ConfigOption
from superpose.cli.connection import JsonOption, UrlOption, connect
from superpose.cli.output import print_json

if TYPE_CHECKING:
    from superpose.client import RunningService

__all__ = ["health", "probe"]

_TIMEOUT_S: Final = 5.0


def health(
    url: UrlOption = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Ask the service that runs from here [default: as for serve].", metavar="DIR")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Ask only whether it lives, not whether it is ready.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a service whether it takes requests.

    Needs no key. Exits with 1 if it does not, so that a container's health
    check or a script can ask.
    """
    running = None if url or os.environ.get("SUPERPOSE_URL") else _running(data_dir, config)
    if running is not None:
        asked, good = running.listens, probe(running, live=live)
    else:
        with connect(url, None) as client:
            asked, good = client.url, client.live() if live else client.ready()
    if as_json:
        print_json({"url": asked, "live" if live else "ready": good})
    else:
        typer.echo(f"{asked} {'lives' if live else 'is ready'}" if good else f"{asked} is not ready")
    if not good:
        raise typer.Exit(1)


def probe(running: RunningService, *, live: bool = False) -> bool:
    """Whether a server on this machine answers where it listens.

    Its certificate must be the one that it wrote down; the name in it does not matter here, and no key is sent.
    """
    parts = urlsplit(running.listens)
    host, port = parts.hostname or "", parts.port or 0
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    if parts.scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(running.certificate)
        connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=context)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/v2/health/live" if live else "/v2/health/ready")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False


def _running(data_dir: Path | None, config: Path | None) -> RunningService | None:
    from superpose.cli.settings import load_settings
    from superpose.client import running_service

    return running_service(load_settings({"data_dir": data_dir}, config_file=config).service.data_dir)
