"""What a circuit is cut into: fragments, and the cuts between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from superpose.backends.cutting.preparing import Prepared, prepared
from superpose.backends.cutting.rotations import ZZRotation, zz_rotation
from superpose.backends.cutting.search import QUBIT_OVERHEAD, Parts, Timeline, find_parts
from superpose.circuits import Affine, Barrier, Circuit, Instruction, Observable, Operation

__all__ = ["CutPlan", "Fragment", "GateCut", "GateEnd", "QubitCut", "QubitEnd", "QubitStart", "plan_cuts"]


@dataclass(frozen=True, slots=True)
class GateCut:
    """A gate that is cut, as a rotation about ZZ.

    Attributes:
        gate: Its name.
        qubits: Of the circuit that is cut, after its swaps.
        angle: Of the rotation, radians.
    """

    gate: str
    qubits: tuple[int, ...]
    angle: Affine

    @property
    def overhead(self) -> float:
        """``gamma**2 = (1 + 2 |sin angle|)**2``, at most 9; that where the angle is not known yet."""
        sine = abs(math.sin(self.angle.constant)) if self.angle.is_constant else 1.0
        return (1.0 + 2.0 * sine) ** 2


@dataclass(frozen=True, slots=True)
class QubitCut:
    """A qubit that is cut between two gates: it is measured, and another one prepared in its place."""

    qubit: int

    @property
    def overhead(self) -> float:
        """``gamma**2 = 16``."""
        return QUBIT_OVERHEAD


@dataclass(frozen=True, slots=True)
class GateEnd:
    """Where a cut gate was on a fragment's qubit: cut, and side 0 or 1."""

    cut: int
    side: int
    qubit: int


@dataclass(frozen=True, slots=True)
class QubitStart:
    """Where a fragment's qubit begins at a cut."""

    cut: int
    qubit: int


@dataclass(frozen=True, slots=True)
class QubitEnd:
    """Where a fragment's qubit ends at a cut."""

    cut: int
    qubit: int


