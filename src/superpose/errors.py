"""Every public exception of superpose.

The tree, with the stable ``code`` of each leaf (the API answers with these codes):

    SuperposeError
    ├── CircuitError
    │   ├── GateUnknownError              circuit.gate_unknown
    │   ├── GateArityError                circuit.gate_arity
    │   ├── QubitOutOfRangeError          circuit.qubit_out_of_range
    │   ├── AngleError                    circuit.angle
    │   ├── ParameterUnboundError         circuit.parameter_unbound
    │   ├── ParameterNameError            circuit.parameter_name
    │   ├── FeatureMapError               circuit.feature_map
    │   ├── ObservableError               circuit.observable
    │   ├── ProgramError                  circuit.program
    │   ├── CircuitFormatError            circuit.format
    │   ├── QasmError                     circuit.qasm
    │   ├── ConversionError               circuit.conversion
    │   └── ToolkitMissingError           circuit.toolkit_missing
    ├── EngineError
    │   ├── StateTooLargeError            engine.state_too_large
    │   ├── ShapeError                    engine.shape
    │   └── UnsupportedProgramError       engine.unsupported
    ├── BackendError
    │   ├── BackendUnknownError           backend.unknown
    │   └── ProviderError                 backend.provider
    ├── DatasetError
    │   ├── DatasetFormatError            dataset.format
    │   ├── DatasetEmptyError             dataset.empty
    │   ├── DatasetTargetError            dataset.target
    │   ├── DatasetOneClassError          dataset.one_class
    │   ├── DatasetTooWideError           dataset.too_wide
    │   ├── DatasetTooLargeError          dataset.too_large
    │   └── DatasetTooSmallError          dataset.too_small
    ├── LearningError
    │   ├── SpecError                     spec.invalid
    │   ├── NotFittedError                learning.not_fitted
    │   ├── FeatureMismatchError          learning.feature_mismatch
    │   ├── RowRefusedError               learning.row_refused
    │   ├── CheckpointError               learning.checkpoint
    │   ├── TrainingDivergedError         learning.diverged
    │   ├── ModuleExportError             module.not_exportable
    │   └── ModuleFormatError             module.format
    ├── ModelFileError
    │   ├── ModelFileCorruptError         model.corrupt
    │   └── ModelFormatError              model.format
    ├── AccessError
    │   ├── KeyMissingError               auth.key_missing
    │   ├── KeyInvalidError               auth.key_invalid
    │   ├── KeyExpiredError               auth.key_expired
    │   ├── TooManyWrongKeysError         auth.too_many_wrong_keys
    │   ├── KeyFileError                  auth.key_file
    │   ├── ProjectArchivedError          auth.project_archived
    │   ├── ScopeError                    auth.scope
    │   └── ForbiddenError                auth.forbidden
    ├── FunctionError
    │   ├── JobFunctionError              function.invalid
    │   ├── FunctionFailedError           function.failed
    │   ├── JobStoppedError               function.stopped
    │   └── UserCodeError                 service.user_code
    ├── QuotaError
    │   ├── JobQuotaError                 quota.jobs
    │   ├── ByteQuotaError                quota.bytes
    │   ├── SecondsQuotaError             quota.seconds
    │   └── RequestQuotaError             quota.requests
    ├── ServiceError
    │   ├── ExtraMissingError             service.extra_missing
    │   ├── SweepError                    service.sweep
    │   ├── NotFoundError                 service.not_found
    │   ├── ConflictError                 service.conflict
    │   ├── VersionInUseError             service.version_in_use
    │   ├── RequestError                  service.request
    │   ├── MediaTypeError                service.media_type
    │   ├── MethodError                   service.method
    │   ├── PayloadTooLargeError          service.payload_too_large
    │   ├── OverloadedError               service.overloaded
    │   ├── StoreError                    service.store
    │   │   ├── StoreFullError            service.store_full
    │   │   └── StoreReadOnlyError        service.store_read_only
    │   ├── CertificateError              service.certificate
    │   ├── SettingError                  service.setting
    │   ├── BackupError                   service.backup
    │   ├── ArtifactError                 service.artifact
    │   ├── ByteRangeError                service.range
    │   ├── NoBaselineError               service.no_baseline
    │   ├── LeaseLostError                service.lease_lost
    │   ├── JobCrashedError               service.job_crashed
    │   ├── JobDependencyError            service.job_dependency
    │   ├── InternalError                 service.internal
    │   └── TransitionError               service.transition
    └── ClientError
        ├── UnreachableError              client.unreachable
        ├── StartError                    client.start
        ├── WaitTimeoutError              client.wait_timeout
        ├── JobFailedError                client.job_failed
        ├── ProtocolError                 client.protocol
        └── ApiError                      (the code the service answered with)

A message says what is wrong, what was got, what is allowed and what to do. Facts for programs stand in ``details``
(JSON values only), which the API sends along; nothing secret or personal may stand in either.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AccessError",
    "AngleError",
    "ApiError",
    "ArtifactError",
    "BackendError",
    "BackendUnknownError",
    "BackupError",
    "ByteQuotaError",
    "ByteRangeError",
    "CertificateError",
    "CheckpointError",
    "CircuitError",
    "CircuitFormatError",
    "ClientError",
    "ConflictError",
    "ConversionError",
    "DatasetEmptyError",
    "DatasetError",
    "DatasetFormatError",
    "DatasetOneClassError",
    "DatasetTargetError",
    "DatasetTooLargeError",
    "DatasetTooSmallError",
    "DatasetTooWideError",
    "EngineError",
    "ExtraMissingError",
    "FeatureMapError",
    "FeatureMismatchError",
    "ForbiddenError",
    "FunctionError",
    "FunctionFailedError",
    "GateArityError",
    "GateUnknownError",
    "InternalError",
    "JobCrashedError",
    "JobDependencyError",
    "JobFailedError",
    "JobFunctionError",
    "JobQuotaError",
    "JobStoppedError",
    "KeyExpiredError",
    "KeyFileError",
    "KeyInvalidError",
    "KeyMissingError",
    "LearningError",
    "LeaseLostError",
    "MediaTypeError",
    "MethodError",
    "ModelFileCorruptError",
    "ModelFileError",
    "ModelFormatError",
    "ModuleExportError",
    "ModuleFormatError",
    "NoBaselineError",
    "NotFittedError",
    "NotFoundError",
    "ObservableError",
    "OverloadedError",
    "ParameterNameError",
    "ParameterUnboundError",
    "PayloadTooLargeError",
    "ProgramError",
    "ProjectArchivedError",
    "ProtocolError",
    "ProviderError",
    "QasmError",
    "QubitOutOfRangeError",
    "QuotaError",
    "RequestError",
    "RequestQuotaError",
    "RowRefusedError",
    "ScopeError",
    "SecondsQuotaError",
    "ServiceError",
    "SettingError",
    "ShapeError",
    "SpecError",
    "StartError",
    "StateTooLargeError",
    "StoreError",
    "StoreFullError",
    "StoreReadOnlyError",
    "SuperposeError",
    "SweepError",
    "TooManyWrongKeysError",
    "ToolkitMissingError",
    "TrainingDivergedError",
    "TransitionError",
    "UnreachableError",
    "UnsupportedProgramError",
    "UserCodeError",
    "VersionInUseError",
    "WaitTimeoutError",
]


class SuperposeError(Exception):
    """Base of all errors that superpose raises on purpose."""

    code: ClassVar[str] = "superpose.error"

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class CircuitError(SuperposeError):
    """A quantum program is not well formed."""


class GateUnknownError(CircuitError):
    """The gate table has no row of this name."""

    code = "circuit.gate_unknown"


class GateArityError(CircuitError):
    """A gate got another number of qubits or angles than its row states, or one qubit twice."""

    code = "circuit.gate_arity"


class QubitOutOfRangeError(CircuitError):
    """A qubit index does not lie in 0 .. n_qubits-1."""

    code = "circuit.qubit_out_of_range"


class AngleError(CircuitError):
    """An angle is not a finite real number, or an expression is not affine in its parameters."""

    code = "circuit.angle"


class ParameterUnboundError(CircuitError):
    """A parameter has no value, or the values do not fit the parameters."""

    code = "circuit.parameter_unbound"


class ParameterNameError(CircuitError):
    """A parameter's name is not an identifier, or two different parameters share it."""

    code = "circuit.parameter_name"


