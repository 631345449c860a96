"""What may pass is tried again after growing pauses; what was handed over is found, not handed over again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from superpose.backends.clouds.retry import Retry, retry_after_s
from superpose.errors import ProviderError


def error(retryable: bool = True, asked_s: float | None = None) -> ProviderError:
    return ProviderError("no", provider="x", provider_job_id=None, retryable=retryable, retry_after_s=asked_s)


def answers(*given: Exception | str) -> Callable[[], str]:
    left = iter(given)

    def call() -> str:
        one = next(left)
        if isinstance(one, Exception):
            raise one
        return one

    return call


def test_pauses_grow_to_a_limit_and_heed_the_provider() -> None:
    pauses: list[float] = []
    retry = Retry(n_tries=6, first_pause_s=1.0, max_pause_s=3.0, sleep=pauses.append, chance=lambda: 0.0)
    assert retry.call(answers(error(), error(), error(), error(asked_s=9.0), "done")) == "done"
    assert pauses == [0.5, 1.0, 1.5, 9.0]


@pytest.mark.parametrize(
    ("failures", "n_pauses"),
    [((error(retryable=False),), 0), ((error(asked_s=301.0),), 0), ((error(), error(), error()), 2)],
)
def test_what_does_not_pass_goes_on(failures: tuple[ProviderError, ...], n_pauses: int) -> None:
    pauses: list[float] = []
    with pytest.raises(ProviderError) as caught:
        Retry(n_tries=3, sleep=pauses.append).call(answers(*failures))
    assert caught.value is failures[-1] and len(pauses) == n_pauses


def test_errors_of_others_are_not_tried_again() -> None:
    with pytest.raises(KeyError):
        Retry(sleep=lambda _: pytest.fail("a pause")).call(answers(KeyError("x")))


def test_what_was_handed_over_before_the_answer_was_lost_is_found() -> None:
    there: list[str] = []

    def submit() -> str:
        there.append(f"job-{len(there)}")
        raise error()  # a timeout: the job exists, its id never arrives

    retry = Retry(sleep=lambda _: None)
    assert retry.once(lambda: there[0] if there else None, submit) == "job-0"
    assert retry.once(lambda: there[0] if there else None, submit) == "job-0"
    assert there == ["job-0"]


@pytest.mark.parametrize("header", ["soon", "", "-3", "²", "Wed, 99 Foo"])
def test_headers_that_say_nothing(header: str) -> None:
    assert retry_after_s(header, datetime.now(UTC)) is None


def test_a_date_in_the_past_asks_for_nothing() -> None:
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT", datetime.now(UTC)) == 0.0
