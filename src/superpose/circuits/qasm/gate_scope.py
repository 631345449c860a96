"""The gates that OpenQASM text has in scope, and their calls brought down to steps of the gate table."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass

from superpose.circuits.gates import GATES, Gate, Step
from superpose.circuits.parameters import Affine, Parameter
from superpose.circuits.qasm.expansion import (
    GPHASE,
    Library,
    Template,
    controlled,
    flattened,
    inverted,
    negated_control,
)
from superpose.circuits.qasm.lexer import Source
from superpose.circuits.qasm.syntax import Call, GateDefinition, Modifier
from superpose.circuits.qasm.values import Value, evaluate_angle, evaluate_integer
from superpose.errors import CircuitError, QasmError

__all__ = ["TOKENS_PER_CHARGE", "GateScope"]

MAX_DEFINITION_DEPTH = 50
TOKENS_PER_CHARGE = 5


@dataclass(frozen=True, slots=True)
class _Steps:
    """A gate given by steps in named angles."""

    angles: tuple[str, ...]
    n_qubits: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class _Defined:
    """A gate defined in the text; ``depth`` counts definitions within definitions."""

    definition: GateDefinition
    depth: int


def _entry(gate: Gate | Template) -> Gate | _Steps:
    return gate if isinstance(gate, Gate) else _Steps(*gate)


class GateScope:
    """Gates by name, and the exact expansion of calls to them.

    Args:
        source: The text, for errors.
        library: The gates that are built in and those that may be included.
        reserved: Names that angles and qubits of definitions may not have.
        constants: Values of the text's constants, which definitions may use; read when a gate is called.
        max_instructions: Most steps that all calls together may expand to.
    """

    def __init__(
        self,
        source: Source,
        library: Library,
        reserved: frozenset[str],
        constants: dict[str, Value],
        max_instructions: int,
    ) -> None:
        self._source = source
        self._library = library
        self._reserved = reserved
        self._max_instructions = max_instructions
        self._constants = constants
        self._gates: dict[str, Gate | _Steps | _Defined] = {n: _entry(g) for n, g in library.built_in.items()}
        self._replaceable = {name: _entry(gate) for name, gate in library.extension.items()}
        self._n_charged = 0

    def include(self, path: str, offset: int) -> None:
        """Bring the gates of the library's file into scope.

        Raises:
            QasmError: Another file, or one of the gates is in scope already.
        """
        if path != self._library.path:
            raise self._source.error(offset, f'Only "{self._library.path}" can be included, got {path!r}.')
        for name, gate in self._library.included.items():
            self._add(name, _entry(gate), offset)

    def shape(self, name: str) -> tuple[int, int, bool] | None:
        """Return numbers of angles and qubits, and whether it is that row of the gate table; None for no such gate."""
        gate = self._found(name)
        if gate is None:
            return None
        if isinstance(gate, _Defined):
            return len(gate.definition.angles), len(gate.definition.qubits), False
        if isinstance(gate, _Steps):
            return len(gate.angles), gate.n_qubits, False
        return gate.n_angles, gate.n_qubits, gate.name == name

    def define(self, statement: GateDefinition) -> None:
        """Bring a gate defined in the text into scope; a definition that spells out a row of our table is that row.

        Raises:
            QasmError: The name is taken, a gate of the body is not in scope, or definitions are nested too deeply.
        """
        names = (*statement.angles, *statement.qubits)
        if len(set(names)) < len(names) or any(name in self._reserved for name in names):
            raise self._source.error(
                statement.offset, f"Gate {statement.name!r}: its angles and qubits need names of their own."
            )
        depth = 1
        for call in statement.body:
            inner = self._found(call.name)
            if inner is None and call.name != GPHASE:
                raise self._unknown(call)
            if isinstance(inner, _Defined):
                depth = max(depth, inner.depth + 1)
        if depth > MAX_DEFINITION_DEPTH:
            raise self._source.error(
                statement.offset, f"Gate definitions more than {MAX_DEFINITION_DEPTH} deep are not supported."
            )
        self._add(statement.name, self._row_spelled_by(statement) or _Defined(statement, depth), statement.offset)

    def expand(
        self, call: Call, angles: tuple[Affine, ...], qubits: tuple[int, ...], names: Mapping[str, Value]
    ) -> list[Step]:
        """Return the steps of ``call`` with its angles and operands evaluated; global phases are "gphase" steps.

        Raises:
            QasmError: Unknown gate, wrong arity, a qubit twice, or too many steps in all calls together.
        """
        if len(set(qubits)) < len(qubits):
            raise self._source.error(call.offset, f"Gate {call.name!r} is called on one qubit twice.")
        arguments = [self._argument(modifier, names) for modifier in call.modifiers]
        n_controls = sum(k for m, k in zip(call.modifiers, arguments, strict=True) if m.kind in ("ctrl", "negctrl"))
        steps = self._expand_gate(call, angles, qubits[n_controls:], n_missing=max(0, n_controls - len(qubits)))
        for modifier, argument in zip(reversed(call.modifiers), reversed(arguments), strict=True):
            if modifier.kind == "inv":
                self.charge(2 * len(steps), modifier.offset)
                steps = inverted(steps)
            elif modifier.kind == "pow":
                self.charge(len(steps) * abs(argument), modifier.offset)
                steps = (steps if argument >= 0 else inverted(steps)) * abs(argument)
            else:
                for control in reversed(qubits[n_controls - argument : n_controls]):
                    steps = controlled(steps, control, lambda made: self.charge(made, call.offset))
                    steps = negated_control(steps, control) if modifier.kind == "negctrl" else steps
                n_controls -= argument
        return steps

    def _add(self, name: str, gate: Gate | _Steps | _Defined, offset: int) -> None:
        if name in self._gates:
            raise self._source.error(offset, f"Gate {name!r} is defined twice.")
        self._gates[name] = gate

    def _found(self, name: str) -> Gate | _Steps | _Defined | None:
        return self._gates.get(name) or self._replaceable.get(name)

    def charge(self, n_steps: int, offset: int) -> None:
        """Count steps.

        Raises:
            QasmError: Too many in all.
        """
        self._n_charged += n_steps
        if self._n_charged > self._max_instructions:
            raise self._source.error(offset, f"The gate calls expand to more than {self._max_instructions} steps.")

    def _row_spelled_by(self, statement: GateDefinition) -> Gate | None:
        """The row of our table whose name and every step the definition has, if there is one."""
        row = GATES.get(statement.name)
        if row is None or not row.exact or not row.decomposition:
            return None
        if (row.n_angles, row.n_qubits) != (len(statement.angles), len(statement.qubits)):
            return None
        angles, qubits = tuple(Parameter(name) for name in row.angle_names), tuple(range(row.n_qubits))
        try:
            steps = self._expand_definition(statement, angles, qubits)
        except CircuitError:  # not affine in its angles, say: then it spells none of ours
            return None
        ours = [row.call(step, qubits, angles) for step in row.decomposition]
        return row if flattened(steps) == flattened(ours) else None

    def _argument(self, modifier: Modifier, names: Mapping[str, Value]) -> int:
        if modifier.argument is None:
            if modifier.kind == "pow":
                raise self._source.error(modifier.offset, "pow needs an exponent, as in pow(2) @ x q;")
            return 1
        if modifier.kind == "inv":
            raise self._source.error(modifier.offset, "inv takes no argument.")
        value = evaluate_integer(self._source, modifier.argument, names, f"The argument of {modifier.kind}")
        if modifier.kind != "pow" and value < 1:
            raise self._source.error(modifier.offset, f"{modifier.kind} takes at least one control, got {value}.")
        return value

    def _expand_gate(
        self, call: Call, angles: tuple[Affine, ...], qubits: tuple[int, ...], n_missing: int
    ) -> list[Step]:
        self.charge(1 + call.n_tokens // TOKENS_PER_CHARGE, call.offset)
        gate = self._found(call.name)
        got = (len(angles), len(qubits) - n_missing)
        if call.name == GPHASE:
            self._check_arity(call, (1, 0), got)
            return [Step(GPHASE, (), angles)]
        if gate is None:
            raise self._unknown(call)
        if isinstance(gate, _Defined):
            self._check_arity(call, (len(gate.definition.angles), len(gate.definition.qubits)), got)
            return self._expand_definition(gate.definition, angles, qubits)
        if isinstance(gate, _Steps):
            self._check_arity(call, (len(gate.angles), gate.n_qubits), got)
            values = dict(zip(gate.angles, angles, strict=True))
            return [Step(s.gate, tuple(qubits[q] for q in s.qubits), s.angles_at(values)) for s in gate.steps]
        self._check_arity(call, (gate.n_angles, gate.n_qubits), got)
        return [Step(gate.name, qubits, angles)]

    def _expand_definition(
        self, definition: GateDefinition, angles: tuple[Affine, ...], qubits: tuple[int, ...]
    ) -> list[Step]:
        own: dict[str, Value] = dict(zip(definition.angles, angles, strict=True))
        names = ChainMap(own, self._constants)
        places = dict(zip(definition.qubits, qubits, strict=True))
        steps: list[Step] = []
        for call in definition.body:
            inner = []
            for operand in call.operands:
                if operand.name not in places or operand.indices:
                    raise self._source.error(
                        operand.offset, f"Gate {definition.name!r} has the qubits {', '.join(definition.qubits)} only."
                    )
                inner.append(places[operand.name])
            values = tuple(evaluate_angle(self._source, angle, names) for angle in call.angles)
            steps += self.expand(call, values, tuple(inner), names)
        return steps

    def _check_arity(self, call: Call, wanted: tuple[int, int], got: tuple[int, int]) -> None:
        if got != wanted:
            controls = " after its controls" if call.modifiers else ""
            raise self._source.error(
                call.offset,
                f"Gate {call.name!r} takes {wanted[0]} angles and {wanted[1]} qubits{controls}, got {got}.",
            )

    def _unknown(self, call: Call) -> QasmError:
        in_library = call.name in self._library.included
        hint = f'write include "{self._library.path}"; first.' if in_library else "define it first."
        return self._source.error(call.offset, f"Gate {call.name!r} is not defined; {hint}")
