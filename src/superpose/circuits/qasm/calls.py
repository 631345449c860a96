"""Gate calls to instructions, with those that were read before, or have plain numbers only, taken on a short path."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from superpose.circuits.gates import Step
from superpose.circuits.instruction import Instruction
from superpose.circuits.operations import Barrier, Delay, Operation
from superpose.circuits.parameters import Affine
from superpose.circuits.qasm.expansion import GPHASE
from superpose.circuits.qasm.gate_scope import GateScope
from superpose.circuits.qasm.lexer import Source
from superpose.circuits.qasm.registers import Registers
from superpose.circuits.qasm.statements import CallMatch
from superpose.circuits.qasm.syntax import Call
from superpose.circuits.qasm.values import Value, evaluate_angle

__all__ = ["CallReader"]

MAX_DECIMAL = 100
NO_PHASE = 1e-13  # what rounding may leave of global phases that cancel
_FACTOR = r"(?:pi|(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)"
_DECIMAL = re.compile(r"-?[0-9]++\.[0-9]++", re.ASCII)
_PRODUCT = re.compile(rf" *+-?{_FACTOR}(?:[*/]{_FACTOR})*+ *+", re.ASCII)
_PIECES = re.compile(rf"{_FACTOR}|[-*/]", re.ASCII)


_Made: TypeAlias = tuple[list[Instruction], Affine | None]
"""Instructions and the global phase beside them, None for none."""


@dataclass(frozen=True, slots=True)
class _Template:
    """What a call's head expands to, on qubits numbered as its operands are."""

    n_operands: int
    steps: tuple[tuple[str, tuple[int, ...], tuple[Affine, ...]], ...]
    phase: Affine | None

    def on(self, qubits: Sequence[int]) -> list[Instruction]:
        """Return the instructions on these qubits."""
        return [Instruction(gate, tuple([qubits[q] for q in local]), angles) for gate, local, angles in self.steps]