Step: TypeAlias = Operation | GateEnd


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a circuit that runs on its own.

    Attributes:
        qubits: Of the circuit that is cut, one for each of the fragment's own; twice where it is cut in between.
        steps: Operations on the fragment's qubits, and where gates were cut.
        starts: Qubits that begin at a cut.
        ends: Qubits that end at one.
        home: The fragment's qubit on which an uncut qubit is at the end, by that.
    """

    qubits: tuple[int, ...]
    steps: tuple[Step, ...]
    starts: tuple[QubitStart, ...]
    ends: tuple[QubitEnd, ...]
    home: dict[int, int]

    @property
    def n_qubits(self) -> int:
        """Its own qubits, those to read cut gates not counted."""
        return len(self.qubits)

    @property
    def gate_ends(self) -> tuple[GateEnd, ...]:
        """Where gates were cut, in order."""
        return tuple(step for step in self.steps if isinstance(step, GateEnd))


@dataclass(frozen=True, slots=True)
class CutPlan:
    """A circuit cut into fragments.

    Attributes:
        cuts: What was cut.
        fragments: What is left; qubits on which nothing happens are in none.
        home: For each qubit of the observables, the qubit on which it is after the circuit's swaps.
        fits: Whether each fragment is narrow enough.
        reads_by_qubits: Whether cut gates are read by qubits of their own at the end, else in the middle.
    """

    cuts: tuple[GateCut | QubitCut, ...]
    fragments: tuple[Fragment, ...]
    home: tuple[int, ...]
    fits: bool
    reads_by_qubits: bool

    @property
    def overhead(self) -> float:
        """``gamma**2`` of all cuts: by so many more shots the error is what it would be without."""
        return math.prod(cut.overhead for cut in self.cuts)

    @property
    def n_qubits(self) -> int:
        """Of the widest fragment, with what it takes to read cut gates."""
        widths = (one.n_qubits + len(one.gate_ends) * self.reads_by_qubits for one in self.fragments)
        return max(widths, default=0)


def plan_cuts(
    circuit: Circuit, observables: Sequence[Observable], max_qubits: int, *, reads_by_qubits: bool
) -> CutPlan:
    """Return ``circuit`` in fragments of at most ``max_qubits`` qubits, at the smallest overhead that was found.

    Gates on three qubits stay whole, unless nothing fits or it costs less to take them apart.

    Raises:
        UnsupportedProgramError: The circuit cannot be cut; see `prepared`.

    Cost: see `find_parts`.
    """
    ways = []
    for split in (False, True):
        made = prepared(circuit, observables, split=split)
        ways.append((made, _parts(made, max_qubits, reads_by_qubits)))
        if not any(len(item.qubits) > 2 and isinstance(item, Instruction) for item in made.operations):
            break
    made, parts = min(ways, key=lambda way: (not way[1].fits, way[1].cost))
    return _planned(made, parts, reads_by_qubits)


def _joins(item: Operation) -> bool:
    return len(item.qubits) > 1 and not isinstance(item, Barrier)


def _nodes(made: Prepared) -> dict[tuple[int, int], int]:
    """Nodes of the timeline by operation and qubit, qubit by qubit in the order of time."""
    where = sorted(
        ((qubit, place) for place, item in enumerate(made.operations) if _joins(item) for qubit in item.qubits)
    )
    return {(place, qubit): node for node, (qubit, place) in enumerate(where)}


def _parts(made: Prepared, max_qubits: int, reads_by_qubits: bool) -> Parts:
    nodes = _nodes(made)
    pairs, costs, tied = [], [], []
    for place, item in enumerate(made.operations):
        if not _joins(item):
            continue
        own = [nodes[place, qubit] for qubit in item.qubits]
        rotation = zz_rotation(item) if isinstance(item, Instruction) else None
        if rotation is None:
            tied += list(pairwise(own))
        else:
            pairs.append(own)
            costs.append(math.log(GateCut("", (), rotation.angle).overhead))
    on = np.array([qubit for _, qubit in nodes], np.int64)
    timeline = Timeline(
        np.unique(on, return_inverse=True)[1].astype(np.int64),
        np.array(pairs, np.int64).reshape(-1, 2),
        np.array(costs, np.float64),
        np.array(tied, np.int64).reshape(-1, 2),
        reads_by_qubits,
    )
    return find_parts(timeline, max_qubits)


def _planned(made: Prepared, parts: Parts, reads_by_qubits: bool) -> CutPlan:
    """The plan of parts that were found."""
    builder = _Builder(made, parts)
    return CutPlan(tuple(builder.cuts), builder.fragments(), made.home, parts.fits, reads_by_qubits)


class _Builder:
    """Walks through the operations; a *stretch* is what of a qubit lies between two cuts."""

    def __init__(self, made: Prepared, parts: Parts) -> None:
        self.made, self.nodes, self.labels = made, _nodes(made), parts.labels.tolist()
        self.cuts: list[GateCut | QubitCut] = []
        self.origin: list[int] = []  # the qubit of each stretch
        self.now: dict[int, int] = {}  # the stretch that a qubit is on
        self.label: dict[int, int] = {}  # and its part, once an operation has told
        self.starts: dict[int, QubitStart] = {}  # by stretch; their qubit is the stretch
        self.ends: dict[int, QubitEnd] = {}
        self.steps: list[Step] = []
        self.joined: list[int] = []  # a forest over the stretches
        for qubit in made.busy:
            self._begin(qubit)
        for place, item in enumerate(made.operations):
            self._add(place, item)

    def fragments(self) -> tuple[Fragment, ...]:
        """The stretches that operations join, with what happens on them."""
        groups: dict[int, list[int]] = {}
        for stretch in range(len(self.origin)):
            groups.setdefault(self._root(stretch), []).append(stretch)
        return tuple(self._fragment(own) for own in groups.values())

    def _fragment(self, own: list[int]) -> Fragment:
        place = {stretch: k for k, stretch in enumerate(own)}
        places = [place.get(stretch, 0) for stretch in range(len(self.origin))]
        steps: list[Step] = []
        for step in self.steps:
            if isinstance(step, GateEnd):
                if step.qubit in place:
                    steps.append(GateEnd(step.cut, step.side, place[step.qubit]))
            elif isinstance(step, Barrier):
                inside = tuple(place[q] for q in step.qubits if q in place)
                if inside:
                    steps.append(Barrier(inside))
            elif step.qubits[0] in place:
                steps.append(step.moved(places))
        return Fragment(
            tuple(self.origin[stretch] for stretch in own),
            tuple(steps),
            tuple(QubitStart(self.starts[s].cut, place[s]) for s in own if s in self.starts),
            tuple(QubitEnd(self.ends[s].cut, place[s]) for s in own if s in self.ends),
            {qubit: place[stretch] for qubit, stretch in self.now.items() if stretch in place},
        )

    def _begin(self, qubit: int) -> int:
        self.now[qubit] = len(self.origin)
        self.origin.append(qubit)
        self.joined.append(self.now[qubit])
        return self.now[qubit]

    def _root(self, stretch: int) -> int:
        while self.joined[stretch] != stretch:
            stretch = self.joined[stretch]
        return stretch

    def _add(self, place: int, item: Operation) -> None:
        if not _joins(item):
            self.steps.append(item.moved(self._places(item)))
            return
        own = [self.labels[self.nodes[place, qubit]] for qubit in item.qubits]
        for qubit, label in zip(item.qubits, own, strict=True):
            if self.label.get(qubit, label) != label:
                self._cut_qubit(qubit)
            self.label[qubit] = label
        if len(set(own)) == 1:
            roots = [self._root(self.now[qubit]) for qubit in item.qubits]
            for root in roots:
                self.joined[root] = min(roots)
            self.steps.append(item.moved(self._places(item)))
        elif isinstance(item, Instruction) and (rotation := zz_rotation(item)) is not None:
            self._cut_gate(item, rotation)

    def _places(self, item: Operation) -> list[int]:
        return [self.now.get(qubit, 0) for qubit in range(self.made.n_qubits)]

    def _cut_qubit(self, qubit: int) -> None:
        cut = len(self.cuts)
        self.cuts.append(QubitCut(qubit))
        before = self.now[qubit]
        self.ends[before] = QubitEnd(cut, before)
        self.starts[self._begin(qubit)] = QubitStart(cut, self.now[qubit])

    def _cut_gate(self, item: Instruction, rotation: ZZRotation) -> None:
        cut = len(self.cuts)
        self.cuts.append(GateCut(item.gate, item.qubits, rotation.angle))
        places = self._places(item)
        self.steps += [one.moved(places) for one in rotation.before]
        self.steps += [GateEnd(cut, side, self.now[qubit]) for side, qubit in enumerate(item.qubits)]
        self.steps += [one.moved(places) for one in rotation.after]
