"""Circuits whose angles alone are changed: random Pauli frames without a pulse more, and Clifford circuits alike.

A processor turns about Z by relabelling, without a pulse and without error. Turns about Z in front of and behind each
SX (or RX) put any Pauli there, later turns change their signs, and what is left at the end flips bits that were read.
So all variants of a circuit, twirled or with Paulis put in on purpose, are one template with other values: one
submission.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from superpose.backends.mitigation.cliffords import clifford_table
from superpose.circuits import Affine, Barrier, Circuit, Delay, Instruction, Measure, Operation, Parameter
from superpose.errors import UnsupportedProgramError

__all__ = ["FramedCircuit", "Frames", "Slot"]

TURNED = ("rz", "rx", "rzz")
"""Gates whose angle is a value of the template."""

_IDLE: Mapping[str, tuple[tuple[Any, ...], ...]] = {"sx": (("sx",), ("rz", math.pi), ("sx",)), "rx": (("rx", 0.0),)}
"""Pulses that come to nothing, or to a turn about Z."""


class Slot(NamedTuple):
    """A place for an angle.

    Attributes:
        gate: A name of `TURNED`.
        qubits: Places among the qubits in use.
        base: The angle without frames.
    """

    gate: str
    qubits: tuple[int, ...]
    base: Affine


class Frames(NamedTuple):
    """Random frames for a number of rows.

    Attributes:
        signs: What multiplies each slot's angle, 1 or -1, ``(rows, n_slots)``.
        halves: Half turns added to it, ``(rows, n_slots)``.
        flips: Whether each measurement's bit is to be flipped back, ``(rows, n_measurements)``.
    """

    signs: npt.NDArray[np.int8]
    halves: npt.NDArray[np.int8]
    flips: npt.NDArray[np.bool_]

    def angles(self, base: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the slots' values for their angles without frames ``(rows, n_slots)`` or ``(n_slots,)``."""
        out: npt.NDArray[np.float64] = self.signs * np.asarray(base, np.float64) + math.pi * self.halves
        return out


