"""pytket's ``Circuit``, to and from.

Qubits and bits are numbered in the circuit's own order. Angles are half turns there, radians here. Conditions read bits
with the first one weighing least there, most here. The global phase is kept, symbols in it too. Operations and boxes
without a word here are read as pytket itself writes them in CX, Rz, Rx and H.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import pi
from typing import Any

import sympy
from pytket.circuit import Circuit as PytketCircuit
from pytket.circuit import Op, OpType
from pytket.passes import AutoRebase, DecomposeBoxes

from superpose.circuits import (
    Affine,
    AngleLike,
    Barrier,
    Circuit,
    Condition,
    If,
    Instruction,
    Measure,
    Operation,
    Reset,
)
from superpose.errors import ProgramError
from superpose.frontends.words import Names, Refusal, alternatives, expanded, phase

__all__ = ["read", "write"]

_READING, _WRITING = Refusal("pytket"), Refusal("pytket", writing=True)

_SAME = {
    OpType.noop: "id", OpType.X: "x", OpType.Y: "y", OpType.Z: "z", OpType.H: "h", OpType.S: "s", OpType.Sdg: "sdg",
    OpType.T: "t", OpType.Tdg: "tdg", OpType.SX: "sx", OpType.SXdg: "sxdg", OpType.Rx: "rx", OpType.Ry: "ry",
    OpType.Rz: "rz", OpType.U1: "p", OpType.CX: "cx", OpType.CY: "cy", OpType.CZ: "cz", OpType.CH: "ch",
    OpType.CRx: "crx", OpType.CRy: "cry", OpType.CRz: "crz", OpType.CU1: "cp", OpType.XXPhase: "rxx",
    OpType.YYPhase: "ryy", OpType.ZZPhase: "rzz", OpType.SWAP: "swap", OpType.CCX: "ccx", OpType.CSWAP: "cswap",
}  # fmt: skip
_OTHER: dict[Any, Callable[..., tuple[tuple[str, tuple[AngleLike, ...]], ...]]] = {
    OpType.U3: lambda theta, phi, lam: (("p", (lam,)), ("ry", (theta,)), ("p", (phi,))),
    OpType.U2: lambda phi, lam: (("p", (lam,)), ("ry", (pi / 2,)), ("p", (phi,))),
    OpType.TK1: lambda a, b, c: (("rz", (c,)), ("rx", (b,)), ("rz", (a,))),
    OpType.V: lambda: (("rx", (pi / 2,)),),
    OpType.Vdg: lambda: (("rx", (-pi / 2,)),),
}
"""One-qubit gates as calls of others."""
_TYPES = {name: kind for kind, name in _SAME.items()}
_REBASE = AutoRebase({OpType.CX, OpType.Rz, OpType.Rx, OpType.H})


def read(source: Any, name: str = "circuit") -> Circuit:
    """Return the circuit that a pytket ``Circuit`` means.

    Raises:
        ConversionError: Not a circuit of pytket's, or something in it cannot be kept.
    """
    if not isinstance(source, PytketCircuit):
        _READING.of(type(source).__name__, "an object that is no pytket Circuit")
    if not source.n_qubits:
        _READING.of("Circuit", "a circuit without qubits")
    if source.created_qubits or source.discarded_qubits:
        _READING.of("Circuit", "qubits that are created or discarded")
    reader = _Reader(Names(_READING))
    qubits = {qubit: place for place, qubit in enumerate(source.qubits)}
    bits = {bit: place for place, bit in enumerate(source.bits)}
    moved = source.implicit_qubit_permutation()
    if any(one != other for one, other in moved.items()):
        source = source.copy()
        source.replace_implicit_wire_swaps()
    out = Circuit(source.n_qubits, source.name or name, n_bits=len(bits))
    return out.extend(reader.operations(source, qubits, bits))


class _Reader:
    def __init__(self, names: Names) -> None:
        self.names = names

    def operations(
        self, source: PytketCircuit, qubits: Mapping[Any, int], bits: Mapping[Any, int]
    ) -> Iterator[Operation]:
        """Give the operations of a circuit whose qubits and bits stand at these places."""
        yield from phase(self.angle(source.phase, "phase"), next(iter(qubits.values())))
        for position, command in enumerate(source.get_commands()):
            yield from self.operation(command.op, command.args, (qubits, bits), position)

    def operation(self, op: Op, args: Sequence[Any], places: tuple[Any, Any], position: int) -> Iterator[Operation]:
        """Give what an operation on qubits and bits means."""
        qubits, bits = places
        on = tuple(qubits[one] for one in args if one in qubits)
        match op.type:
            case OpType.Conditional:
                yield self.condition(op, args, places, position)
            case OpType.Measure:
                yield Measure(on[0], bits[args[1]])
            case OpType.Reset:
                yield Reset(on[0])
            case OpType.Barrier:
                if on:
                    yield Barrier(on)
            case OpType.Phase:
                yield from phase(self.angle(op.params[0], "Phase"), next(iter(qubits.values())))
            case _ if op.type in _SAME:
                yield Instruction(_SAME[op.type], on, tuple(self.angle(value, op.get_name()) for value in op.params))
            case _ if op.type in _OTHER:
                angles = (Affine.of(self.angle(value, op.get_name())) for value in op.params)
                for gate, own in _OTHER[op.type](*angles):
                    yield Instruction(gate, on, own)  # type: ignore[arg-type]  # made Affine there
            case _:
                yield from self.rebased(op, on, len(args), position)

    def condition(self, op: Any, args: Sequence[Any], places: tuple[Any, Any], position: int) -> If:
        asked = [places[1].get(bit) for bit in args[: op.width]]
        try:
            condition = Condition(tuple(reversed(asked)), op.value)
        except ProgramError as error:
            return _READING.of("Conditional", "its condition", position, str(error))
        return If(condition, tuple(self.operation(op.op, args[op.width :], places, position)))

    def rebased(self, op: Op, on: tuple[int, ...], n_args: int, position: int) -> Iterator[Operation]:
        """An operation as pytket writes it in gates that are known here."""
        name = op.get_name()
        if n_args != len(on) or not on:
            _READING.of(name, "an operation on classical bits", position)
        alone = PytketCircuit(len(on))
        try:
            alone.add_gate(op, list(range(len(on))))
            DecomposeBoxes().apply(alone)
            _REBASE.apply(alone)
            alone.replace_implicit_wire_swaps()
        except RuntimeError as error:
            _READING.of(name, "an operation that pytket does not bring down to gates", position, str(error))
        yield from self.operations(alone, dict(zip(alone.qubits, on, strict=True)), {})

    def angle(self, half_turns: Any, instruction: str) -> Affine:
        """Return an angle in radians."""
        if isinstance(half_turns, sympy.Expr) and half_turns.free_symbols:
            symbols = sorted(symbol.name for symbol in half_turns.free_symbols)
            at = sympy.lambdify([sympy.Symbol(name) for name in symbols], half_turns, "math")
            known = self.names.affine(half_turns, symbols, lambda given: at(*(given[n] for n in symbols)), instruction)
            return pi * known
        return Affine.of(pi * float(half_turns))


def write(circuit: Circuit) -> PytketCircuit:
    """Return the circuit as a pytket ``Circuit`` with registers ``q`` and ``c``.

    Raises:
        ConversionError: It has noise, readout errors or delays, or a condition whose branch writes the bits that it
            asks for.
    """
    out = PytketCircuit(circuit.n_qubits, circuit.n_bits, circuit.name)
    for position, item in enumerate(circuit.instructions):
        _append(out, item, {}, position)
    return out


def _append(out: PytketCircuit, item: Operation, condition: dict[str, Any], position: int) -> None:
    match item:
        case Instruction():
            for call in expanded(item, _TYPES):
                out.add_gate(_TYPES[call.gate], [_half_turns(a) for a in call.angles], list(call.qubits), **condition)
        case Measure() if item.is_exact:
            out.Measure(item.qubit, item.bit, **condition)
        case Reset():
            out.Reset(item.qubits[0], **condition)
        case Barrier() if not condition:
            out.add_barrier(list(item.qubits))
        case If() if not condition:
            for asked, inner in alternatives(item, _WRITING):
                given = {"condition_bits": list(reversed(asked.bits)), "condition_value": asked.value}
                _append(out, inner, given, position)
        case If():
            _WRITING.of("If", "a condition inside a condition", position)
        case _:
            what = type(item).__name__
            _WRITING.of(
                what, f"{'noise' if what in ('Channel', 'KrausChannel', 'Measure') else what.lower()}", position
            )


def _half_turns(angle: Affine) -> Any:
    if angle.is_constant:
        return angle.constant / pi
    return sympy.Add(*(coefficient / pi * sympy.Symbol(name) for name, coefficient in angle.terms), angle.constant / pi)
