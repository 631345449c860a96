"""From the service's problem documents (RFC 9457) to ``ApiError``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from superpose.errors import ApiError, JobFailedError, ProtocolError

__all__ = ["job_failed", "raise_for_problem"]

_STANDARD: Final = frozenset(
    {"type", "title", "status", "detail", "instance", "code", "details", "message", "problem_code"}
)


def raise_for_problem(status: int, headers: Mapping[str, str], body: bytes, url: str) -> NoReturn:
    """Raise what an answer with a status of 400 or above means.

    Raises:
        ApiError: the body is a problem document; its extension members become ``details``.
        ProtocolError: it is something else, so a proxy or another server has answered.
    """
    problem = _problem(body)
    if problem is None:
        raise ProtocolError(
            f"{url} answered with status {status} but without a problem document, so it is not a superpose service or "
            "something stands between. Check the URL.",
            url=url,
            status=status,
        )
    details: dict[str, Any] = {name: value for name, value in problem.items() if name not in _STANDARD}
    nested = problem.get("details")
    if isinstance(nested, dict):
        details.update({name: value for name, value in nested.items() if name not in _STANDARD})
    if "x-request-id" in headers:
        details.setdefault("request_id", headers["x-request-id"])
    message = problem.get("detail") or problem.get("title") or f"The service refused with status {status}."
    raise ApiError(str(message), problem_code=problem["code"], status=status, **details)


def job_failed(what: str, job_id: str, status: str, error: Mapping[str, Any] | None) -> JobFailedError:
    """That a job has not ended well: with its error, of which a cancelled one has none.

    Args:
        what: the job, as the first words of a sentence.
        job_id: its id.
        status: what has become of it.
        error: its error, with ``code`` and ``message``.
    """
    known = error or {}
    said = f"{what} was cancelled." if status == "cancelled" else f"{what} {status}: {known.get('message', 'unknown')}"
    return JobFailedError(said, job_id=job_id, problem_code=str(known.get("code", status)))


def _problem(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) and isinstance(document.get("code"), str) else None
