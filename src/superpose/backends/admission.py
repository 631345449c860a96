"""What runs take on this machine, and whether there is that much."""

from __future__ import annotations

from superpose.backends.plan import chunk_size
from superpose.circuits import Program, Template
from superpose.engine import memory_required
from superpose.engine.memory import SMALL_BYTES, Returns, available_memory
from superpose.errors import StateTooLargeError, UnsupportedProgramError

__all__ = ["MAX_SHOTS", "admit", "batch_limit", "needed_bytes"]

MAX_SHOTS = 10_000_000
BYTES_PER_SHOT = 32  # a drawn number, its index, and what counting makes of them
MAX_BATCH = 2**22
MAX_WORK = 2**30  # amplitudes, or shots, of one run
LARGEST_EXPONENT = 500  # beyond this the bytes are only told as "more than"


def needed_bytes(template: Template | Program, batch: int, shots: int | None) -> int:
    """Return the bytes that a run takes at most at one time; beyond 500 qubits, a lower bound."""
    n_qubits = min(template.circuit.n_qubits, LARGEST_EXPONENT)
    exact = bool(template.observables) and shots is None
    if shots is not None:
        batch = min(batch, chunk_size(n_qubits))
    returns: Returns = "expectations" if exact else "states" if shots is None else "probabilities"
    needed = memory_required(n_qubits, batch, dtype=template.dtype, returns=returns)
    return needed + batch * (shots or 0) * BYTES_PER_SHOT


def admit(template: Template | Program, batch: int, shots: int | None) -> None:
    """Check, in microseconds and without allocating, that a run can be done here now.

    Raises:
        StateTooLargeError: It needs more memory than there is; ``details`` hold needed_bytes and available_bytes.
        UnsupportedProgramError: More shots than 10 million.
    """
    if shots is not None and shots > MAX_SHOTS:
        raise UnsupportedProgramError(
            f"The local backend takes at most {MAX_SHOTS:,} shots per batch entry, got {shots:,}.",
            allowed=MAX_SHOTS,
            got=shots,
        )
    needed = needed_bytes(template, batch, shots)
    if needed <= SMALL_BYTES:
        return
    available, n_qubits = available_memory(), template.circuit.n_qubits
    if needed > available:
        more = "more than " if n_qubits > LARGEST_EXPONENT else ""
        raise StateTooLargeError(
            f"A program of {n_qubits} qubits and {batch} batch entries needs {more}"
            f"{_size_text(needed)} of memory, {_size_text(available)} are free; use fewer qubits, a smaller batch, "
            "dtype='float32' or another backend.",
            n_qubits=n_qubits,
            batch=batch,
            needed_bytes=needed,
            available_bytes=available,
        )


def batch_limit(template: Template, shots: int | None) -> int:
    """Return how many batch entries run well as one program here; see `LocalBackend.batch_limit`.

    Raises:
        StateTooLargeError, UnsupportedProgramError: See `admit`.
    """
    admit(template, 1, shots)
    work: int = max(1 << min(template.circuit.n_qubits, LARGEST_EXPONENT), shots or 1)
    limit = min(MAX_BATCH, max(1, MAX_WORK // work))
    share = max(SMALL_BYTES, available_memory() // 4)
    while limit > 1 and needed_bytes(template, limit, shots) > share:
        limit = (limit + 1) // 2
    return limit


def _size_text(n_bytes: int) -> str:
    units = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
    exponent = min((n_bytes.bit_length() - 1) // 10 if n_bytes else 0, len(units) - 1)
    if n_bytes >> 10 * exponent >= 10**6:
        return f"2**{n_bytes.bit_length() - 1} bytes"
    return f"{n_bytes / 2 ** (10 * exponent):,.3g} {units[exponent]}"
