"""Qiskit's ``QuantumCircuit``, to and from.

Qubit ``i`` of the circuit is qubit ``i`` here, classical bit ``i`` bit ``i``; Qiskit writes bit strings with bit 0
last, we with bit 0 first. Gates are read by the class of Qiskit's library, others by their definitions, custom gates
too; what has neither is refused. The global phase is kept, as two gates on qubit 0 where it is not zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from qiskit.circuit import (
    ClassicalRegister,
    Clbit,
    ControlledGate,
    ForLoopOp,
    Gate,
    IfElseOp,
    Parameter,
    ParameterExpression,
    QuantumCircuit,
    SwitchCaseOp,
    WhileLoopOp,
    library,
)
from qiskit.circuit.classical import expr as classical
from qiskit.circuit.classical import types
from qiskit.quantum_info import Operator

from superpose.circuits import (
    Affine,
    AngleLike,
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
from superpose.errors import ProgramError
from superpose.frontends.matrices import MAX_MATRIX_QUBITS, gates_of
from superpose.frontends.words import Names, Refusal, expanded, phase

__all__ = ["read", "write"]

_READING, _WRITING = Refusal("Qiskit"), Refusal("Qiskit", writing=True)
MAX_DEPTH = 200
"""How deep definitions may stand in each other."""

_SAME = {
    library.IGate: "id", library.XGate: "x", library.YGate: "y", library.ZGate: "z", library.HGate: "h",
    library.SGate: "s", library.SdgGate: "sdg", library.TGate: "t", library.TdgGate: "tdg", library.SXGate: "sx",
    library.SXdgGate: "sxdg", library.RXGate: "rx", library.RYGate: "ry", library.RZGate: "rz", library.PhaseGate: "p",
    library.CXGate: "cx", library.CYGate: "cy", library.CZGate: "cz", library.CHGate: "ch", library.CRXGate: "crx",
    library.CRYGate: "cry", library.CRZGate: "crz", library.CPhaseGate: "cp", library.RXXGate: "rxx",
    library.RYYGate: "ryy", library.RZZGate: "rzz", library.SwapGate: "swap", library.CSwapGate: "cswap",
    library.CCXGate: "ccx", library.ECRGate: "ecr",
    library.U1Gate: "p", library.CU1Gate: "cp",
}  # fmt: skip
"""Gates that mean the same here, controls all on 1."""


def read(source: Any, name: str = "circuit") -> Circuit:
    """Return the circuit that a ``QuantumCircuit`` means.

    Raises:
        ConversionError: Not a ``QuantumCircuit``, or something in it cannot be kept.
    """
    if isinstance(source, Gate):
        source = _as_circuit(source)
    if not isinstance(source, QuantumCircuit):
        _READING.of(type(source).__name__, "an object that is no QuantumCircuit")
    if not source.num_qubits:
        _READING.of(source.name, "a circuit without qubits")
    reader = _Reader(source)
    out = Circuit(source.num_qubits, source.name or name, n_bits=source.num_clbits)
    out.extend(reader.operations(source, tuple(range(source.num_qubits)), tuple(range(source.num_clbits))))
    return out


def _as_circuit(gate: Gate) -> QuantumCircuit:
    out = QuantumCircuit(gate.num_qubits, name=gate.name)
    out.append(gate, range(gate.num_qubits))
    return out


class _Where(NamedTuple):
    """Where an instruction stands: its circuit, where that one's qubits and bits are here, its place, how deep."""

    source: QuantumCircuit
    qubits: Sequence[int]
    bits: Sequence[int]
    position: int
    depth: int


