"""Trajectories: pure states that run through measurement and noise, each with random numbers of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from superpose.circuits import Affine, Instruction, Observable
from superpose.circuits.gates import GATES
from superpose.circuits.operations import Channel, If, KrausChannel, Measure, Operation, Reset
from superpose.engine.dynamic.angles import Angles
from superpose.engine.kernel_table import load_kernel
from superpose.engine.kernels import trajectory_rows as r
from superpose.engine.kernels import vector_slots
from superpose.engine.pool import get_threads
from superpose.engine.ranges import run_ranges
from superpose.engine.workspace import aligned_array
from superpose.errors import UnsupportedProgramError

__all__ = ["Outcomes", "TrajectoryRunner", "trajectory_bytes"]

Array = npt.NDArray[Any]

MIN_QUBITS = vector_slots.LANE_BITS
_NOTHING = np.empty(0)


class Outcomes(NamedTuple):
    """What trajectories gave.

    Attributes:
        values: Expectations of the Pauli strings in each final state, ``(batch, n_trajectories, n_terms)``.
        bits: Classical bits, uint8 ``(batch, n_trajectories, n_bits)``.
        drawn: A measurement of all qubits, int64 ``(batch, n_trajectories)``; undefined unless asked for.
    """

    values: npt.NDArray[np.float64]
    bits: npt.NDArray[np.uint8]
    drawn: npt.NDArray[np.int64]


def trajectory_bytes(n_qubits: int) -> int:
    """Return the bytes of the states of one thread: one to run and one to put aside, 16 per amplitude."""
    return 2 * 16 << max(n_qubits, MIN_QUBITS)


class _Gate(NamedTuple):
    """A gate whose matrix is made for each batch entry."""

    offset: int
    name: str
    angles: tuple[int, ...]


class TrajectoryRunner:
    """A circuit's operations as a tape for trajectories. Immutable; for any number of threads.

    Args:
        operations: In order.
        n_qubits: Number of qubits.
        n_bits: Number of classical bits.
        names: Parameters given per sample, and those shared, in order.

    Raises:
        UnsupportedProgramError: A channel on three or more qubits that is not a mixture of Pauli strings.
    """

    def __init__(
        self, operations: Sequence[Operation], n_qubits: int, n_bits: int, names: tuple[Sequence[str], Sequence[str]]
    ) -> None:
        self.n_qubits, self.n_bits = n_qubits, n_bits
        self._n = max(n_qubits, MIN_QUBITS)
        self._pad = self._n - n_qubits
        self._rows: list[list[int]] = []
        self._gates: list[_Gate] = []
        self._n_matrices = 0
        self._angles = Angles()
        self._constants: list[complex] = []
        self._numbers: list[float] = []
        self._codes: list[int] = []
        self._known: dict[Any, tuple[int, ...]] = {}
        self._write(operations)
        self._tape = np.array(self._rows, np.int64).reshape(-1, r.ROW)
        self._placed = self._angles.placed(*names)
        self._tables = (
            np.array(self._constants, np.complex128),
            np.array(self._numbers, np.float64),
            np.array(self._codes, np.int64),
        )
        n_pairs = sum(row[0] in (r.GATE2, r.KRAUS2) for row in self._rows)
        self.work = (16 * n_pairs + 8 * n_qubits + 8) << self._n
        """Multiplications for a trajectory, about."""

    def _row(self, *values: int) -> None:
        self._rows.append([*values, *[0] * (r.ROW - len(values))])

    def _write(self, operations: Sequence[Operation]) -> None:
        for operation in operations:
            qubits = [q + self._pad for q in operation.qubits]
            if isinstance(operation, Instruction):
                self._gate(operation.gate, tuple(qubits), operation.angles)
            elif isinstance(operation, Channel | KrausChannel):
                self._channel(operation, qubits)
            elif isinstance(operation, Measure):
                self._row(r.MEASURE, qubits[0], operation.bit, len(self._numbers))
                self._numbers += [operation.flip0, operation.flip1]
            elif isinstance(operation, Reset):
                self._row(r.RESET, qubits[0])
            elif isinstance(operation, If):
                self._branch(operation)

    def _gate(self, name: str, qubits: tuple[int, ...], angles: tuple[Affine, ...]) -> None:
        row = GATES[name]
        if len(qubits) > 2:
            for step in row.decomposition:
                call = row.call(step, qubits, angles)
                self._gate(call.gate, call.qubits, tuple(map(Affine.of, call.angles)))
            return
        key = ("gate", name, angles)
        if key not in self._known:
            self._known[key] = (self._n_matrices,)
            self._gates.append(_Gate(self._n_matrices, name, tuple(map(self._angles.number, angles))))
            self._n_matrices += 4 ** len(qubits)
        self._row(r.GATE1 if len(qubits) == 1 else r.GATE2, qubits[0], qubits[-1], *self._known[key])

    def _channel(self, channel: Channel | KrausChannel, qubits: list[int]) -> None:
        mixture = channel.pauli_probabilities()
        if mixture is not None:
            strings = sorted(mixture, key=lambda string: -mixture[string])  # the likeliest needs one comparison
            at, where = len(self._numbers), len(self._codes)
            self._numbers += np.cumsum([mixture[string] for string in strings]).tolist()
            self._codes += qubits
            self._codes += ["IXYZ".index(letter) for string in strings for letter in string]
            self._row(r.PAULIS, at, len(strings), where, len(qubits))
            return
        if len(qubits) > 2:
            raise UnsupportedProgramError(
                f"Trajectories take channels on at most 2 qubits, got one on {len(qubits)}; use "
                "method='density_matrix', or split the channel.",
                allowed=2,
                got=len(qubits),
            )
        operators = np.asarray(channel.kraus(), np.complex128)
        rest = [float(np.linalg.eigvalsh(np.eye(len(k)) - k.conj().T @ k)[-1]) for k in operators]
        first = int(np.argmin(rest))
        order = [first, *(k for k in range(len(operators)) if k != first)]
        at, where = len(self._constants), len(self._numbers)
        self._constants += operators[order].reshape(-1).tolist()
        self._numbers.append(min(1.0, rest[first] + 1e-12))  # rounding must not turn a possible jump away
        kind = r.KRAUS1 if len(qubits) == 1 else r.KRAUS2
        self._row(kind, qubits[0], qubits[-1], at, len(operators), where)

    def _branch(self, operation: If) -> None:
        place = len(self._rows)
        condition = operation.condition
        self._row(r.UNLESS, 0, len(self._codes), len(condition.bits), condition.value)
        self._codes += condition.bits
        self._write(operation.then)
        if operation.otherwise:
            end = len(self._rows)
            self._row(r.JUMP)
            self._rows[place][1] = len(self._rows)
            self._write(operation.otherwise)
            self._rows[end][1] = len(self._rows)
        else:
            self._rows[place][1] = len(self._rows)

    def run(
        self,
        given: tuple[Array, Array, Array | None],
        n_trajectories: int,
        seed: int,
        observables: Sequence[Observable] = (),
        *,
        sample: bool = False,
    ) -> Outcomes:
        """Run ``n_trajectories`` for each batch entry.

        Args:
            given: Inputs ``(batch, n_inputs)``, weights ``(n_weights,)``, and initial states ``(1 or batch,
                2**n_qubits)`` or None.
            n_trajectories: For each entry.
            seed: With the entry's place and the trajectory's number it makes the random numbers.
            observables: Sums of the Pauli strings to evaluate, in the order of `pauli_terms`.
            sample: Whether all qubits are measured at the end.
        """
        inputs, weights, initial = given
        batch = len(inputs)
        matrices = self._matrices(self._placed.evaluate(inputs, weights))
        keys = np.array(
            [np.random.SeedSequence(seed, spawn_key=(k,)).generate_state(2, np.uint32) for k in range(batch)], np.uint64
        )
        masks = np.array([_masks(string) for string in pauli_terms(observables)], np.int64).reshape(-1, 3)
        n_items = batch * n_trajectories
        outcomes = Outcomes(
            np.empty((batch, n_trajectories, len(masks))),
            np.empty((batch, n_trajectories, self.n_bits), np.uint8),
            np.empty((batch, n_trajectories), np.int64),
        )
        constants, numbers, codes = self._tables
        arrays = {
            r.TAPE: self._tape, r.KEYS: keys, r.MATRICES: matrices, r.CONSTANTS: constants, r.NUMBERS: numbers,
            r.CODES: codes, r.INITIAL: self._initial(initial), r.MASKS: masks,
            r.VALUES: outcomes.values.reshape(n_items, len(masks)),
            r.RECORDS: outcomes.bits.reshape(n_items, self.n_bits), r.DRAWN: outcomes.drawn.reshape(-1),
            r.ONE: np.eye(4, dtype=np.complex128).reshape(-1),
        }  # fmt: skip
        wanted = (r.EXPECT if len(masks) else 0) | (r.SAMPLE if sample else 0)
        kernel, loops = load_kernel("trajectory", "float64"), load_kernel("vector_loops", "float64").address

        def part(first: int, last: int) -> None:
            block = np.zeros(r.N_ARGUMENTS, np.int64)
            block[: r.N_NUMBERS] = first, last, self._n, n_trajectories, wanted, self._n_matrices, loops
            used = arrays | self._scratch()
            for place, array in used.items():
                block[place : place + 3] = id(array), *(*array.shape, 0)[:2]
            kernel.call(0.0, id(block))

        run_ranges(part, n_items, get_threads())
        return outcomes

    def _scratch(self) -> dict[int, Array]:
        """Return the working memory of a thread."""
        size, n = 2 << self._n, self._n
        return {
            r.STATE: aligned_array(size, np.float64), r.SAVED: np.empty(size),
            r.REALS: aligned_array(r.N_REALS, np.float64), r.INTEGERS: np.zeros(vector_slots.SIZE + 2 + n, np.int64),
            r.STREAM: np.zeros(7, np.uint64), r.WORDS: np.zeros(4, np.uint64),
            r.PENDING: np.zeros((n, 2, 2), np.complex128), r.SMALL_MATRICES: np.zeros((3, 2, 2), np.complex128),
            r.SQUARES: np.zeros((2, 4, 4), np.complex128),
        }  # fmt: skip

    def _matrices(self, angles: Array) -> npt.NDArray[np.complex128]:
        """Return the gates' matrices for each entry, flat."""
        out = np.empty((len(angles), self._n_matrices), np.complex128)
        for gate in self._gates:
            matrix = GATES[gate.name].matrix([angles[:, k] for k in gate.angles])
            size = matrix.shape[-1] ** 2
            out[:, gate.offset : gate.offset + size] = matrix.reshape(-1, size)
        return out.reshape(-1)

    def _initial(self, states: Array | None) -> Array:
        """Return initial states as vectors of real and imaginary parts, ``(1 or batch, 2 * 2**n)``."""
        d = 1 << self._n
        if states is None:
            whole = np.zeros((1, d), np.complex128)
            whole[:, 0] = 1.0
        else:
            whole = np.zeros((len(states), d), np.complex128)
            whole[:, : states.shape[1]] = states
        lanes = whole.reshape(len(whole), -1, vector_slots.N_LANES)
        return np.ascontiguousarray(np.stack([lanes.real, lanes.imag], axis=2).reshape(len(whole), -1))


def pauli_terms(observables: Sequence[Observable]) -> list[str]:
    """Return the distinct Pauli strings of observables, in order of appearance."""
    return list(dict.fromkeys(pauli for observable in observables for pauli, _ in observable.terms))


def _masks(string: str) -> tuple[int, int, int]:
    """Return the masks of X and of Z in a Pauli string, each Y being both, and the number of Ys."""
    x = int("".join("1" if letter in "XY" else "0" for letter in string), 2)
    z = int("".join("1" if letter in "YZ" else "0" for letter in string), 2)
    return x, z, string.count("Y")
