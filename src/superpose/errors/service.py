"""The service: requests, jobs, the store, its operation."""

from __future__ import annotations

from superpose.errors.base import SuperposeError

__all__ = [
    "ArtifactError",
    "BackupError",
    "ByteRangeError",
    "CertificateError",
    "ConflictError",
    "ExtraMissingError",
    "InternalError",
    "JobCrashedError",
    "JobDependencyError",
    "JobTimeError",
    "LeaseLostError",
    "MediaTypeError",
    "MethodError",
    "NoBaselineError",
    "NotFoundError",
    "OverloadedError",
    "PayloadTooLargeError",
    "PromotionError",
    "RequestError",
    "ServiceError",
    "SettingError",
    "StoreError",
    "StoreFullError",
    "StoreReadOnlyError",
    "SweepError",
    "TransitionError",
    "VersionInUseError",
]


class ServiceError(SuperposeError):
    """The service cannot do what was asked."""


class ExtraMissingError(ServiceError):
    """An optional part of superpose is needed that is not installed; the message says how to install it."""

    code = "service.extra_missing"


class SweepError(ServiceError):
    """A sweep has no trial to choose, or its final training did not succeed."""

    code = "service.sweep"


class NotFoundError(ServiceError):
    """No such thing in the caller's project (someone else's things answer the same)."""

    code = "service.not_found"


class ConflictError(ServiceError):
    """The name is taken, or the thing is in a state that does not allow this."""

    code = "service.conflict"


class VersionInUseError(ServiceError):
    """A model version cannot be deleted, because an endpoint, an alias or a job needs it; details name them."""

    code = "service.version_in_use"


class RequestError(ServiceError):
    """The request is malformed: not JSON, an unknown field, a value of the wrong type."""

    code = "service.request"


class MediaTypeError(ServiceError):
    """The body is of a kind (Content-Type, Content-Encoding) that this route does not read."""

    code = "service.media_type"


class MethodError(ServiceError):
    """The route exists, but not for this HTTP method."""

    code = "service.method"


class PayloadTooLargeError(ServiceError):
    """The body is larger than the limit."""

    code = "service.payload_too_large"


class OverloadedError(ServiceError):
    """The queue is full; ``retry_after_s`` says when to try again."""

    code = "service.overloaded"

    def __init__(self, message: str, *, retry_after_s: float, **details: object) -> None:
        super().__init__(message, retry_after_s=retry_after_s, **details)
        self.retry_after_s = retry_after_s


class StoreError(ServiceError):
    """The store cannot be opened, read or written."""

    code = "service.store"


class StoreFullError(StoreError):
    """The disk of the data directory is full; nothing was changed."""

    code = "service.store_full"


class StoreReadOnlyError(StoreError):
    """The disk of the data directory can only be read; nothing was changed."""

    code = "service.store_read_only"


class CertificateError(ServiceError):
    """A TLS certificate or its private key is absent, unusable, or open to other users of the machine."""

    code = "service.certificate"


class SettingError(ServiceError):
    """A setting in a configuration file, the environment or a flag is unknown or out of its range."""

    code = "service.setting"


class BackupError(ServiceError):
    """A backup cannot be made, is damaged, or cannot be restored where it was asked for."""

    code = "service.backup"


class ArtifactError(ServiceError):
    """A stored file (a data set, a model) is gone, or its bytes have changed."""

    code = "service.artifact"


class ByteRangeError(ServiceError):
    """The part of a file that a request asks for is not there."""

    code = "service.range"


class NoBaselineError(ServiceError):
    """A model version does not say how its training data was distributed."""

    code = "service.no_baseline"


class PromotionError(ServiceError):
    """A model version lacks something that a production endpoint needs; ``details["missing"]`` names all of it."""

    code = "service.promotion"


class LeaseLostError(ServiceError):
    """A worker wrote for an attempt that is no longer the job's current one; the write was refused."""

    code = "service.lease_lost"


class JobCrashedError(ServiceError):
    """Too many attempts of a job ended without a word from their worker."""

    code = "service.job_crashed"


class JobTimeError(ServiceError):
    """Workers have held a job for as long as it may take."""

    code = "service.job_time"


class JobDependencyError(ServiceError):
    """A job that another comes after has failed or was cancelled, so the other one cannot begin."""

    code = "service.job_dependency"


class InternalError(ServiceError):
    """Something went wrong that nobody foresaw; the service's log has the cause."""

    code = "service.internal"


class TransitionError(ServiceError):
    """The job's status does not allow this change."""

    code = "service.transition"
