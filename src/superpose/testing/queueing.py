"""What a backend with a queue must do beside what every backend must: hand over once, say when a result is there; and,
where it can, call a run off and say where it is."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress

from superpose.circuits import CancellingBackend, QueueingBackend, ReportingBackend, RunStatus
from superpose.errors import ProviderError, SuperposeError
from superpose.testing.contracts import QUEUE_SHOTS, Contract, Trial, require

__all__ = ["QUEUE_CONTRACTS", "check_queueing_backend"]

UNKNOWN_ID = "no-such-id"


def check_queueing_backend(backend: QueueingBackend, *, timeout_s: float = 600.0, pause_s: float = 0.05) -> None:
    """Check that ``backend`` keeps the contract of `QueueingBackend`, and of `CancellingBackend` and `ReportingBackend`
    where it is one.

    Args:
        backend: What to check; it is sent a few small programs.
        timeout_s: How long their results may take.
        pause_s: Time between two questions.

    Raises:
        AssertionError: It does not; the message says in what.
    """
    require(isinstance(backend, QueueingBackend), "it has submit(program, token) and fetch(provider_job_id)")
    trial = Trial(timeout_s=timeout_s, pause_s=pause_s)
    for contract in QUEUE_CONTRACTS:
        if contract.offered is None or contract.offered(backend):
            contract.check(backend, trial)


def check_tokens(backend: QueueingBackend, trial: Trial) -> None:
    """Programs under two tokens have two ids; the same token again gives the same id."""
    ids = trial.ids(backend)
    require(all(isinstance(one, str) and one for one in ids), "submit() returns a text that is not empty")
    require(ids[0] != ids[1], "programs under two tokens have two ids")
    again = backend.submit(trial.PROGRAMS[0], trial.tokens()[0])
    require(again == ids[0], "the same token again gives the same id")


def check_results(backend: QueueingBackend, trial: Trial) -> None:
    """A result is that of the program of its id, and stays as it is."""
    for provider_job_id, bits in zip(trial.ids(backend), ("01", "00"), strict=True):
        result = trial.fetched(backend, provider_job_id)
        counts = (result.counts or ({},))[0]
        require(sum(counts.values()) == QUEUE_SHOTS, "the result has as many counts as shots were asked for")
        require(max(counts, key=lambda key: counts[key]) == bits, "the result is that of the program of this id")
        once_more = backend.fetch(provider_job_id)
        require(once_more is not None and once_more.counts == result.counts, "a result that is there stays as it is")


def check_unknown_ids(backend: QueueingBackend, trial: Trial) -> None:
    """An id that was never given is refused, so that nobody waits for it for ever."""
    _refused(lambda: backend.fetch(UNKNOWN_ID), "fetch")
    if isinstance(backend, CancellingBackend):
        _refused(lambda: backend.cancel(UNKNOWN_ID), "cancel")
    if isinstance(backend, ReportingBackend):
        _refused(lambda: backend.status(UNKNOWN_ID), "status")


def check_cancel(backend: CancellingBackend, trial: Trial) -> None:
    """What has ended is not called off; what is called off ends, in a result or in an error, and may be so twice."""
    ended = trial.ended(backend)
    backend.cancel(ended)
    require(backend.fetch(ended) is not None, "a result that is there stays when the run is called off afterwards")
    begun = backend.submit(trial.PROGRAMS[0], secrets.token_hex(8))
    backend.cancel(begun)
    backend.cancel(begun)
    with suppress(ProviderError):  # it may have ended before
        trial.fetched(backend, begun)
    if isinstance(backend, ReportingBackend):
        require(backend.status(begun).is_final, "a run that was called off and ended has a final status")


def check_status(backend: ReportingBackend, trial: Trial) -> None:
    """The status table is of our words, and a run with a result has succeeded."""
    table = backend.status_table
    require(bool(table) and all(isinstance(one, RunStatus) for one in table.values()), "the table gives RunStatus")
    require(RunStatus.SUCCEEDED in table.values(), "the table has a word for success")
    require(RunStatus.FAILED in table.values(), "the table has a word for failure")
    require(backend.status(trial.ended(backend)) is RunStatus.SUCCEEDED, "a run with a result has succeeded")


def _refused(call: Callable[[], object], name: str) -> None:
    try:
        call()
    except SuperposeError:
        return
    require(False, f"{name}() refuses an id that was never given, with an error of superpose")


QUEUE_CONTRACTS: tuple[Contract, ...] = (
    Contract("tokens", check_tokens, lambda backend: isinstance(backend, QueueingBackend)),
    Contract("results", check_results, lambda backend: isinstance(backend, QueueingBackend)),
    Contract("unknown ids", check_unknown_ids, lambda backend: isinstance(backend, QueueingBackend), sends=False),
    Contract("cancel", check_cancel, lambda backend: isinstance(backend, CancellingBackend)),
    Contract("status table", check_status, lambda backend: isinstance(backend, ReportingBackend)),
)
"""The contracts, in the order in which they say most."""
