"""Conformance suites: what every gate, channel, backend, store and model must do, as checks to run on your own.

Names are loaded on first use, for each suite imports the room that it checks.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME_OF = {
    "ConformanceReport": "superpose.testing.contracts",
    "check_backend": "superpose.testing.backends",
    "check_channel": "superpose.testing.channels",
    "check_gate": "superpose.testing.gates",
    "check_model": "superpose.testing.models",
    "check_queueing_backend": "superpose.testing.queueing",
    "check_store": "superpose.testing.store",
    "conformance": "superpose.testing.reporting",
    "conformance_cost": "superpose.testing.reporting",
}

__all__ = [
    "ConformanceReport",
    "check_backend",
    "check_channel",
    "check_gate",
    "check_model",
    "check_queueing_backend",
    "check_store",
    "conformance",
    "conformance_cost",
]

if TYPE_CHECKING:
    from superpose.testing.backends import check_backend as check_backend
    from superpose.testing.channels import check_channel as check_channel
    from superpose.testing.contracts import ConformanceReport as ConformanceReport
    from superpose.testing.gates import check_gate as check_gate
    from superpose.testing.models import check_model as check_model
    from superpose.testing.queueing import check_queueing_backend as check_queueing_backend
    from superpose.testing.reporting import conformance as conformance
    from superpose.testing.reporting import conformance_cost as conformance_cost
    from superpose.testing.store import check_store as check_store


def __getattr__(name: str) -> Any:
    """Load a suite from its file."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'superpose.testing' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)
