"""What a backend with a queue must do beside what every backend must: hand over once, say when a result is there."""

from __future__ import annotations

import secrets
import time

from superpose.circuits import Circuit, Program, ProgramResult, QueueingBackend
from superpose.errors import SuperposeError

__all__ = ["check_queueing_backend"]

SHOTS = 100


def check_queueing_backend(backend: QueueingBackend, *, timeout_s: float = 600.0, pause_s: float = 0.05) -> None:
    """Check that ``backend`` keeps the contract of `QueueingBackend`.

    Args:
        backend: What to check; it is sent two small programs.
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
    try:
        unknown = backend.fetch("no-such-id")
    except SuperposeError:
        return
    _require(unknown is not None, "an id that was never given is refused with an error of superpose, not waited for")


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