class CallReader:
    """Collects a program's operations.

    Args:
        source: The text, for errors.
        gates: Gates in scope.
        qubits: Registers of qubits.
        names: Values of constants and inputs.
        has_integers: Whether literals without a point are integers.
    """

    def __init__(
        self, source: Source, gates: GateScope, qubits: Registers, names: Mapping[str, Value], *, has_integers: bool
    ) -> None:
        self.operations: list[Operation] = []
        self._source = source
        self._gates = gates
        self._qubits = qubits
        self._names = names
        self._has_integers = has_integers
        self._phase = Affine()
        self._unobserved: set[int] = set()  # qubits measured without a bit
        self._templates: dict[str, _Template] = {}  # by a call's head as it stands in the text
        self._angles: dict[str, Affine] = {}
        self._shapes: dict[str, tuple[int, int, bool]] = {}
        self._places: dict[str, list[int]] = {}
        self._made: dict[str, _Made] = {}  # by a whole call as it stands in the text
        self._pending: CallMatch | None = None

    def forget(self) -> None:
        """Forget what calls meant, since a gate has been defined that may go before one used so far."""
        self._shapes.clear()
        self._templates.clear()
        self._made.clear()

    # the short path

    def take_plain(self, match: CallMatch) -> bool:
        """Deal with a call that was read before or whose angles are plain numbers; return whether that was done."""
        made = self._made.get(match[1])
        if made is not None:
            self._gates.charge(max(1, len(made[0])), match.start(1))
        else:
            made = self._plain(match)
            if made is None:
                self._pending = match
                return False
            self._made[match[1]] = made
        instructions, phase = made
        if self._unobserved:
            self._check_unobserved(instructions, match.start(1))
        self.operations += instructions
        if phase is not None:
            self._phase = self._phase + phase
        return True

    def _plain(self, match: CallMatch) -> _Made | None:
        head = match["head"]
        template = self._templates.get(head)
        if template is None:
            template = self._numeric(head, match.start(1))
        else:
            self._gates.charge(max(1, len(template.steps)), match.start(1))
        places = self._places.get(match["operands"]) or self._named(match["operands"])
        if template is None or places is None or template.n_operands != len(places):
            return None
        self._templates[head] = template
        return template.on(places), template.phase

    def _named(self, operands: str) -> list[int] | None:
        """The distinct places that elements of registers have, None where they are none."""
        places = [p for p in map(self._qubits.element, operands.split(",")) if p is not None]
        if len(set(places)) <= operands.count(","):
            return None
        self._places[operands] = places
        return places

    def _numeric(self, head: str, offset: int) -> _Template | None:
        """The template of a head whose angles are products of numbers and pi, else None."""
        name, _, rest = head.partition("(")
        shape = self._shapes.get(name)
        if shape is None:
            shape = self._gates.shape(name)
            if shape is None:
                return None
            self._shapes[name] = shape
        texts = rest[:-1].split(",") if rest else []
        angles = tuple([a for a in map(self._angle, texts) if a is not None])
        n_angles, n_qubits, is_row = shape
        if len(angles) < len(texts) or len(angles) != n_angles:
            return None
        if is_row:
            self._gates.charge(1, offset)
            return _Template(n_qubits, ((name, tuple(range(n_qubits)), angles),), None)
        return self._expanded(Call(offset, (), name, (), (), 0), angles, n_qubits)

    def _angle(self, text: str) -> Affine | None:
        """The value of a product of numbers and pi, None for any other text; as the evaluator has it, only sooner."""
        found = self._angles.get(text)
        if found is not None:
            return found
        if _DECIMAL.fullmatch(text) and len(text) < MAX_DECIMAL:
            return Affine.of(float(text))
        if _PRODUCT.fullmatch(text):
            pieces = _PIECES.findall(text)
            value = self._product(pieces[1:] if pieces[0] == "-" else pieces, -1 if pieces[0] == "-" else 1)
            if value is None or not math.isfinite(value):
                return None
            found = self._angles[text] = Affine.of(value)
        return found

    def _product(self, pieces: list[str], sign: int) -> float | None:
        total = sign * self._number(pieces[0])
        for operator, piece in zip(pieces[1::2], pieces[2::2], strict=True):
            value = self._number(piece)
            if isinstance(total, int) and isinstance(value, int):
                return None  # integers divide and overflow in their own way
            if operator == "*":
                total = total * value
            elif value:
                total = total / value
            else:
                return None
        return total

    def _number(self, text: str) -> float:
        if text == "pi":
            return math.pi
        if self._has_integers and text.isdigit():
            return int(text) if len(text) < 16 else math.nan  # long ones go the long way
        return float(text)

    # the long way

    def read(self, call: Call, end: int | None) -> None:
        """Append what a call means; ``end`` is the offset behind it if nothing more has been taken from the text.

        Raises:
            QasmError: No such gate, qubits or angles.
        """
        operands = [self._qubits.resolve(operand) for operand in call.operands]
        sizes = {len(o) for o in operands if not isinstance(o, int)}
        if len(sizes) > 1:
            raise self._source.error(call.offset, f"Registers of different sizes {sorted(sizes)} in one gate call.")
        angles = tuple(evaluate_angle(self._source, angle, self._names) for angle in call.angles)
        template = self._expanded(call, angles, len(operands))
        for k in range(sizes.pop() if sizes else 1):
            qubits = [o if isinstance(o, int) else o[k] for o in operands]
            if len(set(qubits)) < len(qubits):
                raise self._source.error(call.offset, f"Gate {call.name!r} is called on one qubit twice.")
            if k:
                self._gates.charge(max(1, len(template.steps)), call.offset)
            self._append(template.on(qubits), call.offset)
            if template.phase is not None:
                self._phase = self._phase + template.phase
        pending, self._pending = self._pending, None
        if pending is not None and pending.end() == end and pending.start(1) == call.offset:
            self._templates[pending["head"]] = template

    def _expanded(self, call: Call, angles: tuple[Affine, ...], n_operands: int) -> _Template:
        steps, phase = [], Affine()
        for step in self._gates.expand(call, angles, tuple(range(n_operands)), self._names):
            if step.gate == GPHASE:
                phase = phase + step.angles[0]
            else:
                steps.append((step.gate, step.qubits, _affine(step)))
        return _Template(n_operands, tuple(steps), None if phase == 0.0 else phase)

    def charge(self, n_steps: int, offset: int) -> None:
        """Count steps that give no operations.

        Raises:
            QasmError: Too many in all.
        """
        self._gates.charge(n_steps, offset)

    def emit(self, operations: Sequence[Operation], offset: int) -> None:
        """Append operations that are no gate calls.

        Raises:
            QasmError: Too many, or on a qubit that was measured without a bit.
        """
        self._gates.charge(len(operations), offset)
        self._append(operations, offset)

    def _append(self, operations: Sequence[Operation], offset: int) -> None:
        if self._unobserved:
            self._check_unobserved(operations, offset)
        self.operations += operations

    def unobserve(self, qubits: Sequence[int], offset: int) -> None:
        """Note a measurement without a bit, which changes nothing if it is the last that happens to its qubits."""
        self._gates.charge(len(qubits), offset)
        self._unobserved.update(qubits)

    def _check_unobserved(self, operations: Sequence[Operation], offset: int) -> None:
        for item in operations:
            if not isinstance(item, Barrier | Delay) and not self._unobserved.isdisjoint(item.qubits):
                raise self._source.error(
                    offset,
                    "Operations behind a measurement whose outcome is not kept are not supported; keep it in a bit.",
                )

    @contextmanager
    def apart(self) -> Iterator[list[Operation]]:
        """Collect what is read meanwhile in a list of its own; its global phase is not observable and dropped."""
        outer, phase = self.operations, self._phase
        self.operations = []
        try:
            yield self.operations
        finally:
            self.operations, self._phase = outer, phase

    def with_phase(self) -> list[Operation]:
        """Return all operations, with the global phase behind the gates with which they begin."""
        phase = self._phase
        if not phase.terms and abs(math.remainder(phase.constant, math.tau)) <= NO_PHASE:
            return self.operations
        plain = (Instruction, Barrier, Delay)
        place = next((k for k, item in enumerate(self.operations) if not isinstance(item, plain)), len(self.operations))
        pair = [Instruction("rz", (0,), (-2 * phase,)), Instruction("p", (0,), (2 * phase,))]
        return [*self.operations[:place], *pair, *self.operations[place:]]


def _affine(step: Step) -> tuple[Affine, ...]:
    return tuple(map(Affine.of, step.angles))
