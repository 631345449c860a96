"""pyQuil's ``Program`` (Quil), to and from.

Qubits are numbered in ascending order of Quil's numbers; bits of ``DECLARE ... BIT`` regions in order of declaration.
Gates and circuits that the program defines are read; see `superpose.frontends.quil`.
A region ``REAL[1]`` is the parameter of its name, ``REAL[n]`` the parameters ``name_0``, ``name_1``, ... ; names that
Quil does not allow stand in a pragma, so that they come back. Of control flow, what ``Program.if_then`` makes is
read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from math import pi
from typing import Any

from pyquil import Program, gates, quilatom, quilbase

from superpose.circuits import (
    GATES,
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
from superpose.errors import ConversionError
from superpose.frontends.quil import GateDefinitions, written_out
from superpose.frontends.words import Names, Refusal, expanded, phase

__all__ = ["read", "write"]

_READING, _WRITING = Refusal("pyQuil"), Refusal("pyQuil", writing=True)
_PRAGMA = "superpose_parameter"
_QUIL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_Call = tuple[str, tuple[int, ...], tuple[AngleLike, ...]]
_SAME = {
    "I": "id", "X": "x", "Y": "y", "Z": "z", "H": "h", "S": "s", "T": "t", "RX": "rx", "RY": "ry", "RZ": "rz",
    "PHASE": "p", "CNOT": "cx", "CZ": "cz", "CPHASE": "cp", "SWAP": "swap", "CCNOT": "ccx", "CSWAP": "cswap",
    "RXX": "rxx", "RYY": "ryy", "RZZ": "rzz",
}  # fmt: skip
_OTHER: dict[str, Callable[..., tuple[tuple[_Call, ...], AngleLike]]] = {
    "ISWAP": lambda: ((("rxx", (0, 1), (-pi / 2,)), ("ryy", (0, 1), (-pi / 2,))), 0.0),
    "SQISW": lambda: ((("rxx", (0, 1), (-pi / 4,)), ("ryy", (0, 1), (-pi / 4,))), 0.0),
    "XY": lambda a: ((("rxx", (0, 1), (-a / 2,)), ("ryy", (0, 1), (-a / 2,))), 0.0),
    "PSWAP": lambda a: ((("swap", (0, 1), ()), ("rzz", (0, 1), (a,))), a / 2),
    "CPHASE00": lambda a: (_around((0, 1), a), 0.0),
    "CPHASE01": lambda a: (_around((0,), a), 0.0),
    "CPHASE10": lambda a: (_around((1,), a), 0.0),
}
"""Gates as calls of others, and a phase."""


def _around(turned: Sequence[int], angle: AngleLike) -> tuple[_Call, ...]:
    flips: tuple[_Call, ...] = tuple(("x", (qubit,), ()) for qubit in turned)
    return (*flips, ("cp", (0, 1), (angle,)), *flips)


def read(source: Any, name: str = "circuit") -> Circuit:
    """Return the circuit that a ``pyquil.Program``, or a text in Quil, means.

    Raises:
        ConversionError: Not a program, or something in it cannot be kept.
    """
    if isinstance(source, str):
        source = _parsed(source)
    if not isinstance(source, Program):
        _READING.of(type(source).__name__, "an object that is no pyquil.Program")
    program = source.copy()
    program.resolve_label_placeholders()
    try:
        items = written_out(program, _READING)
        reader = _Reader(program, items)
        operations = tuple(reader.operations(items))
    except (ArithmeticError, ValueError) as error:  # pyQuil works expressions out only when they are asked for
        raise ConversionError(
            f"pyQuil cannot work out an expression of the program: {error}.",
            toolkit="pyQuil",
            instruction="",
            feature="expression",
        ) from error
    if not reader.places:
        _READING.of("Program", "a program without qubits")
    return Circuit(len(reader.places), name, n_bits=len(reader.bits)).extend(operations)


def _parsed(text: str) -> Program:
    try:
        program = Program(text)
        list(program)  # each becomes an object of pyQuil's, which not all that its parser lets pass can
        return program
    except Exception as error:  # of a class that the package does not name in public
        raise ConversionError(
            f"This is no Quil that pyQuil reads: {error}.", toolkit="pyQuil", instruction="", feature="text"
        ) from None


class _Reader:
    def __init__(self, program: Program, items: Sequence[Any]) -> None:
        self.names = Names(_READING)
        used = Program(*(item for item in items if not isinstance(item, quilbase.Declare | quilbase.DefGate)))
        self.places = {number: place for place, number in enumerate(sorted(used.get_qubit_indices()))}
        self.gates = GateDefinitions(program, _READING)
        self.bits: dict[tuple[str, int], int] = {}
        self.sizes: dict[str, int] = {}
        self.own_names: dict[str, str] = {}
        order = re.findall(r"^DECLARE (\S+)", program.out(), re.MULTILINE)  # the instructions have them in any order
        declared = [item for item in items if isinstance(item, quilbase.Declare)]
        for item in sorted(declared, key=lambda one: order.index(one.name)):
            self.declare(item)
        for item in items:
            if isinstance(item, quilbase.Pragma) and item.command == _PRAGMA:
                self.own_names[str(item.args[0])] = str(item.freeform_string)

    def declare(self, item: quilbase.Declare) -> None:
        if item.shared_region is not None:
            _READING.of(item.out(), "memory regions that share")
        if item.memory_type == "BIT":
            for place in range(item.memory_size):
                self.bits[item.name, place] = len(self.bits)
        elif item.memory_type == "REAL":
            self.sizes[item.name] = item.memory_size

    def operations(self, items: list[Any]) -> Iterator[Operation]:
        """Give what a run of instructions means."""
        place = 0
        while place < len(items):
            item = items[place]
            if isinstance(item, quilbase.JumpWhen):
                place, condition = self.condition(items, place)
                yield condition
                continue
            yield from self.operation(item, place)
            place += 1

    def condition(self, items: list[Any], at: int) -> tuple[int, If]:
        """Read ``JUMP-WHEN @A bit; otherwise; JUMP @B; LABEL @A; then; LABEL @B``; return where it ends, and it."""
        targets = {_label(item): place for place, item in enumerate(items) if isinstance(item, quilbase.JumpTarget)}
        start = targets.get(_label(items[at]), -1)
        jump = items[start - 1] if start > at + 1 else None
        end = targets.get(_label(jump), -1) if type(jump) is quilbase.Jump else -1
        if not 0 < start <= end:
            _READING.of(items[at].out(), "control flow that is no if and else", at)
        inner = [tuple(self.operations(part)) for part in (items[start + 1 : end], items[at + 1 : start - 1])]
        return end + 1, If(Condition((self.bit(items[at].condition, at),), 1), *inner)

    def operation(self, item: Any, place: int) -> Iterator[Operation]:
        """Give what one instruction means."""
        match item:
            case quilbase.Gate():
                yield from self.gate(item, place)
            case quilbase.Measurement():
                if item.classical_reg is None:
                    _READING.of(item.out(), "a measurement whose outcome goes nowhere", place)
                yield Measure(self.places[item.qubit.index], self.bit(item.classical_reg, place))
            case quilbase.ResetQubit():
                yield Reset(self.places[item.qubit.index])
            case quilbase.Reset():
                yield from (Reset(qubit) for qubit in self.places.values())
            case quilbase.DelayQubits():
                for qubit in item.qubits:
                    yield Delay(self.places[qubit.index], 1e9 * float(item.duration))
            case quilbase.Fence() | quilbase.FenceAll():
                named = [self.places[qubit.index] for qubit in getattr(item, "qubits", ())]
                yield Barrier(tuple(named or self.places.values()))
            case quilbase.Declare() | quilbase.Pragma() | quilbase.DefGate() | quilbase.Halt():
                pass
            case _:
                _READING.of(item.out(), f"the instruction {type(item).__name__}", place)

    def gate(self, item: quilbase.Gate, place: int) -> Iterator[Operation]:
        """A gate with its modifiers, the innermost one last in Quil's text."""
        angles = tuple(self.angle(value, item.out()) for value in item.params)
        n_controls = list(item.modifiers).count("CONTROLLED")
        if "FORKED" in item.modifiers:
            _READING.of(item.out(), "FORKED", place)
        qubits = tuple(self.places[qubit.index] for qubit in item.qubits)
        calls = self.calls(item, qubits[n_controls:], angles, place)
        if list(item.modifiers).count("DAGGER") % 2:
            calls = [call.inverse() for call in reversed(calls)]
        for control in reversed(qubits[:n_controls]):
            calls = [self.controlled(call, control, item, place) for call in calls]
        yield from calls

    def calls(
        self, item: quilbase.Gate, own: tuple[int, ...], angles: tuple[Affine, ...], place: int
    ) -> list[Instruction]:
        """Return a gate without its modifiers."""
        if item.name in self.gates:  # a definition in the program counts before Quil's own gate of that name
            return self.gates.calls(item, own, angles, place)
        if item.name in _SAME:
            return [Instruction(_SAME[item.name], own, angles)]
        if item.name not in _OTHER:
            _READING.of(item.out(), "a gate that is not defined", place)
        given, turn = _OTHER[item.name](*angles)
        calls = [Instruction(gate, tuple(own[q] for q in on), values) for gate, on, values in given]  # type: ignore[arg-type]  # made Affine there
        return [*calls, *phase(turn, own[0])]

    def controlled(self, call: Instruction, control: int, item: quilbase.Gate, place: int) -> Instruction:
        row = GATES[call.gate]
        if row.controlled is None:
            _READING.of(item.out(), f"a controlled {call.gate}", place)
        step = row.call(row.controlled, (control, *call.qubits), call.angles)
        return Instruction(step.gate, step.qubits, tuple(map(Affine.of, step.angles)))

    def bit(self, reference: quilatom.MemoryReference, place: int) -> int:
        found = self.bits.get((reference.name, reference.offset))
        return _READING.of(str(reference), "a bit that is not declared BIT", place) if found is None else found

    def angle(self, value: Any, instruction: str) -> Affine:
        references: dict[str, quilatom.MemoryReference] = {}

        def collect(part: Any) -> None:
            if isinstance(part, quilatom.MemoryReference):
                size = self.sizes.get(part.name, 1)
                text = self.own_names.get(part.name, part.name) if size == 1 else f"{part.name}[{part.offset}]"
                references[text] = part
            elif isinstance(part, quilatom.BinaryExp):
                collect(part.op1)
                collect(part.op2)
            elif isinstance(part, quilatom.Function):
                collect(part.expression)

        def at(values: dict[str, float]) -> float:
            number: Any = quilatom.substitute(value, {references[name]: one for name, one in values.items()})
            if abs(complex(number).imag) > 0:
                raise ValueError("a complex angle")
            return complex(number).real

        collect(value)
        return self.names.affine(value, sorted(references), at, instruction)


