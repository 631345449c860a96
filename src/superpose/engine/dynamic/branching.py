"""Exact branching: a circuit without noise on pure states, one for each run of outcomes that can happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from superpose.circuits import Circuit, Instruction, Observable
from superpose.circuits.operations import If, Measure, Operation, Reset
from superpose.engine.dynamic.readout import bit_probabilities_of_pure
from superpose.engine.dynamic.schedule import Annotated, live_bits
from superpose.engine.program import CompiledProgram, compile_program
from superpose.engine.runner import Dtype
from superpose.errors import UnsupportedProgramError

__all__ = ["MAX_BRANCHES", "BranchRunner", "Branches", "branch_bound"]

MAX_BRANCHES = 1024
"""Most branches per batch entry; more are trajectories' work."""
NEVER = 1e-14
"""An outcome less likely than this is rounding, and does not happen."""

Array = npt.NDArray[np.float64]


def branch_bound(operations: Sequence[Operation]) -> int:
    """Return how many branches there can be at most: two per measurement or reset that runs, four if misread."""
    bound = 1
    for operation in operations:
        if isinstance(operation, If):
            bound *= max(branch_bound(operation.then), branch_bound(operation.otherwise))
        elif isinstance(operation, Measure):
            bound *= 2 if operation.flip0 == operation.flip1 == 0.0 else 4
        elif isinstance(operation, Reset):
            bound *= 2
    return bound


class Branches(NamedTuple):
    """Pure states with their histories, those of one batch entry after those of another in no fixed order.

    Attributes:
        entries: Batch entry, ``(n,)``.
        weights: Probability within the entry, ``(n,)``.
        bits: Classical bits, uint8 ``(n, n_bits)``.
        states: Normalised, complex ``(n, 2**n_qubits)``.
    """

    entries: npt.NDArray[np.int64]
    weights: Array
    bits: npt.NDArray[np.uint8]
    states: npt.NDArray[Any]

    def where(self, chosen: npt.NDArray[np.bool_]) -> Branches:
        """Return some of them."""
        return Branches(self.entries[chosen], self.weights[chosen], self.bits[chosen], self.states[chosen])

    def joined(self, other: Branches) -> Branches:
        """Return both."""
        return Branches(
            np.concatenate([self.entries, other.entries]),
            np.concatenate([self.weights, other.weights]),
            np.concatenate([self.bits, other.bits]),
            np.concatenate([self.states, other.states]),
        )


@dataclass(frozen=True, eq=False)
class _Unitary:
    """Gates in one piece, and which columns of inputs and weights they take."""

    program: CompiledProgram
    inputs: list[int]
    weights: list[int]


@dataclass(frozen=True, eq=False)
class _Event:
    """A measurement, a reset or a condition with what stands in its two lists."""

    entry: Annotated
    parts: list[list[_Unitary | _Event]]


