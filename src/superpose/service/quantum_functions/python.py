"""Users' Python by the service's settings."""

from __future__ import annotations

from superpose.sandbox import Limits, Sandboxes
from superpose.service.config import ServiceConfig

__all__ = ["sandboxes_of"]


def sandboxes_of(config: ServiceConfig) -> Sandboxes:
    """The processes that run users' Python; none is started before it is needed."""
    limits = Limits(
        n_processes=config.sandbox_processes,
        idle_s=config.sandbox_idle_s,
        timeout_s=config.sandbox_timeout_s,
        build_timeout_s=config.sandbox_build_timeout_s,
        cpu_s=config.sandbox_cpu_s,
        build_cpu_s=config.sandbox_build_timeout_s,
        memory_bytes=config.sandbox_memory_bytes,
        required=config.sandbox_required,
    )
    return Sandboxes(limits, hidden=(config.data_dir,))
