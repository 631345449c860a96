"""What a run of a program costs at its backend, told before it is sent."""

from __future__ import annotations

from dataclasses import dataclass

from superpose.backends.grouping import group_terms
from superpose.circuits import Backend, EstimatingBackend, Program, WrappingBackend

__all__ = ["RunPrice", "price_run"]


@dataclass(frozen=True, slots=True)
class RunPrice:
    """The price of a program on a backend, in US dollars.

    Attributes:
        usd: Of the whole run.
        per_shot_usd: What one shot more costs, over all its circuits; None where it does not grow by shots alone.
        per_submission_usd: What of ``usd`` is for handing it over at all, and is paid once for all that goes with it.
    """

    usd: float
    per_shot_usd: float | None = None
    per_submission_usd: float = 0.0


def price_run(program: Program, backend: Backend) -> RunPrice | None:
    """Return what a run of ``program`` costs on ``backend``, or None where nobody says.

    A backend's stated pricing counts: per submission, circuit and shot by themselves, per second with the run time that
    the backend estimates. Without any, its own estimate of the price does. A backend that hands on other programs than
    it gets (mitigation, a fleet) has no price of its own: its estimate counts, or that nothing is charged beneath it.

    Raises:
        UnsupportedProgramError: It cannot run there; from a backend's estimate.

    >>> from superpose.backends import LocalBackend
    >>> from superpose.circuits import Circuit
    >>> price_run(Program(Circuit(1).h(0), shots=10), LocalBackend())
    RunPrice(usd=0.0, per_shot_usd=0.0, per_submission_usd=0.0)
    """
    pricing = backend.capabilities().pricing
    estimate = backend.estimate(program) if isinstance(backend, EstimatingBackend) else None
    if isinstance(backend, WrappingBackend) and pricing is not None and not pricing.is_free:
        pricing = None
    if pricing is None:
        return None if estimate is None or estimate.price_usd is None else RunPrice(estimate.price_usd)
    n_circuits = program.batch * max(1, len(group_terms(program.observables)[0]) if program.observables else 1)
    seconds = 0.0
    if pricing.per_second_usd:
        if estimate is None or estimate.run_s is None:
            return None if estimate is None or estimate.price_usd is None else RunPrice(estimate.price_usd)
        seconds = estimate.run_s
    shots = (program.shots or 0) * n_circuits
    usd = pricing.price_usd(n_circuits=n_circuits, n_shots=shots, seconds=seconds)
    by_shots_alone = not pricing.per_second_usd
    return RunPrice(usd, pricing.per_shot_usd * n_circuits if by_shots_alone else None, pricing.per_submission_usd)
