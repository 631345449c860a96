"""Circuits: lists of gate calls on numbered qubits, with angles that may stay symbolic."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from superpose.circuits.builder import GateMethods
from superpose.circuits.gates import GATES, gate
from superpose.circuits.parameters import Affine, AngleLike, Parameter
from superpose.circuits.wording import listed, shown
from superpose.errors import GateArityError, ParameterUnboundError, ProgramError, QubitOutOfRangeError

__all__ = ["Circuit", "Instruction"]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One call of a gate.

    Args:
        gate: Name of a row of the gate table.
        qubits: Distinct qubit indices, as many as the row asks for, controls first.
        angles: As many angles as the row asks for; numbers become constant `Affine` values.

    Raises:
        GateUnknownError: No such gate.
        GateArityError: Another number of qubits or angles, or a qubit twice.
        QubitOutOfRangeError: A negative qubit.
        AngleError: An angle is neither a finite real number nor an `Affine`.

    >>> Instruction("rx", (0,), (0.5,))
    Instruction(gate='rx', qubits=(0,), angles=(0.5,))
    """

    gate: str
    qubits: tuple[int, ...]
    angles: tuple[Affine, ...] = ()

    def __post_init__(self) -> None:
        row = gate(self.gate)
        qubits = tuple(map(_index, self.qubits))
        if len(qubits) != len(row.qubit_names) or (len(qubits) > 1 and len(set(qubits)) != len(qubits)):
            raise GateArityError(
                f"Gate {row.name} acts on {row.n_qubits} distinct qubits ({', '.join(row.qubit_names)}), got {qubits}.",
                gate=row.name,
                qubits=list(qubits),
            )
        if min(qubits) < 0:
            raise QubitOutOfRangeError(
                f"Qubits are numbered from 0, got {qubits} for gate {row.name}.", qubits=list(qubits)
            )
        if len(self.angles) != len(row.angle_names):
            raise GateArityError(
                f"Gate {row.name} takes {row.n_angles} angles ({', '.join(row.angle_names) or 'none'}), "
                f"got {len(self.angles)}.",
                gate=row.name,
            )
        object.__setattr__(self, "qubits", qubits)
        object.__setattr__(self, "angles", tuple(map(Affine.of, self.angles)))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters in the angles, in order of appearance, each once."""
        return tuple(dict.fromkeys(name for angle in self.angles for name in angle.names))

    def bind(self, values: Mapping[str, AngleLike]) -> Instruction:
        """Return the call with the parameters named in ``values`` replaced; itself where it has none of them."""
        bound = tuple(angle.substitute(values) for angle in self.angles)
        return self if bound == self.angles else Instruction(self.gate, self.qubits, bound)

    def moved(self, places: Sequence[int]) -> Instruction:
        """Return the call on qubits ``places[q]`` in the place of ``q``."""
        return Instruction(self.gate, tuple(places[q] for q in self.qubits), self.angles)

    def inverse(self) -> Instruction:
        """Return the call that undoes this one."""
        row = GATES[self.gate]
        step = row.call(row.inverse, self.qubits, self.angles)
        return Instruction(step.gate, step.qubits, tuple(map(Affine.of, step.angles)))


class Circuit(GateMethods):
    """A circuit on qubits ``0 .. n_qubits - 1``; qubit 0 is the leftmost character of bit strings.

    There is one method per gate of the table (``h``, ``rx``, ``cx``, ``u``, ...), angles first, then qubits; each
    appends and returns the circuit. Circuits with equal qubit counts and instructions are equal; the name is a label.

    Args:
        n_qubits: Number of qubits, at least 1.
        name: A label for people.

    >>> theta = Parameter("theta")
    >>> bell = Circuit(2, name="bell").h(0).cx(0, 1).rz(2 * theta + 0.1, 1)
    >>> bell.parameters
    ('theta',)
    >>> print(bell)
    q0: ──H──●─────────────────────
    q1: ─────X──RZ(2*theta + 0.1)──
    """

    __slots__ = ("_digest", "_instructions", "_is_frozen", "_n_qubits", "_names", "_seen", "name")
    __hash__ = None  # type: ignore[assignment]  # circuits grow; use `digest` as a key

    def __init__(self, n_qubits: int, name: str = "circuit") -> None:
        self._n_qubits = _index(n_qubits)
        if self._n_qubits < 1:
            raise ProgramError(f"A circuit has at least 1 qubit, got n_qubits={n_qubits}.")
        self.name = str(name)
        self._instructions: list[Instruction] = []
        self._names: dict[str, None] = {}  # in order of first appearance
        self._seen: tuple[Instruction, ...] | None = ()  # what `instructions` gave last
        self._is_frozen = False
        self._digest: str | None = None

    def append(self, gate: str, qubits: Sequence[int], angles: Sequence[AngleLike] = ()) -> Self:
        """Append a gate by name and return the circuit.

        Raises:
            GateUnknownError, GateArityError, AngleError: See `Instruction`.
            QubitOutOfRangeError: A qubit is not in ``0 .. n_qubits - 1``.

        >>> Circuit(2).append("cx", [0, 1]).n_instructions
        1
        """
        return self._add(Instruction(gate, tuple(qubits), tuple(angles)))  # type: ignore[arg-type]  # made Affine there

    def _add(self, instruction: Instruction) -> Self:
        if self._is_frozen:
            raise ProgramError("This circuit belongs to a program and does not change; append to its copy().")
        if max(instruction.qubits) >= self._n_qubits:
            raise QubitOutOfRangeError(
                f"Gate {instruction.gate} on {instruction.qubits} does not fit a circuit of {self.n_qubits} qubits; "
                f"qubits are 0 .. {self.n_qubits - 1}.",
                qubits=list(instruction.qubits),
                n_qubits=self.n_qubits,
            )
        self._instructions.append(instruction)
        for angle in instruction.angles:
            for name, _ in angle.terms:
                self._names[name] = None
        self._seen = self._digest = None
        return self

    def extend(self, instructions: Iterable[Instruction]) -> Self:
        """Append ready-made instructions and return the circuit.

        Raises:
            QubitOutOfRangeError: A qubit is not in ``0 .. n_qubits - 1``; the instructions before it are kept.
        """
        for item in instructions:
            self._add(item)
        return self

    @property
    def n_qubits(self) -> int:
        """Number of qubits."""
        return self._n_qubits

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        """The gate calls, first applied first."""
        if self._seen is None:
            self._seen = tuple(self._instructions)
        return self._seen

    @property
    def n_instructions(self) -> int:
        """Number of gate calls."""
        return len(self._instructions)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters, in order of first appearance (sorted by name within one angle)."""
        return tuple(self._names)

    @property
    def n_params(self) -> int:
        """Number of parameters."""
        return len(self._names)

    @property
    def digest(self) -> str:
        """Hex SHA-256 of qubit count and instructions, as JSON without spaces; the name does not enter."""
        if self._digest is None:
            instructions = [
                [item.gate, item.qubits, [[a.constant, *a.terms] if a.terms else a.constant for a in item.angles]]
                for item in self._instructions
            ]
            canonical = json.dumps([self.n_qubits, instructions], separators=(",", ":"))
            self._digest = hashlib.sha256(canonical.encode()).hexdigest()
        return self._digest

    def bind(self, values: Mapping[str | Parameter, AngleLike]) -> Circuit:
        """Return the circuit with some or all parameters replaced by numbers or other expressions.

        Raises:
            ParameterUnboundError: The circuit has no parameter of a given name.

        >>> Circuit(1).rx(2 * Parameter("a") + 1, 0).bind({"a": 0.25}).instructions[0].angles
        (1.5,)
        """
        named = {(key.name if isinstance(key, Parameter) else key): Affine.of(value) for key, value in values.items()}
        unknown = [name for name in named if name not in self._names]
        if unknown:
            raise ParameterUnboundError(
                f"Circuit has no parameters {listed(unknown)}; it has {listed(self._names)}.", unknown=unknown[:100]
            )
        return Circuit(self.n_qubits, self.name).extend(item.bind(named) for item in self._instructions)

    def compose(self, other: Circuit, qubits: Sequence[int] | None = None) -> Circuit:
        """Return this circuit followed by ``other``, whose qubit ``i`` is put on ``qubits[i]`` (default ``i``).

        Raises:
            QubitOutOfRangeError: ``qubits`` does not name one distinct qubit of this circuit per qubit of ``other``.
        """
        places = tuple(range(other.n_qubits)) if qubits is None else tuple(map(_index, qubits))
        if len(places) != other.n_qubits or len(set(places)) != len(places):
            raise QubitOutOfRangeError(
                f"A circuit of {other.n_qubits} qubits needs as many distinct qubits, got {places}.",
                qubits=list(places),
            )
        return self.copy().extend(item.moved(places) for item in other._instructions)

    def inverse(self) -> Circuit:
        """Return the circuit that undoes this one: each gate's inverse, in reverse order.

        >>> Circuit(1).s(0).rx(0.5, 0).inverse().instructions[0]
        Instruction(gate='rx', qubits=(0,), angles=(-0.5,))
        """
        return Circuit(self.n_qubits, self.name).extend(item.inverse() for item in reversed(self._instructions))

    def copy(self, name: str | None = None) -> Circuit:
        """Return an independent copy that can grow, under another name if one is given."""
        out = Circuit(self.n_qubits, self.name if name is None else name)
        out._instructions, out._names = list(self._instructions), dict(self._names)
        out._seen, out._digest = self._seen, self._digest
        return out

    def frozen(self) -> Circuit:
        """Return a copy that refuses further gates, as programs hold it; itself where it is one already."""
        if self._is_frozen:
            return self
        out = self.copy()
        out._is_frozen = True
        return out

    def depth(self) -> int:
        """Return the number of layers when each gate starts as soon as its qubits are free; 0 when empty."""
        busy = [0] * self.n_qubits
        for item in self._instructions:
            layer = 1 + max(busy[q] for q in item.qubits)
            for q in item.qubits:
                busy[q] = layer
        return max(busy)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Circuit):
            return NotImplemented
        return self.n_qubits == other.n_qubits and self._instructions == other._instructions

    def __repr__(self) -> str:
        return (
            f"Circuit(n_qubits={self.n_qubits}, name={self.name!r}, "
            f"n_instructions={self.n_instructions}, n_params={self.n_params})"
        )

    def __str__(self) -> str:
        from superpose.circuits.drawing import draw

        return draw(self)


def _index(value: object) -> int:
    try:
        return operator.index(value)  # type: ignore[arg-type]  # what is not an integer is told so below
    except TypeError:
        raise QubitOutOfRangeError(
            f"Qubits are counted and numbered by integers, got {shown(value)} of type {type(value).__name__}."
        ) from None
