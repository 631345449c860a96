"""PennyLane's tapes, QNodes and quantum functions, to and from.

A function's arguments become parameters: ``x`` is the parameter ``x`` where it is used as a number, and ``x[0]``,
``x[1][2]`` are ``x_0``, ``x_1_2``. Wires that are integers are numbered in ascending order, others in order of
appearance. Mid-circuit measurements write bits in the order in which the function returns or samples them, the others
behind these as they come; what else a function returns says what to measure, not what the circuit is. `write` gives a
function of the parameters by name, to be put into a QNode.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import pairwise, product
from math import pi
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.measurements import MeasurementValue
from pennylane.ops import Conditional, Controlled, MidMeasure
from pennylane.ops.op_math import Adjoint
from pennylane.tape import QuantumScript

from superpose.circuits import (
    GATES,
    Affine,
    AngleLike,
    Barrier,
    Circuit,
    Condition,
    If,
    Instruction,
    Measure,
    Operation,
    Parameter,
    Reset,
)
from superpose.errors import SuperposeError
from superpose.frontends.matrices import MAX_MATRIX_QUBITS, gates_of
from superpose.frontends.words import Names, Refusal, alternatives, expanded, phase

__all__ = ["QuantumFunction", "Reader", "Shapes", "places_of", "read", "tape_of", "write"]

_READING, _WRITING = Refusal("PennyLane"), Refusal("PennyLane", writing=True)
MAX_DEPTH = 100

_SAME = {
    "Identity": "id", "PauliX": "x", "PauliY": "y", "PauliZ": "z", "Hadamard": "h", "S": "s", "T": "t", "SX": "sx",
    "RX": "rx", "RY": "ry", "RZ": "rz", "PhaseShift": "p", "U1": "p", "CNOT": "cx", "CY": "cy", "CZ": "cz", "CH": "ch",
    "CRX": "crx", "CRY": "cry", "CRZ": "crz", "ControlledPhaseShift": "cp", "CPhase": "cp", "IsingXX": "rxx",
    "IsingYY": "ryy", "IsingZZ": "rzz", "SWAP": "swap", "Toffoli": "ccx", "CSWAP": "cswap",
}  # fmt: skip
Shapes = Mapping[str, int | Sequence[int]]
_Call = tuple[str, tuple[int, ...], tuple[AngleLike, ...]]
_OTHER: dict[str, Callable[..., tuple[_Call, ...]]] = {
    "Rot": lambda a, b, c: (("rz", (0,), (a,)), ("ry", (0,), (b,)), ("rz", (0,), (c,))),
    "U2": lambda phi, lam: (("p", (0,), (lam,)), ("ry", (0,), (pi / 2,)), ("p", (0,), (phi,))),
    "U3": lambda theta, phi, lam: (("p", (0,), (lam,)), ("ry", (0,), (theta,)), ("p", (0,), (phi,))),
    "ISWAP": lambda: (("rxx", (0, 1), (-pi / 2,)), ("ryy", (0, 1), (-pi / 2,))),
    "SISWAP": lambda: (("rxx", (0, 1), (-pi / 4,)), ("ryy", (0, 1), (-pi / 4,))),
    "IsingXY": lambda a: (("rxx", (0, 1), (-a / 2,)), ("ryy", (0, 1), (-a / 2,))),
}


class _Traced:
    """An argument whose shape is not known: a parameter where it is a number, more of them where it is indexed."""

    __array_ufunc__ = None  # so that NumPy leaves arithmetic to us

    def __init__(self, name: str) -> None:
        self._name = name

    def __getitem__(self, index: Any) -> _Traced:
        places = index if isinstance(index, tuple) else (index,)
        if not all(isinstance(place, int | np.integer) and place >= 0 for place in places):
            _READING.of(f"{self._name}[{index}]", "an index of an argument that is no number from 0 up")
        return _Traced("_".join([self._name, *(str(int(place)) for place in places)]))

    def __iter__(self) -> Iterator[Any]:
        _READING.of(self._name, "a walk over an argument of unknown length", hint="Index it, or load a tape.")

    def __len__(self) -> int:
        return int(_READING.of(self._name, "the length of an argument", hint="Write it as a number, or load a tape."))

    def affine(self) -> Affine:
        return Parameter(self._name)

    def __add__(self, other: Any) -> Any:
        return self.affine() + _plain(other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self.affine() - _plain(other)

    def __rsub__(self, other: Any) -> Any:
        return _plain(other) - self.affine()

    def __mul__(self, other: Any) -> Any:
        return self.affine() * _plain(other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return self.affine() / _plain(other)

    def __neg__(self) -> Affine:
        return -self.affine()


def _plain(value: Any) -> Any:
    return value.affine() if isinstance(value, _Traced) else value


class QuantumFunction:
    """A function that queues a circuit's operations; its arguments are the circuit's parameters, by name or in order.

    It returns what the circuit's bits measured, in order, to be counted or sampled.
    """

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit.copy()
        self.__name__ = circuit.name
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        self.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in circuit.parameters])

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Queue the operations with these values, and return the measured bits in order."""
        bound = self.__signature__.bind(*args, **kwargs)
        return _Writer(self.circuit, bound.arguments).queue()


