"""What is told of a cut program: why it cannot be run, and how it was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.backends.cutting.plan import CutPlan, GateCut
from superpose.backends.cutting.sampling import Sampling, overhead_of
from superpose.circuits import Estimate, ProgramSetResult
from superpose.errors import PieceFailedError, TooManyCutsError

__all__ = ["require_all", "require_few", "told", "told_estimate"]


def require_few(plan: CutPlan, n_qubits: int, max_qubits: int, max_overhead: float) -> None:
    """Check that a plan is good enough.

    Raises:
        TooManyCutsError: Its fragments are too wide, or its overhead is too large.
    """
    n_gates = sum(isinstance(cut, GateCut) for cut in plan.cuts)
    details = {
        "n_qubits": n_qubits,
        "max_qubits": max_qubits,
        "n_cuts": len(plan.cuts),
        "overhead": plan.overhead,
        "max_overhead": max_overhead,
    }
    if not plan.fits:
        raise TooManyCutsError(
            f"No way was found to cut a circuit of {n_qubits} qubits into fragments of at most {max_qubits}; the best "
            f"one takes {plan.n_qubits}. Take a wider backend, or leave out gates between far qubits.",
            **details,
        )
    if plan.overhead > max_overhead:
        shots = plan.overhead * len(plan.fragments) * 1e4
        raise TooManyCutsError(
            f"To fit {n_qubits} qubits into fragments of at most {max_qubits}, {n_gates} gates and, between gates, "
            f"{len(plan.cuts) - n_gates} qubits would be cut, at an overhead of {plan.overhead:,.4g}: an error of 0.01 "
            f"would take up to {shots:,.2g} shots. Allowed is an overhead of {max_overhead:,.4g}; take a wider "
            "backend, leave out gates between far qubits, or give a larger max_overhead.",
            shots_for_error_of_0_01=shots,
            **details,
        )


def require_all(results: ProgramSetResult, name: str) -> None:
    """Check that every run has a result.

    Raises:
        PieceFailedError: Some have failed.
    """
    if results.failures:
        first = results.failures[0]
        raise PieceFailedError(
            f"{len(results.failures)} of the runs of a cut program have failed on {name!r}, the first with: "
            f"{first.message} Nothing of it is used; run the program again.",
            failures=[failure.to_json() for failure in results.failures[:100]],
        )


def told(plan: CutPlan, sampling: Sampling, coefficients: Sequence[npt.NDArray[np.float64]]) -> dict[str, Any]:
    """Return how a program was cut, in JSON values."""
    cuts = [
        {"kind": "gate", "gate": cut.gate, "qubits": list(cut.qubits)}
        if isinstance(cut, GateCut)
        else {"kind": "qubit", "qubits": [cut.qubit]}
        for cut in plan.cuts
    ]
    fragments = []
    for number, one in enumerate(plan.fragments):
        own = [grid for grid in sampling.grids if grid.fragment == number]
        fragments.append(
            {
                "qubits": list(one.qubits),
                "n_qubits": max((grid.made.circuit.n_qubits for grid in own), default=0),
                "n_runs": sum(grid.grid.n_bindings for grid in own),
                "n_shots": sampling.n_shots(number),
            }
        )
    return {
        "cuts": cuts,
        "overhead": overhead_of(plan, coefficients),
        "read": "by_qubits" if plan.reads_by_qubits else "in_the_middle",
        "fragments": fragments,
    }


def told_estimate(found: Sequence[tuple[int, Estimate]], facts: dict[str, Any]) -> Estimate:
    """Return the estimate of a cut program from those of its circuits, each with the number of its fragment."""
    worst: dict[int, float | None] = {}
    for number, one in found:
        before = worst.get(number, 1.0)
        worst[number] = None if one.fidelity is None or before is None else min(before, one.fidelity)
    fidelities = [value for value in worst.values() if value is not None]
    waits = [one.wait_s for _, one in found if one.wait_s is not None]
    return Estimate(
        fidelity=math.prod(fidelities) if len(fidelities) == len(worst) else None,
        price_usd=_summed([one.price_usd for _, one in found]),
        wait_s=max(waits) if waits and len(waits) == len(found) else None if found else 0.0,
        run_s=_summed([one.run_s for _, one in found]),
        notes={"cutting": facts},
    )


def _summed(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