class FeatureMapError(CircuitError):
    """A feature map is unknown, or its inputs have the wrong shape."""

    code = "circuit.feature_map"


class ObservableError(CircuitError):
    """A Pauli sum is not well formed or does not fit the circuit."""

    code = "circuit.observable"


class ProgramError(CircuitError):
    """The parts of a program (template, parameters, observables, shots, initial state) do not fit one another."""

    code = "circuit.program"


class CircuitFormatError(CircuitError):
    """A JSON document does not describe a circuit, observable or program."""

    code = "circuit.format"


class QasmError(CircuitError):
    """OpenQASM text cannot be read; ``line`` and ``column`` (from 1) point at the cause."""

    code = "circuit.qasm"

    def __init__(self, message: str, line: int, column: int, **details: object) -> None:
        super().__init__(f"line {line}, column {column}: {message}", line=line, column=column, **details)
        self.line = line
        self.column = column


class ConversionError(CircuitError):
    """A circuit cannot be carried between toolkits without changing it; ``details`` say which instruction and why.

    ``details``: ``toolkit``, ``instruction`` (its name there), ``position`` (from 0, in the circuit's own order),
    ``feature`` (what cannot be kept).
    """

    code = "circuit.conversion"


class ToolkitMissingError(CircuitError):
    """A toolkit that is asked for is not installed; ``details["extra"]`` says what brings it."""

    code = "circuit.toolkit_missing"


