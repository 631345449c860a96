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
    │   ├── ProgramSetError               circuit.program_set
    │   ├── CircuitFormatError            circuit.format
    │   ├── QasmError                     circuit.qasm
    │   ├── ConversionError               circuit.conversion
    │   ├── ToolkitMissingError           circuit.toolkit_missing
    │   └── DrawingError                  circuit.drawing
    ├── EngineError
    │   ├── StateTooLargeError            engine.state_too_large
    │   ├── ShapeError                    engine.shape
    │   └── UnsupportedProgramError       engine.unsupported
    ├── BackendError
    │   ├── BackendUnknownError           backend.unknown
    │   ├── ProviderError                 backend.provider
    │   ├── CalibrationError              backend.calibration
    │   ├── EstimateInputError            backend.estimate_input
    │   ├── NoBackendFitsError            backend.none_fits
    │   ├── DecisionError                 backend.decision
    │   ├── DisagreementError             backend.disagreement
    │   ├── ResidencyError                backend.residency
    │   ├── ResidencyRulesError           backend.residency_rules
    │   ├── FleetJournalError             backend.fleet_journal
    │   ├── PieceFailedError              backend.piece_failed
    │   └── TooManyCutsError              backend.too_many_cuts
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
    │   ├── ExplanationError              learning.explanation
    │   ├── SafeguardAbsentError          learning.safeguard_absent
    │   ├── ModelPredictsNumbersError     learning.predicts_numbers
    │   ├── ModelPredictsClassesError     learning.predicts_classes
    │   ├── ModuleExportError             module.not_exportable
    │   └── ModuleFormatError             module.format
    ├── OptimizationError
    │   ├── ProblemError                  optimization.problem
    │   ├── ProblemFormatError            optimization.format
    │   ├── ProblemInfeasibleError        optimization.infeasible
    │   ├── ProblemTooLargeError          optimization.too_large
    │   └── SolverStuckError              optimization.solver_stuck
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
    ├── QuantumFunctionError
    │   ├── FunctionFileError             quantum_function.file
    │   ├── FunctionInputError            quantum_function.input
    │   ├── FunctionCodeError             quantum_function.code
    │   ├── FunctionLimitError            quantum_function.limit
    │   └── IsolationError                quantum_function.isolation
    ├── QuotaError
    │   ├── JobQuotaError                 quota.jobs
    │   ├── ByteQuotaError                quota.bytes
    │   ├── BudgetError                   quota.budget
    │   ├── PriceUnknownError             quota.price_unknown
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
    │   ├── PromotionError                service.promotion
    │   ├── LeaseLostError                service.lease_lost
    │   ├── JobCrashedError               service.job_crashed
    │   ├── JobTimeError                  service.job_time
    │   ├── JobDependencyError            service.job_dependency
    │   ├── InternalError                 service.internal
    │   └── TransitionError               service.transition
    └── ClientError
        ├── UnreachableError              client.unreachable
        ├── StartError                    client.start
        ├── WaitTimeoutError              client.wait_timeout
        ├── JobFailedError                client.job_failed
        ├── ProtocolError                 client.protocol
        ├── SignatureError                client.signature
        └── ApiError                      (the code the service answered with)

