"""The runs of a cut program: which forms of which fragments, in which settings, with how many shots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from superpose.backends.cutting.circuits import (
    BASES,
    GATE_FORMS,
    PREPARED_STATES,
    READ,
    FragmentCircuit,
    fragment_circuit,
)
from superpose.backends.cutting.joining import n_forms
from superpose.backends.cutting.plan import CutPlan, GateCut
from superpose.backends.cutting.questions import Question
from superpose.circuits import Observable, Program, ProgramGrid
from superpose.errors import UnsupportedProgramError

__all__ = ["FormGrid", "Sampling", "overhead_of", "sampled"]

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

LEAST_SHOTS = 2
"""Of each run, for fewer have no variance."""
_CLASSES = 4
"""Runs are given one of so many numbers of shots, each a quarter of the one before."""
_NOTHING = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class FormGrid:
    """Runs of one fragment that differ in the values of parameters alone.

    Attributes:
        fragment: Its number.
        made: Its circuit.
        grid: What is run; its bindings are ``(n_runs, n_entries)``.
        forms: The form of each run, ``(n_runs,)``, see `FragmentValues`.
        settings: The setting of each, ``(n_runs,)``; 0 where exact expectations are asked for.
        entries: Which of the grid's entries each batch entry is, ``(batch,)``.
        n_entries: How many of those there are.
    """

    fragment: int
    made: FragmentCircuit
    grid: ProgramGrid
    forms: Places
    settings: Places
    entries: Places
    n_entries: int

    @property
    def n_runs(self) -> int:
        """Forms and settings."""
        return len(self.forms)

    @property
    def n_shots(self) -> int:
        """Of all bindings together."""
        return (self.grid.shots or 0) * self.grid.n_bindings

    def program(self) -> Program:
        """All bindings as one program."""
        columns = dict(zip(self.grid.circuit.parameters, self.grid.rows().T, strict=True))
        return Program(self.grid.circuit, columns, self.grid.observables, self.grid.shots, dtype=self.grid.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Sampling:
    """All runs of a cut program.

    Attributes:
        grids: What is run.
        known: For each fragment, the forms that need no run because they keep the trace and nothing else is asked.
    """

    grids: tuple[FormGrid, ...]
    known: tuple[Places, ...]

    def n_shots(self, fragment: int) -> int:
        """Shots of a fragment's runs together, over the whole batch."""
        return sum(one.n_shots for one in self.grids if one.fragment == fragment)


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """Runs of a fragment, with what each matters."""

    fragment: int
    forms: Places
    settings: Places
    weights: Array


def sampled(
    plan: CutPlan, question: Question, program: Program, cuts: Sequence[Array], *, budget: int | None, shared: bool
) -> Sampling:
    """Return the runs of ``program``.

    Args:
        plan: Its fragments.
        question: What is asked of them.
        program: The program.
        cuts: See `cut_coefficients`.
        budget: Shots of each batch entry, or of each run where they are not ``shared``; None for exact expectations.
        shared: Whether all runs share them, each as its quasi-probabilities weigh.

    Raises:
        UnsupportedProgramError: There are too few shots for all runs.
    """
    runs, known = [], []
    for number in range(len(plan.fragments)):
        some, none = _runs(plan, question, number, cuts, exact=budget is None)
        runs.append(some)
        known.append(none)
    shots = [None] * len(runs) if budget is None else _shots(runs, budget, shared)
    grids: list[FormGrid] = []
    for one, own in zip(runs, shots, strict=True):
        grids += _grids(plan, question, program, one, own)
    return Sampling(tuple(grids), tuple(known))


