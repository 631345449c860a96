"""Q#, to and from: texts, files and operations of them, by the compiler of the Quantum Development Kit (``qdk``).

The compiler turns an operation into QIR (adaptive profile), which is read. Arguments of type ``Double`` become the
circuit's parameters, and stay symbolic exactly: the operation is compiled with numbers that are known only when the
program runs, so that the compiler writes down what it computes from them. Qubits are numbered as they are allocated;
the results that the operation returns are the first bits, in their order, other measurements the bits behind them. Q#
has no global phase after compilation: a circuit from Q# equals what was written up to one.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from qdk import Context, TargetProfile
from qdk.qsharp import QSharpError

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
from superpose.errors import CircuitFormatError, ConversionError
from superpose.frontends.qir import BARRIER, DELAY, circuit_of
from superpose.frontends.words import Names, Refusal, expanded

__all__ = ["QSharpOperation", "read", "write"]

_READING, _WRITING = Refusal("Q#"), Refusal("Q#", writing=True)
_PROFILE = TargetProfile.Adaptive_RIF
_OWN = "superpose_"
MAX_SHARED_TEXTS = 200
"""How many texts one compiler reads."""
_NAMED = re.compile(r"^\s*// superpose: parameter (\w+) is (\S+)\s*$", re.MULTILINE)
_DECLARED = re.compile(r"(@EntryPoint\s*\([^)]*\)\s*)?\b(?:internal\s+)?operation\s+(\w+)\s*(?:<[^>]*>)?\s*\(")
_SPACE = re.compile(r"\bnamespace\s+([\w.]+)\s*\{")
_COMMENT = re.compile(r"//[^\n]*|\"(?:\\.|[^\"\\])*\"")


@dataclass(frozen=True)
class QSharpOperation:
    """An operation of a Q# text, where it is not the only one.

    Attributes:
        text: Q# source.
        operation: Its name, with its namespace if it has one; empty for the entry point, ``Main``, or the only one.
        given: Values of arguments of type ``Int``, ``Bool`` and ``Double`` that are to be numbers, and lengths of those
            of type ``Double[]`` (parameters ``NAME_0``, ``NAME_1``, ...) and ``Qubit[]``.
    """

    text: str
    operation: str = ""
    given: Mapping[str, int | float | bool] = field(default_factory=dict)


def read(source: Any, name: str = "circuit") -> Circuit:
    """Return the circuit that an operation of a Q# text means: its entry point, ``Main``, or its only one.

    The compiler runs the classical part of the text; a text that never ends is compiled without end.

    Args:
        source: Q# source, or a `QSharpOperation`, which says which operation is meant.
        name: Of the circuit.

    Raises:
        CircuitFormatError: The text declares no operation.
        ConversionError: The compiler refuses the text, or something in it cannot be kept.
    """
    asked = QSharpOperation(source) if isinstance(source, str) else source
    if not isinstance(asked, QSharpOperation):
        _READING.of(type(source).__name__, "an object that is no Q# text")
    called, arguments = _signature(asked)
    own = {quil: given for quil, given in _NAMED.findall(asked.text)}
    names = Names(_READING)
    call = _Call(asked.given)
    values = [call.argument(*argument) for argument in arguments]
    for parameter in call.parameters:
        names(own.get(parameter, parameter))
    qir = _compiled(asked.text, called, lambda name: call.expression(name, values))
    parameters = [names.known[own.get(parameter, parameter)] for parameter in call.parameters]
    return circuit_of(qir, parameters, name, _READING)


class _Compiler(Context):  # type: ignore[misc]  # its package has no types
    """A compiler that keeps no Python function for each operation it reads.

    Those functions and their compiler refer to each other, so that Python would free them whenever it looks for such
    rings, in whichever thread it does; they may be freed only in the one that made them. Nothing here calls them.
    """

    def __init__(self) -> None:
        super().__init__(target_profile=_PROFILE)

    def _make_callable(self, *_registered: object) -> None:
        """Keep no function of an operation."""

    def _make_class(self, *_registered: object) -> None:
        """Keep no class of a type."""


class _Shared(threading.local):
    """A compiler that is used again: a new one reads Q#'s library first, for 0.4 s. Each thread needs its own."""

    def __init__(self) -> None:
        self.n_texts = MAX_SHARED_TEXTS

    def space(self) -> tuple[_Compiler, str]:
        """Return a compiler, and a namespace of it that is new; what stands in the others is not seen from it."""
        if self.n_texts >= MAX_SHARED_TEXTS:
            self.context, self.n_texts = _Compiler(), 0
        self.n_texts += 1
        return self.context, f"{_OWN}space_{self.n_texts}"


