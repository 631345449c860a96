"""Who may do what, and how much: keys, roles, users' functions, quotas."""

from __future__ import annotations

from superpose.errors.base import SuperposeError

__all__ = [
    "AccessError",
    "BudgetError",
    "ByteQuotaError",
    "ForbiddenError",
    "FunctionError",
    "FunctionFailedError",
    "JobFunctionError",
    "JobQuotaError",
    "JobStoppedError",
    "KeyExpiredError",
    "KeyFileError",
    "KeyInvalidError",
    "KeyMissingError",
    "PriceUnknownError",
    "ProjectArchivedError",
    "QuotaError",
    "RequestQuotaError",
    "ScopeError",
    "SecondsQuotaError",
    "TooManyWrongKeysError",
    "UserCodeError",
]


class AccessError(SuperposeError):
    """The caller may not do this."""


class KeyMissingError(AccessError):
    """The request carries no API key."""

    code = "auth.key_missing"


class KeyInvalidError(AccessError):
    """The API key is unknown or revoked."""

    code = "auth.key_invalid"


class KeyExpiredError(AccessError):
    """The API key has expired."""

    code = "auth.key_expired"


class TooManyWrongKeysError(AccessError):
    """Too many wrong API keys came from one address; ``retry_after_s`` says when to try again."""

    code = "auth.too_many_wrong_keys"

    def __init__(self, message: str, *, retry_after_s: float, **details: object) -> None:
        super().__init__(message, retry_after_s=retry_after_s, **details)
        self.retry_after_s = retry_after_s


class ProjectArchivedError(AccessError):
    """The key's project is archived."""

    code = "auth.project_archived"


class ScopeError(AccessError):
    """None of the key's scopes allows this."""

    code = "auth.scope"


class KeyFileError(AccessError):
    """A key file is absent, malformed, or open to other users of the machine."""

    code = "auth.key_file"


class ForbiddenError(AccessError):
    """The key's role does not allow this."""

    code = "auth.forbidden"


class FunctionError(SuperposeError):
    """A user's own function cannot be run as a job, or did not end well."""


class JobFunctionError(FunctionError):
    """A function, its options, its parameters or what it asked of its context do not fit."""

    code = "function.invalid"


class FunctionFailedError(FunctionError):
    """A job's function raised, died or took too long; ``again`` says whether it may be tried once more."""

    code = "function.failed"

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


class JobStoppedError(FunctionError):
    """Raised inside a job's function: the job is cancelled, or its worker stops."""

    code = "function.stopped"


class UserCodeError(FunctionError):
    """The service's operator does not allow users' own code."""

    code = "service.user_code"


class QuotaError(SuperposeError):
    """A quota of the project is used up."""


class JobQuotaError(QuotaError):
    """As many jobs as are allowed have not ended yet."""

    code = "quota.jobs"


class BudgetError(QuotaError):
    """A job would cost more than a budget, or its own limit, leaves; ``details`` hold the figures in US dollars."""

    code = "quota.budget"


class PriceUnknownError(QuotaError):
    """Nobody says what a job costs at its backend, so no budget can hold it."""

    code = "quota.price_unknown"


class ByteQuotaError(QuotaError):
    """The project's data sets and model files have as many bytes as are allowed."""

    code = "quota.bytes"


class SecondsQuotaError(QuotaError):
    """The project's jobs have run for as long as is allowed; ``retry_after_s`` says when the next period begins."""

    code = "quota.seconds"

    def __init__(self, message: str, *, retry_after_s: float, **details: object) -> None:
        super().__init__(message, retry_after_s=retry_after_s, **details)
        self.retry_after_s = retry_after_s


class RequestQuotaError(QuotaError):
    """The project sends more requests than are allowed; ``retry_after_s`` says when one more is."""

    code = "quota.requests"

    def __init__(self, message: str, *, retry_after_s: float, **details: object) -> None:
        super().__init__(message, retry_after_s=retry_after_s, **details)
        self.retry_after_s = retry_after_s
