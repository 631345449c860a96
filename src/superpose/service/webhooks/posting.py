"""One HTTP request to an address that a user chose, with a limit on everything.

The name is resolved here and the connection goes to an address that was looked at; TLS is checked against the system's
certificates (``SSL_CERT_FILE`` names others) and the URL's own name. No redirect is followed and no body is read: all
that counts is the status. One deadline covers resolving, connecting, sending and waiting, however slowly bytes drip.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import h11

import superpose
from superpose.errors import RequestError
from superpose.service.webhooks.addresses import Address, Network, Target, read_target, refusal

__all__ = ["Answer", "post"]

_MAX_ANSWER_BYTES: Final = 64 * 1024
_MAX_HEAD_BYTES: Final = 16 * 1024
_CHUNK_BYTES: Final = 4 * 1024
_MAX_ADDRESSES: Final = 4
_CLOSED: Final = "the connection was closed without an answer"


@dataclass(frozen=True)
class Answer:
    """What came of a request.

    Attributes:
        status: the HTTP status; None where none came.
        error: why it does not count as received; None where it does (2xx).
        retry_after_s: how long the receiver asks to wait.
    """

    status: int | None
    error: str | None = None
    retry_after_s: float | None = None


class _Failed(Exception):
    """A request that brought no status, and why, in words that hold nothing of the receiver's."""


async def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    networks: Collection[Network],
    timeout_s: float,
) -> Answer:
    """Post a body and tell what came of it; never raises for what the receiver or the network does.

    Args:
        url: where to.
        body: what, as JSON.
        headers: beside those of HTTP itself.
        networks: what is allowed beside public addresses.
        timeout_s: for all of it.
    """
    try:
        async with asyncio.timeout(timeout_s):
            target = read_target(url, networks)
            reader, writer = await _connect(target, networks)
            try:
                return await _exchange(target, reader, writer, body, headers)
            finally:
                writer.transport.abort()
    except TimeoutError:
        return Answer(None, f"no answer within {timeout_s:g} s")
    except RequestError as error:  # what the operator allows has changed
        return Answer(None, f"not sent: {error.message}")
    except _Failed as error:
        return Answer(None, str(error))
    except ssl.SSLError as error:
        return Answer(None, f"TLS failed: {_tls_reason(error)}")
    except OSError as error:
        return Answer(None, f"the connection broke: {error.strerror or type(error).__name__}")


async def _connect(target: Target, networks: Collection[Network]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to one of the target's addresses, all of which must be allowed."""
    addresses = await _resolve(target)
    for address in addresses:
        why = refusal(address, networks, secure=target.secure)
        if why is not None:
            raise _Failed(f"not sent: the host's name leads to an address that is not allowed: {why}")
    context = ssl.create_default_context() if target.secure else None
    last: OSError | None = None
    for address in addresses[:_MAX_ADDRESSES]:
        try:
            return await asyncio.open_connection(
                str(address),
                target.port,
                limit=_MAX_ANSWER_BYTES,
                ssl=context,
                server_hostname=target.host if context else None,
            )
        except ssl.SSLError:
            raise
        except OSError as error:
            last = error
    # asyncio puts several errors into one text, so its first words are ours
    reason = "refused" if isinstance(last, ConnectionRefusedError) else "failed"
    raise _Failed(f"could not connect: the connection {reason}")


async def _resolve(target: Target) -> list[Address]:
    """The addresses of the target's host, each once."""
    with contextlib.suppress(ValueError):
        return [ipaddress.ip_address(target.host)]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _Failed("could not connect: the host's name cannot be resolved") from None
    return list(dict.fromkeys(ipaddress.ip_address(str(place[0])) for *_, place in found))


async def _exchange(
    target: Target,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    body: bytes,
    headers: Mapping[str, str],
) -> Answer:
    """Send the request and read the answer's head."""
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
    sent = {
        "Host": target.authority,
        "User-Agent": f"superpose/{superpose.__version__}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Accept": "*/*",
        "Connection": "close",
        **headers,
    }
    request = h11.Request(method="POST", target=target.path, headers=list(sent.items()))
    for event in (request, h11.Data(data=body), h11.EndOfMessage()):
        writer.write(http.send(event) or b"")
    await writer.drain()
    n_bytes = 0
    while True:
        try:
            found = http.next_event()
        except h11.RemoteProtocolError:
            raise _Failed("the answer is not HTTP, or its head is too long") from None
        if isinstance(found, h11.Response):
            return _answer(found)
        if found is h11.NEED_DATA:
            chunk = await reader.read(_CHUNK_BYTES)
            if not chunk:
                raise _Failed(_CLOSED)
            n_bytes += len(chunk)
            if n_bytes > _MAX_ANSWER_BYTES:
                raise _Failed("the answer's head is too long")
            http.receive_data(chunk)
        elif found is h11.PAUSED or isinstance(found, h11.ConnectionClosed):
            raise _Failed(_CLOSED)


def _answer(response: h11.Response) -> Answer:
    status = response.status_code
    told = dict(response.headers).get(b"retry-after", b"")
    after_s = float(told) if told.isdigit() and len(told) <= 9 else None
    if 200 <= status < 300:
        return Answer(status)
    if 300 <= status < 400:
        return Answer(status, "redirects are not followed; give the webhook its final address", after_s)
    return Answer(status, f"the receiver answered {status}", after_s)


def _tls_reason(error: ssl.SSLError) -> str:
    """What TLS found wrong, in the words of the library here."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message or "the certificate is not trusted"
    return (error.reason or type(error).__name__).lower().replace("_", " ")
