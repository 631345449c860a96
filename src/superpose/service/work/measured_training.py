"""Training jobs whose circuits run on a backend: what they may cost, and what they did.

The room of learning is imported on first use.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from superpose.service.store.claims import Price

if TYPE_CHECKING:
    from superpose.circuits import Backend
    from superpose.datasets import Split
    from superpose.learning import TrainingSpec

__all__ = ["admit_backend", "cost_told"]


def admit_backend(spec: TrainingSpec, splits: list[Split], find: Callable[[str], Backend]) -> Price:
    """What a training may cost at most on the backend that its spec names, if it fits there.

    That is the price of every step's largest program and, where figures are measured, of those too.

    Args:
        spec: what to train.
        splits: some of its splits.
        find: the backend of a name, if the project's programs may go there.

    Raises:
        ResidencyError: they may not.
        BackendUnknownError, ToolkitMissingError, ProviderError: no such backend, or it cannot be reached.
        UnsupportedProgramError: a circuit does not fit it.
        SpecError: sessions are wanted of a backend that has none.
    """
    if spec.backend.name is None:
        return Price()
    from superpose.backends.fitting import require_fit
    from superpose.circuits import SessionBackend, SizingBackend, Template
    from superpose.errors import SpecError
    from superpose.learning.measured.bill import bill
    from superpose.service.budgets.quoting import price_of_program

    backend, total = find(spec.backend.name), 0
    if spec.backend.mode == "session" and not isinstance(backend, SessionBackend):
        raise SpecError(f'is "session", but {spec.backend.name} has no sessions; leave it out', "backend.mode")
    n_train, n_validation, n_test = (
        max(len(getattr(split, part)) for split in splits) for part in ("train", "validation", "test")
    )
    able = backend.capabilities()
    for billed in bill(spec, n_train=n_train, n_validation=n_validation, n_test=n_test):
        limit = able.max_batch or billed.n_rows
        if isinstance(backend, SizingBackend):
            template = Template(billed.circuit, billed.block.observables, billed.circuit.parameters)
            limit = min(limit, backend.batch_limit(template, billed.shots))
        program = billed.program(min(limit, billed.n_rows))
        require_fit(program, able, backend.name)
        price = price_of_program(program, backend)
        if price.micros is None:
            return Price(backend=spec.backend.name, micros=None, per_shot_micros=None)
        total += price.micros * billed.n_programs * math.ceil(billed.n_rows / program.batch)
    return Price(backend=spec.backend.name, micros=total, per_shot_micros=None)


def cost_told(evaluation: Mapping[str, Any], backend: Backend) -> dict[str, Any]:
    """What a training did cost, as the provenance of the job's result; empty where nobody says.

    The backend's own word counts; without it, its prices for the circuits, shots and submissions that there were.
    """
    taken = evaluation.get("measured", {}).get("in_all")
    if taken is None:
        return {}
    told = taken.get("cost_usd")
    pricing = backend.capabilities().pricing
    if told is None and pricing is not None and not pricing.per_second_usd:
        told = pricing.price_usd(
            n_circuits=taken["n_circuits"],
            n_shots=taken["shots_spent"],
            n_submissions=taken["n_submissions"],
            seconds=0.0,
        )
    return {} if told is None else {"provenance": {"cost_usd": told}}
