"""What is checked before a job is accepted, so that nothing is computed for a request that cannot succeed.

The rooms behind are imported on first use: a server that only answers predictions loads none of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from superpose.circuits.wording import shown
from superpose.errors import PayloadTooLargeError, RequestError
from superpose.service.budgets.money import micros_of
from superpose.service.store.claims import Price, SpendingLimits
from superpose.service.work.fine_tuning import ParentModel, admitted, with_parent
from superpose.service.work.measured_training import admit_backend

if TYPE_CHECKING:
    from superpose.circuits import Backend
    from superpose.datasets import Table
    from superpose.learning.effort import EstimatedEffort
    from superpose.service.people.residency import Confinement

__all__ = [
    "NO_MODULES",
    "TRIED_SPLITS",
    "admit_place",
    "admit_program",
    "admit_training",
    "check_idempotency_key",
    "check_priority",
    "check_spending",
]

MAX_PRIORITY = 10
_MAX_KEY = 200
NO_MODULES = "No estimate: what a step of a user's own module takes was not measured."
TRIED_SPLITS = 3
"""Random splits made before a job is accepted; whether rows can be split hardly depends on the seed."""


def admit_training(
    payload: Mapping[str, object],
    table: Table,
    find: Callable[[str], Backend],
    find_model: Callable[[str], ParentModel],
) -> tuple[dict[str, Any], Price, EstimatedEffort | str]:
    """The spec in full, defaults included, its price, and what it is expected to take, if the table can train it.

    Where nobody says what it is expected to take, the last is why.

    Args:
        payload: the spec.
        table: the data.
        find: the backend of a name, if the project's programs may go there.
        find_model: the registered model of a name, to begin from.

    Raises:
        NotFoundError: there is no such model.
        ResidencyError: they may not go to the spec's backend.
        BackendUnknownError, ToolkitMissingError, ProviderError: no such backend, or it cannot be reached.
        UnsupportedProgramError: the circuit does not fit it.
        SpecError: an unknown field or a value out of range; names the field.
        StateTooLargeError: the circuit needs more memory than there is.
        DatasetTooSmallError: the table cannot be split as the spec asks.
    """
    from superpose.learning.estimate import counts_of, effort_or_reason
    from superpose.learning.splitting import splits_of

    document, parent = with_parent(payload, find_model)
    spec, kept = admitted(document, parent, table)
    splits = splits_of(spec, table, at_most=TRIED_SPLITS)
    effort: EstimatedEffort | str = NO_MODULES
    if parent is None or not parent.is_module:
        effort = effort_or_reason(spec, counts_of(spec, table, splits))
    return kept, admit_backend(spec, list(splits), find), effort


def admit_place(spec: Mapping[str, Any], confinement: Confinement) -> None:
    """Check that a training spec's circuits may go to the backend that it names, if it names one.

    Raises:
        ResidencyError: the project's rules do not allow it.
        BackendUnknownError, ToolkitMissingError, ProviderError: no such backend, or it cannot be reached.
    """
    name = spec.get("backend", {}).get("name")
    if name is not None:
        confinement.admitted(str(name))


def admit_program(
    payload: Mapping[str, object],
    *,
    max_instructions: int,
    max_result_bytes: int,
    backend: str = "local",
    find: Callable[[str], Backend],
) -> tuple[dict[str, Any], Price]:
    """The program's JSON in canonical form, and its price, if the backend can run it and its result can be kept.

    Args:
        payload: the program's JSON.
        max_instructions, max_result_bytes: limits.
        backend: where it is to run.
        find: the backend of a name, if the project's programs may go there.

    Raises:
        ResidencyError: they may not.
        BackendUnknownError, ToolkitMissingError, ProviderError: no such backend, or it cannot be reached.
        UnsupportedProgramError: the program does not fit it.
        CircuitFormatError: not a program, or one of more than ``max_instructions``.
        StateTooLargeError: it needs more memory than there is.
        PayloadTooLargeError: even at its shortest, the result as JSON has more than ``max_result_bytes``.
    """
    from superpose.backends import LocalBackend
    from superpose.circuits import program_from_json, program_to_json

    program = program_from_json(dict(payload), max_instructions=max_instructions)
    price = Price()
    if backend == "local":
        LocalBackend().admit(program)
    else:
        from superpose.backends.fitting import require_fit
        from superpose.service.budgets.quoting import price_of_program

        runner = find(backend)
        require_fit(program, runner.capabilities(), runner.name)
        price = price_of_program(program, runner)
    n_numbers = len(program.observables) if program.observables else 0 if program.shots else 2 << program.n_qubits
    least_bytes = program.batch * n_numbers * len("0.0,")
    if least_bytes > max_result_bytes:
        raise PayloadTooLargeError(
            f"The result would have {least_bytes:,} bytes as JSON or more; at most {max_result_bytes:,} are kept. Ask "
            "for expectations or counts instead of state vectors, or for fewer parameter values at once.",
            least_bytes=least_bytes,
            max_bytes=max_result_bytes,
        )
    where = {} if backend == "local" else {"backend": backend}
    return {**program_to_json(program), **where}, price


def check_spending(max_cost_usd: object, max_seconds: object, scale_shots: bool) -> SpendingLimits:
    """What a submission says about money and time.

    Raises:
        RequestError: no amount of money, or no time above 0.
    """
    if max_seconds is not None and (
        isinstance(max_seconds, bool)
        or not isinstance(max_seconds, int | float)
        or not 0 < max_seconds <= sys.float_info.max
    ):
        raise RequestError(
            f"max_seconds must be a number above 0, at most {sys.float_info.max:.0e}, got {shown(max_seconds)}.",
            field="max_seconds",
        )
    return SpendingLimits(
        max_cost_micros=None if max_cost_usd is None else micros_of(max_cost_usd, "max_cost_usd"),
        max_seconds=None if max_seconds is None else float(max_seconds),
        scale_shots=scale_shots,
    )


def check_priority(priority: object) -> int:
    """A priority in its range.

    Raises:
        RequestError: not a whole number from -10 to 10.
    """
    if isinstance(priority, bool) or not isinstance(priority, int) or abs(priority) > MAX_PRIORITY:
        raise RequestError(
            f"priority must be a whole number from {-MAX_PRIORITY} to {MAX_PRIORITY}, got {priority!r}.",
            field="priority",
        )
    return priority


def check_idempotency_key(key: str | None) -> str | None:
    """An idempotency key that can be stored; None if there is none.

    Raises:
        RequestError: empty, too long, or not printable.
    """
    if key is not None and not (1 <= len(key) <= _MAX_KEY and key.isprintable()):
        raise RequestError(
            f"An idempotency key must be 1 to {_MAX_KEY} printable characters, got {len(key)} characters.",
            field="idempotency_key",
        )
    return key
