"""Signatures of webhooks as Standard Webhooks (version 1.0.0) has them, and the secrets that they are made with.

Signed is ``ID.TIMESTAMP.BODY`` with HMAC-SHA256; the signature reads ``v1,`` and base64. A secret reads ``whsec_`` and
the base64 of its bytes. A service keeps none of its webhooks' secrets: each is derived from one root, which lies in a
file beside the store, so that whoever reads the store alone can sign nothing.

Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md, "Webhook headers" and "Signature
scheme".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

from superpose.errors import KeyFileError

__all__ = ["is_signed_by", "read_root", "root_from", "secret_digest", "sign_webhook", "webhook_secret"]

_PREFIX = "whsec_"
_ROOT_BYTES = 32


def webhook_secret(root: bytes, webhook_id: str, generation: int) -> str:
    """The secret of a webhook: ``whsec_`` and 256 bits that follow from the root, the webhook and its generation.

    >>> webhook_secret(bytes(32), "webhook_a", 1) == webhook_secret(bytes(32), "webhook_a", 2)
    False
    """
    text = f"superpose webhook secret 1\0{webhook_id}\0{generation}"
    return _PREFIX + base64.b64encode(hmac.digest(root, text.encode(), "sha256")).decode("ascii")


def sign_webhook(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature of a message: ``v1,`` and base64.

    Args:
        secret: as `webhook_secret` writes it.
        message_id: the message's id, which has no dot.
        timestamp: when it is sent, in seconds since 1970 UTC.
        body: the message.

    >>> sign_webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
    ...              b'{"test": 2432232314}')
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    signed = b"%s.%d.%s" % (message_id.encode("ascii"), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode("ascii")


def is_signed_by(secret: str, signatures: Sequence[str], message_id: str, timestamp: int, body: bytes) -> bool:
    """Whether one of a message's signatures was made with the secret; compared in constant time."""
    try:
        expected = sign_webhook(secret, message_id, timestamp, body).encode()
    except (ValueError, binascii.Error):
        return False
    return any([hmac.compare_digest(expected, signature.encode("utf-8", "replace")) for signature in signatures])


def root_from(path: Path) -> bytes:
    """The root in the file at ``path``; a new one from the system's random source where there is no file yet.

    Raises:
        KeyFileError: as for `read_root`, or the file cannot be written.
    """
    if not path.exists():
        try:
            descriptor, name = tempfile.mkstemp(prefix=".webhooks.", dir=path.parent)  # mode 0600
            try:
                with os.fdopen(descriptor, "w", encoding="ascii") as file:
                    file.write(secrets.token_bytes(_ROOT_BYTES).hex() + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                os.link(name, path)  # whole or not at all, and never over another one
            except FileExistsError:
                pass
            finally:
                Path(name).unlink(missing_ok=True)
        except OSError as error:
            raise KeyFileError(f"Key file {path} cannot be written: {error.strerror}.", path=str(path)) from error
    return read_root(path)


def read_root(path: Path) -> bytes:
    """The root in the file at ``path``.

    Raises:
        KeyFileError: there is no such file, or it holds something else.
    """
    try:
        root = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise KeyFileError(f"Key file {path} cannot be read: {error.strerror}.", path=str(path)) from error
    except ValueError:
        root = b""
    if len(root) != _ROOT_BYTES:
        raise KeyFileError(f"Key file {path} does not hold the root of webhooks' secrets.", path=str(path))
    return root


def secret_digest(secret: str) -> str:
    """SHA-256 of a secret in hexadecimal: tells a root that is not the one with which a webhook was made."""
    return hashlib.sha256(secret.encode("ascii")).hexdigest()
