"""What adapters share: packages imported when needed, seeds, and the facts beside each result."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np

from superpose import __version__
from superpose.circuits import Circuit, Measure, Program, Reset, walk
from superpose.errors import ToolkitMissingError, UnsupportedProgramError

__all__ = ["Run", "exact_body", "package", "present", "seeded"]


def package(name: str, title: str, extra: str) -> ModuleType:
    """Return a vendor's package, imported now.

    Raises:
        ToolkitMissingError: It is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise _missing(name, title, extra, error) from None


def present(name: str, title: str, extra: str) -> None:
    """Look whether a vendor's package is installed, without importing it: what lists need to know.

    Raises:
        ToolkitMissingError: It is not.
    """
    try:
        found = find_spec(name)
    except ModuleNotFoundError:  # of the package in which it would be
        found = None
    if found is None:
        raise _missing(name, title, extra, f"no module named {name}")


def _missing(name: str, title: str, extra: str, why: object) -> ToolkitMissingError:
    return ToolkitMissingError(
        f"{title} is not installed ({why}); pip install 'superpose[{extra}]' brings it.", toolkit=name, extra=extra
    )


def seeded(program: Program) -> Program:
    """Return the program with a seed, a drawn one where it has shots and none."""
    if program.shots is None or program.seed is not None:
        return program
    return replace(program, seed=int(np.random.default_rng().integers(2**31 - 1)))


def exact_body(circuit: Circuit, backend: str) -> Circuit:
    """Return a circuit without its final measurements, of which a simulator computes one state.

    Raises:
        UnsupportedProgramError: It measures or resets before its end, so that there is no one state.
    """
    body, _ = circuit.without_final_measurements()
    if any(isinstance(item, Measure | Reset) for item in walk(body.instructions)):
        raise UnsupportedProgramError(
            f"Backend {backend!r} has no exact answers for circuits that measure or reset before their end; give "
            "shots, or take backend 'local'.",
            backend=backend,
        )
    return body


@dataclass(frozen=True)
class Run:
    """When a run began, for its provenance."""

    backend: str
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _started_s: float = field(default_factory=time.perf_counter)

    def provenance(self, program: Program, **more: Any) -> dict[str, Any]:
        """Return what a result tells about itself, now that it is there."""
        return {
            "backend": self.backend,
            "version": __version__,
            "program_digest": program.digest,
            "dtype": program.dtype,
            "shots": program.shots,
            "seed": program.seed,
            "started_at": self.started_at.isoformat(),
            "elapsed_s": time.perf_counter() - self._started_s,
            **more,
        }
