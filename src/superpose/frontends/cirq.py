"""Cirq's ``Circuit``, to and from.

Qubits are numbered in Cirq's own order (``sorted``), measurement keys in order of appearance, a bit for each qubit of a
key; keys named ``c[0]``, ``c[1]``, ... , as `write` names them, are those bits. Powers of gates are read with their
phase: ``X**t = exp(i pi t/2) rx(pi t)``. What is not known is read by its decomposition, after a comparison of the
matrices, since Cirq's decompositions may lose a global phase.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import pi
from typing import Any

import cirq
import numpy as np
import sympy

from superpose.circuits import (
    Affine,
    Barrier,
    Circuit,
    Condition,
    Delay,
    If,
    Instruction,
    Measure,
    Operation,
    Reset,
)
from superpose.frontends.words import Names, Refusal, alternatives, expanded, phase

__all__ = ["read", "write"]

_READING, _WRITING = Refusal("Cirq"), Refusal("Cirq", writing=True)
_BARRIER = "superpose.barrier"
_KEY = re.compile(r"c\[(\d+)\]")
MAX_DEPTH = 30
MAX_COMPARED_QUBITS = 8


def read(source: Any, name: str = "circuit") -> Circuit:
    """Return the circuit that a ``cirq.Circuit`` means.

    Raises:
        ConversionError: Not a circuit of Cirq's, or something in it cannot be kept.
    """
    if not isinstance(source, cirq.AbstractCircuit):
        _READING.of(type(source).__name__, "an object that is no cirq.Circuit")
    qubits = sorted(source.all_qubits())
    if not qubits:
        _READING.of("Circuit", "a circuit without qubits")
    if any(qubit.dimension != 2 for qubit in qubits):
        _READING.of("Circuit", "qudits of more than two levels")
    reader = _Reader({qubit: place for place, qubit in enumerate(qubits)}, source)
    operations = [item for operation in source.all_operations() for item in reader.operation(operation)]
    return Circuit(len(qubits), name, n_bits=reader.n_bits).extend(operations)


def bits_of_keys(source: Any) -> dict[str, tuple[int, ...]]:
    """Return the bits here of each measurement key of a circuit.

    Raises:
        ConversionError: A key is measured more than once: of its bits here only the last values stay.
    """
    keys = [cirq.measurement_key_name(item) for item in source.all_operations() if cirq.is_measurement(item)]
    for key in keys:
        if keys.count(key) > 1:
            _READING.of(key, "a measurement key that is measured more than once, in a result")
    return dict(_Reader({}, source).bits)


class _Reader:
    """Reads operations; counts bits by measurement key."""

    def __init__(self, places: Mapping[Any, int], source: cirq.AbstractCircuit) -> None:
        self.places = places
        self.names = Names(_READING)
        self.bits: dict[str, tuple[int, ...]] = {}
        measured = [item for item in source.all_operations() if isinstance(item.gate, cirq.MeasurementGate)]
        keys = [(cirq.measurement_key_name(item), len(item.qubits)) for item in measured]
        named = [_KEY.fullmatch(key) for key, n in keys if n == 1]
        if keys and len(named) == len(keys) and all(named):
            self.bits = {key: (int(found[1]),) for (key, _), found in zip(keys, named, strict=True) if found}
            self.n_bits = 1 + max(bit for (bit,) in self.bits.values())
            return
        self.n_bits = 0
        for key, n in keys:
            if key in self.bits and len(self.bits[key]) != n:
                _READING.of(key, "a measurement key with two numbers of qubits")
            if key not in self.bits:
                self.bits[key] = tuple(range(self.n_bits, self.n_bits + n))
                self.n_bits += n

    def operation(self, item: cirq.Operation, depth: int = 0) -> Iterator[Operation]:
        """Give what one operation means."""
        qubits = tuple(self.places[qubit] for qubit in item.qubits)
        if isinstance(item, cirq.ClassicallyControlledOperation):
            yield self.controlled(item, depth)
        elif isinstance(item.untagged, cirq.CircuitOperation):
            for inner in item.untagged.mapped_circuit(deep=True).all_operations():
                yield from self.operation(inner, depth + 1)
        elif _BARRIER in item.tags:
            yield Barrier(qubits)
        elif isinstance(item.gate, cirq.MeasurementGate):
            yield from self.measurement(item.gate, qubits)
        elif isinstance(item.gate, cirq.ResetChannel):
            yield Reset(qubits[0])
        elif isinstance(item.gate, cirq.WaitGate):
            yield from self.wait(item.gate, qubits)
        else:
            yield from self.gate(item, qubits, depth)

    def gate(self, item: cirq.Operation, qubits: tuple[int, ...], depth: int) -> Iterator[Operation]:
        """Give what a gate means."""
        gate = item.gate
        if isinstance(gate, cirq.GlobalPhaseGate):
            yield from phase(self.phase_of(gate), 0)
        elif isinstance(gate, cirq.IdentityGate):
            yield from (Instruction("id", (qubit,)) for qubit in qubits)
        elif gate is not None and not cirq.is_parameterized(gate) and gate in _NAMES:
            yield Instruction(_NAMES[gate], qubits)
        elif type(gate) in _POWERS:
            yield from self.power(gate, qubits)
        else:
            yield from self.decomposed(item, qubits, depth)

    def wait(self, gate: cirq.WaitGate, qubits: tuple[int, ...]) -> Iterator[Operation]:
        nanoseconds = gate.duration.total_nanos()
        if not isinstance(nanoseconds, int | float):
            _READING.of("WaitGate", "a delay that is a parameter")
        yield from (Delay(qubit, float(nanoseconds)) for qubit in qubits)

    def measurement(self, gate: cirq.MeasurementGate, qubits: tuple[int, ...]) -> Iterator[Operation]:
        if gate.confusion_map:
            _READING.of("MeasurementGate", "a confusion map", hint="Give readout errors in a noise model.")
        inverted = gate.full_invert_mask()
        for qubit, bit, turned in zip(qubits, self.bits[gate.key], inverted, strict=True):
            if turned:
                yield Instruction("x", (qubit,))
            yield Measure(qubit, bit)
            if turned:
                yield Instruction("x", (qubit,))

    def controlled(self, item: cirq.ClassicallyControlledOperation, depth: int) -> If:
        """An operation under measured bits."""
        literals: list[tuple[int, int]] = []
        for control in item.classical_controls:
            literals += self.literals(control)
        literals.sort()
        bits = tuple(bit for bit, _ in literals)
        if len(set(bits)) != len(bits):
            _READING.of(str(item), "a bit asked for twice")
        value = sum(wanted << place for place, (_, wanted) in enumerate(reversed(literals)))
        return If(Condition(bits, value), tuple(self.operation(item.without_classical_controls(), depth + 1)))

    def literals(self, control: Any) -> list[tuple[int, int]]:
        """Return the bits that a control asks for, and what they must be."""
        if isinstance(control, cirq.KeyCondition) and control.index == -1:
            bits = self.bits.get(str(control.key), ())
            if len(bits) == 1:
                return [(bits[0], 1)]
        if isinstance(control, cirq.SympyCondition):
            return self.equations(control.expr)
        return _READING.of(str(control), "a condition that is no comparison of one bit", hint="Use keys of one qubit.")

    def equations(self, expression: Any) -> list[tuple[int, int]]:
        if isinstance(expression, sympy.And):
            return [literal for part in expression.args for literal in self.equations(part)]
        if isinstance(expression, sympy.Eq | sympy.Ne) and len(expression.args) == 2:
            symbol, value = sorted(expression.args, key=lambda part: not isinstance(part, sympy.Symbol))
            bits = self.bits.get(str(symbol), ())
            if len(bits) == 1 and value in (0, 1):
                return [(bits[0], int(value) if isinstance(expression, sympy.Eq) else 1 - int(value))]
        return _READING.of(str(expression), "a condition that is no comparison of bits with numbers")

    def phase_of(self, gate: cirq.GlobalPhaseGate) -> float:
        if cirq.is_parameterized(gate):
            _READING.of("GlobalPhaseGate", "a global phase with a parameter")
        return float(np.angle(complex(gate.coefficient)))

    def angle(self, value: Any, instruction: str, factor: float = 1.0) -> Affine:
        """Return ``factor * value``, affine in Cirq's symbols."""
        if isinstance(value, sympy.Expr) and value.free_symbols:
            symbols = sorted(symbol.name for symbol in value.free_symbols)
            at = sympy.lambdify([sympy.Symbol(name) for name in symbols], value, "math")
            return factor * self.names.affine(
                value, symbols, lambda given: at(*(given[n] for n in symbols)), instruction
            )
        return Affine.of(factor * float(value))

    def power(self, gate: Any, qubits: tuple[int, ...]) -> Iterator[Operation]:
        """A gate to some power, with the phase of its shift."""
        exponent, shift = self.angle(gate.exponent, str(gate)), float(gate.global_shift)
        calls, own_phase = _POWERS[type(gate)]
        if type(gate) is cirq.ZPowGate and shift == -0.5:
            calls, own_phase = (("rz", (0,), 1.0),), 0.5
        for name, places, factor in calls:
            angles = () if factor is None else (factor * pi * exponent,)
            yield Instruction(name, tuple(qubits[place] for place in places), angles)
        yield from phase(pi * (shift + own_phase) * exponent, qubits[0])

    def decomposed(self, item: cirq.Operation, qubits: tuple[int, ...], depth: int) -> Iterator[Operation]:
        """An operation by Cirq's own decomposition, its phase put right."""
        parts = cirq.decompose_once(item, default=None) if depth < MAX_DEPTH else None
        if (
            parts is None
            or len(qubits) > MAX_COMPARED_QUBITS
            or not (cirq.has_unitary(item) or cirq.is_parameterized(item))
        ):
            _READING.of(str(item.gate or item), "an operation that does not come down to known gates")
        yield from phase(self.lost_phase(item, parts), qubits[0] if qubits else 0)
        for part in parts:
            yield from self.operation(part, depth + 1)

    def lost_phase(self, item: cirq.Operation, parts: Sequence[cirq.Operation]) -> float:
        """Return the angle that the decomposition loses: compared at two choices of the parameters."""
        names = sorted(cirq.parameter_names(item))
        found: list[float] = []
        for scale in (1.0, -2.3) if names else (1.0,):
            values = {name: scale * (0.37 + 0.21 * place) for place, name in enumerate(names)}
            want = cirq.unitary(cirq.resolve_parameters(item, values))
            got = cirq.Circuit(cirq.resolve_parameters(part, values) for part in parts).unitary(
                qubit_order=item.qubits, qubits_that_should_be_present=item.qubits
            )
            place = np.unravel_index(np.argmax(np.abs(want)), want.shape)
            ratio = want[place] / got[place]
            if abs(abs(ratio) - 1) > 1e-7 or not np.allclose(got * ratio, want, atol=1e-7):
                _READING.of(str(item.gate or item), "an operation whose decomposition differs from it")
            found.append(float(np.angle(ratio)))
        if len(found) > 1 and abs(np.exp(1j * found[0]) - np.exp(1j * found[1])) > 1e-7:
            _READING.of(str(item.gate or item), "a decomposition that loses a phase with a parameter")
        return found[0] if abs(found[0]) > 1e-12 else 0.0