_SHARED = _Shared()


def _compiled(text: str, called: str, expression: Callable[[str], str]) -> str:
    """Return the QIR of a call."""
    if not re.search(rf"\b(namespace|EntryPoint|Main|{_OWN}space_\w*)\b", text):
        context, space = _SHARED.space()
        try:
            context.eval(f"namespace {space} {{ {text}\n}}", save_events=True)
            return str(context.compile(expression(f"{space}.{called}")))
        except QSharpError:
            pass  # a compiler of its own says why, or takes what does not stand in a namespace
        finally:
            del context  # an error's traceback keeps what stands here, and may be dropped in another thread
    return _compiled_alone(text, expression(called))


def _compiled_alone(text: str, call: str) -> str:
    """Return the QIR of a call, by a compiler of its own."""
    context = _Compiler()
    try:
        context.eval(text, save_events=True)
        return str(context.compile(call))
    except QSharpError as error:
        said = str(error)
    finally:
        del context
    return _refused(said)


def _refused(said: str) -> NoReturn:
    """Say what the compiler said in one line."""
    at = re.search(r"\[line_\d+:(\d+):(\d+)\]", said)
    marked = re.findall(r"^\s+(?:x|`->) (.+)$", said, re.MULTILINE)
    words = ": ".join(marked[:2]) or said.strip().partition("\n")[0]
    where = f"line {at[1]}, column {at[2]}: " if at else ""
    raise ConversionError(
        f"The compiler of Q# refuses the text: {where}{words}.",
        toolkit="Q#",
        feature=words,
        line=int(at[1]) if at else None,
        column=int(at[2]) if at else None,
    )


def _signature(asked: QSharpOperation) -> tuple[str, list[tuple[str, str]]]:
    """Return the full name of the operation that is meant, and its arguments with their types."""
    text = _COMMENT.sub(lambda found: " " * len(found[0]), asked.text)
    spaces = [(found.start(), found[1] + ".") for found in _SPACE.finditer(text)]
    found: dict[str, tuple[bool, list[tuple[str, str]]]] = {}
    for one in _DECLARED.finditer(text):
        if one[2].startswith(_OWN):
            continue
        space = next((name for start, name in reversed(spaces) if start < one.start()), "")
        found[space + one[2]] = bool(one[1]), _arguments(text, one.end())
    if not found:
        raise CircuitFormatError("The text declares no operation, so it is no Q# program.")
    wanted = [name for name in found if asked.operation in (name, name.rpartition(".")[2])] if asked.operation else []
    if not asked.operation:
        wanted = [name for name, (is_entry, _) in found.items() if is_entry]
        wanted = wanted or [name for name in found if name.rpartition(".")[2] == "Main"] or list(found)
    if len(wanted) != 1:
        _READING.of(
            asked.operation or "the text",
            "an operation that is not the only one of its name" if asked.operation else "more than one operation",
            hint=f"There are {', '.join(found)}. Name one Main, mark it with @EntryPoint(), or load "
            "superpose.frontends.qsharp.QSharpOperation(text, its name).",
        )
    return wanted[0], found[wanted[0]][1]


def _arguments(text: str, start: int) -> list[tuple[str, str]]:
    """Return names and types of the arguments that begin at ``start``."""
    depth, parts, part = 0, [], ""
    for character in text[start:]:
        if character == ")" and not depth:
            break
        depth += (character in "([") - (character in ")]")
        if character == "," and not depth:
            parts.append(part)
            part = ""
        else:
            part += character
    pairs = [one.partition(":") for one in (*parts, part) if one.strip()]
    return [(name.strip(), "".join(kind.split())) for name, _, kind in pairs]


