"""The REST edge: HTTP in front of a ``Service``, and nothing more. Every decision is taken in ``superpose.service``."""

from __future__ import annotations

from superpose.api.app import create_app
from superpose.api.server import serve

__all__ = ["create_app", "serve"]