class _Reader:
    """Walks through a circuit and the definitions and blocks in it."""

    def __init__(self, source: QuantumCircuit) -> None:
        self.names = Names(_READING)
        for parameter in source.parameters:  # so that names collide here or not at all
            self.names(parameter.name)

    def operations(
        self, source: QuantumCircuit, qubits: Sequence[int], bits: Sequence[int], depth: int = 0
    ) -> Iterator[Operation]:
        """Give the operations of a circuit whose qubit ``i`` is ``qubits[i]`` here."""
        if depth > MAX_DEPTH:
            _READING.of(source.name, f"definitions deeper than {MAX_DEPTH}")
        if source.num_captured_vars or source.num_declared_vars or source.num_input_vars:
            _READING.of(source.name, "run-time variables", hint="Only classical bits are kept.")
        yield from phase(self.angle(source.global_phase, "global_phase"), qubits[0])
        for position, item in enumerate(source.data):
            places = tuple(qubits[source.find_bit(qubit).index] for qubit in item.qubits)
            written = tuple(bits[source.find_bit(bit).index] for bit in item.clbits)
            yield from self.operation(item.operation, places, written, _Where(source, qubits, bits, position, depth))

    def operation(
        self, item: Any, qubits: tuple[int, ...], bits: tuple[int, ...], where: _Where
    ) -> Iterator[Operation]:
        """Give what one instruction means."""
        source, outer_qubits, outer_bits, position, _ = where
        match item.name:
            case "measure":
                yield Measure(qubits[0], bits[0])
            case "reset":
                yield Reset(qubits[0])
            case "barrier":
                yield Barrier(qubits)
            case "delay":
                for qubit in qubits:
                    yield Delay(qubit, self.nanoseconds(item, position))
            case "global_phase":
                yield from phase(self.angle(item.params[0], item.name), outer_qubits[0])
            case "initialize" | "state_preparation" | "set_statevector" | "save_statevector":
                _READING.of(item.name, "a prepared state", position, "Give it as initial_state beside the circuit.")
            case _ if isinstance(item, IfElseOp):
                yield self.condition(item, qubits, bits, where)
            case _ if isinstance(item, ForLoopOp | WhileLoopOp | SwitchCaseOp):
                _READING.of(item.name, "a loop or switch at run time", position)
            case _:
                if getattr(item, "condition", None) is not None:
                    bit_of = {bit: outer_bits[source.find_bit(bit).index] for bit in source.clbits}
                    inner = tuple(self.gate(item, qubits, where))
                    yield If(self.asked(item.condition, source, bit_of, position), inner)
                else:
                    yield from self.gate(item, qubits, where)

    def nanoseconds(self, item: Any, position: int) -> float:
        scale = {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0, "ps": 1e-3}.get(item.unit)
        if scale is None or not isinstance(item.duration, int | float):
            _READING.of("delay", f"a delay in {item.unit}", position, "Give it in seconds, or bind its duration.")
        return float(item.duration) * scale

    def gate(self, item: Any, qubits: tuple[int, ...], where: _Where) -> Iterator[Operation]:
        """Give the gates that a gate means."""
        _, _, _, position, depth = where
        kind = getattr(item, "base_class", type(item))  # Qiskit has subclasses of gates for its singletons
        closed = not isinstance(item, ControlledGate) or item.ctrl_state == 2**item.num_ctrl_qubits - 1
        angles = tuple(Affine.of(self.angle(value, item.name)) for value in item.params) if _is_angled(item) else ()
        if kind in _SAME and closed:
            yield Instruction(_SAME[kind], qubits, angles)
            return
        if closed and (special := _special(kind, qubits, angles)) is not None:
            yield from special
            return
        definition = getattr(item, "definition", None)
        if (
            definition is None
            and isinstance(item, Gate)
            and not any(isinstance(v, ParameterExpression) for v in item.params)
        ):
            matrix = Operator(item).data if item.num_qubits <= MAX_MATRIX_QUBITS else np.empty(0)
            yield from gates_of(matrix, tuple(reversed(qubits)))  # Qiskit's first qubit weighs least
            return
        if definition is None or not (isinstance(item, Gate) or definition.num_clbits == 0):
            _READING.of(item.name, "an instruction without a definition in gates", position)
        yield from self.operations(definition, qubits, (), depth + 1)

    def condition(self, item: IfElseOp, qubits: tuple[int, ...], bits: tuple[int, ...], where: _Where) -> If:
        source, _, outer_bits, position, depth = where
        bit_of = {bit: outer_bits[source.find_bit(bit).index] for bit in source.clbits}
        branches = [
            () if block is None else tuple(self.operations(block, qubits, bits, depth + 1)) for block in item.blocks
        ]
        return If(self.asked(item.condition, source, bit_of, position), *branches)

    def asked(self, condition: Any, source: QuantumCircuit, bit_of: Mapping[Any, int], position: int) -> Condition:
        """Return a condition on bits; the last bit of a register weighs most."""
        try:
            literals = [(bit_of[bit], value) for bit, value in _literals(condition)]
            bits = tuple(bit for bit, _ in literals)
            return Condition(bits, sum(value << place for place, (_, value) in enumerate(reversed(literals))))
        except (KeyError, ValueError, ProgramError):
            return _READING.of(
                "if_else",
                f"the condition {condition}",
                position,
                "Compare bits or registers with numbers, joined by and.",
            )

    def angle(self, value: Any, instruction: str) -> AngleLike:
        """Return a number, or an affine expression of parameters."""
        if not isinstance(value, ParameterExpression):
            return float(value)
        symbols = {parameter.name: parameter for parameter in value.parameters}
        if isinstance(value, Parameter):
            return Affine(((self.names(value.name), 1.0),))
        return self.names.affine(
            value,
            sorted(symbols),
            lambda values: value.bind({symbols[name]: number for name, number in values.items()}).numeric(),
            instruction,
        )