def read(source: Any, name: str = "circuit", shapes: Shapes | None = None) -> Circuit:
    """Return the circuit of a tape, a QNode, or what `write` gave.

    Args:
        source: What to read.
        name: Of the circuit.
        shapes: Of a function's arguments by name, for templates; the others are of unknown shape.

    Raises:
        ConversionError: Something else, or something in it cannot be kept.
    """
    tape = tape_of(source, shapes)
    places = places_of(tape)
    reader = Reader(places, tape)
    reader.number_bits_as_sampled()
    operations = tuple(item for operation in tape.operations for item in reader.operation(operation))
    return Circuit(len(places), name, n_bits=reader.n_bits).extend(operations)


def tape_of(source: Any, shapes: Shapes | None = None) -> QuantumScript:
    """Return the tape of a QNode or a quantum function, its arguments symbols; a tape as it is.

    With a shape in ``shapes`` an argument is an array of symbols.

    Raises:
        ConversionError: Something else.
    """
    if isinstance(source, qml.QNode):
        source = source.func
    if isinstance(source, QuantumScript):
        return source
    if not callable(source):
        _READING.of(type(source).__name__, "an object that is no tape, QNode or quantum function")
    return _traced(source, shapes or {})


def places_of(tape: QuantumScript) -> dict[Any, int]:
    """Return which qubit each label of a tape is: integers in ascending order, others in order of appearance.

    Raises:
        ConversionError: There is none.
    """
    labels = list(tape.wires)
    if not labels:
        _READING.of("tape", "a circuit without wires")
    if all(isinstance(label, int) for label in labels):
        labels.sort()
    return {label: place for place, label in enumerate(labels)}


def _symbols(name: str, shapes: Shapes) -> Any:
    """An argument: a symbol, or an array of symbols where its shape is known."""
    if name not in shapes:
        return _Traced(name)
    given = shapes[name]
    sides = (given,) if isinstance(given, int | np.integer) else tuple(given)
    if not all(isinstance(side, int | np.integer) and side > 0 for side in sides):
        _READING.of(name, f"an argument of shape {given!r:.60}", hint="Give whole numbers from 1 on.")
    found = np.empty(sides, dtype=object)
    for place in np.ndindex(*sides):
        found[place] = _Traced(name)[place] if place else _Traced(name)
    return found if sides else found.item()


