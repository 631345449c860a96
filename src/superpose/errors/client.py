"""What a client meets."""

from __future__ import annotations

from superpose.errors.base import SuperposeError

__all__ = [
    "ApiError",
    "ClientError",
    "JobFailedError",
    "ProtocolError",
    "SignatureError",
    "StartError",
    "UnreachableError",
    "WaitTimeoutError",
]


class ClientError(SuperposeError):
    """A call to a service did not succeed."""


class UnreachableError(ClientError):
    """No service answers at this address."""

    code = "client.unreachable"


class StartError(ClientError):
    """A service that was started for the caller did not come up, or ended on its own."""

    code = "client.start"


class WaitTimeoutError(ClientError):
    """The time given for waiting has passed; what was waited for goes on."""

    code = "client.wait_timeout"


class JobFailedError(ClientError):
    """A job that was waited for did not succeed; ``problem_code`` is the code it failed with."""

    code = "client.job_failed"

    def __init__(self, message: str, *, job_id: str, problem_code: str) -> None:
        super().__init__(message, job_id=job_id, problem_code=problem_code)
        self.job_id = job_id
        self.problem_code = problem_code


class ProtocolError(ClientError):
    """The answer is not one that a superpose service gives."""

    code = "client.protocol"


class SignatureError(ClientError):
    """A message to a webhook was not signed with its secret, or is old."""

    code = "client.signature"


class ApiError(ClientError):
    """The service refused; ``problem_code`` is its stable code and ``status`` the HTTP status."""

    code = "client.api"

    def __init__(self, message: str, *, problem_code: str, status: int, **details: object) -> None:
        super().__init__(message, **details)
        self.problem_code = problem_code
        self.status = status
