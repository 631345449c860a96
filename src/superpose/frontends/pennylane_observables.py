"""PennyLane's observables as ours, and what a QNode returns as observables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pennylane as qml

from superpose.circuits import Observable
from superpose.errors import ConversionError, ObservableError
from superpose.frontends.pennylane import Shapes, places_of, tape_of
from superpose.frontends.words import Refusal

__all__ = ["measured", "observable_of", "square_of"]

_READING = Refusal("PennyLane")
IMAGINARY = 1e-12
"""Imaginary parts of coefficients up to this are rounding."""


def observable_of(operator: Any, places: Mapping[Any, int], n_qubits: int) -> Observable:
    """Return a PennyLane operator as a sum of Pauli strings.

    Args:
        operator: Pauli words and sums of them, `Hermitian` on at most 6 qubits, `Projector` on at most 12, and sums,
            multiples and products of these.
        places: Which qubit each label is.
        n_qubits: Of the observable.

    Raises:
        ConversionError: It is not Hermitian, or does not come down to few Pauli strings.
    """
    sentence = operator.pauli_rep
    if sentence is not None:
        return _of_sentence(sentence, places, n_qubits, operator.name)
    if isinstance(operator, qml.ops.SProd):
        return observable_of(operator.base, places, n_qubits) * _real(operator.scalar, operator.name)
    if isinstance(operator, qml.ops.Sum):
        parts = [observable_of(part, places, n_qubits) for part in operator.operands]
        return sum(parts[1:], parts[0])
    qubits = [places[label] for label in operator.wires]
    try:
        if operator.name == "Projector" and np.ndim(operator.data[0]) == 1 and len(operator.data[0]) == len(qubits):
            bits = ["-"] * n_qubits
            for qubit, bit in zip(qubits, np.asarray(operator.data[0]).tolist(), strict=True):
                bits[qubit] = str(int(bit))
            return Observable.projector("".join(bits))
        if operator.has_matrix and len(qubits) <= 6:
            return Observable.hermitian(qml.matrix(operator, wire_order=operator.wires), qubits, n_qubits)
    except ObservableError as error:
        _READING.of(operator.name, f"this observable ({error.message})")
    return _READING.of(operator.name, "an observable that does not come down to Pauli strings")


def square_of(operator: Any, places: Mapping[Any, int], n_qubits: int) -> Observable:
    """Return the square of a PennyLane operator as a sum of Pauli strings.

    Raises:
        ConversionError: See `observable_of`; the square has at most the square of its number of strings.
    """
    sentence = operator.pauli_rep
    if sentence is None:
        plain = observable_of(operator, places, n_qubits)
        sentence = qml.pauli.PauliSentence(
            {
                qml.pauli.PauliWord({q: letter for q, letter in enumerate(pauli) if letter != "I"}): coefficient
                for pauli, coefficient in plain.terms
            }
        )
        places = {qubit: qubit for qubit in range(n_qubits)}
    return _of_sentence(sentence @ sentence, places, n_qubits, operator.name)


def _of_sentence(sentence: Any, places: Mapping[Any, int], n_qubits: int, name: str) -> Observable:
    terms = []
    for word, coefficient in sentence.items():
        letters = ["I"] * n_qubits
        for label, letter in word.items():
            letters[places[label]] = letter
        terms.append(("".join(letters), _real(coefficient, name)))
    return Observable(terms, n_qubits)


def _real(coefficient: Any, name: str) -> float:
    value = complex(qml.math.toarray(qml.math.unwrap([coefficient])[0]))
    if abs(value.imag) > IMAGINARY * max(1.0, abs(value)):
        raise ConversionError(
            f"{name} has the coefficient {value}, so it is not Hermitian; only observables can be measured.",
            instruction=name,
            feature="a coefficient that is not real",
        )
    return value.real


def measured(source: Any, shapes: Shapes | None = None) -> tuple[Observable, ...]:
    """Return what a QNode, a tape or a quantum function measures, if those are expectations.

    Args:
        source: See `superpose.frontends.pennylane.read`.
        shapes: See there.

    Raises:
        ConversionError: It measures something else, or nothing; or one of the operators is no sum of Pauli strings.
    """
    tape = tape_of(source, shapes)
    places = places_of(tape)
    if not tape.measurements:
        _READING.of("circuit", "a circuit that measures nothing as a layer", hint="Give observables=.")
    out = []
    for asked in tape.measurements:
        if not isinstance(asked, qml.measurements.ExpectationMP) or asked.obs is None:
            _READING.of(
                str(asked), "a measurement that is no expectation as a layer's output", hint="Give observables=."
            )
        out.append(observable_of(asked.obs, places, len(places)))
    return tuple(out)