def _label(item: Any) -> str:
    """The name of the place that a jump or label names."""
    return str(item.out()).split("@")[1].split()[0]


_MAKERS: dict[str, Callable[..., Any]] = {
    "id": gates.I, "x": gates.X, "y": gates.Y, "z": gates.Z, "h": gates.H, "s": gates.S, "t": gates.T, "rx": gates.RX,
    "ry": gates.RY, "rz": gates.RZ, "p": gates.PHASE, "cx": gates.CNOT, "cz": gates.CZ, "cp": gates.CPHASE,
    "swap": gates.SWAP, "ccx": gates.CCNOT, "cswap": gates.CSWAP,
    "sdg": lambda qubit: gates.S(qubit).dagger(), "tdg": lambda qubit: gates.T(qubit).dagger(),
}  # fmt: skip


def write(circuit: Circuit) -> Program:
    """Return the circuit as a ``pyquil.Program``; bit ``i`` is ``c[i]``.

    Raises:
        ConversionError: It has noise or readout errors.
    """
    out = Program()
    writer = _Writer(circuit, out)
    writer.append(out, circuit.instructions)
    idle = set(range(circuit.n_qubits)) - set(out.get_qubit_indices())
    out.inst(*(gates.I(qubit) for qubit in sorted(idle)))
    return out


