"""What PennyLane does to a tape before the engine sees it."""

from __future__ import annotations

from typing import Any

import pennylane as qml
from pennylane.devices import ExecutionConfig
from pennylane.devices.preprocess import decompose, validate_device_wires, validate_measurements
from pennylane.exceptions import DeviceError
from pennylane.measurements import (
    ClassicalShadowMP,
    ExpectationMP,
    MeasurementProcess,
    ProbabilityMP,
    SampleMeasurement,
    ShadowExpvalMP,
    StateMeasurement,
    VarianceMP,
)
from pennylane.operation import Operator, StatePrepBase
from pennylane.ops import Conditional, MidMeasure
from pennylane.tape import QuantumScript
from pennylane.transforms import broadcast_expand, defer_measurements, split_non_commuting, split_to_single_terms
from pennylane.transforms.core import CompilePipeline

from superpose.pennylane_device.structure import SYMBOLIC, is_native, is_symbolic

__all__ = ["MEASUREMENT_METHODS", "has_gradient", "measurement_method", "pipeline"]

MEASUREMENT_METHODS = ("deferred", "device")
"""How measurements in the middle of a circuit are treated: on further qubits, or as such by the engine (shots)."""
MAX_GRADIENT_QUBITS = 14
_TARGETS = SYMBOLIC | {"CNOT", "PauliX", "PauliY", "PauliZ", "Hadamard", "S", "T", "SX", "CZ", "CY", "CH", "SWAP"}


def pipeline(config: ExecutionConfig, labels: Any, name: str) -> CompilePipeline:
    """Return the transforms that make tapes of what the engine takes."""
    out = CompilePipeline()
    out.add_transform(validate_device_wires, labels, name=name)
    if config.mcm_config.mcm_method != "device":
        out.add_transform(_refuse_postselection, name=name)
        out.add_transform(defer_measurements, allow_postselect=False)
    out.add_transform(
        decompose,
        stopping_condition=_is_taken,
        skip_initial_state_prep=False,
        device_wires=labels,
        target_gates=_TARGETS,
        name=name,
    )
    out.add_transform(_first_preparation_only, name=name)
    out.add_transform(
        validate_measurements,
        analytic_measurements=lambda asked: isinstance(asked, StateMeasurement),
        sample_measurements=_is_sampled,
        name=name,
    )
    out.add_transform(_coefficients_outside)
    out.add_transform(_measured_together)
    out.add_transform(_one_by_one, always=bool(config.use_device_gradient) and not config.use_device_jacobian_product)
    return out


def measurement_method(asked: str | None, *, shots: bool) -> str:
    """Return how measurements in the middle are treated.

    Raises:
        DeviceError: Another method is asked for.
    """
    if asked is None:
        return "device" if shots else "deferred"
    if asked not in MEASUREMENT_METHODS or (asked == "device" and not shots):
        allowed = " or ".join(map(repr, MEASUREMENT_METHODS if shots else MEASUREMENT_METHODS[:1]))
        raise DeviceError(
            f"mcm_method={str(asked)!r} is not supported on superpose {'with' if shots else 'without'} shots; "
            f"take {allowed}, or leave it out."
        )
    return str(asked)


def has_gradient(tape: QuantumScript) -> bool:
    """Return whether the engine differentiates what a tape asks for, before it was transformed."""
    if tape.shots or any(isinstance(item, MidMeasure) and item.postselect is not None for item in tape.operations):
        return False
    return bool(tape.measurements) and all(map(_is_differentiable, tape.measurements))


def _is_differentiable(asked: MeasurementProcess) -> bool:
    if isinstance(asked, ProbabilityMP):
        return len(asked.wires) <= MAX_GRADIENT_QUBITS
    if not isinstance(asked, ExpectationMP | VarianceMP):
        return False
    return asked.obs is None or asked.obs.pauli_rep is not None or _is_small(asked.obs)