_Calls = tuple[tuple[str, tuple[int, ...], float | None], ...]
_POWERS: dict[type, tuple[_Calls, float]] = {
    cirq.XPowGate: ((("rx", (0,), 1.0),), 0.5),
    cirq.YPowGate: ((("ry", (0,), 1.0),), 0.5),
    cirq.ZPowGate: ((("p", (0,), 1.0),), 0.0),
    cirq.Rx: ((("rx", (0,), 1.0),), 0.5),
    cirq.Ry: ((("ry", (0,), 1.0),), 0.5),
    cirq.Rz: ((("rz", (0,), 1.0),), 0.5),
    cirq.CXPowGate: ((("h", (1,), None), ("cp", (0, 1), 1.0), ("h", (1,), None)), 0.0),
    cirq.CZPowGate: ((("cp", (0, 1), 1.0),), 0.0),
    cirq.XXPowGate: ((("rxx", (0, 1), 1.0),), 0.5),
    cirq.YYPowGate: ((("ryy", (0, 1), 1.0),), 0.5),
    cirq.ZZPowGate: ((("rzz", (0, 1), 1.0),), 0.5),
}
"""Of gates with an exponent ``t``: calls with angles ``factor pi t``, and the phase ``own pi t``."""

_FIXED: dict[str, Any] = {
    "id": cirq.I, "x": cirq.X, "y": cirq.Y, "z": cirq.Z, "h": cirq.H, "s": cirq.S, "sdg": cirq.S**-1, "t": cirq.T,
    "tdg": cirq.T**-1, "sx": cirq.X**0.5, "sxdg": cirq.X**-0.5, "cx": cirq.CX, "cz": cirq.CZ, "swap": cirq.SWAP,
    "ccx": cirq.CCX, "cswap": cirq.CSWAP,
}  # fmt: skip
_NAMES = {gate: name for name, gate in _FIXED.items()}
_ANGLED: dict[str, Callable[[Any], Any]] = {
    "rx": cirq.rx,
    "ry": cirq.ry,
    "rz": cirq.rz,
    "p": lambda angle: cirq.ZPowGate(exponent=angle / pi),
    "cp": lambda angle: cirq.CZPowGate(exponent=angle / pi),
    "rxx": lambda angle: cirq.XXPowGate(exponent=angle / pi, global_shift=-0.5),
    "ryy": lambda angle: cirq.YYPowGate(exponent=angle / pi, global_shift=-0.5),
    "rzz": lambda angle: cirq.ZZPowGate(exponent=angle / pi, global_shift=-0.5),
}
_KNOWN = frozenset(_FIXED) | frozenset(_ANGLED)


