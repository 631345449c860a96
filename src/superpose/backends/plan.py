"""A template as the local engine runs it: what is compiled once, and the answers to each kind of question."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from superpose.backends.grouping import MeasurementGroup, group_terms
from superpose.circuits import Circuit, Measure, Template
from superpose.engine import CompiledProgram, compile_program

__all__ = ["TILE", "Answer", "Plan", "Values", "chunk_size", "seed_of"]

CHUNK_AMPLITUDES = 2**20
TILE = 16  # batch entries that the engine takes at once, at most


class Values(NamedTuple):
    """Values for a template's parameters, in the engine's form."""

    inputs: npt.NDArray[np.float64]  # (batch, n_inputs)
    weights: npt.NDArray[np.float64]  # (n_weights,)
    initial_state: npt.NDArray[np.complex128] | None = None  # (2**n_qubits,) or (batch, 2**n_qubits)

    @property
    def batch(self) -> int:
        """Number of batch entries."""
        return len(self.inputs)


class Answer(NamedTuple):
    """What a run gave.

    Attributes:
        parts: Of the `superpose.circuits.ProgramResult`.
        notes: What provenance says about the way there.
    """

    parts: dict[str, Any]
    notes: dict[str, Any]


class Plan:
    """Everything about a template that does not depend on values, made when first needed. For any number of threads."""

    def __init__(self, template: Template) -> None:
        self.template = template
        circuit = template.circuit
        self.body, self.measured = circuit, tuple[Measure, ...]()
        if circuit.n_bits and not circuit.has_noise:
            self.body, self.measured = circuit.without_final_measurements()

    def _compiled(self, circuit: Circuit, *, observables: bool) -> CompiledProgram:
        """Compile; inputs and weights come in the template's order."""
        template = self.template
        chosen = template.observables if observables else ()
        return compile_program(circuit, chosen, inputs=template.input_names, dtype=template.dtype)

    @cached_property
    def measuring(self) -> CompiledProgram:
        """The circuit with the observables."""
        return self._compiled(self.body, observables=True)

    @cached_property
    def bare(self) -> CompiledProgram:
        """The circuit alone."""
        return self._compiled(self.body, observables=False)

    @cached_property
    def settings(self) -> tuple[list[tuple[MeasurementGroup, CompiledProgram]], npt.NDArray[np.float64]]:
        """The measurement settings that estimate the observables, and the constants in those."""
        groups, constants = group_terms(self.template.observables)
        rotated = [self._compiled(self.body.compose(group.rotation()), observables=False) for group in groups]
        return list(zip(groups, rotated, strict=True)), constants

    def answer(self, values: Values, shots: int | None, seed: int | None) -> Answer:
        """Return what template and shots ask for."""
        return Answer(self._parts(values, shots, seed), self.notes(shots))

    def _parts(self, values: Values, shots: int | None, seed: int | None) -> dict[str, Any]:
        if self.template.observables:
            return {"expectations": self.exact(values) if shots is None else self.estimated(values, shots, seed)}
        if shots is not None:
            return {"counts": self.counts(values, shots, seed)}
        return {"state_vectors": self.bare.state_vector(*values[:2], initial_state=values.initial_state)}

    def notes(self, shots: int | None) -> dict[str, Any]:
        """Return what provenance says about the way the answer was got."""
        if shots is None or not self.template.observables:
            return {}
        return {"measured_bases": [group.basis for group, _ in self.settings[0]]}

    def exact(self, values: Values) -> npt.NDArray[np.float64]:
        """Return exact expectations, ``(batch, n_observables)``."""
        found = self.measuring.expectation(*values[:2], initial_state=values.initial_state)
        return found.astype(np.float64, copy=False)

    def counts(self, values: Values, shots: int, seed: int | None) -> tuple[dict[str, int], ...]:
        """Return per batch entry how often each bit string was measured."""
        found: list[dict[str, int]] = []
        for place, chunk in enumerate(self._chunks(values)):
            counts = self.bare.counts(*chunk[:2], shots, seed_of(seed, 0, place), initial_state=chunk.initial_state)
            found += map(self._of_bits, counts) if self.template.circuit.n_bits else counts
        return tuple(found)

    def _of_bits(self, counts: dict[str, int]) -> dict[str, int]:
        """Counts over the circuit's bits from those over all qubits; bits that nothing writes read 0."""
        out: dict[str, int] = {}
        for string, number in counts.items():
            bits = ["0"] * self.template.circuit.n_bits
            for item in self.measured:
                bits[item.bit] = string[item.qubit]
            out["".join(bits)] = out.get("".join(bits), 0) + number
        return dict(sorted(out.items()))

    def estimated(self, values: Values, shots: int, seed: int | None) -> npt.NDArray[np.float64]:
        """Return expectations from ``shots`` measurements of each setting, ``(batch, n_observables)``."""
        settings, constants = self.settings
        out = np.tile(constants, (values.batch, 1))  # (batch, n_observables)
        for number, (group, compiled) in enumerate(settings):
            first = 0
            for place, chunk in enumerate(self._chunks(values)):
                samples = compiled.sample(
                    *chunk[:2], shots, seed_of(seed, number, place), initial_state=chunk.initial_state
                )  # (entries, shots)
                out[first : first + chunk.batch] += group.estimates(samples, len(self.template.observables))
                first += chunk.batch
        return out

    def _chunks(self, values: Values) -> Iterator[Values]:
        """The batch in pieces of a size that depends on the template alone, so that equal seeds give equal results."""
        size, state = chunk_size(self.template.circuit.n_qubits), values.initial_state
        for first in range(0, values.batch, size):
            entries = slice(first, first + size)
            many = state is not None and state.ndim == 2 and len(state) > 1
            yield Values(
                values.inputs[entries], values.weights, state[entries] if state is not None and many else state
            )


def chunk_size(n_qubits: int) -> int:
    """Return how many batch entries are sampled at a time."""
    return max(TILE, CHUNK_AMPLITUDES >> n_qubits)


def seed_of(seed: int | None, group: int, chunk: int) -> int:
    """An independent seed for each measurement setting and piece of the batch."""
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=(group, chunk))
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)
