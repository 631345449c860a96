"""Options that say which service a command speaks to, and the client that they make."""

from __future__ import annotations

from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from superpose.client import Client

__all__ = ["JsonOption", "KeyFileOption", "UrlOption", "connect", "trust_ca_file"]

_trusted: ContextVar[Path | None] = ContextVar("trusted", default=None)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url", metavar="URL", help="Address of the service [env: SUPERPOSE_URL; else the one running here]."
    ),
]
KeyFileOption = Annotated[
    Path | None,
    typer.Option("--key-file", metavar="PATH", help="File with the API key [env: SUPERPOSE_KEY_FILE]."),
]


def connect(url: str | None, key_file: Path | None) -> Client:
    """A client from the options; what they leave open comes from the environment or the service running here."""
    from superpose.client import Client

    return Client(url, key_file=key_file, ca_file=_trusted.get())


def trust_ca_file(path: Path | None) -> None:
    """Have clients made from now on trust the certificates in a PEM file; None leaves it to the environment."""
    _trusted.set(path)
