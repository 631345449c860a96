"""Measurement settings as templates of angles, run for any number of rows at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from superpose.backends.grouping import MeasurementGroup, group_terms
from superpose.backends.measured import read_out
from superpose.backends.mitigation.frames import FramedCircuit, Frames
from superpose.backends.mitigation.lowering import Processor
from superpose.circuits import Program, ProgramResult
from superpose.errors import UnsupportedProgramError

__all__ = ["Setting", "parities", "run_rows", "shares", "takes_shots"]


class Setting:
    """A measurement setting of a program on a processor.

    Args:
        framed: The circuit with its measurements.
        group: What it answers.
        first_bit: Of those in which the qubits are read.
        n_observables: Of the program.

    Attributes:
        strings: The products of bits that are asked for: places of measurements among ``framed.finals``, each once.
    """

    def __init__(self, framed: FramedCircuit, group: MeasurementGroup, first_bit: int, n_observables: int) -> None:
        self.framed, self._group, self._n_observables = framed, group, n_observables
        by_bit = {item.bit: place for place, item in enumerate(framed.finals)}
        self._columns = [
            tuple(by_bit[first_bit + qubit] for qubit, letter in enumerate(pauli) if letter != "I")
            for _, pauli, _ in group.terms
        ]
        self.strings = tuple(dict.fromkeys(self._columns))

    @cached_property
    def on_qubits(self) -> tuple[tuple[int, ...], ...]:
        """The strings' qubits, by their places among the qubits in use."""
        return tuple(tuple(self.framed.finals[place].qubit for place in string) for string in self.strings)

    def expectations(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return what strings' values ``(batch, n_strings)`` add to each observable, ``(batch, n_observables)``."""
        out = np.zeros((len(values), self._n_observables))
        for (observable, _, coefficient), column in zip(self._group.terms, self._columns, strict=True):
            out[:, observable] += coefficient * values[:, self.strings.index(column)]
        return out

    @staticmethod
    def all_of(program: Program, processor: Processor) -> tuple[list[Setting], npt.NDArray[np.float64]]:
        """Return the settings of a program, and what constants add to each observable, ``(n_observables,)``.

        Raises:
            UnsupportedProgramError: The circuit does more than gates, or cannot run there.
        """
        groups, constants = group_terms(program.observables)
        body, _ = program.circuit.without_final_measurements()
        body.gate_calls()
        made = [read_out(body, group.rotation()) for group in groups]
        n, first = len(program.observables), body.n_bits
        return [
            Setting(FramedCircuit(processor.native(one)), group, first, n)
            for one, group in zip(made, groups, strict=True)
        ], constants


def parities(
    framed: FramedCircuit, strings: Sequence[Sequence[int]], counts: Sequence[Mapping[str, int]], frames: Frames
) -> npt.NDArray[np.float64]:
    """Return the mean of each product of signs in each row, ``(rows, n_strings)``, frames undone.

    Args:
        framed: The circuit.
        strings: Places of measurements.
        counts: By row.
        frames: The rows' frames.
    """
    bits_of = [item.bit for item in framed.finals]
    out = np.zeros((len(counts), len(strings)))
    for row, one in enumerate(counts):
        text = np.frombuffer("".join(one).encode(), np.uint8) - ord("0")
        bits = text.reshape(len(one), -1)[:, bits_of] ^ frames.flips[row]  # (keys, n_measurements)
        numbers = np.fromiter(one.values(), np.float64, len(one))
        for column, string in enumerate(strings):
            odd = bits[:, list(string)].sum(axis=1) & 1
            out[row, column] = 1.0 - 2.0 * float(odd @ numbers) / float(numbers.sum())
    return out


def run_rows(
    processor: Processor,
    framed: FramedCircuit,
    angles: npt.NDArray[np.float64],
    shots: int,
    seed: int,
) -> tuple[list[Mapping[str, int]], list[ProgramResult]]:
    """Run a template with angles ``(rows, n_slots)`` and return the counts by row, and the runs' results.

    Cost: one program, or as many as the backend's largest batch asks for.
    """
    most = processor.max_rows() or len(angles)
    counts: list[Mapping[str, int]] = []
    results = []
    for start in range(0, len(angles), most):
        part = framed.params(angles[start : start + most])
        results.append(processor.run(Program(framed.template, part, shots=shots, seed=seed + start)))
        counts += results[-1].counts or ()
    if not framed.n_slots:
        counts *= len(angles)
    return counts, results


def takes_shots(program: Program, what: str) -> int:
    """Return a program's shots.

    Raises:
        UnsupportedProgramError: It has none.
    """
    if program.shots is None:
        raise UnsupportedProgramError(f"{what} estimates from counts; give shots.")
    return program.shots


def shares(shots: int, share: float, max_rows: int) -> tuple[int, int, int]:
    """Return how many rows the program itself gets, how many what it is corrected by, and the shots of each row.

    Args:
        shots: In all; at most these are used.
        share: Of them, for the correction.
        max_rows: Most rows together.

    Raises:
        UnsupportedProgramError: Fewer than two shots.

    >>> shares(20_000, 0.25, 256)
    (190, 63, 79)
    """
    if shots < 2:
        raise UnsupportedProgramError(f"{shots} shots cannot be shared with what they are corrected by; give more.")
    each = -(-shots // max_rows)
    rows = shots // each
    theirs = min(rows - 1, max(1, round(share * rows)))
    return rows - theirs, theirs, each
