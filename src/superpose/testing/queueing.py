"""What a backend with a queue must do beside what every backend must: hand over once, say when a result is there; and,
where it can, call a run off and say where it is."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import suppress

from superpose.circuits import (
    CancellingBackend,
    Circuit,
    Program,
    ProgramResult,
    QueueingBackend,
    ReportingBackend,
    RunStatus,
)
from superpose.errors import ProviderError, SuperposeError

__all__ = ["check_queueing_backend"]

SHOTS = 100
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
    _require(isinstance(backend, QueueingBackend), "it has submit(program, token) and fetch(provider_job_id)")
    flip, stay = Circuit(2).x(1), Circuit(2).x(0).x(0)
    tokens = [secrets.token_hex(8) for _ in range(2)]
    ids = [backend.submit(Program(flip, shots=SHOTS), tokens[0]), backend.submit(Program(stay, shots=SHOTS), tokens[1])]
    _require(all(isinstance(one, str) and one for one in ids), "submit() returns a text that is not empty")
    _require(ids[0] != ids[1], "programs under two tokens have two ids")
    again = backend.submit(Program(flip, shots=SHOTS), tokens[0])
    _require(again == ids[0], "the same token again gives the same id")
    for provider_job_id, bits in zip(ids, ("01", "00"), strict=True):
        result = _fetched(backend, provider_job_id, timeout_s, pause_s)
        counts = (result.counts or ({},))[0]
        _require(sum(counts.values()) == SHOTS, "the result has as many counts as shots were asked for")
        _require(max(counts, key=lambda key: counts[key]) == bits, "the result is that of the program of this id")
        once_more = backend.fetch(provider_job_id)
        _require(once_more is not None and once_more.counts == result.counts, "a result that is there stays as it is")
    _refused(lambda: backend.fetch(UNKNOWN_ID), "fetch")
    if isinstance(backend, CancellingBackend):
        _check_cancel(backend, ids[0], timeout_s, pause_s)
    if isinstance(backend, ReportingBackend):
        _check_status(backend, ids[0])


def _check_cancel(backend: CancellingBackend, ended: str, timeout_s: float, pause_s: float) -> None:
    """What has ended is not called off; what is called off ends, in a result or in an error, and may be so twice."""
    backend.cancel(ended)
    _require(backend.fetch(ended) is not None, "a result that is there stays when the run is called off afterwards")
    begun = backend.submit(Program(Circuit(2).x(1), shots=SHOTS), secrets.token_hex(8))
    backend.cancel(begun)
    backend.cancel(begun)
    with suppress(ProviderError):  # it may have ended before
        _fetched(backend, begun, timeout_s, pause_s)
    if isinstance(backend, ReportingBackend):
        _require(backend.status(begun).is_final, "a run that was called off and ended has a final status")
    _refused(lambda: backend.cancel(UNKNOWN_ID), "cancel")


def _check_status(backend: ReportingBackend, ended: str) -> None:
    """The table is of our words, and a run with a result has succeeded."""
    table = backend.status_table
    _require(bool(table) and all(isinstance(one, RunStatus) for one in table.values()), "the table gives RunStatus")
    _require(RunStatus.SUCCEEDED in table.values(), "the table has a word for success")
    _require(RunStatus.FAILED in table.values(), "the table has a word for failure")
    _require(backend.status(ended) is RunStatus.SUCCEEDED, "a run with a result has succeeded")
    _refused(lambda: backend.status(UNKNOWN_ID), "status")


def _refused(call: Callable[[], object], name: str) -> None:
    try:
        call()
    except SuperposeError:
        return
    _require(False, f"{name}() refuses an id that was never given, with an error of superpose")


def _fetched(backend: QueueingBackend, provider_job_id: str, timeout_s: float, pause_s: float) -> ProgramResult:
    until_s = time.monotonic() + timeout_s
    while (result := backend.fetch(provider_job_id)) is None:
        _require(time.monotonic() < until_s, f"a result arrives within {timeout_s:g} s")
        time.sleep(pause_s)
    _require(isinstance(result, ProgramResult), "fetch() returns a ProgramResult, or None while there is none")
    return result


def _require(condition: bool, rule: str) -> None:
    if not condition:
        raise AssertionError(f"Not so: {rule}.")
