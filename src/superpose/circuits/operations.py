"""What a circuit may hold beside gates: measurement, reset, delay, barrier, noise and feed-forward.

Every operation has ``qubits``, ``bits`` (classical ones it reads or writes), ``names`` (of parameters), ``bind`` and
``moved``, as gate calls have. Operations are values: frozen, hashable, compared by content.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from superpose.circuits.channels import channel_row, check_kraus
from superpose.circuits.finite import is_finite
from superpose.circuits.instruction import Instruction, qubit_index
from superpose.circuits.parameters import AngleLike
from superpose.circuits.wording import shown
from superpose.errors import ProgramError, QubitOutOfRangeError

__all__ = [
    "MAX_IF_DEPTH",
    "Barrier",
    "Channel",
    "Condition",
    "Delay",
    "If",
    "KrausChannel",
    "Measure",
    "Operation",
    "Reset",
    "walk",
]

MAX_IF_DEPTH = 20


class _Plain:
    """An operation without parameters and without classical bits, unless it says otherwise."""

    __slots__ = ()

    @property
    def bits(self) -> tuple[int, ...]:
        """Classical bits that it reads or writes."""
        return ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of parameters: none."""
        return ()

    def bind(self, values: Mapping[str, AngleLike]) -> Self:
        """Return itself: there is nothing to replace."""
        return self


@dataclass(frozen=True, slots=True)
class Measure(_Plain):
    """Measurement of Z on one qubit into one classical bit.

    Attributes:
        qubit: The qubit; afterwards it is in the state that was found.
        bit: The classical bit that is written.
        flip0: Readout error: probability to write 1 where 0 was found.
        flip1: Probability to write 0 where 1 was found.

    Raises:
        QubitOutOfRangeError: A negative qubit or bit.
        ProgramError: A probability outside 0 .. 1.
    """

    qubit: int
    bit: int
    flip0: float = 0.0
    flip1: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "qubit", _at_least_0("Qubits", self.qubit))
        object.__setattr__(self, "bit", _at_least_0("Classical bits", self.bit))
        object.__setattr__(self, "flip0", _probability("flip0", self.flip0))
        object.__setattr__(self, "flip1", _probability("flip1", self.flip1))

    @property
    def qubits(self) -> tuple[int, ...]:
        """The qubit."""
        return (self.qubit,)

    @property
    def bits(self) -> tuple[int, ...]:
        """The bit."""
        return (self.bit,)

    @property
    def is_exact(self) -> bool:
        """Whether there is no readout error."""
        return self.flip0 == 0.0 and self.flip1 == 0.0

    def moved(self, places: Sequence[int], bits: Sequence[int] | None = None) -> Measure:
        """Return the same on qubit ``places[q]`` in the place of ``q``, and likewise for bits."""
        return replace(self, qubit=places[self.qubit], bit=self.bit if bits is None else bits[self.bit])


@dataclass(frozen=True, slots=True)
class Reset(_Plain):
    """Brings a qubit to ``|0>``, whatever its state.

    Raises:
        QubitOutOfRangeError: A negative qubit.
    """

    qubit: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "qubit", _at_least_0("Qubits", self.qubit))

    @property
    def qubits(self) -> tuple[int, ...]:
        """The qubit."""
        return (self.qubit,)

    def moved(self, places: Sequence[int], bits: Sequence[int] | None = None) -> Reset:
        """Return the same on qubit ``places[q]`` in the place of ``q``."""
        return Reset(places[self.qubit])


@dataclass(frozen=True, slots=True)
class Delay(_Plain):
    """Leaves a qubit alone for a while; without a noise model that changes nothing.

    Attributes:
        qubit: The qubit.
        duration_ns: Nanoseconds, 0 or more.

    Raises:
        QubitOutOfRangeError: A negative qubit.
        ProgramError: Not a finite duration of 0 or more.
    """

    qubit: int
    duration_ns: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "qubit", _at_least_0("Qubits", self.qubit))
        duration = _real("duration_ns", self.duration_ns)
        if duration < 0:
            raise ProgramError(f"A delay lasts 0 ns or more, got duration_ns={duration}.")
        object.__setattr__(self, "duration_ns", duration)

    @property
    def qubits(self) -> tuple[int, ...]:
        """The qubit."""
        return (self.qubit,)

    def moved(self, places: Sequence[int], bits: Sequence[int] | None = None) -> Delay:
        """Return the same on qubit ``places[q]`` in the place of ``q``."""
        return Delay(places[self.qubit], self.duration_ns)