def _traced(function: Callable[..., Any], shapes: Shapes) -> QuantumScript:
    """Run a quantum function on symbols and return its tape."""
    positional, named = [], {}
    unknown = [name for name in shapes if name not in inspect.signature(function).parameters]
    if unknown:
        _READING.of(unknown[0], "the shape of what is no argument of the function")
    for one in inspect.signature(function).parameters.values():
        if one.default is not one.empty:
            continue
        if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD):
            positional.append(_symbols(one.name, shapes))
        elif one.kind is one.KEYWORD_ONLY:
            named[one.name] = _symbols(one.name, shapes)
    with qml.queuing.AnnotatedQueue() as queue:
        try:
            returned = function(*positional, **named)
        except SuperposeError:
            raise
        except Exception as error:  # whatever a function, or a template in it, does with what is no array
            _READING.of(
                getattr(function, "__name__", "function"),
                f"a function that does not run on symbols ({type(error).__name__}: {str(error)[:100]})",
                hint="A template needs to know the shapes of arrays: QuantumLayer.from_circuit takes them, as "
                'shapes={"weights": (2, 3)}.',
            )
        values = (
            [value for value in returned if isinstance(value, MeasurementValue)] if isinstance(returned, tuple) else []
        )
        if values:
            qml.sample(values)
    return QuantumScript.from_queue(queue)


