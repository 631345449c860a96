"""Circuits, the engine and backends."""

from __future__ import annotations

from superpose.errors.base import SuperposeError

__all__ = [
    "AngleError",
    "BackendError",
    "BackendUnknownError",
    "CalibrationError",
    "CircuitError",
    "CircuitFormatError",
    "ConversionError",
    "DisagreementError",
    "DrawingError",
    "EngineError",
    "FeatureMapError",
    "FleetJournalError",
    "GateArityError",
    "GateUnknownError",
    "ObservableError",
    "ParameterNameError",
    "ParameterUnboundError",
    "PieceFailedError",
    "ProgramError",
    "ProgramSetError",
    "ProviderError",
    "QasmError",
    "QubitOutOfRangeError",
    "ResidencyError",
    "ResidencyRulesError",
    "ShapeError",
    "StateTooLargeError",
    "TooManyCutsError",
    "ToolkitMissingError",
    "UnsupportedProgramError",
]


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


class ProgramSetError(CircuitError):
    """The parts of a program set (grids, arrays of values, observables, pieces) do not fit one another."""

    code = "circuit.program_set"


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


class DrawingError(CircuitError):
    """A circuit cannot be drawn as asked: a file that is no picture's, or more than a picture can hold."""

    code = "circuit.drawing"


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
    """A provider answered with an error; ``retryable`` says whether the same call may go through later, and
    ``retry_after_s`` when, where the provider said so."""

    code = "backend.provider"

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        provider_job_id: str | None,
        retryable: bool,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, provider=provider, provider_job_id=provider_job_id, retryable=retryable)
        self.retry_after_s = retry_after_s
        self.provider = provider
        self.provider_job_id = provider_job_id
        self.retryable = retryable


class CalibrationError(BackendError):
    """A calibration holds numbers that cannot be, or is none."""

    code = "backend.calibration"


class EstimateInputError(BackendError):
    """A price table, or a record of waits, cannot be read or holds what cannot be."""

    code = "backend.estimate_input"


class NoBackendFitsError(BackendError):
    """No backend can run a program within what was asked; ``details["reasons"]`` say why, for each."""

    code = "backend.none_fits"


class DecisionError(BackendError):
    """A document is no decision, was changed since it was written, or asks for what no decision can be made of."""

    code = "backend.decision"


class ResidencyError(BackendError):
    """A backend is not allowed by the rules of where programs and data may go; ``details`` hold each rule it breaks."""

    code = "backend.residency"


class ResidencyRulesError(BackendError):
    """Rules of where programs and data may go name what cannot be meant, or say nothing."""

    code = "backend.residency_rules"


class DisagreementError(BackendError):
    """Backends answered the same program differently, and none is left to decide; ``details["members"]`` names them."""

    code = "backend.disagreement"


class FleetJournalError(BackendError):
    """What a fleet has handed to whom cannot be read or written."""

    code = "backend.fleet_journal"


class PieceFailedError(BackendError):
    """A piece of a program set has no results, whatever was tried; ``details["failures"]`` say which, and why."""

    code = "backend.piece_failed"


class TooManyCutsError(BackendError):
    """A circuit that is too wide cannot be cut at a bearable overhead; ``details`` hold ``overhead`` and ``n_cuts``."""

    code = "backend.too_many_cuts"
