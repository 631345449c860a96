"""Amazon Braket's ``Circuit``, to and from.

Qubits are numbered in ascending order of Braket's; the k-th measurement writes bit k. Controls, control states and
powers of instructions are kept, matrices become gates. Result types say what to measure, not what the circuit is: give
observables beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import pi
from typing import Any

import sympy
from braket.circuits import Circuit as BraketCircuit
from braket.circuits import FreeParameter, FreeParameterExpression, Gate, Noise
from braket.circuits import Instruction as BraketInstruction
from braket.circuits.compiler_directive import CompilerDirective
from braket.circuits.measure import Measure as BraketMeasure

from superpose.circuits import (
    GATES,
    Affine,
    AngleLike,
    Barrier,
    Circuit,
    Instruction,
    Measure,
    Operation,
)
from superpose.frontends.matrices import gates_of
from superpose.frontends.words import Names, Refusal, expanded, phase

__all__ = ["read", "write"]

_READING, _WRITING = Refusal("Braket"), Refusal("Braket", writing=True)
MAX_REPETITIONS = 10_000

_SAME = {
    "I": "id", "X": "x", "Y": "y", "Z": "z", "H": "h", "S": "s", "Si": "sdg", "T": "t", "Ti": "tdg", "V": "sx",
    "Vi": "sxdg", "Rx": "rx", "Ry": "ry", "Rz": "rz", "PhaseShift": "p", "CNot": "cx", "CY": "cy", "CZ": "cz",
    "CPhaseShift": "cp", "XX": "rxx", "YY": "ryy", "ZZ": "rzz", "Swap": "swap", "CCNot": "ccx", "CSwap": "cswap",
}  # fmt: skip
_Call = tuple[str, tuple[int, ...], tuple[AngleLike, ...]]


def _around(turned: Sequence[int], angle: AngleLike) -> tuple[_Call, ...]:
    flips: tuple[_Call, ...] = tuple(("x", (qubit,), ()) for qubit in turned)
    return (*flips, ("cp", (0, 1), (angle,)), *flips)


def _prx(a: Affine, b: Affine) -> tuple[_Call, ...]:
    return ("rz", (0,), (-b,)), ("rx", (0,), (a,)), ("rz", (0,), (b,))


_OTHER: dict[str, Callable[..., tuple[_Call, ...]]] = {
    "U": lambda theta, phi, lam: (("p", (0,), (lam,)), ("ry", (0,), (theta,)), ("p", (0,), (phi,))),
    "ISwap": lambda: (("rxx", (0, 1), (-pi / 2,)), ("ryy", (0, 1), (-pi / 2,))),
    "XY": lambda a: (("rxx", (0, 1), (-a / 2,)), ("ryy", (0, 1), (-a / 2,))),
    "PSwap": lambda a: (("swap", (0, 1), ()), ("rzz", (0, 1), (a,)), ("p", (0,), (a,)), ("rz", (0,), (-a,))),
    "CPhaseShift00": lambda a: _around((0, 1), a),
    "CPhaseShift01": lambda a: _around((0,), a),
    "CPhaseShift10": lambda a: _around((1,), a),
    "PRx": _prx,
}
_SCALED = frozenset({"rx", "ry", "rz", "p", "cp", "rxx", "ryy", "rzz"})
"""Gates whose powers have a multiple of the angle."""


def read(source: Any, name: str = "circuit") -> Circuit:
    """Return the circuit that a Braket ``Circuit`` means.

    Raises:
        ConversionError: Not a circuit of Braket's, or something in it cannot be kept.
    """
    if not isinstance(source, BraketCircuit):
        _READING.of(type(source).__name__, "an object that is no Braket Circuit")
    if not source.qubits:
        _READING.of("Circuit", "a circuit without qubits")
    places = {int(qubit): place for place, qubit in enumerate(sorted(source.qubits))}
    reader = _Reader(places)
    operations = [item for at, one in enumerate(source.instructions) for item in reader.instruction(one, at)]
    return Circuit(len(places), name, n_bits=reader.n_bits).extend(operations)


class _Reader:
    def __init__(self, places: dict[int, int]) -> None:
        self.places = places
        self.names = Names(_READING)
        self.n_bits = 0

    def instruction(self, item: Any, position: int) -> Iterator[Operation]:
        """Give what an instruction means."""
        on = tuple(self.places[int(qubit)] for qubit in item.target)
        operator = item.operator
        if isinstance(operator, BraketMeasure):
            yield Measure(on[0], self.n_bits)
            self.n_bits += 1
        elif isinstance(operator, CompilerDirective):
            if operator.name != "Barrier":
                _READING.of(operator.name, "a directive for the compiler", position)
            yield Barrier(on or tuple(self.places.values()))
        elif isinstance(operator, Noise):
            _READING.of(operator.name, "noise", position, "Give a noise model beside the circuit.")
        elif isinstance(operator, Gate):
            yield from self.gate(item, on, position)
        else:
            _READING.of(operator.name, f"the instruction {type(operator).__name__}", position)

    def gate(self, item: Any, on: tuple[int, ...], position: int) -> Iterator[Instruction]:
        calls = self.calls(item.operator, on, position)
        power = item.power
        if power != 1:
            calls = self.powered(calls, power, item, position)
        controls = tuple(self.places[int(qubit)] for qubit in item.control)
        flips = [
            Instruction("x", (qubit,))
            for qubit, state in zip(controls, tuple(item.control_state), strict=True)
            if not state
        ]
        for control in reversed(controls):
            calls = [self.controlled(call, control, item, position) for call in calls]
        yield from (*flips, *calls, *flips)

    def calls(self, gate: Gate, on: tuple[int, ...], position: int) -> list[Instruction]:
        """Return a gate as calls of ours."""
        kind = type(gate).__name__
        if kind == "GPhase":
            return list(phase(self.angle(gate.angle, kind), on[0] if on else 0))
        angles = tuple(self.angle(value, kind) for value in getattr(gate, "parameters", None) or ())
        if kind in _SAME:
            return [Instruction(_SAME[kind], on, angles)]
        if kind in _OTHER:
            return [
                Instruction(name, tuple(on[place] for place in places), own)  # type: ignore[arg-type]  # made Affine there
                for name, places, own in _OTHER[kind](*angles)
            ]
        if any(not angle.is_constant for angle in angles) or kind == "PulseGate":
            _READING.of(kind, "a parameter in a gate that is known by its matrix only", position)
        return list(gates_of(gate.to_matrix(), on))

    def powered(self, calls: list[Instruction], power: float, item: Any, position: int) -> list[Instruction]:
        if len(calls) == 1 and calls[0].gate in _SCALED:
            return [Instruction(calls[0].gate, calls[0].qubits, (calls[0].angles[0] * float(power),))]
        if power != int(power) or abs(power) > MAX_REPETITIONS:
            _READING.of(str(item.operator), f"the power {power}", position)
        once = calls if power > 0 else [call.inverse() for call in reversed(calls)]
        return once * abs(int(power))

    def controlled(self, call: Instruction, control: int, item: Any, position: int) -> Instruction:
        row = GATES[call.gate]
        if row.controlled is None:
            _READING.of(str(item.operator), f"one more control on {call.gate}", position)
        step = row.call(row.controlled, (control, *call.qubits), call.angles)
        return Instruction(step.gate, step.qubits, tuple(map(Affine.of, step.angles)))

    def angle(self, value: Any, instruction: str) -> Affine:
        if not isinstance(value, FreeParameterExpression):
            return Affine.of(float(value))
        expression = value.expression
        symbols = sorted(str(symbol) for symbol in expression.free_symbols)
        at = sympy.lambdify([sympy.Symbol(name) for name in symbols], expression, "math")
        return self.names.affine(value, symbols, lambda given: at(*(given[name] for name in symbols)), instruction)


_MAKERS: dict[str, Callable[..., Any]] = {name: getattr(Gate, kind) for kind, name in _SAME.items()}


def write(circuit: Circuit) -> BraketCircuit:
    """Return the circuit as a Braket ``Circuit``.

    Raises:
        ConversionError: It has noise, resets, delays or conditions, measures before its end, or its bits are not all
            written, each once.
    """
    body, final = circuit.without_final_measurements()
    bits = sorted(item.bit for item in final)
    if any(not item.is_exact for item in final):
        _WRITING.of("Measure", "readout errors")
    if bits != list(range(circuit.n_bits)):
        _WRITING.of("Measure", "bits that are not written once each at the end")
    out = BraketCircuit()
    for position, item in enumerate(body.instructions):
        match item:
            case Instruction():
                for call in expanded(item, _MAKERS):
                    out.add_instruction(_instruction(call))
            case Barrier():
                out.barrier(list(item.qubits))
            case _:
                _WRITING.of(type(item).__name__, f"{type(item).__name__} inside a circuit", position)
    for qubit in sorted(set(range(circuit.n_qubits)) - {int(qubit) for qubit in out.qubits}):
        out.i(qubit)
    for measured in sorted(final, key=lambda item: item.bit):
        out.measure(measured.qubit)
    return out


def _instruction(call: Instruction) -> Any:

    return BraketInstruction(_MAKERS[call.gate](*map(_angle, call.angles)), list(call.qubits))


def _angle(angle: Affine) -> Any:
    if angle.is_constant:
        return angle.constant
    total: Any = angle.constant
    for name, coefficient in angle.terms:
        total = coefficient * FreeParameter(name) + total
    return total
