"""How webhooks are sent: addresses, time limits, pauses."""

from __future__ import annotations

from dataclasses import dataclass

from superpose.scheduling import Backoff
from superpose.service.webhooks.addresses import Network

__all__ = ["WebhookRules"]


@dataclass(frozen=True, kw_only=True)
class WebhookRules:
    """How webhooks are sent.

    Attributes:
        networks: what is allowed beside public addresses.
        timeout_s: for one request.
        backoff: pauses between tries of one message.
        retry_s: how long after the first try a message is given up.
        disable_s: how long a webhook may fail without one success before nothing more is sent to it.
    """

    networks: tuple[Network, ...]
    timeout_s: float
    backoff: Backoff
    retry_s: float
    disable_s: float
