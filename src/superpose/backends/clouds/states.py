"""Where runs are, from the providers' own words, and runs called off."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from superpose.circuits import ReportingBackend, RunStatus
from superpose.errors import ProviderError

__all__ = ["call_off", "status_of"]


def status_of(word: object, table: Mapping[str, RunStatus], provider: str, provider_job_id: str) -> RunStatus:
    """Return what a provider's word means.

    Args:
        word: As the provider says it.
        table: Every word there is; see `ReportingBackend`.
        provider: Whose word.
        provider_job_id: Of which run.

    Raises:
        ProviderError: The word is not in the table: nothing is guessed, and another answer may come (``retryable``).

    >>> status_of("DONE", {"DONE": RunStatus.SUCCEEDED}, "ibm", "job-1")
    <RunStatus.SUCCEEDED: 'succeeded'>
    """
    found = table.get(str(word))
    if found is None:
        raise ProviderError(
            f"The run {provider_job_id} at {provider} has the status {str(word)!r}, which is none of "
            f"{', '.join(table)}. Nothing is taken for granted about it; ask again later, or look at the provider's "
            "own console.",
            provider=provider,
            provider_job_id=provider_job_id,
            retryable=True,
        )
    return found


def call_off(backend: ReportingBackend, provider_job_id: str, ask: Callable[[], object]) -> None:
    """Have a run called off by ``ask()``, unless it has ended: before, or in between.

    Raises:
        ProviderError: The provider could not be asked, or knows no such run.
    """
    if backend.status(provider_job_id).is_final:
        return
    try:
        ask()
    except ProviderError:
        if not backend.status(provider_job_id).is_final:
            raise