class EngineError(SuperposeError):
    """The local engine cannot run a program."""


class StateTooLargeError(EngineError):
    """The program needs more memory than the machine may give."""

    code = "engine.state_too_large"


class ShapeError(EngineError):
    """An array handed to the engine has the wrong shape or dtype."""

    code = "engine.shape"


class UnsupportedProgramError(EngineError):
    """The program asks for something this engine does not have."""

    code = "engine.unsupported"


class BackendError(SuperposeError):
    """A backend cannot be found or has failed."""


class BackendUnknownError(BackendError):
    """No backend has this name."""

    code = "backend.unknown"


class ProviderError(BackendError):
    """A provider answered with an error; ``retryable`` says whether the same call may go through later."""

    code = "backend.provider"

    def __init__(self, message: str, *, provider: str, provider_job_id: str | None, retryable: bool) -> None:
        super().__init__(message, provider=provider, provider_job_id=provider_job_id, retryable=retryable)
        self.provider = provider
        self.provider_job_id = provider_job_id
        self.retryable = retryable


class DatasetError(SuperposeError):
    """Data cannot be used for learning."""


class DatasetFormatError(DatasetError):
    """The bytes are not a table of the stated format."""

    code = "dataset.format"


class DatasetEmptyError(DatasetError):
    """The data set has no rows or no feature columns."""

    code = "dataset.empty"


class DatasetTargetError(DatasetError):
    """The target column is absent or unusable."""

    code = "dataset.target"


class DatasetOneClassError(DatasetError):
    """The target has fewer than two classes."""

    code = "dataset.one_class"


class DatasetTooWideError(DatasetError):
    """The data set has more columns than the limit."""

    code = "dataset.too_wide"


class DatasetTooLargeError(DatasetError):
    """The data set holds more values than one table may."""

    code = "dataset.too_large"


class DatasetTooSmallError(DatasetError):
    """Too few rows, or too few of one class, to split as asked."""

    code = "dataset.too_small"


class LearningError(SuperposeError):
    """A model cannot be built, trained or used."""


class SpecError(LearningError):
    """A training spec is wrong; ``field`` is the dotted path of the field, such as ``model.ansatz.layers``."""

    code = "spec.invalid"

    def __init__(self, message: str, field: str, **details: object) -> None:
        super().__init__(f"{field}: {message}", field=field, **details)
        self.field = field


class NotFittedError(LearningError):
    """The estimator has not been fitted."""

    code = "learning.not_fitted"


class FeatureMismatchError(LearningError):
    """The rows do not have the columns that the model was trained on."""

    code = "learning.feature_mismatch"


class RowRefusedError(LearningError):
    """A row of a file cannot be predicted; details name its number, from 0."""

    code = "learning.row_refused"


class CheckpointError(LearningError):
    """A checkpoint does not belong to this run or is damaged."""

    code = "learning.checkpoint"


class TrainingDivergedError(LearningError):
    """The training loss is no longer a finite number."""

    code = "learning.diverged"


class ModuleExportError(LearningError):
    """A PyTorch module cannot be exported; the message names the operator or statement, and its line if torch tells."""

    code = "module.not_exportable"


class ModuleFormatError(LearningError):
    """Not an exported module, or one that uses what exported modules may not."""

    code = "module.format"


class ModelFileError(SuperposeError):
    """A model file cannot be used."""


class ModelFileCorruptError(ModelFileError):
    """The bytes of a model file are not those that its manifest or the registry states."""

    code = "model.corrupt"


class ModelFormatError(ModelFileError):
    """The model file's format version or kind is not known to this release."""

    code = "model.format"


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


class LeaseLostError(ServiceError):
    """A worker wrote for an attempt that is no longer the job's current one; the write was refused."""

    code = "service.lease_lost"


class JobCrashedError(ServiceError):
    """Too many attempts of a job ended without a word from their worker."""

    code = "service.job_crashed"


class JobDependencyError(ServiceError):
    """A job that another comes after has failed or was cancelled, so the other one cannot begin."""

    code = "service.job_dependency"


class InternalError(ServiceError):
    """Something went wrong that nobody foresaw; the service's log has the cause."""

    code = "service.internal"


class TransitionError(ServiceError):
    """The job's status does not allow this change."""

    code = "service.transition"


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


class ApiError(ClientError):
    """The service refused; ``problem_code`` is its stable code and ``status`` the HTTP status."""

    code = "client.api"

    def __init__(self, message: str, *, problem_code: str, status: int, **details: object) -> None:
        super().__init__(message, **details)
        self.problem_code = problem_code
        self.status = status