def _runs(
    plan: CutPlan, question: Question, number: int, cuts: Sequence[Array], *, exact: bool
) -> tuple[_Runs, Places]:
    """The runs that a fragment needs, and the forms that need none."""
    fragment, asks = plan.fragments[number], question.fragments[number]
    weights: Array = np.ones((max((len(cut) for cut in cuts), default=1), 1))  # (batch, n_forms)
    mine = {end.cut for end in fragment.gate_ends} | {one.cut for one in fragment.starts}
    mine |= {one.cut for one in fragment.ends}
    for end in fragment.gate_ends:
        weights = _times(weights, np.abs(cuts[end.cut]).sum(axis=2 - end.side))
    for start in fragment.starts:
        weights = _times(weights, np.abs(cuts[start.cut]).sum(axis=1))
    for other, cut in enumerate(cuts):
        if other not in mine:
            weights = weights * np.abs(cut).sum(axis=(1, 2))[:, None]
    total = np.sqrt((weights**2).mean(axis=0))  # (n_forms,)
    useful = total > _NOTHING * total.max(initial=0.0)
    known: Places = np.zeros(0, np.int64)
    if asks.is_trivial and not fragment.ends:
        shape = n_forms(plan, number)
        reads = [np.array(form[: len(fragment.gate_ends)]) == READ for form in np.ndindex(*shape)]
        unread = np.array([not one.any() for one in reads])
        known = np.flatnonzero(unread)
        useful &= ~unread
    forms = np.flatnonzero(useful)
    if exact:
        return _Runs(number, forms, np.zeros(len(forms), np.int64), total[forms]), known
    per_setting = np.array([max(setting.weight, _NOTHING) for setting in asks.settings])
    n_settings = len(per_setting)
    return (
        _Runs(
            number,
            np.repeat(forms, n_settings),
            np.tile(np.arange(n_settings), len(forms)),
            (total[forms][:, None] * per_setting).reshape(-1),
        ),
        known,
    )


def _times(weights: Array, more: Array) -> Array:
    n = max(len(weights), len(more))
    out: Array = (weights[:, :, None] * more[:, None, :]).reshape(n, -1)
    return out


def _shots(runs: Sequence[_Runs], budget: int, shared: bool) -> list[Places]:
    """Shots of each run: in proportion to the weights, of few different numbers, at least two."""
    n_runs = sum(len(one.weights) for one in runs)
    if not shared:
        return [np.full(len(one.weights), max(budget, LEAST_SHOTS), np.int64) for one in runs]
    if n_runs * LEAST_SHOTS > budget:
        raise UnsupportedProgramError(
            f"{budget:,} shots cannot be shared by the {n_runs:,} runs of this cut program; give at least "
            f"{n_runs * LEAST_SHOTS:,}, or take same_shots=False.",
            got=budget,
            allowed=n_runs * LEAST_SHOTS,
        )
    if not n_runs:
        return [np.zeros(0, np.int64) for _ in runs]
    weights = np.concatenate([one.weights for one in runs])
    steps = np.clip(np.rint(np.log(weights.max() / weights) / math.log(4)), 0, _CLASSES - 1)
    level = np.zeros(len(weights))
    for step in np.unique(steps):
        level[steps == step] = weights[steps == step].mean()
    shots = np.full(len(weights), LEAST_SHOTS, np.int64)
    free = np.ones(len(weights), np.bool_)  # those that get more than the least
    while free.any():
        left = budget - LEAST_SHOTS * int((~free).sum())
        share = np.floor(left * level / level[free].sum())
        few = free & (share < LEAST_SHOTS)
        if not few.any():
            shots[free] = share[free].astype(np.int64)
            break
        free &= ~few
    bounds = np.cumsum([len(one.weights) for one in runs])[:-1]
    return [np.asarray(part, np.int64) for part in np.split(shots, bounds)]


def _grids(plan: CutPlan, question: Question, program: Program, runs: _Runs, shots: Places | None) -> list[FormGrid]:
    """A fragment's runs, a grid for each choice of ends that are read and number of shots."""
    fragment, shape = plan.fragments[runs.fragment], n_forms(plan, runs.fragment)
    if not len(runs.forms):
        return []
    every = np.stack(np.unravel_index(runs.forms, shape), axis=1) if shape else np.zeros((len(runs.forms), 0), int)
    n_gates = len(fragment.gate_ends)
    out = []
    for read in product((False, True), repeat=n_gates):
        these = ((every[:, :n_gates] == READ) == np.array(read, np.bool_)).all(axis=1)
        for number in (None,) if shots is None else np.unique(shots[these]).tolist():
            some = these if shots is None or number is None else these & (shots == number)
            if some.any():
                out.append(_grid(plan, question, program, runs, some, every[some], read, number))
    return out