class BranchRunner:
    """A circuit's operations, gates gathered into programs of the engine. Immutable; for any number of threads.

    Args:
        operations: In order, without channels.
        n_qubits: Number of qubits.
        n_bits: Number of classical bits.
        names: Parameters given per sample, and those shared, in order.
        wanted: Bits that are asked for at the end.
        dtype: Precision of the states.
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        n_qubits: int,
        n_bits: int,
        names: tuple[Sequence[str], Sequence[str]],
        wanted: Sequence[int] = (),
        *,
        dtype: Dtype = "float64",
    ) -> None:
        self.n_qubits, self.n_bits, self._names, self._dtype = n_qubits, n_bits, names, dtype
        self._parts = self._gathered(live_bits(operations, wanted)[0])

    def _gathered(self, entries: Sequence[Annotated]) -> list[_Unitary | _Event]:
        out: list[_Unitary | _Event] = []
        gates: list[Instruction] = []
        for entry in entries:
            if isinstance(entry.operation, Instruction):
                gates.append(entry.operation)
            elif isinstance(entry.operation, If | Measure | Reset):
                out += self._unitary(gates)
                gates = []
                out.append(_Event(entry, [self._gathered(part) for part in entry.parts]))
        return [*out, *self._unitary(gates)]

    def _unitary(self, gates: list[Instruction]) -> list[_Unitary]:
        if not gates:
            return []
        circuit = Circuit(self.n_qubits).extend(gates)
        used = set(circuit.parameters)
        columns = [[k for k, name in enumerate(names) if name in used] for names in self._names]
        inputs = [self._names[0][k] for k in columns[0]]
        program = compile_program(circuit, (), inputs=inputs, dtype=self._dtype)
        by_name = {name: k for k, name in enumerate(self._names[1])}
        return [_Unitary(program, columns[0], [by_name[name] for name in program.weight_names])]

    def run(self, inputs: Array, weights: Array, initial: npt.NDArray[Any]) -> Branches:
        """Return the branches at the end.

        Args:
            inputs: ``(batch, n_inputs)``.
            weights: ``(n_weights,)``.
            initial: Normalised states ``(1 or batch, 2**n_qubits)``.

        Raises:
            UnsupportedProgramError: More branches than MAX_BRANCHES per entry.
        """
        batch = len(inputs)
        start = Branches(
            np.arange(batch), np.ones(batch), np.zeros((batch, self.n_bits), np.uint8),
            np.broadcast_to(initial, (batch, initial.shape[1])),
        )  # fmt: skip
        return self._run(self._parts, start, inputs, weights)

    def _run(self, parts: Sequence[_Unitary | _Event], branches: Branches, inputs: Array, weights: Array) -> Branches:
        for part in parts:
            if not len(branches.entries):
                return branches
            if isinstance(part, _Unitary):
                states = part.program.state_vector(
                    inputs[branches.entries][:, part.inputs], weights[part.weights],
                    initial_state=branches.states,
                )  # fmt: skip
                branches = branches._replace(states=states)
                continue
            operation = part.entry.operation
            if isinstance(operation, If):
                value: npt.NDArray[np.int64] = np.zeros(len(branches.entries), np.int64)
                for bit in operation.condition.bits:
                    value = 2 * value + branches.bits[:, bit]
                holds = value == operation.condition.value
                then = self._run(part.parts[0], branches.where(holds), inputs, weights)
                branches = then.joined(self._run(part.parts[1], branches.where(~holds), inputs, weights))
            elif isinstance(operation, Measure | Reset):
                branches = self._measured(operation, branches, wanted=_is_read(part.entry))
                if len(branches.entries) > MAX_BRANCHES * len(inputs):
                    raise UnsupportedProgramError(
                        f"The circuit has more than {MAX_BRANCHES} branches; use method='trajectories', or "
                        "'density_matrix' for at most 12 qubits.",
                        allowed=MAX_BRANCHES,
                    )
        return branches

    def _measured(self, operation: Measure | Reset, branches: Branches, *, wanted: bool) -> Branches:
        qubit = operation.qubits[0]
        shape = (len(branches.entries), 1 << qubit, 2, 1 << self.n_qubits - 1 - qubit)
        halves = branches.states.reshape(shape)
        ones = (np.abs(halves[:, :, 1]) ** 2).sum(axis=(1, 2), dtype=np.float64)
        zeros = (np.abs(halves[:, :, 0]) ** 2).sum(axis=(1, 2), dtype=np.float64)
        ones /= ones + zeros
        out = None
        for outcome, probability in ((0, 1.0 - ones), (1, ones)):
            happens = probability > NEVER
            found = branches.where(happens)
            states = np.zeros_like(found.states).reshape((len(found.entries), *shape[1:]))
            side = 0 if isinstance(operation, Reset) else outcome
            norms = np.sqrt(probability[happens]).astype(states.real.dtype)[:, None, None]
            states[:, :, side] = halves[happens][:, :, outcome] / norms
            found = found._replace(
                weights=found.weights * probability[happens], states=states.reshape(found.states.shape)
            )
            for made in self._read(operation, found, outcome) if wanted else [found]:
                out = made if out is None else out.joined(made)
        return branches if out is None else out

    def _read(self, operation: Measure | Reset, branches: Branches, outcome: int) -> list[Branches]:
        """Return the branches with the bit that is read, right or wrong."""
        if isinstance(operation, Reset):
            return [branches]
        wrong = operation.flip1 if outcome else operation.flip0
        out = []
        for value, probability in ((outcome, 1.0 - wrong), (1 - outcome, wrong)):
            if probability > 0.0:
                bits = branches.bits.copy()
                bits[:, operation.bit] = value
                out.append(branches._replace(weights=branches.weights * probability, bits=bits))
        return out

    def expectations(self, branches: Branches, observables: Sequence[Observable], batch: int) -> Array:
        """Return the expectations, ``(batch, n_observables)``, summed over branches."""
        program = compile_program(Circuit(self.n_qubits), observables, dtype=self._dtype)
        values = program.expectation(None, None, initial_state=branches.states) if len(branches.entries) > 1 else (
            program.expectation(None, None, initial_state=branches.states[0])
        )  # fmt: skip
        out = np.zeros((batch, len(observables)))
        np.add.at(out, branches.entries, branches.weights[:, None] * values)
        return out

    def density_matrices(self, branches: Branches, batch: int) -> npt.NDArray[Any]:
        """Return the mixtures of the branches, ``(batch, 2**n_qubits, 2**n_qubits)``."""
        d = 1 << self.n_qubits
        out = np.zeros((batch, d, d), branches.states.dtype)
        for entry, weight, state in zip(branches.entries, branches.weights, branches.states, strict=True):
            out[entry] += weight * np.outer(state, state.conj())
        return out

    def probabilities(self, branches: Branches, finals: Sequence[Measure], batch: int) -> Array:
        """Return the probabilities of the bits, ``(batch, 2**n_bits)``, after the measurements at the end."""
        out = np.zeros((batch, 1 << self.n_bits))
        found = bit_probabilities_of_pure(branches.states, branches.bits, finals, self.n_bits)
        np.add.at(out, branches.entries, branches.weights[:, None] * found)
        return out

    def sample(
        self, branches: Branches, entry: int, finals: Sequence[Measure], shots: int, generator: np.random.Generator
    ) -> npt.NDArray[np.uint8]:
        """Return the bits of ``shots`` runs of a batch entry, uint8 ``(shots, n_bits)``, readout errors included.

        Args:
            branches: What `run` gave.
            entry: The batch entry.
            finals: Measurements at the end, each into a bit of its own.
            shots: Number of runs.
            generator: Where random numbers come from.
        """
        rows = np.flatnonzero(branches.entries == entry)
        weights = branches.weights[rows] / branches.weights[rows].sum()
        chosen = generator.choice(len(rows), size=shots, p=weights)
        out = branches.bits[rows[chosen]].copy()
        for place in np.unique(chosen) if finals else ():
            mine = np.flatnonzero(chosen == place)
            sums = np.cumsum(np.abs(branches.states[rows[place]]).astype(np.float64) ** 2)
            index = np.searchsorted(sums, generator.random(len(mine)) * sums[-1], side="right")
            index = np.minimum(index, len(sums) - 1)
            for measure in finals:
                found = index >> self.n_qubits - 1 - measure.qubit & 1
                wrong = generator.random(len(mine)) < np.where(found, measure.flip1, measure.flip0)
                out[mine, measure.bit] = found ^ wrong
        return out


def _is_read(entry: Annotated) -> bool:
    return isinstance(entry.operation, Measure) and entry.operation.bit in entry.after
