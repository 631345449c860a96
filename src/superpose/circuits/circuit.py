"""Circuits: lists of operations on numbered qubits and classical bits, with angles that may stay symbolic."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy.typing as npt

from superpose.circuits.builder import ChannelMethods, GateMethods
from superpose.circuits.instruction import Instruction, qubit_index
from superpose.circuits.operations import (
    Barrier,
    Channel,
    Condition,
    Delay,
    If,
    KrausChannel,
    Measure,
    Operation,
    Reset,
    walk,
)
from superpose.circuits.parameters import Affine, AngleLike, Parameter
from superpose.circuits.wording import listed
from superpose.errors import ParameterUnboundError, ProgramError, QubitOutOfRangeError, UnsupportedProgramError

__all__ = ["Circuit", "Instruction"]


class Circuit(GateMethods, ChannelMethods):
    """A circuit on qubits ``0 .. n_qubits - 1``; qubit 0 is the leftmost character of bit strings.

    There is one method per gate of the table (``h``, ``rx``, ``cx``, ``u``, ...), angles first, then qubits, and one
    per noise channel (``depolarizing``, ``amplitude_damping``, ...), numbers first; each appends and returns the
    circuit, as do ``measure``, ``reset``, ``delay``, ``barrier`` and ``if_``. Circuits with equal counts of qubits and
    bits and equal operations are equal; the name is a label.

    Args:
        n_qubits: Number of qubits, at least 1.
        name: A label for people.
        n_bits: Number of classical bits, which measurements write; bit 0 is the leftmost character of bit strings.

    >>> theta = Parameter("theta")
    >>> bell = Circuit(2, name="bell").h(0).cx(0, 1).rz(2 * theta + 0.1, 1)
    >>> bell.parameters
    ('theta',)
    >>> print(bell)
    q0: ──H──●─────────────────────
    q1: ─────X──RZ(2*theta + 0.1)──
    """

    __slots__ = (
        "_digest", "_has_noise", "_instructions", "_is_frozen", "_is_unitary", "_n_bits", "_n_qubits", "_names",
        "_seen", "name",
    )  # fmt: skip
    __hash__ = None  # type: ignore[assignment]  # circuits grow; use `digest` as a key

    def __init__(self, n_qubits: int, name: str = "circuit", *, n_bits: int = 0) -> None:
        self._n_qubits, self._n_bits = qubit_index(n_qubits), qubit_index(n_bits)
        if self._n_qubits < 1:
            raise ProgramError(f"A circuit has at least 1 qubit, got n_qubits={n_qubits}.")
        if self._n_bits < 0:
            raise ProgramError(f"A circuit has 0 or more classical bits, got n_bits={n_bits}.")
        self.name = str(name)
        self._instructions: list[Operation] = []
        self._names: dict[str, None] = {}  # in order of first appearance
        self._seen: tuple[Operation, ...] | None = ()  # what `instructions` gave last
        self._is_unitary, self._has_noise = True, False
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

    def _add(self, item: Operation) -> Self:
        if self._is_frozen:
            raise ProgramError("This circuit belongs to a program and does not change; append to its copy().")
        if item.qubits and max(item.qubits) >= self._n_qubits:
            what = f"Gate {item.gate}" if isinstance(item, Instruction) else type(item).__name__
            raise QubitOutOfRangeError(
                f"{what} on {item.qubits} does not fit a circuit of {self.n_qubits} qubits; "
                f"qubits are 0 .. {self.n_qubits - 1}.",
                qubits=list(item.qubits),
                n_qubits=self.n_qubits,
            )
        if isinstance(item, Instruction):
            for angle in item.angles:
                for name, _ in angle.terms:
                    self._names[name] = None
        else:
            self._note(item)
        self._instructions.append(item)
        self._seen = self._digest = None
        return self

    def _note(self, item: Operation) -> None:
        """Check and note what an operation that is no gate brings along."""
        bits = item.bits
        if bits and max(bits) >= self._n_bits:
            raise QubitOutOfRangeError(
                f"{type(item).__name__} uses classical bits {bits}, the circuit has {self._n_bits}; "
                "make it with n_bits=... or use measure_all().",
                bits=list(bits),
                n_bits=self._n_bits,
            )
        self._names.update(dict.fromkeys(item.names))
        if not isinstance(item, Barrier | Delay):
            self._is_unitary = False
        for inner in walk((item,)):
            noisy = isinstance(inner, Channel | KrausChannel) or (isinstance(inner, Measure) and not inner.is_exact)
            self._has_noise = self._has_noise or noisy

    def extend(self, instructions: Iterable[Operation]) -> Self:
        """Append ready-made operations and return the circuit.

        Raises:
            QubitOutOfRangeError: A qubit is not in ``0 .. n_qubits - 1``, or a bit not in ``0 .. n_bits - 1``; the
                operations before it are kept.
        """
        for item in instructions:
            self._add(item)
        return self

    def measure(self, qubit: int, bit: int) -> Self:
        """Append a measurement of Z on ``qubit`` into the classical bit ``bit``; return the circuit.

        Raises:
            QubitOutOfRangeError: No such qubit or bit.
        """
        return self._add(Measure(qubit, bit))

    def measure_all(self) -> Self:
        """Append a measurement of every qubit ``q`` into bit ``q``, made where missing; return the circuit.

        >>> Circuit(2).h(0).measure_all().n_bits
        2
        """
        if self._is_frozen:
            raise ProgramError("This circuit belongs to a program and does not change; append to its copy().")
        self._n_bits = max(self._n_bits, self._n_qubits)
        return self.extend(Measure(qubit, qubit) for qubit in range(self._n_qubits))

    def reset(self, qubit: int) -> Self:
        """Append a reset of ``qubit`` to ``|0>``; return the circuit."""
        return self._add(Reset(qubit))

    def delay(self, duration_ns: float, qubit: int) -> Self:
        """Append a delay of ``duration_ns`` nanoseconds on ``qubit``; return the circuit."""
        return self._add(Delay(qubit, duration_ns))

    def barrier(self, *qubits: int) -> Self:
        """Append a barrier on these qubits, or on all without any; return the circuit."""
        return self._add(Barrier(qubits or tuple(range(self._n_qubits))))

    def if_(
        self,
        bits: int | Sequence[int],
        value: int,
        then: Circuit | Iterable[Operation],
        otherwise: Circuit | Iterable[Operation] = (),
    ) -> Self:
        """Append feed-forward: ``then`` where the classical bits read as ``value``, else ``otherwise``.

        Args:
            bits: A bit, or several of which the first one is the most significant.
            value: The integer that they must read as.
            then: Operations, or a circuit whose operations are taken.
            otherwise: Likewise.

        >>> corrected = Circuit(2, n_bits=1).h(0).measure(0, 0).if_(0, 1, Circuit(2).x(1))
        >>> corrected.is_unitary
        False
        """
        chosen = (bits,) if isinstance(bits, int) else tuple(bits)
        branches = [item.instructions if isinstance(item, Circuit) else tuple(item) for item in (then, otherwise)]
        return self._add(If(Condition(chosen, value), *branches))

    def channel(self, name: str, values: Sequence[float], qubits: Sequence[int]) -> Self:
        """Append a noise channel of the table by name; return the circuit.

        Raises:
            ProgramError: No such channel, or numbers that it does not take.
            QubitOutOfRangeError: The qubits do not fit.
        """
        return self._add(Channel(name, tuple(qubits), tuple(values)))

    def kraus(self, operators: npt.ArrayLike, *qubits: int) -> Self:
        """Append a channel given by Kraus operators ``(k, 2**m, 2**m)`` on ``m`` qubits; return the circuit."""
        return self._add(KrausChannel(qubits, operators))

    @property
    def n_qubits(self) -> int:
        """Number of qubits."""
        return self._n_qubits

    @property
    def n_bits(self) -> int:
        """Number of classical bits."""
        return self._n_bits

    @property
    def is_unitary(self) -> bool:
        """Whether there are only gates, delays and barriers."""
        return self._is_unitary

    @property
    def has_noise(self) -> bool:
        """Whether there is a noise channel or a readout error."""
        return self._has_noise

    @property
    def instructions(self) -> tuple[Operation, ...]:
        """The operations, first applied first."""
        if self._seen is None:
            self._seen = tuple(self._instructions)
        return self._seen

    def gate_calls(self) -> tuple[Instruction, ...]:
        """Return the gate calls of a unitary circuit, delays and barriers left out.

        Raises:
            UnsupportedProgramError: It measures, resets, branches or has noise; ``details["operation"]`` says which.
        """
        if not self._is_unitary:
            name = next(
                type(i).__name__ for i in self._instructions if not isinstance(i, Instruction | Barrier | Delay)
            )
            raise UnsupportedProgramError(
                f"This takes circuits of gates only, got one with {name}; circuits that measure, reset, branch or have "
                "noise run through superpose.run.",
                operation=name,
            )
        return tuple(item for item in self._instructions if isinstance(item, Instruction))

    @property
    def n_instructions(self) -> int:
        """Number of operations; what stands inside a condition counts with it as one."""
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
        """Hex SHA-256 of counts and operations, as JSON without spaces; the name does not enter."""
        if self._digest is None:
            head: list[Any] = [self.n_qubits, [_canonical(item) for item in self._instructions]]
            canonical = json.dumps(head + [self.n_bits] * bool(self.n_bits), separators=(",", ":"))
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
        bound = Circuit(self.n_qubits, self.name, n_bits=self.n_bits)
        return bound.extend(item.bind(named) for item in self._instructions)

    def compose(
        self, other: Circuit, qubits: Sequence[int] | None = None, bits: Sequence[int] | None = None
    ) -> Circuit:
        """Return this circuit followed by ``other``, whose qubit ``i`` is put on ``qubits[i]`` (default ``i``).

        Args:
            other: What follows.
            qubits: Where its qubits go.
            bits: Where its classical bits go, likewise; this circuit gets as many bits as that takes.

        Raises:
            QubitOutOfRangeError: ``qubits`` does not name one distinct qubit of this circuit per qubit of ``other``, or
                ``bits`` not one distinct bit per bit.
        """
        places = tuple(range(other.n_qubits)) if qubits is None else tuple(map(qubit_index, qubits))
        if len(places) != other.n_qubits or len(set(places)) != len(places):
            raise QubitOutOfRangeError(
                f"A circuit of {other.n_qubits} qubits needs as many distinct qubits, got {places}.",
                qubits=list(places),
            )
        places_of_bits = tuple(range(other.n_bits)) if bits is None else tuple(map(qubit_index, bits))
        if len(places_of_bits) != other.n_bits or len(set(places_of_bits)) != len(places_of_bits):
            raise QubitOutOfRangeError(
                f"A circuit of {other.n_bits} classical bits needs as many distinct bits, got {places_of_bits}.",
                bits=list(places_of_bits),
            )
        out = self.copy()
        out._n_bits = max(out._n_bits, 1 + max(places_of_bits, default=-1))
        return out.extend(item.moved(places, places_of_bits) for item in other._instructions)

    def inverse(self) -> Circuit:
        """Return the circuit that undoes this one: each gate's inverse, in reverse order.

        Raises:
            UnsupportedProgramError: It measures, resets, branches or has noise.

        >>> Circuit(1).s(0).rx(0.5, 0).inverse().instructions[0]
        Instruction(gate='rx', qubits=(0,), angles=(-0.5,))
        """
        out = Circuit(self.n_qubits, self.name, n_bits=self.n_bits)
        for item in reversed(self._instructions):
            if isinstance(item, Instruction):
                out._add(item.inverse())
            elif isinstance(item, Barrier | Delay):
                out._add(item)
            else:
                raise UnsupportedProgramError(
                    f"A circuit with {type(item).__name__} has no inverse; only gates, delays and barriers have."
                )
        return out

    def without_final_measurements(self) -> tuple[Circuit, tuple[Measure, ...]]:
        """Return the circuit up to its final measurements, and these in order.

        A measurement is final if no operation follows on its qubit (barriers and delays aside) and its bit is neither
        read nor written afterwards. The circuit that is left keeps the number of bits.

        >>> body, final = Circuit(2).h(0).measure_all().without_final_measurements()
        >>> body.instructions == Circuit(2).h(0).instructions, len(final)
        (True, 2)
        """
        busy_qubits, busy_bits = set[int](), set[int]()
        kept: list[Operation] = []
        final: list[Measure] = []
        for item in reversed(self._instructions):
            if isinstance(item, Measure) and item.qubit not in busy_qubits and item.bit not in busy_bits:
                final.append(item)
                busy_qubits.add(item.qubit)
                busy_bits.add(item.bit)
                continue
            if not isinstance(item, Barrier | Delay):
                busy_qubits.update(item.qubits)
                busy_bits.update(item.bits)
            kept.append(item)
        body = Circuit(self.n_qubits, self.name, n_bits=self.n_bits).extend(reversed(kept))
        return body, tuple(reversed(final))

    def copy(self, name: str | None = None) -> Circuit:
        """Return an independent copy that can grow, under another name if one is given."""
        out = Circuit(self.n_qubits, self.name if name is None else name, n_bits=self.n_bits)
        out._instructions, out._names = list(self._instructions), dict(self._names)
        out._seen, out._digest = self._seen, self._digest
        out._is_unitary, out._has_noise = self._is_unitary, self._has_noise
        return out

    def frozen(self) -> Circuit:
        """Return a copy that refuses further gates, as programs hold it; itself where it is one already."""
        if self._is_frozen:
            return self
        _ = self.digest  # which every run of a program asks for, so that the next copy has it too
        out = self.copy()
        out._is_frozen = True
        return out

    def depth(self) -> int:
        """Return the number of layers when each operation starts as soon as its qubits are free; 0 when empty."""
        busy = [0] * self.n_qubits
        for item in self._instructions:
            layer = 1 + max((busy[q] for q in item.qubits), default=0)
            for q in item.qubits:
                busy[q] = layer
        return max(busy)

    def draw(self, *, fold: int | None = None, width: int = 100) -> str:
        """Return the whole circuit as text, a line per qubit, folded into rows; `superpose.draw` makes pictures.

        Angles are shown for people: multiples of pi as such, other numbers to five digits, parameters by their names.

        Args:
            fold: Columns in a row at most; None takes as many as ``width`` has room for, 0 puts all into one row.
            width: Characters in a line at most, unless one operation alone needs more.

        Raises:
            DrawingError: ``fold`` is negative, or ``width`` less than 20.

        Cost: linear in qubits times columns.

        >>> print(Circuit(2, n_bits=1).h(0).measure(0, 0).if_(0, 1, Circuit(2).x(1)).draw())
        q0: ──H──M→0───────────────────
        q1: ──────────IF(0=1)──X──END──
        """
        from superpose.circuits.drawing import draw_text

        return draw_text(self, fold=fold, width=width)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Circuit):
            return NotImplemented
        counts = self.n_qubits == other.n_qubits and self.n_bits == other.n_bits
        return counts and self._instructions == other._instructions

    def __repr__(self) -> str:
        bits = f", n_bits={self.n_bits}" if self.n_bits else ""
        return (
            f"Circuit(n_qubits={self.n_qubits}, name={self.name!r}, "
            f"n_instructions={self.n_instructions}, n_params={self.n_params}{bits})"
        )

    def __str__(self) -> str:
        from superpose.circuits.drawing import draw

        return draw(self)


def _canonical(item: Operation) -> list[Any]:
    """Return what enters the digest; gate calls as before there were other operations."""
    if isinstance(item, Instruction):
        return [item.gate, item.qubits, [[a.constant, *a.terms] if a.terms else a.constant for a in item.angles]]
    if isinstance(item, If):
        branches = ([_canonical(inner) for inner in branch] for branch in (item.then, item.otherwise))
        return ["If", item.condition.bits, item.condition.value, *branches]
    if isinstance(item, KrausChannel):
        numbers = [[number.real, number.imag] for matrix in item.operators for row in matrix for number in row]
        return ["KrausChannel", item.qubits, numbers]
    return [type(item).__name__, *(getattr(item, name) for name in item.__dataclass_fields__)]
