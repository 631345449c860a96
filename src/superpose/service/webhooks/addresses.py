"""Where webhooks may be sent: public addresses over https, and what the operator allows beside them.

Users choose the address, the server makes the request: without care a webhook is a way into the operator's network.
So a name is resolved first, every address that it has must be allowed, and the connection goes to the very address that
was looked at. Networks that the operator names (``webhook_networks``) are allowed beside public ones; plain http is
taken for loopback addresses in them only.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from superpose.errors import RequestError

__all__ = ["Address", "Network", "Target", "read_networks", "read_target", "refusal"]

Address = IPv4Address | IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAX_URL: Final = 2_000
_FORM: Final = "https://HOST/PATH"
_PRINTABLE: Final = re.compile(r"[!-~]+", re.ASCII)
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True)
class Target:
    """A webhook's URL in its parts."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as the header ``Host`` has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def read_networks(text: str | None) -> tuple[Network, ...]:
    """Networks from a list such as ``127.0.0.0/8, 10.20.0.0/16``.

    Raises:
        RequestError: one is no network, or holds link-local addresses, where clouds keep their credentials.
    """
    found = []
    for part in (text or "").replace(",", " ").split():
        try:
            network = ipaddress.ip_network(part)
        except ValueError:
            raise RequestError(
                f"webhook_networks must be networks such as 127.0.0.0/8, 10.20.0.0/16; got {part!r}.",
                field="webhook_networks",
            ) from None
        link_local = ipaddress.ip_network("169.254.0.0/16" if network.version == 4 else "fe80::/10")
        if network.overlaps(link_local):
            raise RequestError(
                f"webhook_networks must not hold link-local addresses ({link_local}), where clouds keep credentials; "
                f"got {part!r}.",
                field="webhook_networks",
            )
        found.append(network)
    return tuple(found)


def read_target(url: str, networks: Collection[Network]) -> Target:
    """The parts of a webhook's URL.

    Raises:
        RequestError: not an https URL (or an http one where loopback is allowed), with user or fragment, too long, or
            with an address for a host that is not allowed.
    """
    parts = _split(url)
    if parts is None or parts.scheme not in {"https", "http"} or not parts.hostname:
        raise _refused(f"url must be of the form {_FORM}, of printable ASCII, at most {_MAX_URL:,} characters long.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise _refused(f"url must have neither user, password nor fragment: {_FORM}.")
    secure = parts.scheme == "https"
    target = Target(secure, parts.hostname, parts.port or (443 if secure else 80), _path(parts.path, parts.query))
    if not secure and not any(network.is_loopback for network in networks):
        raise _refused(
            "url must begin with https://. Plain http is taken for loopback addresses only, and only where the "
            "operator allows these (webhook_networks).",
        )
    try:
        address = ipaddress.ip_address(target.host)
    except ValueError:
        return target
    why = refusal(address, networks, secure=secure)
    if why is not None:
        raise _refused(f"url must lead to a public address; {why}.")
    return target


def refusal(address: Address, networks: Collection[Network], *, secure: bool) -> str | None:
    """Why nothing is sent to an address; None where it is allowed.

    Addresses that stand for others (IPv4 in IPv6, 6to4, Teredo, NAT64) are allowed only if those are.
    """
    for meant in _meant(address):
        if not secure and not meant.is_loopback:
            return f"{address} is not a loopback address, and others need https"
        if any(meant in network for network in networks):
            continue
        if not meant.is_global or meant.is_multicast or getattr(meant, "is_site_local", False):
            return f"{address} is a private, local or reserved address"
    return None


def _meant(address: Address) -> tuple[Address, ...]:
    """An address and those that it stands for."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    inner: list[Address] = [address]
    if address.sixtofour is not None:
        inner.append(address.sixtofour)
    if address.teredo is not None:
        inner += address.teredo
    if address in _NAT64:
        inner.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return tuple(inner)


def _split(url: str) -> SplitResult | None:
    """The parts of a URL that may stand in a request; None for what is none, or has no usable port."""
    if not isinstance(url, str) or len(url) > _MAX_URL or not _PRINTABLE.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        return None if parts.port == 0 else parts
    except ValueError:
        return None


def _path(path: str, query: str) -> str:
    return (path or "/") + (f"?{query}" if query else "")


def _refused(message: str) -> RequestError:
    return RequestError(message, field="url")
