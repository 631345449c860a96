"""Clifford circuits like a given one, whose expectations are known without simulating them.

A reference has the pulses, waits and places of the circuit; only its turns about Z are multiples of a quarter. What
noise does to a Pauli string there is what it does along one path of the circuit's own, so how much the known value 1
has shrunk says how much the circuit's value has, on average over paths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from superpose.backends.mitigation.cliffords import clifford_table, quarter_turns
from superpose.backends.mitigation.frames import FramedCircuit
from superpose.circuits import Instruction

__all__ = ["References", "references"]

TRIES = 4
"""How often a qubit's first turns are drawn again before the row is."""
ROUNDS = 16


class References(NamedTuple):
    """Clifford circuits and their values.

    Attributes:
        turns: Quarter turns of each slot, ``(rows, n_slots)``.
        values: Of each string: 1 or -1, or 0 where nothing is learnt, ``(rows, n_strings)``.
    """

    turns: npt.NDArray[np.int8]
    values: npt.NDArray[np.int8]

    def angles(self) -> npt.NDArray[np.float64]:
        """Return the slots' angles, ``(rows, n_slots)``, in radians."""
        return self.turns.astype(np.float64) * (math.pi / 2)


def references(
    framed: FramedCircuit,
    base: npt.NDArray[np.float64],
    strings: Sequence[Sequence[int]],
    n_rows: int,
    rng: np.random.Generator,
) -> References:
    """Draw references, as many for each string.

    A string is followed backwards; at each turn it goes on as one of the Paulis that it becomes, with the square of
    the amplitude as probability, and where it reaches the start it must be 1 on ``|0...0>``.

    Args:
        framed: The circuit.
        base: Its angles, ``(batch, n_slots)``; each reference is near one entry.
        strings: Each the places, among the qubits in use, whose Z are multiplied.
        n_rows: How many; those that cannot be had are left out.
        rng: Where randomness comes from.

    Cost: linear in rows times events.
    """
    missing = (np.arange(n_rows) % max(1, len(strings))).tolist()  # the string that each row is for
    parts = [np.zeros((0, framed.n_slots), np.int8)]
    for _ in range(ROUNDS):
        angles = base[rng.integers(0, len(base), len(missing))]
        turns, codes = _sampled(framed, angles, [strings[target] for target in missing], rng)
        good = (codes & 1 == 0).all(axis=1)
        parts.append(turns[good])
        missing = [target for target, had in zip(missing, good.tolist(), strict=True) if not had]
        if not missing:
            break
    turns = np.concatenate(parts)
    return References(turns, np.stack([_value(framed, turns, string) for string in strings], axis=1))


def _sampled(
    framed: FramedCircuit, angles: npt.NDArray[np.float64], strings: Sequence[Sequence[int]], rng: np.random.Generator
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Turns of each row, ``(rows, n_slots)``, and what its string is at the start, ``(rows, n_qubits)``."""
    n_rows = len(angles)
    codes = np.zeros((n_rows, len(framed.qubits)), np.int8)
    for row, string in enumerate(strings):
        codes[row, list(string)] = 2
    turns = rng.integers(0, 4, angles.shape).astype(np.int8)
    first = _first_alone(framed)
    for number in range(len(framed.events) - 1, -1, -1):
        if number not in first:
            _back(framed, number, angles, turns, codes, rng)
    for place in range(len(framed.qubits)):
        mine = [number for number in sorted(first, reverse=True) if place in _places(framed, number)]
        open_ = np.arange(n_rows)
        for _ in range(TRIES):
            part, there = turns[open_], codes[open_]
            for number in mine:
                _back(framed, number, angles[open_], part, there, rng)
            good = there[:, place] & 1 == 0
            turns[open_[good]] = part[good]
            codes[open_[good], place] = there[good, place]
            open_ = open_[~good]
            if not len(open_):
                break
        codes[open_, place] = 1  # cannot be had
    return turns, codes


def _first_alone(framed: FramedCircuit) -> set[int]:
    """Numbers of the events on one qubit before its first on two."""
    joined, out = set[int](), set[int]()
    for number in range(len(framed.events)):
        places = _places(framed, number)
        if len(places) == 1 and not joined & set(places):
            out.add(number)
        elif not _idle(framed, number):
            joined |= set(places)
    return out


def _places(framed: FramedCircuit, number: int) -> tuple[int, ...]:
    event = framed.events[number]
    return framed.slots[event].qubits if isinstance(event, int) else event.qubits


def _idle(framed: FramedCircuit, number: int) -> bool:
    return not isinstance(framed.events[number], int | Instruction)


def _back(
    framed: FramedCircuit,
    number: int,
    angles: npt.NDArray[np.float64],
    turns: npt.NDArray[np.int8],
    codes: npt.NDArray[np.int8],
    rng: np.random.Generator,
) -> None:
    """Take strings back through an event, drawing its turns."""
    event = framed.events[number]
    if isinstance(event, int):
        angle = angles[:, event]
        moves = rng.random(len(angle)) < np.sin(angle) ** 2
        ways = np.where(moves, 2 - np.sign(np.sin(angle)), 1 - np.sign(np.cos(angle)))  # of 1, 3 and 0, 2
        turns[:, event] = ways.astype(np.int8) % 4
    _through(framed, number, turns, codes)


def _value(framed: FramedCircuit, turns: npt.NDArray[np.int8], string: Sequence[int]) -> npt.NDArray[np.int8]:
    """The expectation of a product of Z's in each row."""
    codes = np.zeros((len(turns), len(framed.qubits)), np.int8)
    codes[:, list(string)] = 2
    sign = np.ones(len(turns), np.int8)
    for number in range(len(framed.events) - 1, -1, -1):
        sign *= _through(framed, number, turns, codes)
    out: npt.NDArray[np.int8] = np.where((codes & 1 == 0).all(axis=1), sign, 0).astype(np.int8)
    return out


def _through(
    framed: FramedCircuit, number: int, turns: npt.NDArray[np.int8], codes: npt.NDArray[np.int8]
) -> npt.NDArray[np.int8]:
    """Take strings back through an event; the signs that they get."""
    event = framed.events[number]
    if not isinstance(event, int | Instruction):
        return np.ones(len(codes), np.int8)
    places = _places(framed, number)
    before = codes[:, places[0]] if len(places) == 1 else 4 * codes[:, places[0]] + codes[:, places[1]]
    to: npt.NDArray[np.int8]
    sign: npt.NDArray[np.int8]
    if isinstance(event, int):
        turned = quarter_turns(framed.slots[event].gate)
        to, sign = turned.to[turns[:, event], before], turned.sign[turns[:, event], before]
    else:
        found = clifford_table(event.gate)
        if found is None:
            raise ValueError(f"{event.gate} is no Clifford gate")
        table = found.inverse()
        to, sign = table.to[before], table.sign[before]
    if len(places) == 1:
        codes[:, places[0]] = to
    else:
        codes[:, places[0]], codes[:, places[1]] = to >> 2, to & 3
    return sign
