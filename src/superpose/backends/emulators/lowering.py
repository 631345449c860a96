"""Templates as an emulator runs them: placed, scheduled, with noise, on the qubits in use alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from superpose.backends.emulators.noise import NoiseOfCalibration
from superpose.backends.emulators.scheduling import scheduled
from superpose.backends.executable import LocalExecutable
from superpose.backends.grouping import MeasurementGroup, group_terms
from superpose.backends.measured import read_out
from superpose.circuits import Circuit, Instruction, Measure, Observable, Operation, Template

__all__ = ["LoweredTemplate", "PlacedCircuit", "Placing", "placed_circuit"]


class Placing(Protocol):
    """Puts circuits on a processor's qubits."""

    def place(self, circuit: Circuit) -> Circuit:
        """Return the circuit in native gates on the processor's qubits."""
        ...


class PlacedCircuit(NamedTuple):
    """A circuit on a processor.

    Attributes:
        operations: Native gates, delays and measurements on the processor's qubits.
        qubits: The processor's qubits in use, sorted.
        n_bits: Number of classical bits.
        noisy: The circuit with its noise, whose qubit ``i`` is ``qubits[i]``.
        fidelity: Probability that nothing goes wrong in a shot.
        duration_ns: From the first operation's start to the last one's end.
    """

    operations: tuple[Operation, ...]
    qubits: tuple[int, ...]
    n_bits: int
    noisy: Circuit
    fidelity: float
    duration_ns: float

    @property
    def n_two_qubit_gates(self) -> int:
        """Number of two-qubit gates, branches not looked into."""
        return sum(isinstance(item, Instruction) and len(item.qubits) == 2 for item in self.operations)


def placed_circuit(circuit: Circuit, placer: Placing, noise: NoiseOfCalibration) -> PlacedCircuit:
    """Return a circuit with measurements placed, scheduled and made noisy."""
    native = placer.place(circuit)
    timed = scheduled(native.instructions, noise.duration_ns)
    qubits = tuple(sorted({qubit for item in timed.operations for qubit in item.qubits})) or (0,)
    places = dict(zip(qubits, range(len(qubits)), strict=True))
    table = [places.get(qubit, 0) for qubit in range(native.n_qubits)]
    noisy = Circuit(len(qubits), circuit.name, n_bits=native.n_bits)
    noisy.extend(item.moved(table) for item in noise.apply(timed.operations))
    fidelity = noise.fidelity(timed.operations)
    return PlacedCircuit(timed.operations, qubits, native.n_bits, noisy, fidelity, timed.duration_ns)


class _Setting:
    """A placed circuit that measures, compiled when first needed.

    Args:
        placed: The circuit.
        names: The template's parameters.
        group: What the setting answers; None for counts.
        first_bit: The first of the bits in which the qubits are read.
    """

    def __init__(
        self, placed: PlacedCircuit, names: Sequence[str], group: MeasurementGroup | None, first_bit: int
    ) -> None:
        self.placed, self.group, self._first = placed, group, first_bit
        self._inputs = [name for name in placed.noisy.parameters if name in set(names)]
        self._columns = [list(names).index(name) for name in placed.noisy.parameters]

    def counts(self, rows: npt.NDArray[np.float64], shots: int, seed: int, dtype: Any) -> tuple[Mapping[str, int], ...]:
        """Return counts per batch entry."""
        found = self._sampling(dtype).run(rows[:, self._columns], shots=shots, seed=seed).counts
        return found if found is not None else ()

    def _sampling(self, dtype: Any) -> LocalExecutable:
        key = f"_sampling_{dtype}"
        if key not in self.__dict__:
            self.__dict__[key] = LocalExecutable(Template(self.placed.noisy, (), self._inputs, dtype))
        found: LocalExecutable = self.__dict__[key]
        return found

    def estimates(self, counts: Mapping[str, int], n_observables: int) -> npt.NDArray[np.float64]:
        """Return what counts add to each observable, ``(n_observables,)``."""
        out = np.zeros(n_observables)
        if self.group is None:
            return out
        text = "".join(string[self._first :] for string in counts)
        bits = (np.frombuffer(text.encode(), np.uint8) - ord("0")).reshape(len(counts), -1)  # (strings, n_qubits)
        numbers = np.fromiter(counts.values(), np.float64, len(counts))
        for observable, pauli, coefficient in self.group.terms:
            odd = bits[:, [q for q, letter in enumerate(pauli) if letter != "I"]].sum(axis=1) & 1  # (strings,)
            out[observable] += coefficient * (1.0 - 2.0 * float(odd @ numbers) / float(numbers.sum()))
        return out

    def exact(self, rows: npt.NDArray[np.float64], n_observables: int) -> npt.NDArray[np.float64]:
        """Return what the estimates come to with ever more shots, ``(batch, n_observables)``."""
        found = self._expecting.run(rows[:, self._columns]).expectations
        out = np.zeros((len(rows), n_observables))
        for column, (observable, _, coefficient) in enumerate(self.group.terms if self.group else ()):
            out[:, observable] += coefficient * (found[:, column] if found is not None else 0.0)
        return out

    @cached_property
    def _expecting(self) -> LocalExecutable:
        """The circuit in front of its final measurements, and each string of the group as readout makes it."""
        body, finals = self.placed.noisy.without_final_measurements()
        reading = {item.bit - self._first: item for item in finals}
        read = tuple(
            _as_read(pauli, reading, body.n_qubits) for _, pauli, _ in (self.group.terms if self.group else ())
        )
        return LocalExecutable(Template(body, read, self._inputs, "float64"))


