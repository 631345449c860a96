"""Structures compiled for the engine, and the calls that run them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pennylane.tape import QuantumScript

from superpose.circuits import Dtype, Observable
from superpose.engine import CompiledProgram, compile_program
from superpose.engine.dynamic import compile_dynamic
from superpose.pennylane_device.structure import Structure, Values, read_structure, split

__all__ = ["EngineRuns", "Run", "Total"]

KEPT_STRUCTURES = 256


class Total:
    """A number that several threads add to."""

    def __init__(self) -> None:
        self.number, self._lock = 0, threading.Lock()

    def add(self) -> None:
        """Add 1."""
        with self._lock:
            self.number += 1


@dataclass(frozen=True)
class Run:
    """A tape ready to run.

    Attributes:
        structure: Read once for all tapes that differ in values alone.
        values: The tape's own.
        dtype: Precision.
    """

    structure: Structure
    values: Values
    dtype: Dtype

    def program(self, observables: Sequence[Observable] = ()) -> CompiledProgram:
        """Return the compiled program with these observables; equal ones are compiled once."""
        return compile_program(self.structure.circuit, observables, inputs=self.inputs, dtype=self.dtype)

    @property
    def inputs(self) -> list[str]:
        """Names of the values that differ between batch entries."""
        return self.values.inputs()

    def arrays(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return inputs ``(batch, n_inputs)`` and weights ``(n_weights,)`` in the order of the compiled program."""
        numbers, names = self.values.numbers, self.inputs
        known = set(names)
        weights = np.array([numbers[name] for name in self.structure.circuit.parameters if name not in known])
        if names:
            return np.stack([numbers[name] for name in names], axis=1), weights
        state = self.values.initial_state
        n_states = len(state) if state is not None and state.ndim == 2 else 1
        return np.empty((n_states, 0)), weights

    def expectations(self, observables: Sequence[Observable]) -> npt.NDArray[np.float64]:
        """Return exact expectations, ``(batch, n_observables)``."""
        return np.asarray(self._call(self.program(observables).expectation), np.float64)

    def probabilities(self, qubits: Sequence[int]) -> npt.NDArray[np.float64]:
        """Return the probabilities of some qubits' bit strings, ``(batch, 2**k)``."""
        return np.asarray(self._call(self.program().probabilities, qubits=qubits), np.float64)

    def states(self) -> npt.NDArray[np.complex128]:
        """Return the final states, ``(batch, 2**n_qubits)``."""
        return np.asarray(self._call(self.program().state_vector), np.complex128)

    def samples(self, shots: int, seed: int) -> npt.NDArray[np.int64]:
        """Return bits ``(batch, shots, n_measured + n_qubits)``: those measured in the middle, then all qubits'."""
        circuit = self.structure.circuit
        if circuit.n_bits:
            program = compile_dynamic(circuit, inputs=self.inputs, dtype=self.dtype)
            return np.asarray(self._call(program.sample, shots=shots, seed=seed), np.int64)
        indices: npt.NDArray[np.int64] = self._call(self.program().sample, shots=shots, seed=seed)  # (batch, shots)
        return indices[..., None] >> np.arange(circuit.n_qubits - 1, -1, -1) & 1

    def vjp_of_expectations(
        self, observables: Sequence[Observable], cotangents: npt.NDArray[np.float64]
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Return by parameter the gradient that flows back from ``cotangents`` ``(batch, n_observables)``."""
        program = self.program(observables)
        return self._named(program, self._call(program.value_and_grad, grad_expectations=cotangents))

    def vjp_of_probabilities(
        self, qubits: Sequence[int], cotangents: npt.NDArray[np.float64]
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Return by parameter the gradient that flows back from ``cotangents`` ``(batch, 2**k)``."""
        program = self.program()
        found = self._call(program.probabilities_and_grad, grad_probabilities=cotangents, qubits=qubits)
        return self._named(program, found)

    def _call(self, method: Any, **options: Any) -> Any:
        return method(*self.arrays(), initial_state=self.values.initial_state, **options)

    def _named(self, program: CompiledProgram, found: Sequence[Any]) -> dict[str, npt.NDArray[np.float64]]:
        _, by_input, by_weight = (np.asarray(array, np.float64) for array in found)
        out = dict(zip(program.input_names, by_input.T, strict=True))
        out.update(zip(program.weight_names, by_weight, strict=True))
        return out


class EngineRuns:
    """The structures that a device has met, and how often the engine ran.

    Args:
        dtype: Precision of amplitudes, "float64" or "float32".
    """

    def __init__(self, dtype: Dtype) -> None:
        self.dtype = dtype
        self.n_structures = 0
        self._known: OrderedDict[Hashable, Structure] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, tape: QuantumScript, labels: Sequence[Any], tail: Sequence[Any] = ()) -> Run:
        """Return a tape ready to run; its structure is read if no earlier tape had it.

        Raises:
            ConversionError: Something in the tape cannot be kept.
        """
        key, values = split(tape, labels, tail)
        with self._lock:
            structure = self._known.get(key)
            if structure is None:
                structure = self._known[key] = read_structure(tape, labels, tail)
                self.n_structures += 1
                if len(self._known) > KEPT_STRUCTURES:
                    self._known.popitem(last=False)
            else:
                self._known.move_to_end(key)
        return Run(structure, values, self.dtype)
