"""Jobs of IonQ's API: asked for, handed over once, called off, their results brought."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from superpose.backends.clouds.messenger import Answer, Messenger
from superpose.backends.clouds.readings import Reading
from superpose.backends.clouds.retry import RETRYABLE_STATUSES, Retry
from superpose.errors import ProviderError

__all__ = ["MAX_SHOTS", "IonQJobs", "problem"]

MAX_SHOTS: Final = 1_000_000
TOKEN_KEY: Final = "superpose_token"  # noqa: S105  # the name of a field
_READING_KEY: Final = "superpose_reading_{}"
_PART, _LONG_PART, _MAX_PARTS = 400, 40_000, 8
"""IonQ's pages give 400 characters as the longest metadata value in one place, 40,000 in another, and 10 keys: short
parts where they are enough."""
_LOOKED_BACK: Final = timedelta(days=7)
_NOT_TAKEN = frozenset({429, 503})
"""Answers to a hand-over after which there is no job."""
_AGGREGATE: Final = "ionq.result.probabilities-aggregate.json.v1"


def problem(
    what: str, provider_job_id: str | None = None, *, retryable: bool, retry_after_s: float | None = None
) -> ProviderError:
    """Return the error."""
    return ProviderError(
        what, provider="ionq", provider_job_id=provider_job_id, retryable=retryable, retry_after_s=retry_after_s
    )


class IonQJobs:
    """IonQ's jobs.

    Args:
        messenger: Who is asked.
        retry: How often.
        key_missing: Returns why there is no key; empty where there is one.
        now: The time, aware.
    """

    def __init__(
        self,
        messenger: Messenger,
        retry: Retry,
        key_missing: Callable[[], str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._messenger, self._retry, self._key_missing, self._now = messenger, retry, key_missing, now

    def ask(
        self, method: str, path: str, provider_job_id: str | None = None, query: Mapping[str, str] | None = None
    ) -> Any:
        """Return the document that answers a question, asked again after failures that may pass.

        Raises:
            ProviderError: There is no answer, or a refusal.
        """

        def once() -> Any:
            return self._read(self._messenger.send(method, path, query=query), provider_job_id)

        return self._retry.call(once)

    def job(self, provider_job_id: str) -> Mapping[str, Any]:
        """Return what is known about a job.

        Raises:
            ProviderError: It could not be asked, or there is no such job.
        """
        if not _is_plain(provider_job_id):
            raise problem(f"There is no run {provider_job_id!r} at IonQ.", provider_job_id, retryable=False)
        job = self.ask("GET", f"/jobs/{provider_job_id}", provider_job_id)
        if not isinstance(job, Mapping):
            raise problem(f"The state of run {provider_job_id} cannot be read.", provider_job_id, retryable=True)
        return job

    def cancel(self, provider_job_id: str) -> None:
        """Ask that a job be called off."""
        self.ask("PUT", f"/jobs/{provider_job_id}/status/cancel", provider_job_id)

    def submit(self, payload: Mapping[str, Any], token: str, reading: Reading) -> str:
        """Hand a job over, once for each token, and return its id.

        Raises:
            UnsupportedProgramError: The reading is larger than IonQ's metadata take.
            ProviderError: It was not taken, or nobody knows.
        """
        body = {**payload, "metadata": {TOKEN_KEY: token, **_parts(reading)}}
        outcome = self._retry.once(lambda: self._find(token), lambda: self._handed_over(body, token))
        if isinstance(outcome, ProviderError):
            raise outcome
        return outcome

    def _handed_over(self, body: Mapping[str, Any], token: str) -> str | ProviderError:
        answer = self._messenger.send("POST", "/jobs", body)
        taken = answer.sent and answer.status not in _NOT_TAKEN
        if taken and (answer.status == 0 or answer.status >= 500 or answer.failure is not None):
            return self._found_after_all(token, answer)
        document = self._read(answer, None)
        if not isinstance(document, Mapping) or not document.get("id"):
            return self._found_after_all(token, answer)
        return str(document["id"])

    def _found_after_all(self, token: str, answer: Answer) -> str | ProviderError:
        """The id of a job whose hand-over got no answer to rely on.

        Where there is none, it may still turn up, and only a later look tells. So the error is given back rather than
        raised: raised, it would be tried again, and the program handed over twice.
        """

        def look() -> str:
            found = self._find(token)
            if found is None:
                raise problem("not listed yet", retryable=True)
            return found

        try:
            return self._retry.call(look)
        except ProviderError:
            unknown = problem(
                f"IonQ did not say whether it took the program (HTTP status {answer.status or 'none'}), and lists no "
                "job of this token. Submit again later with the same token: it is looked for before anything is sent.",
                retryable=True,
            )
            unknown.__cause__ = answer.failure
            return unknown

    def _find(self, token: str) -> str | None:
        """The id of the job that was handed over under ``token``.

        The list is walked to its end, or, where it comes newest first, to jobs of more than a week ago.
        """
        query: dict[str, str] = {"limit": "100"}
        since = self._now() - _LOOKED_BACK
        last: datetime | None = None
        in_order = True
        while True:
            page = self.ask("GET", "/jobs", query=query)
            try:
                for job in page["jobs"]:
                    if (job.get("metadata") or {}).get(TOKEN_KEY) == token and not job.get("parent_job_id"):
                        return str(job["id"])
                    at = datetime.fromisoformat(str(job["submitted_at"]).replace("Z", "+00:00"))
                    in_order = in_order and (last is None or at <= last)
                    last = at
                following = page.get("next")
            except (KeyError, TypeError, ValueError, AttributeError):
                raise problem("IonQ's list of jobs cannot be read.", retryable=True) from None
            if not following or (in_order and last is not None and last < since):
                return None
            query["next"] = str(following)

    def reading(self, job: Mapping[str, Any], provider_job_id: str) -> tuple[Reading, Sequence[str]]:
        """Return the reading of a job, and the ids of its circuits' runs in the circuits' order.

        Raises:
            ProviderError: It was not handed over by superpose, or the answer is incomplete.
        """
        try:
            reading = Reading.rejoined(job.get("metadata") or {}, _READING_KEY)
        except ValueError as error:
            raise problem(
                f"The run {provider_job_id} was not handed over by superpose, or its metadata were changed: {error}. "
                "Fetch its results with IonQ's own tools.",
                provider_job_id,
                retryable=False,
            ) from None
        children = job.get("child_job_ids")
        if not isinstance(children, list):
            raise problem(f"The run {provider_job_id} names no circuits; ask again.", provider_job_id, retryable=True)
        return reading, [str(child) for child in children]

    def probabilities(self, job: Mapping[str, Any], children: Sequence[str]) -> list[Mapping[str, float]]:
        """Return the distribution of each circuit, in the order of ``children``.

        Raises:
            ProviderError: They could not be had, or not all are there.
        """
        provider_job_id = str(job.get("id"))
        try:
            artifact = str(job["results"][_AGGREGATE]["id"])
        except (KeyError, TypeError):
            raise problem(
                f"The run {provider_job_id} has no aggregated probabilities yet; fetch it again.",
                provider_job_id,
                retryable=True,
            ) from None
        found = self.ask("GET", f"/jobs/{provider_job_id}/artifacts/{artifact}", provider_job_id)
        missing = [child for child in children if not isinstance(found, Mapping) or child not in found]
        if missing:
            raise problem(
                f"The result of run {provider_job_id} lacks {len(missing)} of {len(children)} circuits. Fetch it "
                "again.",
                provider_job_id,
                retryable=True,
            )
        return [found[child] for child in children]

    def _read(self, answer: Answer, provider_job_id: str | None) -> Any:
        """The document of a good answer.

        Raises:
            ProviderError: It is none.
        """
        if 200 <= answer.status < 300 and answer.failure is None:
            return answer.document
        told = answer.document.get("message", "") if isinstance(answer.document, Mapping) else ""
        if answer.status == 0:
            what, retryable = f"does not answer ({answer.failure})", True
        elif answer.status in (401, 403):
            hint = self._key_missing() or "The key counts no more; set a new one"
            what, retryable = f"does not let us in ({answer.status}). {hint}", False
        elif answer.status == 404:
            what, retryable = f"knows no such thing ({told or 'not found'})", False
        elif answer.status < 300:
            what, retryable = "answered with what is no JSON, perhaps cut short", True
        else:
            what, retryable = f"answered with HTTP status {answer.status}: {told}", answer.status in RETRYABLE_STATUSES
        of = "" if provider_job_id is None else f" Asked was for the run {provider_job_id}, which goes on by itself."
        raise problem(
            f"IonQ {what}.{of}", provider_job_id, retryable=retryable, retry_after_s=answer.retry_after_s
        ) from answer.failure


def _parts(reading: Reading) -> dict[str, str]:
    size = _PART if len(reading.packed()) <= _PART * _MAX_PARTS else _LONG_PART
    return reading.parted(_READING_KEY, size, _MAX_PARTS, "an IonQ job")


def _is_plain(provider_job_id: str) -> bool:
    """Whether an id can stand in a path as it is."""
    return bool(provider_job_id) and all(letter.isalnum() or letter in "-_" for letter in provider_job_id)
