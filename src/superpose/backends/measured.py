"""Programs as backends that only count bits run them: circuits without parameters, and results from their counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.backends.grouping import MeasurementGroup, group_terms
from superpose.circuits import Circuit, Program, ProgramResult
from superpose.errors import ProviderError, UnsupportedProgramError

__all__ = ["MeasuredProgram", "read_out"]


class MeasuredProgram:
    """A program taken apart into circuits to be measured, whose counts are put together again.

    There is a circuit for each batch entry and, where observables are estimated, for each measurement setting; those of
    one entry follow each other. Each is to be measured ``shots`` times. Without observables, counts are over the
    circuit's own bits, or over all qubits where it has none. A backend that binds values itself takes ``templates``,
    one for each setting with the program's parameters, instead of ``circuits``.

    Args:
        program: With shots, and without a state of its own to start from.

    Raises:
        UnsupportedProgramError: It has no shots, or starts from a state of its own.

    Cost: a copy of the circuit for each setting; ``circuits`` costs one for each batch entry and setting.

    >>> from superpose.circuits import Observable
    >>> measured = MeasuredProgram(Program(Circuit(1).h(0), {}, [Observable({"X": 2.0, "I": 1.0})], shots=10))
    >>> measured.circuits[0].n_bits, measured.n_settings, measured.n_shots
    (1, 1, 10)
    >>> measured.result([{"0": 8, "1": 2}], {}).expectations.round(12).tolist()
    [[2.2]]
    """

    def __init__(self, program: Program) -> None:
        if program.shots is None or program.initial_state is not None:
            raise UnsupportedProgramError(
                "Only programs with shots, which start from |0...0>, can be measured; give shots, prepare the state "
                "by gates."
            )
        self.program, self.shots = program, program.shots
        circuit = program.circuit
        self._first_bit = 0  # of the bits in which the qubits are read
        groups, self._constants = group_terms(program.observables)
        self._groups: tuple[MeasurementGroup, ...] = tuple(groups)
        self._n_observables = len(program.observables)
        if program.observables:
            body, _ = circuit.without_final_measurements()
            self._first_bit = body.n_bits
            settings = [read_out(body, group.rotation()) for group in groups]
        else:
            settings = [circuit if circuit.n_bits else read_out(circuit, None)]
        self.templates = tuple(settings)
        self.n_settings = len(settings)

    @cached_property
    def circuits(self) -> tuple[Circuit, ...]:
        """What is to be measured: each template with each batch entry's values, entry by entry."""
        names = tuple(self.program.circuit.parameters)
        return tuple(
            one.bind(dict(zip(names, row, strict=True))) if names else one
            for row in self.program.param_matrix().tolist()
            for one in self.templates
        )

    @property
    def n_circuits(self) -> int:
        """Number of circuits."""
        return self.program.batch * self.n_settings

    @property
    def n_shots(self) -> int:
        """Shots of all circuits together."""
        return self.shots * self.n_circuits

    def result(self, counts: Sequence[Mapping[str, int]], provenance: Mapping[str, Any]) -> ProgramResult:
        """Return the program's result.

        Args:
            counts: Of each circuit in order, bit 0 leftmost.
            provenance: See `ProgramResult`; the measured bases are added.

        Raises:
            ProviderError: Counts are missing, over other bits, or not as many as the shots; whoever counted is named by
                ``provenance["backend"]``.
        """
        provider = str(provenance.get("backend", "unknown"))
        self._check(counts, provider)
        if not self._n_observables:
            kept = tuple(dict(sorted((key, int(number)) for key, number in one.items() if number)) for one in counts)
            return ProgramResult(counts=kept, provenance=dict(provenance))
        out = np.tile(self._constants, (self.program.batch, 1))  # (batch, n_observables)
        for place, one in enumerate(counts):
            entry, setting = divmod(place, self.n_settings)
            out[entry] += self._estimate(self._groups[setting], one)
        bases = [group.basis for group in self._groups]
        return ProgramResult(expectations=out, provenance={**provenance, "measured_bases": bases})

    def _estimate(self, group: MeasurementGroup, counts: Mapping[str, int]) -> npt.NDArray[np.float64]:
        """What one setting's counts add to each observable, ``(n_observables,)``."""
        strings = "".join(string[self._first_bit :] for string in counts)
        bits = (np.frombuffer(strings.encode(), np.uint8) - ord("0")).reshape(len(counts), -1)  # (strings, n_qubits)
        numbers = np.fromiter(counts.values(), np.float64, len(counts))
        out = np.zeros(self._n_observables)
        for observable, pauli, coefficient in group.terms:
            acted = [qubit for qubit, letter in enumerate(pauli) if letter != "I"]
            odd = bits[:, acted].sum(axis=1) & 1  # (strings,)
            out[observable] += coefficient * (1.0 - 2.0 * float(odd @ numbers) / float(numbers.sum()))
        return out

    def _check(self, counts: Sequence[Mapping[str, int]], provider: str) -> None:
        if len(counts) != self.n_circuits:
            raise _broken(f"counts of {len(counts)} circuits, asked were {self.n_circuits}", provider)
        n_bits = self.templates[0].n_bits if self.templates else 0
        for place, one in enumerate(counts):
            if any(len(key) != n_bits or key.strip("01") for key in one):
                raise _broken(f"counts of circuit {place} that are not over its {n_bits} bits", provider)
            total = sum(one.values())
            if total != self.shots or min(one.values(), default=0) < 0:
                raise _broken(f"{total} counts of circuit {place}, asked were {self.shots} shots", provider)


def read_out(circuit: Circuit, rotation: Circuit | None) -> Circuit:
    """Return the circuit, then the rotation, then a measurement of each qubit into a bit behind the circuit's own."""
    n_qubits, first = circuit.n_qubits, circuit.n_bits
    out = Circuit(n_qubits, circuit.name, n_bits=first + n_qubits).extend(circuit.instructions)
    if rotation is not None:
        out.extend(rotation.instructions)
    for qubit in range(n_qubits):
        out.measure(qubit, first + qubit)
    return out


def _broken(what: str, provider: str) -> ProviderError:
    return ProviderError(
        f"{provider} answered with {what}; nothing of it is used. Fetch the result again, or run the program again.",
        provider=provider,
        provider_job_id=None,
        retryable=True,
    )