def _is_small(operator: Operator) -> bool:
    if isinstance(operator, qml.ops.Sum):
        return all(part.pauli_rep is not None or _is_small(part) for part in operator.operands)
    if isinstance(operator, qml.ops.SProd):
        return operator.base.pauli_rep is not None or _is_small(operator.base)
    return bool(operator.has_matrix) and len(operator.wires) <= 6


def _is_taken(item: Operator) -> bool:
    if isinstance(item, MidMeasure):
        return True
    if isinstance(item, Conditional):
        return is_native(item.base)
    if isinstance(item, StatePrepBase):
        return not any(map(qml.math.requires_grad, item.data))
    return is_native(item)


def _is_sampled(asked: MeasurementProcess) -> bool:
    if isinstance(asked, ClassicalShadowMP | ShadowExpvalMP):
        return True
    if not isinstance(asked, SampleMeasurement):
        return False
    return asked.obs is None or _has_basis(asked.obs)


def _has_basis(operator: Operator) -> bool:
    if isinstance(operator, qml.ops.CompositeOp):
        return all(map(_has_basis, operator.operands))
    if isinstance(operator, qml.ops.SymbolicOp):
        return _has_basis(operator.base)
    return bool(operator.has_diagonalizing_gates)


def _only(results: Any) -> Any:
    return results[0]


@qml.transform  # type: ignore[untyped-decorator]  # PennyLane has no types
def _refuse_postselection(tape: QuantumScript, name: str) -> Any:
    """Refuse what deferred measurements on this device cannot do."""
    if any(isinstance(item, MidMeasure) and item.postselect is not None for item in tape.operations):
        raise DeviceError(
            f"Postselection on {name} needs shots, of which those are kept that read so: give shots, and leave "
            "mcm_method out."
        )
    return (tape,), _only


@qml.transform  # type: ignore[untyped-decorator]  # PennyLane has no types
def _first_preparation_only(tape: QuantumScript, name: str) -> Any:
    """Decompose preparations behind the first operation."""
    late = [item for item in tape.operations[1:] if isinstance(item, StatePrepBase)]
    if not late:
        return (tape,), _only
    operations = list(tape.operations[:1])
    rest = tape.copy(operations=tape.operations[1:])
    (rest,), _ = decompose(rest, stopping_condition=is_native, skip_initial_state_prep=False, name=name)
    return (tape.copy(operations=operations + rest.operations),), _only


@qml.transform  # type: ignore[untyped-decorator]  # PennyLane has no types
def _coefficients_outside(tape: QuantumScript) -> Any:
    """Take trained coefficients of observables out of the tape, so that PennyLane differentiates them itself."""
    trained = any(
        asked.obs is not None and any(map(qml.math.requires_grad, asked.obs.data)) for asked in tape.measurements
    )
    return split_to_single_terms(tape) if trained else ((tape,), _only)


@qml.transform  # type: ignore[untyped-decorator]  # PennyLane has no types
def _measured_together(tape: QuantumScript) -> Any:
    """With shots, a tape for each group of measurements that one setting serves."""
    shadows = any(isinstance(asked, ClassicalShadowMP | ShadowExpvalMP) for asked in tape.measurements)
    return split_non_commuting(tape) if tape.shots and not shadows else ((tape,), _only)


@qml.transform  # type: ignore[untyped-decorator]  # PennyLane has no types
def _one_by_one(tape: QuantumScript, always: bool) -> Any:
    """Take batches apart where the engine does not run them as such."""
    if tape.batch_size is None:
        return (tape,), _only
    shadows = any(isinstance(asked, ClassicalShadowMP | ShadowExpvalMP) for asked in tape.measurements)
    odd = any(
        item.batch_size is not None and not is_symbolic(item) and not isinstance(item, StatePrepBase)
        for item in tape.operations
        if not isinstance(item, MidMeasure | Conditional)
    )
    branching = any(isinstance(item, MidMeasure) and item.postselect is not None for item in tape.operations)
    return broadcast_expand(tape) if always or odd or shadows or branching else ((tape,), _only)
