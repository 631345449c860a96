"""The suite for backends with a queue: it passes one that keeps the contract, and finds each way to break it."""

from __future__ import annotations

import time

import pytest

from superpose.backends import LocalBackend
from superpose.circuits import Program, ProgramResult
from superpose.errors import ProviderError
from superpose.testing import check_queueing_backend


class Queue(LocalBackend):
    """Runs programs here, and says so a little later."""

    delay_s = 0.05

    def __init__(self) -> None:
        self.programs: dict[str, tuple[Program, float]] = {}

    def submit(self, program: Program, token: str) -> str:
        self.programs.setdefault(token, (program, time.monotonic() + self.delay_s))
        return token

    def fetch(self, provider_job_id: str) -> ProgramResult | None:
        if provider_job_id not in self.programs:
            raise ProviderError("unknown", provider="queue", provider_job_id=provider_job_id, retryable=False)
        program, at_s = self.programs[provider_job_id]
        return None if time.monotonic() < at_s else self.run(program)


class RunsTwice(Queue):
    """Takes the same token for something new."""

    def submit(self, program: Program, token: str) -> str:
        return super().submit(program, f"{token}-{len(self.programs)}")


class MixesUp(Queue):
    """Gives everybody the last program's result."""

    def fetch(self, provider_job_id: str) -> ProgramResult | None:
        found = super().fetch(provider_job_id)
        return found and self.run(list(self.programs.values())[-1][0])


class WaitsForEver(Queue):
    """Has a result for nobody."""

    delay_s = 1e9


class KnowsEverybody(Queue):
    """Lets callers wait for what nobody has handed over."""

    def fetch(self, provider_job_id: str) -> ProgramResult | None:
        return super().fetch(provider_job_id) if provider_job_id in self.programs else None


def test_a_backend_that_keeps_the_contract_passes() -> None:
    check_queueing_backend(Queue(), timeout_s=30.0)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (LocalBackend, "it has submit"),
        (RunsTwice, "the same token again"),
        (MixesUp, "of the program of this id"),
        (WaitsForEver, r"within 0\.2 s"),
        (KnowsEverybody, "never given"),
    ],
)
def test_each_way_to_break_it_is_found(kind: type[LocalBackend], said: str) -> None:
    timeout_s = 0.2 if kind is WaitsForEver else 60.0
    with pytest.raises(AssertionError, match=said):
        check_queueing_backend(kind(), timeout_s=timeout_s, pause_s=0.01)  # type: ignore[arg-type]  # what is checked