class Reader:
    """Reads the operations of a tape, one after the other.

    Args:
        places: Which qubit each label is.
        tape: Where the operations stand; its measurements say which bits are asked for.
    """

    def __init__(self, places: Mapping[Any, int], tape: QuantumScript) -> None:
        self.places = places
        self.names = Names(_READING)
        self.bits: dict[Any, int] = {}
        self._measurements = tape.measurements
        asked = [item.meas_val for item in tape.operations if isinstance(item, Conditional)]
        for measurement in tape.measurements:
            values = measurement.mv if measurement.mv is not None else ()
            asked += values if isinstance(values, list | tuple) else [values]
        self.asked: Collection[Any] = {one.meas_uid for value in asked for one in value.measurements}

    def number_bits_as_sampled(self) -> None:
        """Number the bits in the order of the first list of single measurements that is sampled or counted."""
        for measurement in self._measurements:
            values = measurement.mv
            if isinstance(values, list | tuple) and all(len(value.measurements) == 1 for value in values):
                once = dict.fromkeys(value.measurements[0].meas_uid for value in values)
                self.bits = {uid: bit for bit, uid in enumerate(once)}
                return

    @property
    def n_bits(self) -> int:
        """Number of bits that measurements write."""
        return len(self.bits)

    def operation(self, item: Any) -> Iterator[Operation]:
        """Give what an operation means."""
        on = tuple(self.places[label] for label in item.wires)
        if isinstance(item, MidMeasure):
            yield from self.measurement(item, on[0])
        elif isinstance(item, Conditional):
            yield from self.condition(item)
        elif item.name == "Barrier":
            yield Barrier(on)
        elif item.name in ("Snapshot", "WireCut"):
            _READING.of(item.name, f"a {item.name}")
        elif isinstance(item, qml.operation.Channel):
            _READING.of(item.name, "noise", hint="Give a noise model beside the circuit.")
        else:
            yield from self.calls(item)

    def measurement(self, item: Any, qubit: int) -> Iterator[Operation]:
        """Give a measurement, which writes its bit or the next one, and its reset."""
        if item.postselect is not None:
            _READING.of("measure", "postselection")
        if not item.reset or item.meas_uid in self.asked:
            yield Measure(qubit, self.bits.setdefault(item.meas_uid, len(self.bits)))
        if item.reset:
            yield Reset(qubit)

    def condition(self, item: Any) -> Iterator[If]:
        """Give one condition for every outcome that the operation runs after."""
        bits = tuple(self.bits[one.meas_uid] for one in item.meas_val.measurements)
        inner = tuple(self.operation(item.base))
        for outcome in product((0, 1), repeat=len(bits)):
            if item.meas_val.processing_fn(*outcome):
                value = sum(one << place for place, one in enumerate(reversed(outcome)))
                yield If(Condition(bits, value), inner)

    def calls(self, item: Any, depth: int = 0) -> tuple[Instruction, ...]:
        """Return a gate as calls of ours."""
        on = tuple(self.places[label] for label in item.wires)
        if depth > MAX_DEPTH:
            _READING.of(item.name, f"operations deeper than {MAX_DEPTH}")
        if item.name == "GlobalPhase":
            return phase(-self.angle(item.parameters[0], item.name), on[0] if on else 0)
        if item.name == "Identity":
            return tuple(Instruction("id", (qubit,)) for qubit in on)
        if item.name in _SAME:
            angles = tuple(self.angle(value, item.name) for value in item.parameters)
            return (Instruction(_SAME[item.name], on, angles),)
        if item.name in _OTHER:
            given = _OTHER[item.name](*(self.angle(value, item.name) for value in item.parameters))
            return tuple(Instruction(gate, tuple(on[q] for q in qs), own) for gate, qs, own in given)  # type: ignore[arg-type]  # made Affine there
        if item.name in ("MultiRZ", "PauliRot"):
            return self.pauli_rotation(item, on)
        if isinstance(item, Adjoint):
            return tuple(call.inverse() for call in reversed(self.calls(item.base, depth + 1)))
        if isinstance(item, Controlled):
            return self.controlled(item, depth)
        return self.decomposed(item, on, depth)

    def pauli_rotation(self, item: Any, on: tuple[int, ...]) -> tuple[Instruction, ...]:
        """``exp(-i angle/2 P)``: turned to Z, gathered by CX in the last qubit, turned there."""
        angle = self.angle(item.parameters[0], item.name)
        word = item.hyperparameters.get("pauli_word", "Z" * len(on))
        turns = {"X": ("h", "h"), "Y": ("sx", "sxdg"), "Z": None}
        pairs = [(qubit, letter) for qubit, letter in zip(on, word, strict=True) if letter != "I"]
        if not pairs:
            return phase(-angle / 2, on[0])
        first = [Instruction(turns[letter][0], (qubit,)) for qubit, letter in pairs if letter != "Z"]  # type: ignore[index]
        last = [Instruction(turns[letter][1], (qubit,)) for qubit, letter in pairs if letter != "Z"]  # type: ignore[index]
        chain = [Instruction("cx", (one, other)) for (one, _), (other, _) in pairwise(pairs)]
        return (*first, *chain, Instruction("rz", (pairs[-1][0],), (angle,)), *reversed(chain), *last)

    def controlled(self, item: Any, depth: int) -> tuple[Instruction, ...]:
        """Return a gate under one control after the other."""
        controls = tuple(self.places[label] for label in item.control_wires)
        if item.base.name == "GlobalPhase":  # under a control, a phase of that qubit's 1
            angle = -self.angle(item.base.parameters[0], item.name)
            calls: tuple[Instruction, ...] = (Instruction("p", controls[-1:], (angle,)),)
            rest = controls[:-1]
        else:
            calls, rest = self.calls(item.base, depth + 1), controls
        flips = [Instruction("x", (q,)) for q, value in zip(controls, item.control_values, strict=True) if not value]
        for control in reversed(rest):
            calls = tuple(self.one_more(call, control, item) for call in calls)
        return (*flips, *calls, *flips)

    def one_more(self, call: Instruction, control: int, item: Any) -> Instruction:
        """Return a call under one more control."""
        row = GATES[call.gate]
        if row.controlled is None:
            _READING.of(item.name, f"one more control on {call.gate}")
        step = row.call(row.controlled, (control, *call.qubits), call.angles)
        return Instruction(step.gate, step.qubits, tuple(map(Affine.of, step.angles)))

    def decomposed(self, item: Any, on: tuple[int, ...], depth: int) -> tuple[Instruction, ...]:
        """By PennyLane's decomposition where it equals the operation's matrix, else by the matrix."""
        symbolic = any(isinstance(value, Affine | _Traced) for value in item.parameters)
        if item.has_decomposition:
            parts = item.decomposition()
            if len(on) > MAX_MATRIX_QUBITS or not item.has_matrix or self.agrees(item):
                return tuple(call for part in parts for call in self.calls(part, depth + 1))
        if symbolic or not item.has_matrix or len(on) > MAX_MATRIX_QUBITS:
            _READING.of(item.name, "an operation that does not come down to known gates")
        return tuple(gates_of(qml.matrix(item, wire_order=item.wires), on))

    def agrees(self, item: Any) -> bool:
        """Return whether the decomposition has the operation's matrix, at one choice of the parameters."""
        values = [
            0.37 + 0.21 * place if isinstance(value, Affine | _Traced) else value
            for place, value in enumerate(item.parameters)
        ]
        bound = qml.ops.functions.bind_new_parameters(item, values)
        got = qml.matrix(QuantumScript(bound.decomposition()), wire_order=item.wires)
        return bool(np.allclose(got, qml.matrix(bound, wire_order=item.wires), atol=1e-8))

    def angle(self, value: Any, instruction: str) -> Affine:
        """Return an angle as an affine expression."""
        value = _plain(value)
        if isinstance(value, Affine):
            return value
        number = np.asarray(value, dtype=object if not np.isscalar(value) else None)
        if number.size != 1:
            _READING.of(instruction, "parameters in a batch", hint="Read one tape, and give the batch as params.")
        only = number.reshape(-1)[0]
        return self.angle(only, instruction) if isinstance(only, Affine | _Traced) else Affine.of(float(only))


