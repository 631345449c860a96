"""OpenQASM 2 as a toolkit whose circuits are texts.

What is written uses the gates of the paper's ``qelib1.inc`` and defines every other gate, so that any reader of
OpenQASM 2 knows all of them. The standard leaves global phases open; with those of Qiskit's gates (``u1`` is
``diag(1, exp(i lam))``, ``rx``, ``ry`` and ``rz`` have determinant 1) texts mean the circuit with its global phase.

Source: Cross, Bishop, Smolin, Gambetta, "Open Quantum Assembly Language", arXiv:1707.03429.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from superpose.circuits import (
    GATES,
    Affine,
    Barrier,
    Circuit,
    If,
    Instruction,
    Measure,
    Operation,
    Parameter,
    Reset,
    from_qasm,
)
from superpose.circuits.operations import walk
from superpose.circuits.qasm.writer import angle_text
from superpose.frontends.words import Refusal, expanded

__all__ = ["read", "write"]

_EXPONENT = re.compile(r"(?<![\w.])([0-9]+)(e[-+]?[0-9])")
MAX_FREE_BITS = 6
"""A condition is written for each value of its register's other bits."""

_refusal = Refusal("OpenQASM 2", writing=True)

_NAMES = {
    **{name: name for name in ("cx", "id", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "rx", "ry", "rz")},
    **{name: name for name in ("cz", "cy", "ch", "ccx", "crz")},
    "p": "u1",
    "cp": "cu1",
}
"""Our gates that the paper's qelib1.inc has, with their names there."""


def read(source: str, name: str = "circuit") -> Circuit:
    """Return the circuit that a text means, of OpenQASM 2 or 3.

    Raises:
        QasmError: It cannot be read; with line and column.
    """
    return from_qasm(source, name)


def write(circuit: Circuit) -> str:
    """Return the circuit as OpenQASM 2 text.

    Raises:
        ConversionError: It has free parameters, delays, noise, conditions that stand in each other or write their own
            register, or barriers under a condition: OpenQASM 2 has no words for them.

    Cost: linear in the number of instructions; conditions ask for whole registers and are written once for each value.

    >>> print(write(Circuit(2, n_bits=2).h(0).swap(0, 1).measure_all()), end="")
    OPENQASM 2.0;
    include "qelib1.inc";
    gate swap q0,q1 { cx q0,q1; cx q1,q0; cx q0,q1; }
    qreg q[2];
    creg c[2];
    h q[0];
    swap q[0],q[1];
    measure q[0] -> c[0];
    measure q[1] -> c[1];
    """
    if circuit.parameters:
        names = ", ".join(circuit.parameters)
        _refusal.of(names, "free parameters", hint="Bind them first with circuit.bind, or write openqasm3.")
    registers = _Registers(circuit)
    body = [line for place, item in enumerate(circuit.instructions) for line in _lines(item, place, registers)]
    lines = ["OPENQASM 2.0;", 'include "qelib1.inc";']
    lines += _definitions(item.gate for item in walk(circuit.instructions) if isinstance(item, Instruction))
    lines.append(f"qreg q[{circuit.n_qubits}];")
    lines += [f"creg {name}[{size}];" for name, size in registers.sizes()]
    return "\n".join([*lines, *body, ""])


