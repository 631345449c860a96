"""Tapes split into what they are, which is compiled once, and the values in them, which may change with every call."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pennylane as qml
from pennylane.operation import StatePrepBase
from pennylane.ops import Conditional, Controlled, MidMeasure
from pennylane.ops.op_math import Adjoint
from pennylane.tape import QuantumScript

from superpose.circuits import Circuit, Measure, Operation, Parameter, Reset
from superpose.frontends.pennylane import Reader

__all__ = ["SYMBOLIC", "Structure", "Values", "is_native", "is_symbolic", "read_structure", "split"]

SYMBOLIC = frozenset(
    {
        "RX", "RY", "RZ", "PhaseShift", "U1", "U2", "U3", "Rot", "CRX", "CRY", "CRZ", "CRot", "ControlledPhaseShift",
        "CPhase", "IsingXX", "IsingYY", "IsingZZ", "IsingXY", "MultiRZ", "PauliRot", "GlobalPhase",
    }
)  # fmt: skip
"""Operations whose numbers are angles of gates, and so can stay symbols."""
_CONSTANT = frozenset(
    {
        "Identity", "PauliX", "PauliY", "PauliZ", "Hadamard", "S", "T", "SX", "CNOT", "CY", "CZ", "CH", "SWAP", "ISWAP",
        "SISWAP", "Toffoli", "CSWAP", "Barrier", "Snapshot",
    }
)  # fmt: skip
_CONTROLLABLE = frozenset(
    {
        "RX", "RY", "RZ", "PhaseShift", "U1", "U2", "U3", "Rot", "GlobalPhase", "PauliX", "PauliY", "PauliZ",
        "Hadamard", "S", "T",
    }
)  # fmt: skip
"""What the engine knows with one control; PennyLane decomposes everything else that is controlled."""
MAX_UNITARY_QUBITS = 8


def is_symbolic(item: Any) -> bool:
    """Return whether an operation's numbers become parameters of the circuit."""
    if isinstance(item, Conditional | Adjoint):
        return is_symbolic(item.base)
    if item.name in SYMBOLIC:
        return bool(item.name != "CRot")
    return isinstance(item, Controlled) and bool(item.data) and is_symbolic(item.base)


def is_native(item: Any) -> bool:
    """Return whether the engine takes an operation without PennyLane's decomposition."""
    if isinstance(item, Adjoint):
        return is_native(item.base)
    if item.name == "CRot":
        return False
    if item.name in SYMBOLIC or item.name in _CONSTANT:
        return True
    if item.name == "QubitUnitary":
        return len(item.wires) > 1 and _is_constant(item)
    if not item.has_decomposition:
        return bool(item.has_matrix) and _is_constant(item)
    if isinstance(item, Controlled):
        return len(item.control_wires) == 1 and item.base.name in _CONTROLLABLE
    return False


def _is_constant(item: Any) -> bool:
    """Return whether an operation can enter a structure as its matrix; on one qubit it is angles instead."""
    return len(item.wires) <= MAX_UNITARY_QUBITS and not any(map(qml.math.requires_grad, item.data))


@dataclass(frozen=True)
class Structure:
    """A tape without its values.

    Attributes:
        circuit: Its numbers are the parameters ``p0``, ``p1``, ... by their place among the operations' numbers.
        n_measured: Measurements in the middle; the k-th writes bit k.
    """

    circuit: Circuit
    n_measured: int = 0


@dataclass(frozen=True)
class Values:
    """The numbers of a tape.

    Attributes:
        numbers: By parameter name, a number or ``(batch,)``.
        initial_state: ``(2**n_qubits,)`` or ``(batch, 2**n_qubits)``, or None.
        batch: Number of batch entries, or None for a tape without.
    """

    numbers: Mapping[str, npt.NDArray[np.float64]]
    initial_state: npt.NDArray[np.complex128] | None
    batch: int | None

    def inputs(self) -> list[str]:
        """Return the names of those that differ between batch entries."""
        return [name for name, value in self.numbers.items() if value.ndim]