@dataclass(frozen=True, slots=True)
class Barrier(_Plain):
    """Keeps what is before it apart from what is behind it when a circuit is timed or rewritten; changes no result.

    Raises:
        QubitOutOfRangeError: A negative qubit, none, or one twice.
    """

    qubits: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "qubits", _distinct_qubits("A barrier", self.qubits))

    def moved(self, places: Sequence[int], bits: Sequence[int] | None = None) -> Barrier:
        """Return the same on qubits ``places[q]`` in the place of ``q``."""
        return Barrier(tuple(places[q] for q in self.qubits))


@dataclass(frozen=True, slots=True)
class Channel(_Plain):
    """A noise channel of the table `superpose.circuits.channels.CHANNELS`.

    Attributes:
        name: Name of the row.
        qubits: As many distinct qubits as the row asks for.
        values: The row's numbers, such as probabilities.

    Raises:
        ProgramError: No such row, or values that make no channel.
        QubitOutOfRangeError: Another number of qubits, a negative one, or one twice.

    >>> Channel("bit_flip", (0,), (0.25,)).pauli_probabilities()
    {'I': 0.75, 'X': 0.25}
    """

    name: str
    qubits: tuple[int, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        row = channel_row(self.name)
        qubits = _distinct_qubits(f"Channel {row.name}", self.qubits, row.n_qubits)
        object.__setattr__(self, "qubits", qubits)
        object.__setattr__(self, "values", row.checked(self.values))

    def kraus(self) -> npt.NDArray[np.complex128]:
        """Return the Kraus operators, complex128 ``(k, 2**m, 2**m)`` on ``m`` qubits, the first most significant."""
        return channel_row(self.name).kraus(self.values)

    def pauli_probabilities(self) -> dict[str, float] | None:
        """Return the probability of each Pauli string where the channel is such a mixture, else None."""
        return channel_row(self.name).pauli_probabilities(self.values)

    def moved(self, places: Sequence[int], bits: Sequence[int] | None = None) -> Channel:
        """Return the same on qubits ``places[q]`` in the place of ``q``."""
        return Channel(self.name, tuple(places[q] for q in self.qubits), self.values)


@dataclass(frozen=True, slots=True, init=False)
class KrausChannel(_Plain):
    """A channel of the user's own: ``rho -> sum(K rho K^dagger)``.

    Attributes:
        qubits: Distinct qubits; the first one is the most significant bit of the matrices' index.
        operators: Kraus operators as nested tuples of complex numbers, ``(k, 2**m, 2**m)`` on ``m`` qubits.

    Raises:
        ProgramError: Other shapes, more than 4 qubits, or operators whose ``sum(K^dagger K)`` is not 1 within 1e-9.
        QubitOutOfRangeError: A negative qubit, or one twice.
    """

    qubits: tuple[int, ...]
    operators: tuple[tuple[tuple[complex, ...], ...], ...]

    def __init__(self, qubits: Sequence[int], operators: npt.ArrayLike) -> None:
        chosen = _distinct_qubits("A Kraus channel", qubits)
        array = check_kraus(operators, len(chosen))
        object.__setattr__(self, "qubits", chosen)
        object.__setattr__(
            self, "operators", tuple(tuple(tuple(map(complex, row)) for row in matrix) for matrix in array)
        )

    def kraus(self) -> npt.NDArray[np.complex128]:
        """Return the Kraus operators, complex128 ``(k, 2**m, 2**m)``."""
        return np.array(self.operators, dtype=np.complex128)

    def pauli_probabilities(self) -> dict[str, float] | None:
        """Return None: whether it is a mixture of Paulis is not looked for."""
        return None

    def moved(self, places: Sequence[int], bits: Sequence[int] | None = None) -> KrausChannel:
        """Return the same on qubits ``places[q]`` in the place of ``q``."""
        return KrausChannel(tuple(places[q] for q in self.qubits), self.operators)


@dataclass(frozen=True, slots=True)
class Condition:
    """True while the classical bits, the first one the most significant, read as the integer ``value``.

    Raises:
        QubitOutOfRangeError: No bit, a negative one, or one twice.
        ProgramError: A value that so many bits cannot have.
    """

    bits: tuple[int, ...]
    value: int

    def __post_init__(self) -> None:
        bits = tuple(_at_least_0("Classical bits", bit) for bit in self.bits)
        if not bits or len(set(bits)) != len(bits):
            raise QubitOutOfRangeError(f"A condition reads one or more distinct classical bits, got {bits}.")
        value = qubit_index(self.value)
        if not 0 <= value < 1 << len(bits):
            raise ProgramError(f"{len(bits)} bits read as 0 .. {(1 << len(bits)) - 1}, got value={shown(value)}.")
        object.__setattr__(self, "bits", bits)
        object.__setattr__(self, "value", value)

    def holds(self, record: Sequence[int]) -> bool:
        """Return whether it is true for these values of all classical bits."""
        return int("".join(str(int(record[bit])) for bit in self.bits), 2) == self.value

    def moved(self, bits: Sequence[int] | None) -> Condition:
        """Return the same for bits ``bits[b]`` in the place of ``b``."""
        return self if bits is None else Condition(tuple(bits[bit] for bit in self.bits), self.value)


@dataclass(frozen=True, slots=True)
class If:
    """Feed-forward: runs one list of operations or another, by what classical bits read at that moment.

    Attributes:
        condition: What is asked.
        then: Operations where it holds.
        otherwise: Operations where it does not.
        depth: How many conditions stand in each other, this one counted.

    Raises:
        ProgramError: More than 20 conditions stand in each other.
    """

    condition: Condition
    then: tuple[Operation, ...]
    otherwise: tuple[Operation, ...] = ()
    depth: int = field(init=False, repr=False, compare=False, default=1)

    def __post_init__(self) -> None:
        object.__setattr__(self, "then", tuple(self.then))
        object.__setattr__(self, "otherwise", tuple(self.otherwise))
        inner = (item.depth for item in (*self.then, *self.otherwise) if isinstance(item, If))
        object.__setattr__(self, "depth", 1 + max(inner, default=0))
        if self.depth > MAX_IF_DEPTH:
            raise ProgramError(f"Conditions may stand in each other {MAX_IF_DEPTH} deep, got {self.depth}.")

    @property
    def qubits(self) -> tuple[int, ...]:
        """Qubits that either list acts on, in order of first appearance."""
        return tuple(dict.fromkeys(q for item in (*self.then, *self.otherwise) for q in item.qubits))

    @property
    def bits(self) -> tuple[int, ...]:
        """Bits that the condition reads, and those that the lists read or write."""
        inner = (bit for item in (*self.then, *self.otherwise) for bit in item.bits)
        return tuple(dict.fromkeys((*self.condition.bits, *inner)))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters in both lists."""
        return tuple(dict.fromkeys(name for item in (*self.then, *self.otherwise) for name in item.names))

    def bind(self, values: Mapping[str, AngleLike]) -> If:
        """Return the same with the parameters named in ``values`` replaced in both lists."""
        return self._each(lambda item: item.bind(values), self.condition)

    def moved(self, places: Sequence[int], bits: Sequence[int] | None = None) -> If:
        """Return the same on qubits ``places[q]`` in the place of ``q``, and likewise for bits."""
        return self._each(lambda item: item.moved(places, bits), self.condition.moved(bits))

    def _each(self, change: Callable[[Operation], Operation], condition: Condition) -> If:
        return If(condition, tuple(map(change, self.then)), tuple(map(change, self.otherwise)))


Operation: TypeAlias = Instruction | Measure | Reset | Delay | Barrier | Channel | KrausChannel | If
"""Anything that a circuit holds."""


def walk(operations: Sequence[Operation]) -> list[Operation]:
    """Return the operations and those inside conditions, in order, conditions before what they hold."""
    out: list[Operation] = []
    for item in operations:
        out.append(item)
        if isinstance(item, If):
            out += walk(item.then) + walk(item.otherwise)
    return out


def _at_least_0(what: str, value: object) -> int:
    index = qubit_index(value)
    if index < 0:
        raise QubitOutOfRangeError(f"{what} are numbered from 0, got {index}.")
    return index


def _distinct_qubits(what: str, values: Sequence[int], n_qubits: int | None = None) -> tuple[int, ...]:
    qubits = tuple(_at_least_0("Qubits", value) for value in values)
    if not qubits or len(set(qubits)) != len(qubits) or (n_qubits is not None and len(qubits) != n_qubits):
        wanted = "one or more" if n_qubits is None else str(n_qubits)
        raise QubitOutOfRangeError(f"{what} acts on {wanted} distinct qubits, got {qubits}.", qubits=list(qubits))
    return qubits


def _real(what: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not is_finite(value):
        raise ProgramError(f"{what} must be a finite real number, got {shown(value)}.")
    return float(value)


def _probability(what: str, value: object) -> float:
    number = _real(what, value)
    if not 0.0 <= number <= 1.0:
        raise ProgramError(f"{what} is a probability, 0 .. 1, got {number}.")
    return number