def _grid(  # noqa: PLR0913  # parts of one grid, each found elsewhere
    plan: CutPlan,
    question: Question,
    program: Program,
    runs: _Runs,
    some: npt.NDArray[np.bool_],
    forms: Places,
    read: Sequence[bool],
    shots: int | None,
) -> FormGrid:
    fragment, asks = plan.fragments[runs.fragment], question.fragments[runs.fragment]
    letters = None
    if shots is not None:
        letters = ["".join(dict.fromkeys(s.basis[q] for s in asks.settings if s.basis[q] != "I"))
                   for q in range(fragment.n_qubits)]  # fmt: skip
    made = fragment_circuit(
        fragment, read, letters, by_qubits=plan.reads_by_qubits, prefix=_prefix(program.circuit.parameters)
    )
    names, values = _values(made, forms, [asks.settings[k].basis for k in runs.settings[some]])
    groups: dict[tuple[str, ...], Array] = {names: values} if names else {}
    own = tuple(name for name in made.circuit.parameters if name not in set(names))
    entries: Places = np.zeros(program.batch, np.int64)
    n_entries = 1
    if own:
        at = [program.circuit.parameters.index(name) for name in own]
        rows = program.param_matrix()[:, at]
        if shots is None:
            rows, entries = np.unique(rows, axis=0, return_inverse=True)
            entries = entries.reshape(-1).astype(np.int64)
        else:
            entries = np.arange(len(rows))
        n_entries = len(rows)
        groups[own] = rows
    elif shots is not None:  # one run serves the whole batch
        shots *= program.batch
    observables = [] if shots is not None else _with_reads(asks.strings, made)
    grid = ProgramGrid(made.circuit, groups, observables, shots, combine="product", dtype=program.dtype)
    return FormGrid(runs.fragment, made, grid, runs.forms[some], runs.settings[some], entries, n_entries)


def _values(made: FragmentCircuit, forms: Places, bases: Sequence[str]) -> tuple[tuple[str, ...], Array]:
    """Names and values, ``(n_runs, n)``, of the parameters that choose forms and settings."""
    columns: dict[str, Array] = {}
    angles = np.array([*GATE_FORMS, 0.0])
    for place, turn in enumerate(made.turns):
        if turn is not None:
            columns[turn] = angles[forms[:, place]]
    states = np.array(PREPARED_STATES)
    for place, (y, z) in enumerate(made.states, len(made.turns)):
        columns[y], columns[z] = states[forms[:, place]].T
    for qubit, pair in enumerate(made.bases):
        if pair is not None:
            turns = np.array([BASES[basis[qubit] if basis[qubit] != "I" else "Z"] for basis in bases])
            columns[pair[0]], columns[pair[1]] = turns.T
    return tuple(columns), np.stack(list(columns.values()), axis=1) if columns else np.zeros((len(forms), 0))


def _with_reads(strings: Sequence[str], made: FragmentCircuit) -> list[Observable]:
    return [Observable(string + "Z" * len(made.read_qubits)) for string in strings]


def _prefix(names: Sequence[str]) -> str:
    """With what no parameter of the circuit begins."""
    out = "cut_"
    while any(name.startswith(out) for name in names):
        out += "_"
    return out


def overhead_of(plan: CutPlan, cuts: Sequence[Array]) -> float:
    """Return ``gamma**2`` at a program's own values, the largest of its batch."""
    worst = np.ones(1)
    for cut, table in zip(plan.cuts, cuts, strict=True):
        worst = worst * (np.abs(table).sum(axis=(1, 2)) ** 2 if isinstance(cut, GateCut) else cut.overhead)
    return float(worst.max())