def split(tape: QuantumScript, labels: Sequence[Any], tail: Sequence[Any] = ()) -> tuple[Hashable, Values]:
    """Return what tells structures apart, and the values.

    Args:
        tape: Made of operations that `is_native` takes.
        labels: The labels in order of the qubits.
        tail: Operations behind those of the tape.
    """
    places = {label: place for place, label in enumerate(labels)}
    key: list[Hashable] = [len(labels)]
    numbers: dict[str, npt.NDArray[np.float64]] = {}
    state, measured, place = None, dict[Any, int](), 0
    for item in (*tape.operations, *tail):
        if isinstance(item, StatePrepBase):
            state = _state(item, labels)
        else:
            if isinstance(item, MidMeasure):
                measured[item.meas_uid] = len(measured)
            key.append(_signature(item, places, measured))
            if is_symbolic(item):
                for number, value in enumerate(item.data, place):
                    numbers[f"p{number}"] = np.asarray(qml.math.unwrap([value])[0], np.float64)
        place += len(item.data)
    return tuple(key), Values(numbers, state, tape.batch_size)


def _state(item: Any, labels: Sequence[Any]) -> npt.NDArray[np.complex128]:
    found = np.asarray(qml.math.toarray(item.state_vector(wire_order=qml.wires.Wires(labels))), np.complex128)
    size = 1 << len(labels)
    return found.reshape(size) if found.size == size else found.reshape(-1, size)


def _signature(item: Any, places: Mapping[Any, int], measured: Mapping[Any, int]) -> Hashable:
    """Return everything about an operation that is not a symbol's value."""
    on = tuple(places[label] for label in item.wires)
    if isinstance(item, MidMeasure):
        return "measure", on, bool(item.reset)
    if isinstance(item, Conditional):
        asked = item.meas_val
        table = tuple(bool(asked.processing_fn(*bits)) for bits in product((0, 1), repeat=len(asked.measurements)))
        bits = tuple(measured[one.meas_uid] for one in asked.measurements)
        return "if", bits, table, _signature(item.base, places, measured)
    if isinstance(item, Adjoint):
        return "adjoint", _signature(item.base, places, measured)
    if isinstance(item, Controlled):
        values = tuple(map(bool, item.control_values))
        controls = tuple(places[label] for label in item.control_wires)
        return "controlled", item.name, controls, values, _signature(item.base, places, measured)
    if is_symbolic(item):
        return item.name, on, item.hyperparameters.get("pauli_word")
    if item.data or item.name not in _CONSTANT:
        contents = tuple(np.ascontiguousarray(qml.math.toarray(value)).tobytes() for value in item.data)
        return item.name, on, contents, item.hash
    return item.name, on


class _TapeReader(Reader):
    """Reads operations with their numbers as symbols."""

    def __init__(self, places: Mapping[Any, int], tape: QuantumScript) -> None:
        super().__init__(places, tape)
        self.asked = {item.meas_uid for item in tape.operations if isinstance(item, MidMeasure)}
        self._place = 0

    def measurement(self, item: Any, qubit: int) -> Iterator[Operation]:
        """Give a measurement; what is postselected is picked from the shots afterwards."""
        self.bits[item.meas_uid] = len(self.bits)
        yield Measure(qubit, self.bits[item.meas_uid])
        if item.reset:
            yield Reset(qubit)

    def outer(self, item: Any) -> Iterator[Operation]:
        """Give what an operation of the tape means; `operation` is for what stands inside another one."""
        names = [f"p{number}" for number in range(self._place, self._place + len(item.data))]
        self._place += len(item.data)
        if item.name == "Snapshot" or isinstance(item, StatePrepBase):
            return
        yield from self.operation(_named(item, names) if names and is_symbolic(item) else item)


def _named(item: Any, names: Sequence[str]) -> Any:
    """The operation with these parameters for its numbers."""
    if isinstance(item, Conditional):
        return Conditional(item.meas_val, _named(item.base, names))
    return qml.ops.functions.bind_new_parameters(item, [Parameter(name) for name in names])


def read_structure(tape: QuantumScript, labels: Sequence[Any], tail: Sequence[Any] = ()) -> Structure:
    """Return a tape's structure: see `split` for the arguments.

    Raises:
        ConversionError: Something cannot be kept.
    """
    places = {label: place for place, label in enumerate(labels)}
    with qml.queuing.QueuingManager.stop_recording():
        reader = _TapeReader(places, tape)
        operations = [one for item in (*tape.operations, *tail) for one in reader.outer(item)]
    n_measured = reader.n_bits
    circuit = Circuit(max(1, len(labels)), "pennylane", n_bits=n_measured + len(labels) if n_measured else 0)
    circuit.extend(operations)
    for place in range(len(labels) if n_measured else 0):
        circuit.measure(place, n_measured + place)
    return Structure(circuit, n_measured)
