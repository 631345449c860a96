"""Backends by name, for a room that must not know them."""

from __future__ import annotations

import superpose
from superpose.circuits import Backend

__all__ = ["resolved_backend"]


def resolved_backend(backend: str | Backend) -> Backend:
    """Return the backend of this name; one that is a backend already, as it is.

    Names are the facade's, two floors up. It is asked through the package's own table of names, so that nothing of it
    is imported here, and nobody has to register anything before.

    Raises:
        BackendUnknownError: no backend has this name, or this is none.
        ToolkitMissingError, ProviderError: its package is missing; its provider does not let us in.
    """
    found: Backend = superpose.resolve_backend(backend)
    return found
