"""Which method runs a dynamic circuit: the cheapest exact one that fits, else trajectories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from superpose.circuits import Instruction
from superpose.circuits.operations import Channel, KrausChannel, Operation, walk
from superpose.engine.dynamic.branching import MAX_BRANCHES, branch_bound
from superpose.engine.dynamic.schedule import Annotated, live_bits
from superpose.engine.dynamic.trajectories import trajectory_bytes
from superpose.engine.memory import SMALL_BYTES, available_memory
from superpose.engine.pool import get_threads
from superpose.errors import StateTooLargeError, UnsupportedProgramError

__all__ = ["MAX_DENSITY_QUBITS", "MAX_SLOT_BITS", "METHODS", "Choice", "Method", "choose"]

Method = Literal["auto", "branching", "density_matrix", "trajectories"]
METHODS = ("auto", "branching", "density_matrix", "trajectories")

MAX_DENSITY_QUBITS = 12
"""Most qubits of a density matrix that is chosen without being asked for."""
MAX_SLOT_BITS = 12
"""Most classical bits that may be told apart at one time: each doubles the states."""


class Choice(NamedTuple):
    """What runs.

    Attributes:
        method: "branching", "density_matrix" or "trajectories".
        reason: Why the others do not, where nothing was asked for.
    """

    method: str
    reason: str


class _Size(NamedTuple):
    """What the methods would cost."""

    n_qubits: int
    n_gates: int
    slot_bits: int
    noisy: bool
    branches: int

    @property
    def density_bytes(self) -> int:
        return 8 << 2 * min(max(self.n_qubits, 2), 500) << self.slot_bits

    @property
    def density_work(self) -> float:
        return 8.0 * self.n_gates * 4.0 ** min(self.n_qubits, 500) * 2.0**self.slot_bits

    @property
    def branching_work(self) -> float:
        return 16.0 * self.n_gates * 2.0 ** min(self.n_qubits, 1000) * self.branches

    def trajectory_work(self, n_trajectories: int) -> float:
        return 16.0 * (self.n_gates + 2) * 2.0 ** min(self.n_qubits, 1000) * n_trajectories


def _measured(operations: Sequence[Operation], n_qubits: int, wanted: Sequence[int]) -> _Size:
    every = walk(operations)
    return _Size(
        n_qubits,
        sum(isinstance(operation, Instruction) for operation in every),
        _most_live(operations, wanted),
        any(isinstance(operation, Channel | KrausChannel) for operation in every),
        branch_bound(operations),
    )


def _most_live(operations: Sequence[Operation], wanted: Sequence[int]) -> int:
    """Return how many written bits are told apart at one time."""
    written = {bit for operation in walk(operations) for bit in operation.bits}

    def most(entries: Sequence[Annotated]) -> int:
        return max(
            (max(len(entry.after & written), *map(most, entry.parts), 0) for entry in entries),
            default=0,
        )

    return most(live_bits(operations, wanted)[0])


def choose(
    method: Method,
    operations: Sequence[Operation],
    n_qubits: int,
    wanted: Sequence[int] = (),
    n_samples: int | None = None,
) -> Choice:
    """Return what runs.

    Args:
        method: What was asked for.
        operations: Without measurements at the end.
        n_qubits: Number of qubits.
        wanted: Bits that are asked for at the end.
        n_samples: Number of shots where samples are asked for; then trajectories are as exact as the others.

    Raises:
        StateTooLargeError: What was asked for does not fit into memory.
        UnsupportedProgramError: It cannot run this circuit.
    """
    size = _measured(operations, n_qubits, wanted)
    if method == "branching":
        if size.noisy:
            raise UnsupportedProgramError(
                "method='branching' takes circuits without noise channels; use 'density_matrix' or 'trajectories'.",
                method=method,
            )
        return Choice(method, "asked for")
    if method == "density_matrix":
        _check_density(size)
        return Choice(method, "asked for")
    if method == "trajectories":
        return Choice(method, "asked for")
    found: list[tuple[float, str]] = []
    if n_qubits <= MAX_DENSITY_QUBITS and size.slot_bits <= MAX_SLOT_BITS and _fits(size.density_bytes):
        found.append((size.density_work, "density_matrix"))
    if not size.noisy and size.branches <= MAX_BRANCHES:
        found.append((size.branching_work, "branching"))
    if n_samples is not None:
        found.append((size.trajectory_work(n_samples), "trajectories"))
    if not found:
        many = f"{size.branches} branches" if not size.noisy else "noise"
        return Choice("trajectories", f"{n_qubits} qubits with {many} and {size.slot_bits} bits to tell apart")
    return Choice(min(found)[1], "cheapest exact method")


def _fits(needed: int) -> bool:
    return needed <= SMALL_BYTES or needed <= available_memory() // 2


def _check_density(size: _Size) -> None:
    if size.slot_bits > MAX_SLOT_BITS:
        raise UnsupportedProgramError(
            f"A density matrix tells at most {MAX_SLOT_BITS} classical bits apart at one time, this circuit needs "
            f"{size.slot_bits}; use method='trajectories'.",
            allowed=MAX_SLOT_BITS,
            got=size.slot_bits,
        )
    needed = size.density_bytes
    if not _fits(needed):
        raise _too_large(f"Density matrices of {size.n_qubits} qubits", needed, "method='trajectories'")


def check_trajectories(n_qubits: int) -> None:
    """Refuse states that do not fit, before anything is allocated.

    Raises:
        StateTooLargeError: They do not.
    """
    needed = get_threads() * trajectory_bytes(min(n_qubits, 500))
    if not _fits(needed):
        raise _too_large(f"Trajectories of {n_qubits} qubits", needed, "fewer qubits or threads")


def _too_large(what: str, needed: int, instead: str) -> StateTooLargeError:
    free = available_memory()
    return StateTooLargeError(
        f"{what} need {_text(needed)} of memory, half of {_text(free)} may be taken; use {instead}.",
        needed_bytes=needed,
        available_bytes=free,
    )


def _text(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:,.3g} GiB" if n_bytes < 10**30 else f"2**{n_bytes.bit_length() - 1} bytes"
