"""What a tape's measurements say about the engine's results: exact values and gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pennylane.measurements import ExpectationMP, MeasurementProcess, ProbabilityMP, VarianceMP
from pennylane.tape import QuantumScript
from pennylane.wires import Wires

from superpose.circuits import Observable
from superpose.errors import ConversionError, UnsupportedProgramError
from superpose.frontends.pennylane_observables import observable_of, square_of
from superpose.pennylane_device.engine_runs import EngineRuns, Run

__all__ = ["ExactTape", "jvp_of"]

Array = npt.NDArray[Any]


class _Gradients(tuple[Array, ...]):
    """Gradients of several shapes: PennyLane's torch interface asks NumPy to squeeze them, which it cannot."""

    __slots__ = ()

    def squeeze(self) -> Array:
        """Return an array whose shape says how many there are."""
        return np.empty(len(self))


class ExactTape:
    """A tape without shots.

    Expectations and variances are of Pauli strings, and probabilities of bit strings, wherever PennyLane's objects come
    down to them; everything else PennyLane computes from the engine's state vector.

    Args:
        tape: Made of what the device takes.
        labels: Its labels in order of the qubits.
        runs: The device's structures.
    """

    def __init__(self, tape: QuantumScript, labels: Sequence[Any], runs: EngineRuns) -> None:
        self.tape, self.labels, self.runs = tape, list(labels), runs
        self.places = {label: place for place, label in enumerate(self.labels)}
        self.run = runs.run(tape, self.labels)
        self.n_qubits = self.run.structure.circuit.n_qubits
        self.observables: list[Observable] = []
        self.columns: dict[int, tuple[int, ...]] = {}  # by measurement, of its operator and its square
        for number, asked in enumerate(tape.measurements):
            self._note(number, asked)

    def _note(self, number: int, asked: MeasurementProcess) -> None:
        """Note the observables of an expectation or a variance, if there are such."""
        if not isinstance(asked, ExpectationMP | VarianceMP) or asked.obs is None:
            return
        try:
            found = [observable_of(asked.obs, self.places, self.n_qubits)]
            if isinstance(asked, VarianceMP):
                found.append(square_of(asked.obs, self.places, self.n_qubits))
        except ConversionError:
            return
        first = len(self.observables)
        self.observables += found
        self.columns[number] = tuple(range(first, first + len(found)))

    def results(self) -> Any:
        """Return what PennyLane expects of `Device.execute` for this tape."""
        values = self.run.expectations(self.observables) if self.observables else np.empty((1, 0))
        found = tuple(self._result(number, asked, values) for number, asked in enumerate(self.tape.measurements))
        return found[0] if len(found) == 1 else found

    def _result(self, number: int, asked: MeasurementProcess, values: Array) -> Any:
        if number in self.columns:
            return self._shaped(self._moment(number, values))
        run = self._rotated(asked)
        if isinstance(asked, ProbabilityMP):
            return self._shaped(run.probabilities([self.places[label] for label in asked.wires]))
        states = self._shaped(run.states())
        if isinstance(asked, ExpectationMP | VarianceMP) and asked.obs is not None:
            return self._by_matrix(asked, states)
        by_place = asked.map_wires(self.places)  # some of PennyLane's sort labels, which must be of one type then
        return by_place.process_state(states, wire_order=Wires(range(self.n_qubits)))

    def _moment(self, number: int, values: Array) -> Array:
        """An expectation, or a variance from the expectations of operator and square, ``(batch,)``."""
        columns = self.columns[number]
        mean = values[:, columns[0]]
        return mean if len(columns) == 1 else values[:, columns[1]] - mean**2

    def _shaped(self, array: Array) -> Array:
        return array if self.tape.batch_size is not None else array[0]

    def _rotated(self, asked: MeasurementProcess) -> Run:
        """The tape with the gates that turn a measurement's basis to that of the bits."""
        if isinstance(asked, ExpectationMP | VarianceMP) or asked.obs is None:
            return self.run
        tail = asked.diagonalizing_gates()
        return self.runs.run(self.tape, self.labels, tail) if tail else self.run

    def _by_matrix(self, asked: MeasurementProcess, states: Array) -> Any:
        """An operator without few Pauli strings, applied to the state."""
        matrix = asked.obs.sparse_matrix(wire_order=Wires(self.labels), format="csr")
        rows = np.atleast_2d(states)
        turned = (matrix @ rows.T).T
        mean = np.einsum("bi,bi->b", rows.conj(), turned).real
        if isinstance(asked, VarianceMP):
            mean = np.einsum("bi,bi->b", turned.conj(), turned).real - mean**2
        return self._shaped(mean)

    def vjp(self, cotangents: Any) -> tuple[Array, ...]:
        """Return the gradients of the trained numbers that flow back from the results' ``cotangents``.

        Raises:
            UnsupportedProgramError: A measurement has none here.
        """
        measured = self.tape.measurements
        given = (cotangents,) if len(measured) == 1 and not _is_single_tuple(cotangents) else tuple(cotangents)
        total: dict[str, Array] = {}
        if self.observables:
            _add(total, self._vjp_of_moments(given))
        for number, asked in enumerate(measured):
            if number not in self.columns and np.any(np.asarray(given[number])):
                _add(total, self._vjp_of_probabilities(asked, np.asarray(given[number], np.float64)))
        return _Gradients(self._of_number(f"p{number}", total) for number in self.tape.trainable_params)

    def _vjp_of_moments(self, given: Sequence[Any]) -> Mapping[str, Array]:
        batch = self.tape.batch_size or 1
        weights = np.zeros((batch, len(self.observables)))
        squared = any(len(columns) == 2 for columns in self.columns.values())
        values = self.run.expectations(self.observables) if squared else None
        for number, columns in self.columns.items():
            own = np.broadcast_to(np.asarray(given[number], np.float64).reshape(-1), (batch,))
            if len(columns) == 2 and values is not None:
                weights[:, columns[1]] += own
                own = -2.0 * own * values[:, columns[0]]
            weights[:, columns[0]] += own
        if not weights.any():
            return {}
        return self.run.vjp_of_expectations(self.observables, weights)

    def _vjp_of_probabilities(self, asked: MeasurementProcess, given: Array) -> Mapping[str, Array]:
        if not isinstance(asked, ProbabilityMP | ExpectationMP | VarianceMP):
            raise UnsupportedProgramError(
                f"The engine has no gradient of {type(asked).__name__}; expval, var and probs have. Others go with "
                "diff_method='finite-diff', or on default.qubit.",
                measurement=type(asked).__name__,
            )
        qubits, run = [self.places[label] for label in asked.wires], self._rotated(asked)
        batch = self.tape.batch_size or 1
        if isinstance(asked, ProbabilityMP):
            weights: Array = given.reshape(batch, -1)
        else:
            eigenvalues = np.asarray(asked.eigvals(), np.float64)
            own = np.broadcast_to(given.reshape(-1, 1), (batch, 1))
            if isinstance(asked, VarianceMP):
                mean = run.probabilities(qubits) @ eigenvalues  # (batch,)
                weights = own * (eigenvalues**2 - 2.0 * mean[:, None] * eigenvalues)
            else:
                weights = own * eigenvalues
        return run.vjp_of_probabilities(qubits, np.ascontiguousarray(weights))

    def _of_number(self, name: str, total: Mapping[str, Array]) -> Array:
        value = self.run.values.numbers.get(name)
        if value is None:
            raise UnsupportedProgramError(
                f"Number {name[1:]} of the tape is no angle of a gate, so the engine does not differentiate it; take "
                "diff_method='parameter-shift'.",
                number=name,
            )
        found = total.get(name)
        return np.zeros(value.shape) if found is None else np.asarray(found).reshape(value.shape)

    def jacobian(self) -> Any:
        """Return the derivatives of all results by all trained numbers, nested as PennyLane nests them.

        Cost: a gradient for each number in the results.
        """
        results = self.results()
        several = len(self.tape.measurements) > 1
        shapes = [np.shape(one) for one in (results if several else (results,))]
        rows = []
        for place, shape in enumerate(shapes):
            columns = []
            for index in np.ndindex(shape):
                given = [np.zeros(own) for own in shapes]
                given[place][index] = 1.0
                columns.append(self.vjp(tuple(given) if several else given[0]))
            by_number = [
                np.array([column[k] for column in columns]).reshape(shape)
                for k in range(len(self.tape.trainable_params))
            ]
            rows.append(by_number[0] if len(by_number) == 1 else tuple(by_number))
        return tuple(rows) if several else rows[0]


def _is_single_tuple(cotangents: Any) -> bool:
    return isinstance(cotangents, tuple | list) and len(cotangents) == 1


def _add(total: dict[str, Array], more: Mapping[str, Array]) -> None:
    for name, value in more.items():
        total[name] = total[name] + value if name in total else value


def jvp_of(jacobian: Any, tangents: Sequence[Any], *, several: bool) -> Any:
    """Return the derivative of a tape's results in the direction of ``tangents``, one for each trained number."""
    rows = jacobian if several else (jacobian,)
    found = []
    for row in rows:
        by_number = row if isinstance(row, tuple) else (row,)
        pairs = zip(by_number, tangents, strict=True)
        found.append(sum((np.asarray(one) * np.asarray(t) for one, t in pairs), np.zeros(np.shape(by_number[0]))))
    return tuple(found) if several else found[0]
