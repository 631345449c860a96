"""A circuit placed on a processor, where the backend does not say how it would do that itself.

A stated model of what a transpiler does, deterministic and pure:

1. Everything is decomposed by the gate table into one-qubit gates and CX, gates that the processor has excepted.
2. Qubits are placed one by one: the pair that interacts most on one of the best edges, then always the qubit that
   interacts most with those placed, on the free qubit with the smallest expected loss: sum over its partners of
   interactions times distance, plus its readout. Distances are along the best path, an edge counting -log of its
   gate's fidelity.
3. A gate on qubits that are apart is brought together by swaps, three CX each, along the best path.

Several of the best edges are tried as starts; the placement with the largest success probability is kept. Transpilers
that search longer do better; what matters here is the order of backends and circuits, see docs/backends.md.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from superpose.backends.estimates.fidelity import SuccessProbability, Tariff, success_probability
from superpose.circuits import GATES, Affine, Barrier, Calibration, Circuit, If, Instruction, Operation
from superpose.errors import UnsupportedProgramError

__all__ = ["Placed", "Placer"]

N_STARTS = 6
FAR = 50.0
"""Loss of what cannot be reached, and most that an edge counts."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A circuit on a processor's qubits.

    Attributes:
        circuit: Over all qubits of the processor; its measurements are of the qubits where the bits are found.
        first: Where each qubit starts.
        last: Where each qubit ends.
        n_swaps: Swaps that were put in.
        success: What is expected of it.
    """

    circuit: Circuit
    first: tuple[int, ...]
    last: tuple[int, ...]
    n_swaps: int
    success: SuccessProbability


class Placer:
    """Places circuits on one processor; made once for a calibration.

    Args:
        calibration: Of the processor.
    """

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        self.tariff = Tariff(calibration)
        self._loss = {pair: _loss(self.tariff.of(row)[0]) for pair, row in self.tariff.pairs.items()}
        self._next: list[list[int]] = [[] for _ in range(calibration.n_qubits)]
        for one, other in sorted(self._loss):
            self._next[one].append(other)
        self._read = [_loss(self.tariff.readout(qubit)[0]) for qubit in range(calibration.n_qubits)]
        self._paths: dict[int, tuple[list[float], list[int]]] = {}

    def place(self, circuit: Circuit, measured: Iterable[int] | None = None) -> Placed:
        """Return the best of several placements.

        Args:
            circuit: In any gates.
            measured: Qubits read at the end; see `success_probability`.

        Raises:
            UnsupportedProgramError: More qubits than the processor has, or than are joined.

        Cost: a few milliseconds for tens of gates, linear in gates; paths once per start.
        """
        n_qubits = circuit.n_qubits
        if n_qubits > self.calibration.n_qubits:
            raise UnsupportedProgramError(
                f"The circuit has {n_qubits} qubits, {self.calibration.backend} has {self.calibration.n_qubits}."
            )
        operations = tuple(self._decomposed(circuit.instructions))
        reads = None if measured is None else tuple(measured)
        weights = _interactions(operations)
        best: Placed | None = None
        for layout in self._layouts(n_qubits, weights):
            found = self._route(circuit, operations, layout, reads)
            if best is None or found.success.total > best.success.total:
                best = found
        if best is None:
            raise UnsupportedProgramError(f"{self.calibration.backend} joins too few qubits for this circuit.")
        return best

    def _decomposed(self, items: Iterable[Operation]) -> Iterable[Operation]:
        for item in items:
            if isinstance(item, If):
                then, otherwise = (tuple(self._decomposed(branch)) for branch in (item.then, item.otherwise))
                yield If(item.condition, then, otherwise)
            elif not isinstance(item, Instruction) or self._is_simple(item):
                yield item
            else:
                row = GATES[item.gate]
                for step in row.decomposition:
                    name, places, angles = row.call(step, item.qubits, item.angles)
                    yield from self._decomposed([Instruction(name, places, tuple(map(Affine.of, angles)))])

    def _is_simple(self, item: Instruction) -> bool:
        if len(item.qubits) == 2:
            return item.gate == "cx" or item.gate in self.calibration.native_gates
        return len(item.qubits) == 1

    def _layouts(self, n_qubits: int, weights: Mapping[tuple[int, int], int]) -> Iterable[list[int]]:
        if not weights:
            order = sorted(range(self.calibration.n_qubits), key=lambda q: (self._read[q], q))
            yield order[:n_qubits]
            return
        edges = sorted(
            (pair for pair in self._loss if pair[0] < pair[1]),
            key=lambda pair: (self._loss[pair] + self._read[pair[0]] + self._read[pair[1]], pair),
        )
        first = max(weights, key=lambda pair: (weights[pair], (-pair[0], -pair[1])))
        for one, other in edges[:N_STARTS]:
            layout = self._grown(n_qubits, weights, {first[0]: one, first[1]: other})
            if layout is not None:
                yield layout

    def _grown(self, n_qubits: int, weights: Mapping[tuple[int, int], int], places: dict[int, int]) -> list[int] | None:
        partners: list[dict[int, int]] = [{} for _ in range(n_qubits)]
        for (one, other), times in weights.items():
            partners[one][other] = times
            partners[other][one] = times
        free = set(range(self.calibration.n_qubits)) - set(places.values())
        while len(places) < n_qubits:
            open_qubits = [qubit for qubit in range(n_qubits) if qubit not in places]
            qubit = max(
                open_qubits,
                key=lambda q: (sum(t for p, t in partners[q].items() if p in places), sum(partners[q].values()), -q),
            )
            pulls = [(self._from(places[p])[0], times) for p, times in partners[qubit].items() if p in places]
            if not free:
                return None
            spot = min(free, key=lambda s: (self._read[s] + sum(times * far[s] for far, times in pulls), s))
            if pulls and math.isinf(sum(far[spot] for far, _ in pulls)):
                return None
            places[qubit] = spot
            free.discard(spot)
        return [places[qubit] for qubit in range(n_qubits)]

    def _route(
        self, circuit: Circuit, operations: Sequence[Operation], layout: Sequence[int], reads: Sequence[int] | None
    ) -> Placed:
        router = _Router(self, circuit, layout)
        for item in operations:
            router.take(item)
        at = None if reads is None else [router.at[qubit] for qubit in reads]
        if at is None and not router.measures:
            at = list(router.at)
        success = success_probability(router.out, self.tariff, at)
        return Placed(router.out, tuple(layout), tuple(router.at), router.n_swaps, success)

    def path(self, one: int, other: int) -> list[int]:
        """Return the qubits along the path of least loss, both ends included.

        Raises:
            UnsupportedProgramError: There is none.
        """
        far, before = self._from(one)
        if math.isinf(far[other]):
            raise UnsupportedProgramError(f"{self.calibration.backend} does not join qubits {one} and {other}.")
        steps = [other]
        while steps[-1] != one:
            steps.append(before[steps[-1]])
        return steps[::-1]

    def _from(self, start: int) -> tuple[list[float], list[int]]:
        """Losses to all qubits along the best paths, and the qubit before each (Dijkstra)."""
        if start not in self._paths:
            far, before = [math.inf] * self.calibration.n_qubits, [-1] * self.calibration.n_qubits
            far[start] = 0.0
            heap = [(0.0, start)]
            while heap:
                loss, qubit = heapq.heappop(heap)
                if loss > far[qubit]:
                    continue
                for neighbour in self._next[qubit]:
                    through = loss + self._loss[qubit, neighbour]
                    if through < far[neighbour]:
                        far[neighbour], before[neighbour] = through, qubit
                        heapq.heappush(heap, (through, neighbour))
            self._paths[start] = far, before
        return self._paths[start]

    def joins(self, one: int, other: int) -> bool:
        """Whether an entangling gate joins the two."""
        return (one, other) in self._loss


class _Router:
    """Writes operations down on the processor's qubits, with swaps where they are needed."""

    def __init__(self, placer: Placer, circuit: Circuit, layout: Sequence[int]) -> None:
        self.placer = placer
        self.at = list(layout)  # of each of the circuit's qubits
        self.n_swaps, self.measures = 0, False
        self.out = Circuit(placer.calibration.n_qubits, circuit.name, n_bits=circuit.n_bits)

    def take(self, item: Operation) -> None:
        if isinstance(item, If):
            for branch in (item.then, item.otherwise):
                for inner in branch:
                    if len(inner.qubits) == 2:
                        self._together(*inner.qubits)
        elif isinstance(item, Instruction) and len(item.qubits) == 2:
            self._together(*item.qubits)
        elif isinstance(item, Barrier):
            return
        if item.bits and not isinstance(item, If):
            self.measures = True
        self.out.extend([item.moved(self.at)])

    def _together(self, one: int, other: int) -> None:
        a, b = self.at[one], self.at[other]
        if self.placer.joins(a, b):
            return
        path = self.placer.path(a, b)
        middle = (len(path) - 1) // 2
        for k in range(middle):
            self._swap(path[k], path[k + 1])
        for k in range(len(path) - 1, middle + 1, -1):
            self._swap(path[k], path[k - 1])

    def _swap(self, a: int, b: int) -> None:
        self.out.cx(a, b).cx(b, a).cx(a, b)
        self.n_swaps += 1
        moves = {a: b, b: a}
        self.at = [moves.get(place, place) for place in self.at]


def _interactions(items: Iterable[Operation]) -> Counter[tuple[int, int]]:
    found = Counter[tuple[int, int]]()
    for item in items:
        if isinstance(item, If):
            found += _interactions((*item.then, *item.otherwise))
        elif isinstance(item, Instruction) and len(item.qubits) == 2:
            found[min(item.qubits), max(item.qubits)] += 1
    return found


def _loss(fidelity: float) -> float:
    return min(FAR, -math.log(fidelity)) + 1e-6 if fidelity > 0.0 else FAR