@dataclass
class _Call:
    """The expression that calls an operation with numbers known only when the program runs."""

    given: Mapping[str, int | float | bool]
    parameters: list[str] = field(default_factory=list)
    qubits: list[str] = field(default_factory=list)

    def argument(self, name: str, kind: str) -> str:
        """Return what stands for an argument."""
        value = self.given.get(name)
        if kind == "Qubit":
            self.qubits.append(f"use {_OWN}{name} = Qubit();")
            return f"{_OWN}{name}"
        if kind == "Double":
            return self.parameter(name) if value is None else _number(float(value))
        if value is None:
            _READING.of(
                f"{name} : {kind}",
                f"an argument of type {kind} without a value",
                hint="Load superpose.frontends.qsharp.QSharpOperation(text, operation, given={...}) with one "
                "(a length for Double[] and Qubit[]).",
            )
        if kind == "Qubit[]":
            self.qubits.append(f"use {_OWN}{name} = Qubit[{int(value)}];")
            return f"{_OWN}{name}"
        if kind == "Double[]":
            return "[" + ", ".join(self.parameter(f"{name}_{place}") for place in range(int(value))) + "]"
        if kind == "Int":
            return str(int(value))
        if kind == "Bool":
            return str(bool(value)).lower()
        return _READING.of(f"{name} : {kind}", f"an argument of type {kind}")

    def parameter(self, name: str) -> str:
        self.parameters.append(name)
        return f"{_OWN}parameter_{len(self.parameters) - 1}"

    def expression(self, called: str, values: Sequence[str]) -> str:
        probe = f"{_OWN}probe"
        lines = [f"use {probe} = Qubit();"] if self.parameters else []
        for place in range(len(self.parameters)):
            lines.append(f"let {_OWN}parameter_{place} = MResetZ({probe}) == One ? 1.0 | 0.0;")
        return "{ " + " ".join([*lines, *self.qubits, f"{called}({', '.join(values)})"]) + " }"


def _number(value: float) -> str:
    """Return a number in Q#'s spelling, all its digits kept.

    >>> _number(1e-05), _number(-2.0)
    ('1.0e-05', '-2.0')
    """
    mantissa, e, exponent = repr(value).partition("e")
    return mantissa + ("" if "." in mantissa else ".0") + e + exponent


_MAKERS = {
    "h": "H", "x": "X", "y": "Y", "z": "Z", "s": "S", "t": "T", "sx": "SX", "sdg": "Adjoint S", "tdg": "Adjoint T",
    "rx": "Rx", "ry": "Ry", "rz": "Rz", "p": "R1", "rxx": "Rxx", "ryy": "Ryy", "rzz": "Rzz", "cx": "CNOT", "cy": "CY",
    "cz": "CZ", "swap": "SWAP", "ccx": "CCNOT", "id": "I",
}  # fmt: skip
_PLAIN_NAME = re.compile(r"[a-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")
_TAKEN = frozenset(
    {
        "q",
        "adjoint",
        "and",
        "apply",
        "as",
        "auto",
        "body",
        "borrow",
        "controlled",
        "distribute",
        "elif",
        "else",
        "export",
    }
    | {
        "fail",
        "false",
        "fixup",
        "for",
        "function",
        "if",
        "import",
        "in",
        "internal",
        "intrinsic",
        "invert",
        "is",
        "let",
    }
    | {"mutable", "namespace", "new", "newtype", "not", "open", "operation", "or", "repeat", "return", "self", "set"}
    | {"struct", "true", "until", "use", "using", "while", "within"}
)


