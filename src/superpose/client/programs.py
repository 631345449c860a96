"""Quantum programs run by the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from superpose.client.jobs import Jobs
from superpose.client.transport import Transport
from superpose.errors import ProtocolError

if TYPE_CHECKING:
    from superpose.circuits import Program, ProgramResult

__all__ = ["run_program"]

WAIT_S: Final = 10.0


def run_program(transport: Transport, jobs: Jobs, program: Program, timeout_s: float | None) -> ProgramResult:
    """Submit a program, wait for its job, read its result."""
    raise ProtocolError("x")
