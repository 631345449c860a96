"""Estimates of one program on many backends, and which of them no other beats."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from superpose.backends.estimates.estimating import Knowledge, estimate_program
from superpose.backends.fitting import misfits
from superpose.backends.providers import describe_backend, find_backend, list_backends
from superpose.circuits import BackendInfo, Estimate, Program
from superpose.errors import SuperposeError

__all__ = ["BackendEstimate", "estimate_backends", "pareto_front"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendEstimate:
    """What is expected of a program on one backend.

    Attributes:
        info: The backend.
        estimate: None where it cannot run there.
        reasons: Why it cannot, a sentence each; empty where it can, or where nobody asked.
        parametric: Whether new values run there without compiling again.
    """

    info: BackendInfo
    estimate: Estimate | None
    reasons: tuple[str, ...] = ()
    parametric: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the line in JSON values."""
        info, found = self.info, self.estimate
        told = dict.fromkeys(("fidelity", "price_usd", "wait_s", "run_s")) if found is None else asdict(found)
        at = None if info.calibration_at is None else info.calibration_at.isoformat()
        return {
            **asdict(info),
            "calibration_at": at,
            "parametric": self.parametric,
            "fits": found is not None,
            "reasons": list(self.reasons),
            **told,
            "notes": {} if found is None else dict(found.notes),
        }


def estimate_backends(
    program: Program,
    names: Iterable[str] | None = None,
    knowledge: Knowledge | None = None,
    *,
    wanted: Callable[[BackendInfo], bool] | None = None,
) -> list[BackendEstimate]:
    """Return what is expected of ``program`` on every backend there is, or on those of these names.

    A backend that cannot be reached, or where the program cannot run, is in the list with its reasons.

    Args:
        program: What would run.
        names: Of backends; None for all.
        knowledge: Prices and waits of one's own.
        wanted: Those it is False for are in the list, but nothing is estimated, nor asked of them.

    Raises:
        BackendUnknownError: No backend has one of the names.

    Cost: what the providers' lists and calibrations take, and some milliseconds for each backend.
    """
    asked = None if names is None else list(dict.fromkeys(names))
    infos = list_backends(asked)
    if asked is not None:
        known = {info.name: info for info in infos}
        for name in asked:
            if name not in known:
                known[name] = describe_backend(name)  # says what there is, or describes what is not listed
        infos = [known[name] for name in asked]
    return [
        _estimated(program, info, knowledge)
        if wanted is None or wanted(info)
        else BackendEstimate(info=info, estimate=None)
        for info in infos
    ]


def pareto_front(estimates: Sequence[BackendEstimate]) -> frozenset[str]:
    """Return the names of the backends that no other beats: fidelity higher, price and wait lower are better.

    One beats another that is at least as good in all three and better in one. What is unknown counts as the worst.
    """
    points = {item.info.name: _point(item.estimate) for item in estimates if item.estimate is not None}
    return frozenset(
        name
        for name, mine in points.items()
        if not any(other != mine and all(a <= b for a, b in zip(other, mine, strict=True)) for other in points.values())
    )


def _estimated(program: Program, info: BackendInfo, knowledge: Knowledge | None) -> BackendEstimate:
    if info.status != "online":
        return BackendEstimate(info=info, estimate=None, reasons=(f"It is {info.status}. {info.note}".strip(),))
    try:
        backend = find_backend(info.name)
        able = backend.capabilities()
        reasons = misfits(program, able)
        if reasons:
            return BackendEstimate(info=info, estimate=None, reasons=reasons, parametric=able.parametric)
        found = estimate_program(program, backend, kind=info.kind or "qpu", knowledge=knowledge)
    except SuperposeError as error:
        return BackendEstimate(info=info, estimate=None, reasons=(error.message,))
    except Exception as error:  # of somebody else's package: its failure is its line, not the table's end
        return BackendEstimate(info=info, estimate=None, reasons=(f"{type(error).__name__}: {error}",))
    return BackendEstimate(info=info, estimate=found, parametric=able.parametric)


def _point(estimate: Estimate) -> tuple[float, float, float]:
    """Loss, price and wait, each better where it is less."""
    return (
        1.0 if estimate.fidelity is None else 1.0 - estimate.fidelity,
        math.inf if estimate.price_usd is None else estimate.price_usd,
        math.inf if estimate.wait_s is None else estimate.wait_s,
    )
