"""A failed job's error as an exception again."""

from __future__ import annotations

from superpose import errors
from superpose.errors import ConflictError, InternalError, ProviderError, SuperposeError
from superpose.service.nouns import Job
from superpose.service.statuses import JobStatus

__all__ = ["error_of"]


def error_of(job: Job) -> SuperposeError:
    """The error that ended a job that did not succeed, of the class that its code names."""
    if job.status is JobStatus.CANCELLED:
        return ConflictError(f"The call was cancelled (job {job.id}).", job_id=job.id)
    error = job.error or {}
    code, message = str(error.get("code")), str(error.get("message"))
    if code == ProviderError.code:
        return ProviderError(message, provider="", provider_job_id=job.provider_job_id, retryable=False)
    for name in errors.__all__:
        kind = getattr(errors, name)
        if kind.code == code and kind.__init__ is SuperposeError.__init__:
            made: SuperposeError = kind(message, job_id=job.id)
            return made
    return InternalError(f"Job {job.id} failed: {message}", job_id=job.id)
