"""What a Quil program defines: circuits, written out where they are called, and gates, brought down to known ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pyquil import Program, quilatom, quilbase

from superpose.circuits import Affine, Instruction
from superpose.errors import ConversionError
from superpose.frontends.generators import Term, exponential, family
from superpose.frontends.matrices import gates_of
from superpose.frontends.words import Names, Refusal

__all__ = ["GateDefinitions", "written_out"]

MAX_DEPTH = 100
MAX_INSTRUCTIONS = 1_000_000


def written_out(program: Program, refusal: Refusal) -> list[Any]:
    """Return the instructions of a program, those of circuits (``DEFCIRCUIT``) in the place of their calls.

    Raises:
        ConversionError: Circuits call each other without end, a call does not fit its circuit, or a circuit holds
            control flow.
    """
    circuits = {item.name: item for item in program.instructions if isinstance(item, quilbase.DefCircuit)}
    out: list[Any] = []
    for item in _expanded(program.instructions, circuits, refusal, 0):
        out.append(item)
        if len(out) > MAX_INSTRUCTIONS:
            refusal.of("DEFCIRCUIT", f"more than {MAX_INSTRUCTIONS:,} instructions")
    return out


def _expanded(items: Sequence[Any], circuits: Mapping[str, Any], refusal: Refusal, depth: int) -> Iterator[Any]:
    if depth > MAX_DEPTH:
        refusal.of("DEFCIRCUIT", f"circuits that call each other more than {MAX_DEPTH} deep")
    for item in items:
        if isinstance(item, quilbase.DefCircuit):
            continue
        if isinstance(item, quilbase.Gate) and item.name in circuits:
            definition = circuits[item.name]
            inner = [_placed(one, definition, item, refusal) for one in definition.instructions]
            yield from _expanded(inner, circuits, refusal, depth + 1)
        else:
            yield item


def _placed(inner: Any, definition: Any, call: Any, refusal: Refusal) -> Any:
    """Return an instruction of a circuit's body with the qubits and angles of a call."""
    formal = [str(name).lstrip("%") for name in definition.parameters]
    names = [str(getattr(one, "name", one)) for one in definition.qubit_variables]
    if call.modifiers or len(formal) != len(call.params) or len(names) != len(call.qubits):
        what = "a modifier on a circuit" if call.modifiers else "a call that does not fit its circuit"
        refusal.of(call.out(), what)
    values = {quilatom.Parameter(name): value for name, value in zip(formal, call.params, strict=True)}
    qubits = dict(zip(names, call.qubits, strict=True))

    def place(qubit: Any) -> Any:
        return qubits.get(qubit.name, qubit) if isinstance(qubit, quilatom.FormalArgument) else qubit

    match inner:
        case quilbase.Gate():
            angles = [quilatom.substitute(value, values) for value in inner.params]
            out = quilbase.Gate(inner.name, angles, [place(qubit) for qubit in inner.qubits])
            out.modifiers = list(inner.modifiers)
            return out
        case quilbase.Measurement():
            return quilbase.Measurement(place(inner.qubit), inner.classical_reg)
        case quilbase.ResetQubit():
            return quilbase.ResetQubit(place(inner.qubit))
        case quilbase.Fence():
            return quilbase.Fence([place(qubit) for qubit in inner.qubits])
        case quilbase.Pragma() | quilbase.FenceAll() | quilbase.Reset():
            return inner
        case _:
            return refusal.of(inner.out(), f"{type(inner).__name__} in a circuit of the program's own")


class GateDefinitions:
    """Gates that a program defines (``DEFGATE``): by a matrix, a permutation, or a Pauli sum."""

    def __init__(self, program: Program, refusal: Refusal) -> None:
        self.refusal = refusal
        self.known = {item.name: item for item in program.defined_gates}

    def __contains__(self, name: object) -> bool:
        return name in self.known

    def calls(self, item: Any, qubits: tuple[int, ...], angles: Sequence[Affine], place: int) -> list[Instruction]:
        """Return a call without its modifiers.

        Raises:
            ConversionError: The call does not fit the definition, or the gate has parameters that do not enter as
                angles of commuting rotations.
        """
        definition = self.known[item.name]
        names = [one.name for one in definition.parameters]
        if len(names) != len(angles):
            self.refusal.of(item.out(), f"a call with {len(angles)} angles of a gate with {len(names)}", place)
        try:
            if definition.specification.is_pauli_sum():
                return list(self.pauli_sum(definition.specification.to_pauli_sum(), names, qubits, angles))
            if definition.specification.is_permutation():
                return list(gates_of(self._permutation(definition, item, place), qubits))
            entries = definition.matrix
            return list(family(lambda values: _numbers(entries, names, values), angles, qubits))
        except ConversionError as error:
            if error.details.get("toolkit"):
                raise
            return self.refusal.of(item.out(), f"the gate {item.name} of the program's own", place, str(error))

    def _permutation(self, definition: Any, item: Any, place: int) -> Any:
        order = [int(number) for number in definition.specification.to_permutation()]
        if sorted(order) != list(range(len(order))) or any(order[order[k]] != k for k in order):
            hint = "Quil's tools differ in its direction; give it AS MATRIX."
            self.refusal.of(item.out(), "a permutation that is not its own inverse", place, hint)
        return np.eye(len(order))[order]

    def pauli_sum(
        self, given: Any, names: Sequence[str], qubits: tuple[int, ...], angles: Sequence[Affine]
    ) -> Iterator[Instruction]:
        """``exp(-i sum(c P))``, the coefficients affine in the call's angles."""
        of = dict(zip(given.arguments, qubits, strict=True))
        terms: list[Term] = []
        for term in given.terms:
            letters = "".join(str(letter).rpartition(".")[2][0] for letter, _ in term.arguments)
            on = tuple(of[name] for _, name in term.arguments)
            terms.append((letters, on, self._coefficient(term.expression.to_quil(), names, angles)))
        yield from exponential(terms, qubits)

    def _coefficient(self, text: str, names: Sequence[str], angles: Sequence[Affine]) -> Affine:
        (gate,) = Program(f"RZ({text}) 0").instructions
        expression = gate.params[0]

        def at(values: Mapping[str, float]) -> float:
            number = complex(_number(expression, {quilatom.Parameter(name): value for name, value in values.items()}))
            if abs(number.imag) > 0:
                raise ValueError("a complex coefficient")
            return number.real

        total = Names(self.refusal).affine(text, names, at, "DEFGATE")
        out = Affine.of(total.constant)
        for name, slope in total.terms:
            out = out + slope * angles[list(names).index(name)]
        return out


def _number(expression: Any, values: Mapping[Any, float]) -> Any:
    return quilatom.substitute(expression, dict(values))


def _numbers(entries: Any, names: Sequence[str], values: Sequence[float]) -> Any:
    given = {quilatom.Parameter(name): value for name, value in zip(names, values, strict=True)}
    return np.array([[complex(_number(entry, given)) for entry in row] for row in entries])
