"""The local backend: programs on this machine's engine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose import __version__
from superpose.backends.grouping import group_terms
from superpose.circuits import Capabilities, Circuit, Measure, Program, ProgramResult
from superpose.engine import CompiledProgram, compile_program, get_threads, memory_required
from superpose.engine.memory import available_memory
from superpose.errors import StateTooLargeError, UnsupportedProgramError

__all__ = ["LocalBackend"]

MAX_SHOTS = 10_000_000
BYTES_PER_SHOT = 32  # a drawn number, its index, and what counting makes of them
CHUNK_AMPLITUDES = 2**20
TILE = 16  # batch entries that the engine takes at once, at most
LARGEST_EXPONENT = 500  # beyond this the bytes are only told as "more than"


class LocalBackend:
    """Runs programs on this machine: exact or sampled, batched, without network.

    Exact expectations, state vectors and samples come from `superpose.engine`. With ``shots``, observables are
    estimated from measurements: their Pauli strings are grouped into settings that can be measured together, and each
    setting is measured ``shots`` times per batch entry. Equal programs with equal seeds give equal results, on any
    number of threads.

    >>> from superpose.circuits import Circuit, Observable
    >>> LocalBackend().run(Program(Circuit(2).h(0).cx(0, 1), {}, [Observable("XX")])).expectations.round(12).tolist()
    [[1.0]]
    """

    @property
    def name(self) -> str:
        """The name "local"."""
        return "local"

    def capabilities(self) -> Capabilities:
        """Return what this machine can do with the memory that is free now."""
        free, n_qubits = available_memory(), 1
        while memory_required(n_qubits + 1, 1, dtype="float64", gradients=False) <= free:
            n_qubits += 1
        return Capabilities(
            max_qubits=n_qubits,
            max_shots=MAX_SHOTS,
            exact=True,
            state_vectors=True,
            initial_state=True,
            simulator=True,
        )

    def admit(self, program: Program) -> None:
        """Check, in microseconds and without allocating, that ``program`` can run here now.

        Raises:
            StateTooLargeError: It needs more memory than there is; ``details`` hold needed_bytes and available_bytes.
            UnsupportedProgramError: More shots than 10 million.
        """
        if program.shots is not None and program.shots > MAX_SHOTS:
            raise UnsupportedProgramError(
                f"The local backend takes at most {MAX_SHOTS:,} shots per batch entry, got {program.shots:,}.",
                allowed=MAX_SHOTS,
                got=program.shots,
            )
        needed, available = needed_bytes(program), available_memory()
        if needed > available:
            more = "more than " if program.n_qubits > LARGEST_EXPONENT else ""
            raise StateTooLargeError(
                f"A program of {program.n_qubits} qubits and {program.batch} batch entries needs {more}"
                f"{_size_text(needed)} of memory, {_size_text(available)} are free; use fewer qubits, a smaller batch, "
                "dtype='float32' or another backend.",
                n_qubits=program.n_qubits,
                batch=program.batch,
                needed_bytes=needed,
                available_bytes=available,
            )

    def run(self, program: Program) -> ProgramResult:
        """Run ``program``; see `Program` for what comes back.

        Raises:
            StateTooLargeError, UnsupportedProgramError: See `admit`; refused before anything is computed.

        Cost: ``2**n_qubits`` amplitudes per instruction and batch entry; estimates cost that once per group of terms.
        """
        self.admit(program)
        started_at, started = datetime.now(UTC), time.perf_counter()
        seed = program.seed
        if program.shots is not None and seed is None:
            seed = int(np.random.default_rng().integers(2**63 - 1))
        run = _Run(program, seed)
        parts: dict[str, Any]
        if program.observables:
            parts = {"expectations": run.exact() if program.shots is None else run.estimated()}
        elif program.shots is not None:
            parts = {"counts": run.counts()}
        else:
            parts = {"state_vectors": run.state_vectors()}
        provenance = {
            "backend": self.name,
            "version": __version__,
            "dtype": program.dtype,
            "shots": program.shots,
            "seed": seed,
            "n_threads": get_threads(),
            "program_digest": program.digest,
            "started_at": started_at.isoformat(),
            "elapsed_s": time.perf_counter() - started,
        }
        return ProgramResult(**parts, provenance=provenance | run.notes)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Some batch entries in the engine's form."""

    entries: slice
    inputs: npt.NDArray[np.float64] | None
    initial_state: npt.NDArray[np.complex128] | None