class _Registers:
    """Registers of bits, cut so that each condition asks for bits of one of them, and small ones where it can be."""

    def __init__(self, circuit: Circuit) -> None:
        spans = sorted(
            (min(item.condition.bits), max(item.condition.bits) + 1)
            for item in circuit.instructions
            if isinstance(item, If)
        )
        merged: list[tuple[int, int]] = []
        for start, end in spans:
            if merged and start < merged[-1][1]:
                start, end = merged[-1][0], max(end, merged.pop()[1])
            merged.append((start, end))
        cuts = sorted({0, circuit.n_bits, *(end for part in merged for end in part)})
        self._parts = list(pairwise(cuts))
        alone = len(self._parts) == 1
        self._names = {part: "c" if alone else f"c{k}" for k, part in enumerate(self._parts)}
        self._places = {bit: (part, bit - part[0]) for part in self._parts for bit in range(*part)}

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Give names and sizes."""
        for part in self._parts:
            yield self._names[part], part[1] - part[0]

    def bit(self, bit: int) -> str:
        """Return a bit as text."""
        part, index = self._places[bit]
        return f"{self._names[part]}[{index}]"

    def asked(self, item: If, place: int) -> Iterator[tuple[str, Operation]]:
        """Give the operations of both branches, each with each value of the whole register for which it stands."""
        bits = item.condition.bits
        part, _ = self._places[bits[0]]
        if any(bit in range(*part) for inner in (*item.then, *item.otherwise) for bit in inner.bits):
            _refusal.of("If", "a condition whose branch writes or asks for bits of its own register again", place)
        size = part[1] - part[0]
        if (size if item.otherwise else size - len(bits)) > MAX_FREE_BITS:
            _refusal.of(
                "If",
                f"a condition on {len(bits)} bits of a register of {size}",
                place,
                hint=f"It is written for each value of the others; at most {MAX_FREE_BITS}, or all with an else.",
            )
        wanted = {bit: (item.condition.value >> (len(bits) - 1 - k)) & 1 for k, bit in enumerate(bits)}
        free = [bit for bit in range(*part) if bit not in wanted]
        fixed = sum(value << (bit - part[0]) for bit, value in wanted.items())
        holds = [
            fixed + sum(((k >> n) & 1) << (bit - part[0]) for n, bit in enumerate(free)) for k in range(1 << len(free))
        ]
        others = sorted(set(range(1 << size)) - set(holds)) if item.otherwise else []
        for values, branch in ((holds, item.then), (others, item.otherwise)):
            for value in values:
                for inner in branch:
                    yield f"if({self._names[part]}=={value})", inner


def _lines(item: Operation, place: int, registers: _Registers) -> Iterator[str]:
    match item:
        case Instruction():
            yield from _calls(item)
        case Measure() if item.is_exact:
            yield f"measure q[{item.qubit}] -> {registers.bit(item.bit)};"
        case Reset():
            yield f"reset q[{item.qubits[0]}];"
        case Barrier():
            yield f"barrier {','.join(f'q[{q}]' for q in item.qubits)};"
        case If():
            for asked, inner in registers.asked(item, place):
                if isinstance(inner, If | Barrier):
                    _refusal.of(type(inner).__name__, f"{type(inner).__name__} under a condition", place)
                for line in _lines(inner, place, registers):
                    yield f"{asked} {line}"
        case Measure():
            _refusal.of("Measure", "a readout error", place, hint="Send a noise model beside the circuit.")
        case _:
            _refusal.of(type(item).__name__, type(item).__name__, place)


def _calls(item: Instruction) -> Iterator[str]:
    """A gate's call, or those that come to it: u has a global phase that no gate of OpenQASM 2 has."""
    for call in expanded(item, GATES.keys() - {"u"}):
        yield _call(call, [f"q[{q}]" for q in call.qubits])


def _call(call: Instruction, operands: Sequence[str]) -> str:
    angles = f"({','.join(_angle(angle) for angle in call.angles)})" if call.angles else ""
    return f"{_NAMES.get(call.gate, call.gate)}{angles} {','.join(operands)};"


def _angle(angle: Affine) -> str:
    """An angle as text; OpenQASM 2 wants a point before an exponent."""
    return _EXPONENT.sub(r"\1.0\2", angle_text(angle))


def _definitions(gates: Iterable[str]) -> list[str]:
    """Definitions of the gates that qelib1.inc lacks, each in gates defined before it."""
    found: dict[str, str] = {}

    def visit(gate: str) -> None:
        row = GATES[gate]
        if gate in _NAMES or gate in found or gate == "u":
            return
        whole = Instruction(gate, tuple(range(row.n_qubits)), tuple(Affine.of(Parameter(n)) for n in row.angle_names))
        body = []
        for step in row.decomposition:
            made = row.call(step, whole.qubits, whole.angles)
            call = Instruction(made.gate, made.qubits, tuple(Affine.of(angle) for angle in made.angles))
            for part in expanded(call, GATES.keys() - {"u"}):
                visit(part.gate)
                body.append(_call(part, [f"q{q}" for q in part.qubits]))
        angles = f"({','.join(row.angle_names)})" if row.n_angles else ""
        operands = ",".join(f"q{q}" for q in range(row.n_qubits))
        found[gate] = f"gate {gate}{angles} {operands} {{ {' '.join(body)} }}"

    for gate in sorted(set(gates)):
        visit(gate)
    return list(found.values())