class _Writer:
    def __init__(self, circuit: Circuit, out: Program) -> None:
        self.parameters: dict[str, Any] = {}
        taken = {*circuit.parameters}
        for number, name in enumerate(circuit.parameters):
            quil = name
            while not _QUIL_NAME.fullmatch(quil) or (quil != name and quil in taken) or quil in _RESERVED:
                quil = f"parameter_{number}" if quil == name else quil + "_"
            taken.add(quil)
            if quil != name:
                out.inst(quilbase.Pragma(_PRAGMA, [quil], name))
            self.parameters[name] = out.declare(quil, "REAL")
        region = "c"
        while region in taken:
            region += "_"
        self.bits: Any = out.declare(region, "BIT", circuit.n_bits) if circuit.n_bits else None

    def append(self, out: Program, operations: Sequence[Operation]) -> None:
        for position, item in enumerate(operations):
            match item:
                case Instruction():
                    for call in expanded(item, _MAKERS):
                        out.inst(_MAKERS[call.gate](*map(self.angle, call.angles), *call.qubits))
                case Measure() if item.is_exact:
                    out.inst(gates.MEASURE(item.qubit, self.bits[item.bit]))
                case Reset():
                    out.inst(gates.RESET(item.qubits[0]))
                case Barrier():
                    out.inst(gates.FENCE(*item.qubits))
                case Delay():
                    out.inst(gates.DELAY(item.qubits[0], item.duration_ns * 1e-9))
                case If():
                    self.condition(out, item)
                case _:
                    _WRITING.of(type(item).__name__, "noise", position, "Write the circuit without it.")

    def condition(self, out: Program, item: If) -> None:
        """Conditions on several bits stand inside each other; the other branch stands in each."""
        first, *rest = item.condition.bits
        wanted = item.condition.value >> len(rest) & 1
        inner, other = Program(), Program()
        if rest:
            self.condition(
                inner,
                If(Condition(tuple(rest), item.condition.value & (1 << len(rest)) - 1), item.then, item.otherwise),
            )
        else:
            self.append(inner, item.then)
        self.append(other, item.otherwise)
        out.if_then(self.bits[first], *((inner, other) if wanted else (other, inner)))

    def angle(self, value: Affine) -> Any:
        if value.is_constant:
            return value.constant
        total: Any = None
        for name, coefficient in value.terms:
            term = self.parameters[name] if coefficient == 1.0 else coefficient * self.parameters[name]
            total = term if total is None else total + term
        return total + value.constant if value.constant else total


_RESERVED = frozenset(
    {
        "pi",
        "i",
        "sin",
        "cos",
        "sqrt",
        "exp",
        "cis",
        "BIT",
        "OCTET",
        "INTEGER",
        "REAL",
        "NEG",
        "NOT",
        "AND",
        "IOR",
        "XOR",
    }
    | {"MOVE", "ADD", "SUB", "MUL", "DIV", "EQ", "GT", "GE", "LT", "LE", "LOAD", "STORE", "CONVERT", "EXCHANGE"}
    | {"WAIT", "XOR", "HALT", "NOP", "RESET", "MEASURE", "DECLARE", "PRAGMA", "LABEL", "JUMP", "INCLUDE", "SHARING"}
)
