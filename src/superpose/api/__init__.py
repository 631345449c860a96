"""The REST edge: HTTP in front of a ``Service``, and nothing more. Every decision is taken in ``superpose.service``."""

from __future__ import annotations

from superpose.api.app import create_app
from superpose.api.server import serve
from superpose.api.tls import Tls

__all__ = ["Tls", "create_app", "serve"]