def write(circuit: Circuit) -> str:
    """Return Q# source with an operation ``Circuit``: its arguments are the parameters, it returns the circuit's bits.

    Barriers and delays are intrinsics that do nothing in a simulator; all qubits are reset at the end, as Q# asks.

    Raises:
        ConversionError: The circuit has noise or readout errors, measures inside a condition, or has bits that nothing
            writes.
    """
    writer = _Writer(circuit)
    body = [f"    {line}" for line in writer.lines(circuit.instructions)]
    missing = sorted(set(range(circuit.n_bits)) - writer.written.keys())
    if missing:
        _WRITING.of("Measure", f"bit {missing[0]}, which nothing writes")
    arguments = ", ".join(f"{name} : Double" for name in writer.names.values())
    returned = [f"    return [{', '.join(writer.written[bit] for bit in range(circuit.n_bits))}];"]
    return "\n".join(
        [
            *writer.heading(),
            f"operation Circuit({arguments}) : {'Result[]' if circuit.n_bits else 'Unit'} {{",
            f"    use q = Qubit[{circuit.n_qubits}];",
            *body,
            "    ResetAll(q);",
            *(returned if circuit.n_bits else ()),
            "}",
            "",
        ]
    )


class _Writer:
    def __init__(self, circuit: Circuit) -> None:
        self.names: dict[str, str] = {}
        for place, name in enumerate(circuit.parameters):
            plain = name
            while (plain != name and plain in circuit.parameters) or not _usable(plain):
                plain = f"parameter_{place}" if plain == name else plain + "a"
            self.names[name] = plain
        self.written: dict[int, str] = {}
        self.n_measured = 0
        self.declared: dict[str, str] = {}

    def heading(self) -> Iterator[str]:
        """Give the lines above the operation."""
        for name, plain in self.names.items():
            if name != plain:
                yield f"// superpose: parameter {plain} is {name}"
        for name, arguments in self.declared.items():
            yield from ("@SimulatableIntrinsic()", f"operation {name}({arguments}) : Unit {{}}")

    def lines(self, operations: Sequence[Operation], *, inside: bool = False) -> Iterator[str]:
        """Give statements."""
        for position, item in enumerate(operations):
            on = ", ".join(f"q[{qubit}]" for qubit in item.qubits)
            match item:
                case Instruction():
                    for call in expanded(item, _MAKERS):
                        parts = [*map(self.angle, call.angles), *(f"q[{qubit}]" for qubit in call.qubits)]
                        yield f"{_MAKERS[call.gate]}({', '.join(parts)});"
                case Measure() if item.is_exact and not inside:
                    self.written[item.bit] = f"r{self.n_measured}"
                    self.n_measured += 1
                    yield f"let {self.written[item.bit]} = M({on});"
                case Reset():
                    yield f"Reset({on});"
                case Barrier():
                    name = f"{BARRIER}{len(item.qubits)}"
                    self.declared[name] = ", ".join(f"q{place} : Qubit" for place in range(len(item.qubits)))
                    yield f"{name}({on});"
                case Delay():
                    self.declared[DELAY] = "nanoseconds : Double, q : Qubit"
                    yield f"{DELAY}({_number(float(item.duration_ns))}, {on});"
                case If():
                    yield f"if {self.asked(item.condition, position)} {{"
                    yield from (f"    {line}" for line in self.lines(item.then, inside=True))
                    yield from ["} else {"] if item.otherwise else []
                    yield from (f"    {line}" for line in self.lines(item.otherwise, inside=True))
                    yield "}"
                case Measure() if item.is_exact:
                    _WRITING.of("Measure", "a measurement inside a condition", position)
                case _:
                    _WRITING.of(type(item).__name__, "noise", position, "Write the circuit without it.")

    def asked(self, condition: Condition, position: int) -> str:
        n = len(condition.bits)
        parts = []
        for place, bit in enumerate(condition.bits):
            if bit not in self.written:
                _WRITING.of("If", f"bit {bit}, which nothing has written", position)
            parts.append(f"{self.written[bit]} == {'One' if condition.value >> (n - 1 - place) & 1 else 'Zero'}")
        return " and ".join(parts)

    def angle(self, angle: Affine) -> str:
        terms = [
            self.names[name] if coefficient == 1.0 else f"{_number(coefficient)} * {self.names[name]}"
            for name, coefficient in angle.terms
        ]
        if angle.constant or not terms:
            terms.append(_number(angle.constant))
        return " + ".join(terms)


def _usable(name: str) -> bool:
    return (
        _PLAIN_NAME.fullmatch(name) is not None and name not in _TAKEN and not re.fullmatch(r"r\d+|superpose_.*", name)
    )