def write(circuit: Circuit) -> cirq.Circuit:
    """Return the circuit as a ``cirq.Circuit`` on line qubits, bit ``i`` under the key ``c[i]``.

    Barriers are identities with a tag; qubits that nothing acts on get an identity, so that they are there.

    Raises:
        ConversionError: It has noise or readout errors, or a condition whose branch writes the bits it asks for.
    """
    qubits = cirq.LineQubit.range(circuit.n_qubits)
    out = cirq.Circuit()
    for position, item in enumerate(circuit.instructions):
        for operation in _operations(item, qubits, position):
            out.append(operation, strategy=cirq.InsertStrategy.EARLIEST)
    idle = [qubit for qubit in qubits if qubit not in out.all_qubits()]
    out.append(cirq.I(qubit) for qubit in idle)
    return out


def _operations(item: Operation, qubits: Sequence[Any], position: int) -> Iterator[cirq.Operation]:
    places = [qubits[qubit] for qubit in item.qubits]
    match item:
        case Instruction():
            for call in expanded(item, _KNOWN):
                gate = _FIXED[call.gate] if not call.angles else _ANGLED[call.gate](_expression(call.angles[0]))
                yield gate.on(*(qubits[qubit] for qubit in call.qubits))
        case Measure() if item.is_exact:
            yield cirq.measure(*places, key=f"c[{item.bit}]")
        case Reset():
            yield cirq.ResetChannel().on(*places)
        case Barrier():
            yield cirq.IdentityGate(len(places)).on(*places).with_tags(_BARRIER)
        case Delay():
            yield cirq.wait(*places, nanos=item.duration_ns)
        case If():
            for condition, inner in alternatives(item, _WRITING):
                if isinstance(inner, If):
                    _WRITING.of("If", "a condition inside a condition", position)
                for operation in _operations(inner, qubits, position):
                    yield operation.with_classical_controls(*_controls(condition))
        case _:
            _WRITING.of(type(item).__name__, "noise", position, "Write the circuit without and give a noise model.")


def _controls(condition: Condition) -> list[Any]:
    n = len(condition.bits)
    wanted = [(bit, condition.value >> (n - 1 - place) & 1) for place, bit in enumerate(condition.bits)]
    return [
        cirq.KeyCondition(cirq.MeasurementKey(f"c[{bit}]"))
        if value
        else cirq.SympyCondition(sympy.Eq(sympy.Symbol(f"c[{bit}]"), 0))
        for bit, value in wanted
    ]


def _expression(angle: Affine) -> Any:
    if angle.is_constant:
        return angle.constant
    terms = [coefficient * sympy.Symbol(name) for name, coefficient in angle.terms]
    return sympy.Add(*terms, angle.constant) if angle.constant else sympy.Add(*terms)
