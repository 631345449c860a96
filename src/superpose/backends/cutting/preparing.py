"""A circuit as it is cut: swaps renamed away, what no observable sees left out, gates that can be cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from superpose.backends.cutting.rotations import ROTATIONS
from superpose.circuits import (
    GATES,
    Barrier,
    Channel,
    Circuit,
    Delay,
    Instruction,
    KrausChannel,
    Measure,
    Observable,
    Operation,
    Reset,
)
from superpose.errors import UnsupportedProgramError

__all__ = ["Prepared", "prepared"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is left of a circuit for its observables.

    Attributes:
        n_qubits: As before.
        operations: Gates of one qubit, two-qubit gates that can be cut, and what cannot be cut.
        home: For each qubit of the observables, the qubit of ``operations`` on which it is at the end.
    """

    n_qubits: int
    operations: tuple[Operation, ...]
    home: tuple[int, ...]

    @property
    def busy(self) -> tuple[int, ...]:
        """Qubits on which anything happens, in order."""
        return tuple(sorted({qubit for item in self.operations for qubit in item.qubits}))


def prepared(circuit: Circuit, observables: Sequence[Observable], *, split: bool) -> Prepared:
    """Return ``circuit`` as it is cut.

    Args:
        circuit: Gates, noise channels and resets; measurements only at its end.
        observables: What is asked.
        split: Whether gates on three qubits come down to gates on two, so that they can be cut too.

    Raises:
        UnsupportedProgramError: It measures in the middle or branches, or an observable of X or Y is asked of a qubit
            that was measured.

    Cost: linear in the circuit.
    """
    body, finals = circuit.without_final_measurements()
    _check(body, finals, observables)
    home = list(range(circuit.n_qubits))
    operations: list[Operation] = []
    for item in _lowered(body.instructions, split):
        if isinstance(item, Instruction) and item.gate == "swap":
            a, b = item.qubits
            home[a], home[b] = home[b], home[a]
        else:
            operations.append(item.moved(home))
    seen = {home[q] for o in observables for pauli, _ in o.terms for q, letter in enumerate(pauli) if letter != "I"}
    return Prepared(circuit.n_qubits, _cone(operations, seen), tuple(home))


def _lowered(items: Iterable[Operation], split: bool) -> Iterable[Operation]:
    """The operations, gates that cannot be cut and need not stay whole taken apart."""
    for item in items:
        if not isinstance(item, Instruction) or len(item.qubits) < 2 or item.gate in {*ROTATIONS, "swap"}:
            yield item
            continue
        if len(item.qubits) > 2 and not split:
            yield item
            continue
        row = GATES[item.gate]
        steps = (row.call(step, item.qubits, item.angles) for step in row.decomposition)
        yield from _lowered([Instruction(step.gate, step.qubits, step.angles) for step in steps], split)  # type: ignore[arg-type]  # made Affine there


def _cone(operations: Sequence[Operation], seen: set[int]) -> tuple[Operation, ...]:
    """What can change something on the qubits in ``seen`` at the end."""
    kept: list[Operation] = []
    reached = set(seen)
    for item in reversed(operations):
        if isinstance(item, Barrier):
            inside = tuple(q for q in item.qubits if q in reached)
            if inside:
                kept.append(Barrier(inside))
        elif reached.intersection(item.qubits):
            reached.update(item.qubits)
            kept.append(item)
    return tuple(reversed(kept))


def _check(body: Circuit, finals: Sequence[Measure], observables: Sequence[Observable]) -> None:
    allowed = (Instruction, Barrier, Delay, Channel, KrausChannel, Reset)
    for item in body.instructions:
        if not isinstance(item, allowed):
            raise UnsupportedProgramError(
                f"A circuit with {type(item).__name__} in the middle cannot be cut; cut are gates, noise channels and "
                "resets. Leave it out, or take a backend that is wide enough.",
                operation=type(item).__name__,
            )
    read = {one.qubit for one in finals}
    for observable in observables:
        for pauli, _ in observable.terms:
            odd = sorted(q for q in read if pauli[q] in "XY")
            if odd:
                raise UnsupportedProgramError(
                    f"Qubits {odd} are measured at the circuit's end, and observable {pauli} asks for X or Y there; "
                    "leave the measurement out.",
                    qubits=odd[:100],
                )
