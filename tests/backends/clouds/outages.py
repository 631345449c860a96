"""What every cloud's adapter must bear, said once: questions that fail, and keys that count no more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.backends.clouds.loopback import FakeService

from superpose.circuits import Circuit, Program, ReportingBackend, RunStatus
from superpose.errors import ProviderError

FLIP = Program(Circuit(3).x(1).cx(1, 2), shots=20, seed=3)
"""Bits 011, whatever the seed."""
N_TRIES = 3
"""Of each question, as the tests set it."""


def check_failing_questions(
    backend: ReportingBackend, service: FakeService, n_run: Callable[[], int], kind: str, fault: str
) -> None:
    """Questions that fail less often than they are tried are not noticed; others are told, and fail no run."""
    identity = backend.submit(FLIP, "token")
    service.faults[kind].extend([fault] * (N_TRIES - 1))
    for _ in range(3):
        result = backend.fetch(identity)
    assert result is not None and result.counts == ({"011": 20},)
    service.faults[kind].extend([fault] * N_TRIES)
    with pytest.raises(ProviderError) as passing:
        backend.fetch(identity)
    assert passing.value.retryable and passing.value.provider_job_id == identity
    assert backend.status(identity) is RunStatus.SUCCEEDED and n_run() == 1


def check_refused_keys(backend: ReportingBackend, identity: str, told: str, secret: str) -> None:
    """Every call says that the key counts no more, that trying again helps nothing, and does not say the key."""
    for call in (backend.fetch, backend.status, backend.cancel, lambda _: backend.submit(FLIP, "other")):
        with pytest.raises(ProviderError, match=told) as refused:
            call(identity)
        assert not refused.value.retryable and secret not in repr(refused.value) + str(refused.value)