_MAKERS: dict[str, Callable[..., Any]] = {
    name: getattr(qml, kind) for kind, name in _SAME.items() if kind not in ("U1", "CPhase")
} | {"sdg": lambda **on: qml.adjoint(qml.S(**on)), "tdg": lambda **on: qml.adjoint(qml.T(**on))}


def write(circuit: Circuit) -> QuantumFunction:
    """Return a quantum function of the circuit's parameters.

    Raises:
        ConversionError: It has noise, readout errors or delays, or conditions that PennyLane has no words for.
    """
    out = QuantumFunction(circuit)
    with qml.queuing.AnnotatedQueue():  # what cannot be written is said now
        out(*(0.1 for _ in circuit.parameters))
    return out


class _Writer:
    """Queues a circuit's operations with values in the place of its parameters."""

    def __init__(self, circuit: Circuit, values: Mapping[str, Any]) -> None:
        self.circuit, self.values = circuit, values
        self.measured: dict[int, Any] = {}

    def queue(self) -> tuple[Any, ...]:
        touched = {qubit for item in self.circuit.instructions for qubit in item.qubits}
        for position, item in enumerate(self.circuit.instructions):
            self.operation(item, position)
        for qubit in sorted(set(range(self.circuit.n_qubits)) - touched):
            qml.Identity(qubit)
        return tuple(self.measured[bit] for bit in sorted(self.measured))

    def operation(self, item: Operation, position: int) -> None:
        match item:
            case Instruction():
                for maker, angles, qubits in self.calls(item):
                    maker(*angles, wires=qubits)
            case Measure() if item.is_exact:
                self.measured[item.bit] = qml.measure(item.qubit)
            case Reset():
                qml.measure(item.qubits[0], reset=True)
            case Barrier():
                qml.Barrier(wires=list(item.qubits))
            case If():
                for condition, inner in alternatives(item, _WRITING):
                    if not isinstance(inner, Instruction):
                        _WRITING.of("If", f"{type(inner).__name__} inside a condition", position)
                    for maker, angles, qubits in self.calls(inner):
                        qml.cond(self.asked(condition, position), maker)(*angles, wires=qubits)
            case _:
                _WRITING.of(type(item).__name__, type(item).__name__, position)

    def calls(self, item: Instruction) -> Iterator[tuple[Callable[..., Any], Sequence[Any], list[int]]]:
        for call in expanded(item, _MAKERS):
            yield _MAKERS[call.gate], [self.angle(angle) for angle in call.angles], list(call.qubits)

    def asked(self, condition: Condition, position: int) -> Any:
        n = len(condition.bits)
        asked: Any = None
        for place, bit in enumerate(condition.bits):
            if bit not in self.measured:
                _WRITING.of("If", f"bit {bit}, which nothing has written", position)
            one = self.measured[bit] == (condition.value >> (n - 1 - place) & 1)
            asked = one if asked is None else asked & one
        return asked

    def angle(self, angle: Affine) -> Any:
        total: Any = angle.constant
        for name, coefficient in angle.terms:
            value = self.values[name]
            total = total + (value if coefficient == 1.0 else coefficient * value)
        return total