def _literals(condition: Any) -> list[tuple[Clbit, int]]:
    """Return the bits that a condition asks for, most significant first, and what they must be.

    Raises:
        ValueError: It asks for something else.
    """
    if isinstance(condition, tuple):
        return _bits_of(*condition)
    if isinstance(condition, classical.Cast):
        return _literals(condition.operand)
    if isinstance(condition, classical.Var):
        return _bits_of(condition.var, 1)
    if isinstance(condition, classical.Unary) and condition.op.name in ("LOGIC_NOT", "BIT_NOT"):
        inner = _literals(condition.operand)
        if len(inner) == 1:
            return [(inner[0][0], 1 - inner[0][1])]
    if isinstance(condition, classical.Binary):
        left, right = condition.left, condition.right
        if condition.op.name in ("LOGIC_AND", "BIT_AND") and isinstance(condition.type, types.Bool):
            return _literals(left) + _literals(right)
        if condition.op.name == "EQUAL" and isinstance(left, classical.Var) and isinstance(right, classical.Value):
            return _bits_of(left.var, right.value)
    raise ValueError("another condition")


def _bits_of(place: Any, value: Any) -> list[tuple[Clbit, int]]:
    bits = [place] if isinstance(place, Clbit) else list(place)
    if not 0 <= int(value) < 1 << len(bits):
        raise ValueError("the number does not fit the bits")
    return [(bit, int(value) >> number & 1) for number, bit in reversed(list(enumerate(bits)))]


def _is_angled(item: Any) -> bool:
    return all(isinstance(value, int | float | ParameterExpression) for value in item.params)


def _special(kind: type, qubits: tuple[int, ...], angles: tuple[AngleLike, ...]) -> tuple[Instruction, ...] | None:
    """Gates whose angles or phases differ from ours."""
    if kind is library.UGate or kind is library.U3Gate:  # without the phase exp(i theta/2)
        theta, phi, lam = map(Affine.of, angles)
        return Instruction("p", qubits, (lam,)), Instruction("ry", qubits, (theta,)), Instruction("p", qubits, (phi,))
    if kind is library.CUGate:
        theta, phi, lam, gamma = map(Affine.of, angles)
        return (Instruction("cu", qubits, (theta, phi, lam, gamma)),)
    return None


@dataclass(frozen=True)
class _Symbols:
    """Qiskit's parameters by name: one object each, or Qiskit would take them for different ones."""

    known: dict[str, Parameter]

    def angle(self, value: Affine) -> Any:
        if value.is_constant:
            return value.constant
        total: Any = None
        for name, coefficient in value.terms:
            parameter = self.known.setdefault(name, Parameter(name))
            term = parameter if coefficient == 1.0 else coefficient * parameter
            total = term if total is None else total + term
        return total + value.constant if value.constant else total


_MAKERS = {name: kind for kind, name in _SAME.items() if kind not in (library.U1Gate, library.CU1Gate)}
_KNOWN = frozenset(_MAKERS) | {"cu"}


def write(circuit: Circuit) -> QuantumCircuit:
    """Return the circuit as a ``QuantumCircuit`` with one register of bits, ``c``.

    Raises:
        ConversionError: It has noise, for which circuits of Qiskit have no words.
    """
    out = QuantumCircuit(circuit.n_qubits, name=circuit.name)
    if circuit.n_bits:
        out.add_register(ClassicalRegister(circuit.n_bits, "c"))
    _fill(out, circuit.instructions, _Symbols({}))
    return out


def _fill(out: QuantumCircuit, operations: Sequence[Operation], symbols: _Symbols) -> None:
    for position, item in enumerate(operations):
        match item:
            case Instruction():
                for call in expanded(item, _KNOWN):
                    angles = [symbols.angle(angle) for angle in call.angles]
                    maker = library.CUGate if call.gate == "cu" else _MAKERS[call.gate]
                    out.append(maker(*angles), call.qubits)
            case Measure() if item.is_exact:
                out.measure(item.qubit, item.bit)
            case Reset():
                out.reset(item.qubit)
            case Barrier():
                out.barrier(list(item.qubits))
            case Delay():
                out.delay(item.duration_ns, item.qubits[0], unit="ns")
            case If():
                _fill_condition(out, item, symbols)
            case _:
                _WRITING.of(type(item).__name__, "noise", position, "Write the circuit without and give a noise model.")


def _fill_condition(out: QuantumCircuit, item: If, symbols: _Symbols) -> None:
    """Conditions on several bits stand inside each other, so that any choice of bits can be asked for."""
    condition = item.condition
    n = len(condition.bits)
    values = [condition.value >> (n - 1 - place) & 1 for place in range(n)]
    branches = []
    for operations in (item.then, item.otherwise):
        block = QuantumCircuit(out.qubits, out.clbits, *out.qregs, *out.cregs)
        _fill(block, operations, symbols)
        branches.append(block)
    then, otherwise = branches
    asked: Any = None
    for bit, value in zip(condition.bits, values, strict=True):
        one = classical.lift(out.clbits[bit])
        one = one if value else classical.logic_not(one)
        asked = one if asked is None else classical.logic_and(asked, one)
    if n == 1:
        asked = (out.clbits[condition.bits[0]], values[0])
    elif tuple(condition.bits) == tuple(reversed(range(len(out.clbits)))) and len(out.cregs) == 1:
        asked = (out.cregs[0], condition.value)
    out.if_else(asked, then, otherwise if item.otherwise else None, out.qubits, out.clbits)
