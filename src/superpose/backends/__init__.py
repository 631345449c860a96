"""Where programs can run. Today this machine; one file per cloud later."""

from __future__ import annotations

from superpose.backends.local import LocalBackend

__all__ = ["LocalBackend"]