class FramedCircuit:
    """A circuit in native gates as a template whose parameters are its angles.

    Args:
        circuit: Rotations about Z and X, RZZ, and Clifford gates on one or two qubits, with barriers, delays and
            measurements at the end.
        pulse: What turns qubits that have no pulse of their own, so that what is read can be flipped: "sx" or "rx";
            by default, what the circuit has.

    Raises:
        UnsupportedProgramError: It does more.

    Attributes:
        qubits: Those in use, sorted.
        events: What happens: the number of a slot, or an operation on places among ``qubits``.
        slots: By number.
        finals: The measurements, of places among ``qubits``.

    >>> framed = FramedCircuit(Circuit(1).rz(0.3, 0).sx(0).measure_all())
    >>> len(framed.slots), framed.template.n_params
    (1, 1)
    """

    def __init__(self, circuit: Circuit, pulse: str | None = None) -> None:
        body, finals = circuit.without_final_measurements()
        self.qubits = tuple(sorted({qubit for item in (*body.instructions, *finals) for qubit in item.qubits}))
        places = {qubit: place for place, qubit in enumerate(self.qubits)}
        table = [places.get(qubit, 0) for qubit in range(circuit.n_qubits)]
        self.slots: list[Slot] = []
        self.events: list[int | Operation] = []
        self.finals = tuple(Measure(places[item.qubit], item.bit, item.flip0, item.flip1) for item in finals)
        self._waiting: dict[int, Affine] = {}  # turns about Z that no pulse has followed yet, by place
        self._framed = set[int]()
        for item in body.instructions:
            self._take(item.moved(table))
        names = {item.gate for item in body.instructions if isinstance(item, Instruction)}
        self.pulse = pulse or ("rx" if "rx" in names and "sx" not in names else "sx")
        idle = _IDLE[self.pulse]
        for item in self.finals:
            if item.qubit not in self._framed:
                for gate, *angles in idle:
                    self._take(Instruction(gate, (item.qubit,), tuple(Affine.of(angle) for angle in angles)))
        self.template = self._written(circuit)

    @property
    def n_slots(self) -> int:
        """Number of angles."""
        return len(self.slots)

    def base(self, names: Sequence[str], rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the angles without frames, ``(batch, n_slots)``.

        Args:
            names: The circuit's parameters.
            rows: Their values, ``(batch, n_params)``.
        """
        out = np.zeros((len(rows), self.n_slots))
        values = dict(zip(names, rows.T, strict=True))
        for number, slot in enumerate(self.slots):
            out[:, number] = slot.base.evaluate(values)
        return out

    def params(self, angles: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
        """Return the values of the template's parameters for angles ``(rows, n_slots)``."""
        return {f"angle_{number}": column for number, column in enumerate(angles.T)}

    def frames(
        self,
        rng: np.random.Generator,
        n_rows: int,
        inserted: Mapping[int, npt.NDArray[np.int8]] | None = None,
    ) -> Frames:
        """Draw a frame for each row, new behind each SX and RX; rows 2k and 2k + 1 flip each bit that is read once.

        What misreading adds to a single bit thus cancels within a pair.

        Args:
            rng: Where randomness comes from.
            n_rows: How many.
            inserted: Paulis that are put in on purpose and not undone: behind the event of this number, codes
                ``(rows, n_qubits of the event)``.

        Cost: linear in events times rows.
        """
        frame = np.zeros((n_rows, len(self.qubits)), np.int8)  # codes, see `cliffords.PAULIS`
        signs, halves = np.ones((n_rows, self.n_slots), np.int8), np.zeros((n_rows, self.n_slots), np.int8)
        behind = np.zeros((n_rows, len(self.qubits)), np.int8)  # half turns due behind an SX
        latest = dict[int, int]()  # by place: the slot about Z that stands directly before now
        for number, event in enumerate(self.events):
            if isinstance(event, int):
                self._turn(event, frame, signs, halves, behind)
                slot = self.slots[event]
                (place, *_) = slot.qubits
                if slot.gate == "rz":
                    latest[place] = event
                elif slot.gate == "rx":  # a half turn more is an X
                    fresh = self._fresh(rng, n_rows, number)
                    halves[:, event] ^= (fresh ^ frame[:, place]) & 1
                    behind[:, place] = (fresh ^ frame[:, place]) >> 1
                    frame[:, place] = fresh
            elif isinstance(event, Instruction) and event.gate == "sx":
                (place,) = event.qubits
                fresh, here = self._fresh(rng, n_rows, number), frame[:, place]
                before = (fresh ^ here ^ (here >> 1)) & 1  # Z there is Y behind
                halves[:, latest[place]] ^= before
                behind[:, place] = ((fresh ^ here) >> 1) ^ before
                frame[:, place] = fresh
            elif isinstance(event, Instruction):
                _through(event, frame)
            if inserted is not None and number in inserted:
                there = self.slots[event].qubits if isinstance(event, int) else event.qubits
                for column, place in enumerate(there):
                    frame[:, place] ^= inserted[number][:, column]
        flips = np.stack([frame[:, item.qubit] & 1 for item in self.finals], axis=1).astype(np.bool_)
        return Frames(signs, halves, flips)

    def _fresh(self, rng: np.random.Generator, n_rows: int, number: int) -> npt.NDArray[np.int8]:
        """Frames behind the pulse of this number."""
        first = rng.integers(0, 4, (n_rows + 1) // 2).astype(np.int8)
        return np.stack([first, first ^ self._apart[number]], axis=1).reshape(-1)[:n_rows]

    @cached_property
    def _apart(self) -> dict[int, int]:
        """By pulse: by which code two frames differ behind it so that they flip all bits differently."""
        code = np.zeros((1, len(self.qubits)), np.int8)
        code[0, [item.qubit for item in self.finals]] = 1
        out = {}
        for number in range(len(self.events) - 1, -1, -1):
            event = self.events[number]
            gate = self.slots[event].gate if isinstance(event, int) else getattr(event, "gate", "")
            if gate in ("sx", "rx"):
                (place,) = self.slots[event].qubits if isinstance(event, int) else event.qubits
                out[number], code[0, place] = int(code[0, place]), 0
            elif isinstance(event, Instruction):
                _through(event, code, back=True)
        return out

    def _turn(
        self,
        number: int,
        frame: npt.NDArray[np.int8],
        signs: npt.NDArray[np.int8],
        halves: npt.NDArray[np.int8],
        behind: npt.NDArray[np.int8],
    ) -> None:
        """What the frames do to a slot."""
        slot = self.slots[number]
        if slot.gate == "rx":
            odd = frame[:, slot.qubits[0]] >> 1
        else:
            odd = np.bitwise_xor.reduce(frame[:, list(slot.qubits)] & 1, axis=1)
        signs[:, number] = 1 - 2 * odd
        if slot.gate == "rz":
            halves[:, number] ^= behind[:, slot.qubits[0]]
            behind[:, slot.qubits[0]] = 0

    def _take(self, item: Operation) -> None:
        if isinstance(item, Barrier | Delay):
            self.events.append(item)
            return
        if not isinstance(item, Instruction):
            raise _unsupported(f"a {type(item).__name__.lower()}")
        if item.gate == "rz":
            (place,) = item.qubits
            self._waiting[place] = self._waiting.get(place, Affine()) + item.angles[0]
            return
        for place in item.qubits:
            if place in self._waiting or item.gate == "sx":
                self._slot("rz", (place,), self._waiting.pop(place, Affine()))
        if item.gate in TURNED:
            self._slot(item.gate, item.qubits, Affine.of(item.angles[0]))
        elif item.angles or clifford_table(item.gate) is None:
            raise _unsupported(f"the gate {item.gate}")
        else:
            self.events.append(item)
        if item.gate in ("sx", "rx"):
            self._waiting[item.qubits[0]] = Affine()  # for a half turn behind it
            self._framed.add(item.qubits[0])

    def _slot(self, gate: str, qubits: tuple[int, ...], base: Affine) -> None:
        self.events.append(len(self.slots))
        self.slots.append(Slot(gate, qubits, base))

    def _written(self, circuit: Circuit) -> Circuit:
        out = Circuit(circuit.n_qubits, circuit.name, n_bits=circuit.n_bits)
        for event in self.events:
            if isinstance(event, int):
                slot = self.slots[event]
                out.append(slot.gate, [self.qubits[place] for place in slot.qubits], [Parameter(f"angle_{event}")])
            else:
                out.extend([event.moved(self.qubits)])
        return out.extend(item.moved(self.qubits) for item in self.finals)


def _through(item: Instruction, frame: npt.NDArray[np.int8], *, back: bool = False) -> None:
    """Move frames through a Clifford gate, or back through it."""
    table = clifford_table(item.gate)
    if table is None:
        raise _unsupported(f"the gate {item.gate}")
    table = table.inverse() if back else table
    if len(item.qubits) == 1:
        frame[:, item.qubits[0]] = table.to[frame[:, item.qubits[0]]]
        return
    first, second = item.qubits
    moved = table.to[4 * frame[:, first] + frame[:, second]]
    frame[:, first], frame[:, second] = moved >> 2, moved & 3


def _unsupported(what: str) -> UnsupportedProgramError:
    return UnsupportedProgramError(
        f"A circuit whose angles alone are to be changed has turns about Z and X, RZZ and Clifford gates, and measures "
        f"at its end; this one has {what}."
    )