A message says what is wrong, what was got, what is allowed and what to do. Facts for programs stand in ``details``
(JSON values only), which the API sends along; nothing secret or personal may stand in either.
"""

from __future__ import annotations

from superpose.errors.base import (
    SuperposeError,
)
from superpose.errors.circuits import (
    AngleError,
    BackendError,
    BackendUnknownError,
    CalibrationError,
    CircuitError,
    CircuitFormatError,
    ConversionError,
    DecisionError,
    DisagreementError,
    DrawingError,
    EngineError,
    EstimateInputError,
    FeatureMapError,
    FleetJournalError,
    GateArityError,
    GateUnknownError,
    NoBackendFitsError,
    ObservableError,
    ParameterNameError,
    ParameterUnboundError,
    PieceFailedError,
    ProgramError,
    ProgramSetError,
    ProviderError,
    QasmError,
    QubitOutOfRangeError,
    ResidencyError,
    ResidencyRulesError,
    ShapeError,
    StateTooLargeError,
    ToolkitMissingError,
    TooManyCutsError,
    UnsupportedProgramError,
)
from superpose.errors.client import (
    ApiError,
    ClientError,
    JobFailedError,
    ProtocolError,
    SignatureError,
    StartError,
    UnreachableError,
    WaitTimeoutError,
)
from superpose.errors.learning import (
    CheckpointError,
    DatasetEmptyError,
    DatasetError,
    DatasetFormatError,
    DatasetOneClassError,
    DatasetTargetError,
    DatasetTooLargeError,
    DatasetTooSmallError,
    DatasetTooWideError,
    ExplanationError,
    FeatureMismatchError,
    LearningError,
    ModelFileCorruptError,
    ModelFileError,
    ModelFormatError,
    ModelPredictsClassesError,
    ModelPredictsNumbersError,
    ModuleExportError,
    ModuleFormatError,
    NotFittedError,
    RowRefusedError,
    SafeguardAbsentError,
    SpecError,
    TrainingDivergedError,
)
from superpose.errors.optimization import (
    OptimizationError,
    ProblemError,
    ProblemFormatError,
    ProblemInfeasibleError,
    ProblemTooLargeError,
    SolverStuckError,
)
from superpose.errors.people import (
    AccessError,
    BudgetError,
    ByteQuotaError,
    ForbiddenError,
    FunctionError,
    FunctionFailedError,
    JobFunctionError,
    JobQuotaError,
    JobStoppedError,
    KeyExpiredError,
    KeyFileError,
    KeyInvalidError,
    KeyMissingError,
    PriceUnknownError,
    ProjectArchivedError,
    QuotaError,
    RequestQuotaError,
    ScopeError,
    SecondsQuotaError,
    TooManyWrongKeysError,
    UserCodeError,
)
from superpose.errors.quantum_functions import (
    FunctionCodeError,
    FunctionFileError,
    FunctionInputError,
    FunctionLimitError,
    IsolationError,
    QuantumFunctionError,
)
from superpose.errors.service import (
    ArtifactError,
    BackupError,
    ByteRangeError,
    CertificateError,
    ConflictError,
    ExtraMissingError,
    InternalError,
    JobCrashedError,
    JobDependencyError,
    JobTimeError,
    LeaseLostError,
    MediaTypeError,
    MethodError,
    NoBaselineError,
    NotFoundError,
    OverloadedError,
    PayloadTooLargeError,
    PromotionError,
    RequestError,
    ServiceError,
    SettingError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    SweepError,
    TransitionError,
    VersionInUseError,
)

__all__ = [
    "AccessError",
    "AngleError",
    "ApiError",
    "ArtifactError",
    "BackendError",
    "BackendUnknownError",
    "BackupError",
    "BudgetError",
    "ByteQuotaError",
    "ByteRangeError",
    "CalibrationError",
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
    "DecisionError",
    "DisagreementError",
    "DrawingError",
    "EngineError",
    "EstimateInputError",
    "ExplanationError",
    "ExtraMissingError",
    "FeatureMapError",
    "FeatureMismatchError",
    "FleetJournalError",
    "ForbiddenError",
    "FunctionCodeError",
    "FunctionError",
    "FunctionFailedError",
    "FunctionFileError",
    "FunctionInputError",
    "FunctionLimitError",
    "GateArityError",
    "GateUnknownError",
    "InternalError",
    "IsolationError",
    "JobCrashedError",
    "JobDependencyError",
    "JobFailedError",
    "JobFunctionError",
    "JobQuotaError",
    "JobStoppedError",
    "JobTimeError",
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
    "ModelPredictsClassesError",
    "ModelPredictsNumbersError",
    "ModuleExportError",
    "ModuleFormatError",
    "NoBackendFitsError",
    "NoBaselineError",
    "NotFittedError",
    "NotFoundError",
    "ObservableError",
    "OptimizationError",
    "OverloadedError",
    "ParameterNameError",
    "ParameterUnboundError",
    "PayloadTooLargeError",
    "PieceFailedError",
    "PriceUnknownError",
    "ProblemError",
    "ProblemFormatError",
    "ProblemInfeasibleError",
    "ProblemTooLargeError",
    "ProgramError",
    "ProgramSetError",
    "ProjectArchivedError",
    "PromotionError",
    "ProtocolError",
    "ProviderError",
    "QasmError",
    "QuantumFunctionError",
    "QubitOutOfRangeError",
    "QuotaError",
    "RequestError",
    "RequestQuotaError",
    "ResidencyError",
    "ResidencyRulesError",
    "RowRefusedError",
    "SafeguardAbsentError",
    "ScopeError",
    "SecondsQuotaError",
    "ServiceError",
    "SettingError",
    "ShapeError",
    "SignatureError",
    "SolverStuckError",
    "SpecError",
    "StartError",
    "StateTooLargeError",
    "StoreError",
    "StoreFullError",
    "StoreReadOnlyError",
    "SuperposeError",
    "SweepError",
    "TooManyCutsError",
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
