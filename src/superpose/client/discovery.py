"""Which service a client speaks to when it is told little or nothing."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from superpose.errors import KeyInvalidError, KeyMissingError, UnreachableError
from superpose.trust import read_key_file

__all__ = ["DEFAULT_URL", "SERVICE_FILE", "Connection", "default_data_dir", "discover"]

DEFAULT_URL: Final = "http://127.0.0.1:8000"
SERVICE_FILE: Final = "service.json"


@dataclass(frozen=True)
class Connection:
    """An address and a key, with the place the key came from for messages."""

    url: str
    key: str | None = field(repr=False)
    key_source: str
    ca_file: Path | None = None


def default_data_dir() -> Path:
    """Where `superpose serve` keeps its data unless told otherwise: XDG_DATA_HOME/superpose."""
    home = os.environ.get("XDG_DATA_HOME") or ""
    base = Path(home) if home.startswith("/") else Path.home() / ".local" / "share"
    return base / "superpose"


def discover(
    url: str | None = None,
    key: str | None = None,
    key_file: str | Path | None = None,
    ca_file: str | Path | None = None,
) -> Connection:
    """The connection that arguments, environment and a service running here add up to, in this order.

    Address: ``url``, SUPERPOSE_URL, the service that runs from the default data directory, http://127.0.0.1:8000.
    Key: ``key``, ``key_file``, SUPERPOSE_KEY_FILE, SUPERPOSE_KEY; the running service's own key file only with the
    running service's own address, so that it never travels elsewhere. Trusted certificates beside the system's:
    ``ca_file``, SUPERPOSE_CA_FILE, the running service's own certificate with its own address.

    Raises:
        KeyFileError: a key file cannot be used.
        KeyMissingError: ``key`` and ``key_file`` are both given.
        KeyInvalidError: the key is nothing that can be sent.
        UnreachableError: the address is none.
    """
    connection = _discover(url, key, key_file)
    _check_url(connection.url)
    if named := ca_file or os.environ.get("SUPERPOSE_CA_FILE"):
        connection = replace(connection, ca_file=Path(named))
    if connection.key is None:
        return connection
    stripped = connection.key.strip()
    if not stripped or not stripped.isascii() or not stripped.isprintable() or " " in stripped:
        raise KeyInvalidError(f"The API key from {connection.key_source} is empty or holds characters that no key has.")
    return replace(connection, key=stripped)


def _check_url(url: str) -> None:
    """Refuse what is no address, without repeating a password that may stand in it.

    Raises:
        UnreachableError: not http(s)://host[:port], or with a user or password in it.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        plain = parts.username is None and parts.password is None and not parts.query and not parts.fragment
    except ValueError:
        good, plain = False, True
    if not plain:
        raise UnreachableError("The service's address holds a user, query or fragment; allowed is http(s)://host:port.")
    if not good:
        raise UnreachableError(f"{url!r} is not the address of a service; one looks like {DEFAULT_URL}.", url=url)


def _discover(url: str | None, key: str | None, key_file: str | Path | None) -> Connection:
    if key is not None and key_file is not None:
        raise KeyMissingError(
            "key and key_file are both given; give one of them (a key file keeps the key out of your code)."
        )
    local = running_service()
    named = url or os.environ.get("SUPERPOSE_URL")
    address = named or (local.url if local else DEFAULT_URL)
    own = local if local is not None and address.rstrip("/") == local.url.rstrip("/") else None
    found, source = _find_key(key, key_file, own)
    return Connection(address, found, source, own.certificate if own else None)


def _find_key(key: str | None, key_file: str | Path | None, own: RunningService | None) -> tuple[str | None, str]:
    """The key and where it came from."""
    if key is not None:
        return key, "the key argument"
    if key_file is not None:
        return read_key_file(Path(key_file).expanduser()), str(key_file)
    if path := os.environ.get("SUPERPOSE_KEY_FILE"):
        return read_key_file(Path(path).expanduser()), path
    if from_environment := os.environ.get("SUPERPOSE_KEY"):
        return from_environment, "SUPERPOSE_KEY"
    if own is not None:
        return read_key_file(own.key_file), str(own.key_file)
    return None, "nowhere"


@dataclass(frozen=True)
class RunningService:
    """What `superpose serve` wrote about itself; ``listens`` is its address on this machine."""

    url: str
    key_file: Path
    pid: int
    listens: str
    certificate: Path | None = None


def running_service(data_dir: Path | None = None) -> RunningService | None:
    """The service that runs from a data directory; None where none does, also if a dead one left its file."""
    path = (data_dir or default_data_dir()) / SERVICE_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        certificate = Path(document["certificate"]) if document.get("certificate") else None
        url, listens = str(document["url"]), str(document.get("listens") or document["url"])
        service = RunningService(url, Path(document["key_file"]), int(document["pid"]), listens, certificate)
        os.kill(service.pid, 0)
    except PermissionError:
        return None
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    return service
