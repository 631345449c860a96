"""API keys: 256 random bits behind a public id, stored as SHA-256, compared in constant time.

A key reads ``sp_<key_id>_<secret>``: the id (``key_`` and 12 characters of base32, 60 bits) finds the row and may
appear in logs; the secret (43 url-safe characters, 256 bits) may not. With 256 random bits nothing can be guessed, so
a plain digest is stored rather than a password hash, which would cost more than a prediction.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import re
import secrets
import stat
from pathlib import Path

from superpose.errors import KeyFileError

__all__ = ["key_digest", "keys_equal", "mint_key", "parse_key_id", "read_key_file", "write_key_file"]

_KEY = re.compile(r"sp_(key_[a-z2-7]{12})_[A-Za-z0-9_-]{43}", re.ASCII)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MAX_KEY_FILE_BYTES = 4096


def mint_key() -> tuple[str, str]:
    """A new ``(key_id, key)`` from the operating system's random source.

    >>> key_id, key = mint_key()
    >>> parse_key_id(key) == key_id, len(key)
    (True, 63)
    """
    key_id = "key_" + base64.b32encode(secrets.token_bytes(8)).decode("ascii").lower()[:12]
    return key_id, f"sp_{key_id}_{secrets.token_urlsafe(32)}"


def parse_key_id(key: str) -> str | None:
    """The public id inside ``key``, or None if the text does not have the form of a key."""
    match = _KEY.fullmatch(key)
    return None if match is None else match.group(1)


def key_digest(key: str) -> str:
    """What is stored of a key: the SHA-256 of the whole text, in hexadecimal."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def keys_equal(a: str, b: str) -> bool:
    """Whether two keys or two key digests are equal, in time that does not depend on where they differ."""
    return hmac.compare_digest(a.encode("utf-8", "surrogatepass"), b.encode("utf-8", "surrogatepass"))


def write_key_file(path: Path, key: str) -> None:
    """Write ``key`` into a new file that only its owner can read, from its first moment on.

    Raises:
        KeyFileError: the file exists already (a key is never overwritten) or cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        raise KeyFileError(
            f"Key file {path} exists already and is not overwritten. Remove it or choose another path.", path=str(path)
        ) from None
    except OSError as error:
        raise KeyFileError(f"Key file {path} cannot be written: {error.strerror}.", path=str(path)) from error
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key + "\n")
            file.flush()
            os.fsync(file.fileno())
    except (OSError, UnicodeEncodeError):
        with contextlib.suppress(OSError):
            path.unlink()
        raise KeyFileError(f"Key file {path} cannot be written.", path=str(path)) from None


def read_key_file(path: Path) -> str:
    """The key in the file at ``path``.

    Raises:
        KeyFileError: the file is absent, readable by group or others, or does not hold exactly one key.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise KeyFileError(f"Key file {path} does not exist.", path=str(path)) from None
    except OSError as error:
        raise KeyFileError(f"Key file {path} cannot be read: {error.strerror}.", path=str(path)) from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise KeyFileError(f"Key file {path} is not a regular file.", path=str(path))
        if os.name == "posix" and facts.st_mode & _OTHERS:
            mode = stat.S_IMODE(facts.st_mode)
            raise KeyFileError(
                f"Key file {path} has mode {mode:04o}, so other users can reach it; allowed is 0600. "
                f"Run: chmod 600 {path}",
                path=str(path),
                mode=f"{mode:04o}",
            )
        content = os.read(descriptor, _MAX_KEY_FILE_BYTES)
    finally:
        os.close(descriptor)
    key = content.decode("ascii", "replace").strip()
    if parse_key_id(key) is None:
        raise KeyFileError(
            f"Key file {path} does not hold one API key of the form sp_key_<id>_<secret>.", path=str(path)
        )
    return key
