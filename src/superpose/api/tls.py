"""TLS of the listener: TLS 1.3 and nothing older, a certificate that can be renewed while the server runs.

The standard library's ``ssl`` negotiates X25519 here; a listener with post-quantum key exchange comes later.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from superpose.errors import CertificateError

__all__ = ["Tls"]


@dataclass(frozen=True)
class Tls:
    """A certificate and its private key, and the context that connections are accepted with.

    Args:
        certificate: PEM file: the server's certificate, then its intermediates.
        key: PEM file of the private key, unencrypted; other users must not be able to read it.

    Raises:
        CertificateError: a file cannot be read, others can read the key, or the two do not belong together.
    """

    certificate: Path
    key: Path
    context: ssl.SSLContext = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "certificate", Path(self.certificate).expanduser().absolute())
        object.__setattr__(self, "key", Path(self.key).expanduser().absolute())
        object.__setattr__(self, "context", self._loaded())

    def reload(self) -> None:
        """Read both files again; connections accepted from now on see the new certificate, open ones go on.

        Raises:
            CertificateError: as at the beginning; the old certificate then stays in use.
        """
        self._loaded()  # a trial, so that the context in use never holds half a pair
        self.context.load_cert_chain(self.certificate, self.key, _no_password)

    def ends_at(self) -> datetime:
        """When the certificate's time is over.

        A handshake with ourselves in memory, because the standard library reads certificates of peers only.

        Raises:
            CertificateError: its time is over or has not begun.
        """
        client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client_side.check_hostname = False
        client_side.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate itself is what we trust here
        client_side.load_verify_locations(self.certificate)
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_side.wrap_bio(to_client, to_server)
        server = self.context.wrap_bio(to_server, to_client, server_side=True)
        try:
            for side in (client, server, client, server):
                with contextlib.suppress(ssl.SSLWantReadError):
                    side.do_handshake()
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", None) or error.reason
            raise CertificateError(
                f"Certificate {self.certificate} cannot be used: {reason}. Renew it.", path=str(self.certificate)
            ) from error
        told = client.getpeercert() or {}
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(told["notAfter"])), UTC)

    def _loaded(self) -> ssl.SSLContext:
        for path in (self.certificate, self.key):
            _check_readable(path)
        _check_private(self.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self.certificate, self.key, _no_password)
        except (ssl.SSLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or str(error)
            raise CertificateError(
                f"Certificate {self.certificate} and key {self.key} cannot be used together: {reason}. Give two PEM "
                "files that belong to each other, the certificate first in its file, the key without a password.",
                certificate=str(self.certificate),
                key=str(self.key),
            ) from error
        return context


def _no_password() -> str:
    """OpenSSL would ask the terminal otherwise."""
    raise ValueError("the private key is encrypted")


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise CertificateError(f"TLS file {path} cannot be read: {error.strerror}.", path=str(path)) from error


def _check_private(key: Path) -> None:
    mode = stat.S_IMODE(key.stat().st_mode)
    if os.name == "posix" and mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise CertificateError(
            f"Private key {key} has mode {mode:04o}, so other users can reach it; allowed is 0600, or 0640 for a group "
            f"of the server's own. Run: chmod 600 {key}",
            path=str(key),
            mode=f"{mode:04o}",
        )