def _as_read(pauli: str, reading: Mapping[int, Measure], n_qubits: int) -> Observable:
    """The observable whose expectation is the mean of a product of signs read with errors.

    A sign read of a qubit has the mean ``a <Z> + b`` with ``a = 1 - flip0 - flip1`` and ``b = flip1 - flip0``.
    """
    terms: dict[str, float] = {}
    acted = [reading[qubit] for qubit, letter in enumerate(pauli) if letter != "I"]
    for kept in product((True, False), repeat=len(acted)):
        letters, weight = ["I"] * n_qubits, 1.0
        for item, keeps in zip(acted, kept, strict=True):
            weight *= 1.0 - item.flip0 - item.flip1 if keeps else item.flip1 - item.flip0
            if keeps:
                letters[item.qubit] = "Z"
        terms["".join(letters)] = weight
    return Observable(terms, n_qubits)


class LoweredTemplate:
    """A circuit and its observables on a processor: all that does not depend on values.

    Args:
        circuit: The circuit.
        observables: What is estimated; none for counts.
        placer: Puts circuits on the processor.
        noise: Of the processor.
    """

    def __init__(
        self, circuit: Circuit, observables: Sequence[Observable], placer: Placing, noise: NoiseOfCalibration
    ) -> None:
        self.n_observables = len(observables)
        names = circuit.parameters
        groups, self.constants = group_terms(observables)
        made: list[tuple[Circuit, MeasurementGroup | None, int]] = []
        if observables:
            body, _ = circuit.without_final_measurements()
            made = [(read_out(body, group.rotation()), group, body.n_bits) for group in groups]
        else:
            made = [(circuit if circuit.n_bits else read_out(circuit, None), None, 0)]
        self.settings = tuple(
            _Setting(placed_circuit(one, placer, noise), names, group, first) for one, group, first in made
        )
        self.bases = [group.basis for group in groups]

    @property
    def fidelity(self) -> float:
        """Of the worst setting."""
        return min((setting.placed.fidelity for setting in self.settings), default=1.0)

    @property
    def duration_ns(self) -> float:
        """Of the longest setting."""
        return max((setting.placed.duration_ns for setting in self.settings), default=0.0)

    def counts(self, rows: npt.NDArray[np.float64], shots: int, seed: int, dtype: Any) -> tuple[Mapping[str, int], ...]:
        """Return counts per batch entry; only without observables."""
        return self.settings[0].counts(rows, shots, seed, dtype)

    def estimated(self, rows: npt.NDArray[np.float64], shots: int, seed: int, dtype: Any) -> npt.NDArray[np.float64]:
        """Return expectations from ``shots`` measurements of each setting, ``(batch, n_observables)``."""
        out = np.tile(self.constants, (len(rows), 1))  # (batch, n_observables)
        seeds = np.random.SeedSequence(seed).generate_state(max(1, len(self.settings)), np.uint64) >> np.uint64(1)
        for setting, own in zip(self.settings, seeds.tolist(), strict=False):
            for entry, counts in enumerate(setting.counts(rows, shots, own, dtype)):
                out[entry] += setting.estimates(counts, self.n_observables)
        return out

    def exact(self, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return what `estimated` comes to with ever more shots, ``(batch, n_observables)``."""
        out = np.tile(self.constants, (len(rows), 1))  # (batch, n_observables)
        for setting in self.settings:
            out += setting.exact(rows, self.n_observables)
        return out