class _Run:
    """One program, its values sorted into those that differ between batch entries and those that do not."""

    def __init__(self, program: Program, seed: int | None) -> None:
        self.program = program
        self.body, self.measured = program.circuit, tuple[Measure, ...]()
        if program.circuit.n_bits and not program.circuit.has_noise:
            self.body, self.measured = program.circuit.without_final_measurements()
        self.seed = seed
        self.notes: dict[str, Any] = {}
        names, values = program.circuit.parameters, program.param_matrix()  # (batch, n_params)
        differs = [not (column == column[0]).all() for column in values.T]
        self.input_names = tuple(name for name, by_entry in zip(names, differs, strict=True) if by_entry)
        self.inputs = values[:, differs]  # (batch, n_inputs)
        self.weights = values[0, np.logical_not(differs)]  # (n_weights,)

    def compiled(self, circuit: Circuit, *, observables: bool) -> CompiledProgram:
        chosen = self.program.observables if observables else ()
        return compile_program(circuit, chosen, inputs=self.input_names, dtype=self.program.dtype)

    def whole(self) -> _Chunk:
        return _Chunk(slice(0, self.program.batch), self.inputs, self.program.initial_state)

    def chunks(self) -> Iterator[_Chunk]:
        """The batch in pieces of a size that depends on the program alone, so that equal seeds give equal results."""
        size = max(TILE, CHUNK_AMPLITUDES >> self.program.n_qubits)
        state = self.program.initial_state
        for first in range(0, self.program.batch, size):
            entries = slice(first, first + size)
            many = state is not None and state.ndim == 2 and len(state) > 1
            yield _Chunk(entries, self.inputs[entries], state[entries] if state is not None and many else state)

    def exact(self) -> npt.NDArray[np.float64]:
        compiled, chunk = self.compiled(self.body, observables=True), self.whole()
        values = compiled.expectation(chunk.inputs, self.weights, initial_state=chunk.initial_state)
        return values.astype(np.float64, copy=False)

    def state_vectors(self) -> npt.NDArray[Any]:
        compiled, chunk = self.compiled(self.body, observables=False), self.whole()
        return compiled.state_vector(chunk.inputs, self.weights, initial_state=chunk.initial_state)

    def counts(self) -> tuple[dict[str, int], ...]:
        compiled = self.compiled(self.body, observables=False)
        found: list[dict[str, int]] = []
        for place, chunk in enumerate(self.chunks()):
            counts = compiled.counts(
                chunk.inputs,
                self.weights,
                self.program.shots or 1,
                self.seed_of(0, place),
                initial_state=chunk.initial_state,
            )
            found += counts if not self.program.circuit.n_bits else map(self.of_bits, counts)
        return tuple(found)

    def of_bits(self, counts: dict[str, int]) -> dict[str, int]:
        """Counts over the circuit's bits from those over all qubits; bits that nothing writes read 0."""
        out: dict[str, int] = {}
        for string, number in counts.items():
            bits = ["0"] * self.program.circuit.n_bits
            for item in self.measured:
                bits[item.bit] = string[item.qubit]
            out["".join(bits)] = out.get("".join(bits), 0) + number
        return dict(sorted(out.items()))

    def estimated(self) -> npt.NDArray[np.float64]:
        groups, constants = group_terms(self.program.observables)
        out = np.tile(constants, (self.program.batch, 1))  # (batch, n_observables)
        for number, group in enumerate(groups):
            compiled = self.compiled(self.body.compose(group.rotation()), observables=False)
            for place, chunk in enumerate(self.chunks()):
                samples = compiled.sample(
                    chunk.inputs,
                    self.weights,
                    self.program.shots or 1,
                    self.seed_of(number, place),
                    initial_state=chunk.initial_state,
                )  # (entries, shots)
                out[chunk.entries] += group.estimates(samples, len(self.program.observables))
        self.notes["measured_bases"] = [group.basis for group in groups]
        return out

    def seed_of(self, group: int, chunk: int) -> int:
        """An independent seed for each measurement setting and piece of the batch."""
        sequence = np.random.SeedSequence(entropy=self.seed, spawn_key=(group, chunk))
        return int(sequence.generate_state(1, np.uint64)[0] >> 1)


def needed_bytes(program: Program) -> int:
    """Return the bytes that running ``program`` takes at most at one time; beyond 500 qubits, a lower bound."""
    n_qubits = min(program.n_qubits, LARGEST_EXPONENT)
    exact = bool(program.observables) and program.shots is None
    batch = program.batch
    if program.shots is not None:
        batch = min(batch, max(TILE, CHUNK_AMPLITUDES >> n_qubits))
    needed = memory_required(n_qubits, batch, dtype=program.dtype, gradients=not exact)
    if not exact:  # the states in the circuit's order, and what is computed from them
        needed += (batch * 48) << n_qubits
    return needed + batch * (program.shots or 0) * BYTES_PER_SHOT


def _size_text(n_bytes: int) -> str:
    units = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
    exponent = min((n_bytes.bit_length() - 1) // 10 if n_bytes else 0, len(units) - 1)
    if n_bytes >> 10 * exponent >= 10**6:
        return f"2**{n_bytes.bit_length() - 1} bytes"
    return f"{n_bytes / 2 ** (10 * exponent):,.3g} {units[exponent]}"
