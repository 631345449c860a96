"""Fragments' expectations joined to those of the whole circuit, with their standard errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.backends.cutting.plan import CutPlan, GateCut
from superpose.backends.cutting.questions import Question

__all__ = ["FragmentValues", "cut_coefficients", "joined", "n_forms", "standard_errors"]

Array = npt.NDArray[np.float64]

_MOST_NUMBERS = 20_000_000
"""Of a tensor of covariances; beyond that products of errors are left as they are."""

QUBIT_COEFFICIENTS = 0.5 * np.array(
    [[1, 1, 0, 0, 0, 0], [0, 0, 1, -1, 0, 0], [0, 0, 0, 0, 1, -1], [1, -1, 0, 0, 0, 0]], dtype=np.float64
)
"""Of a cut qubit, ``rho = sum(tr(P rho) c |s><s|)``: by letter P of IXYZ and state s of 0, 1, +, -, +i, -i."""


@dataclass(frozen=True, slots=True, eq=False)
class FragmentValues:
    """What was found of a fragment.

    Attributes:
        means: Expectation of each string in each form, ``(batch, n_strings, n_forms)``; forms are counted in C order
            over five for each end of a gate and six for each qubit that starts at a cut.
        covariances: For each setting, of the means of its strings, ``(batch, n_forms, n, n)``; None where exact.
    """

    means: Array
    covariances: tuple[Array, ...] | None


def n_forms(plan: CutPlan, number: int) -> tuple[int, ...]:
    """Return how many ways there are at each gate's end and cut qubit's start of a fragment."""
    fragment = plan.fragments[number]
    return (5,) * len(fragment.gate_ends) + (6,) * len(fragment.starts)


def cut_coefficients(plan: CutPlan, params: Sequence[str], rows: Array) -> list[Array]:
    """Return the quasi-probabilities of each cut.

    Of a gate ``exp(-i a ZZ / 2)``: ``cos(a/2)**2`` and ``sin(a/2)**2`` of doing nothing or Z on both sides, and
    ``+-sin(a) / 2`` of measuring one side and turning the other by ``+-pi/2``.

    Args:
        plan: The cuts.
        params: Names of the circuit's parameters.
        rows: Their values, ``(batch, n_params)``.

    Returns:
        For each cut ``(batch, 5, 5)``, or for a qubit ``(1, 4, 6)``.

    Source: Mitarai and Fujii 2021, arXiv 1909.07534, eq. (4); for qubits (there, wires) Peng et al. 2020, arXiv
    1904.00102.
    """
    values = dict(zip(params, rows.T, strict=True))
    out: list[Array] = []
    for cut in plan.cuts:
        if not isinstance(cut, GateCut):
            out.append(QUBIT_COEFFICIENTS[None])
            continue
        angle = np.broadcast_to(np.asarray(cut.angle.evaluate(values), np.float64), (len(rows),))
        table = np.zeros((len(rows), 5, 5))
        table[:, 0, 0], table[:, 1, 1] = np.cos(angle / 2) ** 2, np.sin(angle / 2) ** 2
        for form, sign in ((2, 0.5), (3, -0.5)):
            table[:, 4, form] = table[:, form, 4] = sign * np.sin(angle)
        out.append(table)
    return out


def joined(plan: CutPlan, question: Question, values: Sequence[FragmentValues], cuts: Sequence[Array]) -> Array:
    """Return the expectations of the observables, ``(batch, n_observables)``."""
    network = _Network(plan, question, values, cuts)
    terms = network.contracted([0, 1])  # (batch, n_terms)
    return question.constants + _by_owner(question, terms * question.coefficients)


def standard_errors(
    plan: CutPlan, question: Question, values: Sequence[FragmentValues], cuts: Sequence[Array]
) -> Array:
    """Return the standard errors of `joined`, ``(batch, n_observables)``.

    The result is linear in each fragment's means: their variances and covariances go in with its derivatives. Products
    of two fragments' errors, which that counts twice, are taken off once for each pair.
    """
    network = _Network(plan, question, values, cuts)
    n_observables = len(question.constants)
    first = np.zeros((network.batch, n_observables))
    for number, found in enumerate(values):
        if found.covariances is None:
            continue
        around = network.around(number)  # (batch, n_terms, n_letters, n_forms)
        for observable in range(n_observables):
            slope = network.slope(number, around, observable)  # (batch, n_strings, n_forms)
            for setting, spread in zip(question.fragments[number].settings, found.covariances, strict=True):
                some = slope[:, list(setting.strings)]
                first[:, observable] += np.einsum("zaf,zfab,zbf->z", some, spread, some, optimize=True)
    both = np.stack([network.pairs(observable) for observable in range(n_observables)], axis=1)
    errors: Array = np.sqrt(np.maximum(first - both, first / 2))
    return errors


def _by_owner(question: Question, terms: Array) -> Array:
    out = np.zeros((len(question.constants), len(terms)))
    np.add.at(out, question.owners, terms.T)
    return out.T


class _Network:
    """Tensors of fragments and cuts; axis 0 is the batch, axis 1 the terms, each end of a cut is another one."""

    def __init__(
        self, plan: CutPlan, question: Question, values: Sequence[FragmentValues], cuts: Sequence[Array]
    ) -> None:
        self.plan, self.question, self.values, self.cuts = plan, question, values, cuts
        self.batch = max((len(one.means) for one in values), default=1)
        self.batch = max([self.batch, *(len(cut) for cut in cuts)])

    def axes(self, number: int) -> list[int]:
        """Axes of a fragment's tensor behind batch and terms: qubits' ends, gates' ends, qubits' starts."""
        fragment = self.plan.fragments[number]
        return [
            *(2 + 2 * end.cut for end in fragment.ends),
            *(2 + 2 * end.cut + end.side for end in fragment.gate_ends),
            *(3 + 2 * start.cut for start in fragment.starts),
        ]

    def shape(self, number: int) -> tuple[int, ...]:
        return (4,) * len(self.plan.fragments[number].ends) + n_forms(self.plan, number)

    def tensor(self, number: int) -> Array:
        """A fragment's means by term, ``(batch, n_terms, ...)``."""
        found, parts = self.values[number].means, self.question.parts[number]
        n_parts = self.question.fragments[number].n_parts
        by_part = found.reshape(len(found), n_parts, *self.shape(number))
        whole: Array = np.broadcast_to(by_part, (self.batch, *by_part.shape[1:]))[:, parts]
        return whole

    def operands(self, without: Sequence[int] = ()) -> list[Any]:
        """What `numpy.einsum` takes: tensors of all fragments but some, and of all cuts."""
        out: list[Any] = [np.ones((self.batch, len(self.question.owners))), [0, 1]]
        for number in range(len(self.plan.fragments)):
            if number not in without:
                out += [self.tensor(number), [0, 1, *self.axes(number)]]
        for number, cut in enumerate(self.cuts):
            out += [np.broadcast_to(cut, (self.batch, *cut.shape[1:])), [0, 2 + 2 * number, 3 + 2 * number]]
        return out

    def contracted(self, axes: list[int], without: Sequence[int] = ()) -> Array:
        found: Array = np.einsum(*self.operands(without), axes, optimize="greedy")
        return found

    def around(self, number: int) -> Array:
        """What each term is multiplied with for a fragment's means, ``(batch, n_terms, n_letters, n_forms)``."""
        found = self.contracted([0, 1, *self.axes(number)], [number])
        n_letters = 4 ** len(self.plan.fragments[number].ends)
        return found.reshape(*found.shape[:2], n_letters, -1)

    def slope(self, number: int, around: Array, observable: int) -> Array:
        """The derivative of an observable with respect to a fragment's means, ``(batch, n_strings, n_forms)``."""
        question = self.question
        mine = np.flatnonzero(question.owners == observable)
        parts, n_parts = question.parts[number][mine], question.fragments[number].n_parts
        out = np.zeros((n_parts, self.batch, *around.shape[2:]))
        np.add.at(out, parts, (around[:, mine] * question.coefficients[mine, None, None]).swapaxes(0, 1))
        return out.swapaxes(0, 1).reshape(self.batch, n_parts * around.shape[2], around.shape[3])

    def pairs(self, observable: int) -> Array:
        """What products of two fragments' errors add to an observable's variance, ``(batch,)``.

        That is, for each pair, the sum over terms ``k, l`` and forms of both covariances, times all else for ``k`` and
        for ``l``. Left out, so that the variance is told too large, where the tensors would be.
        """
        mine = np.flatnonzero(self.question.owners == observable)
        out = np.zeros(self.batch)
        noisy = [number for number, one in enumerate(self.values) if one.covariances is not None]
        sizes = [self.batch * (len(mine) * 4 ** len(self.plan.fragments[k].ends)) ** 2 * prod(n_forms(self.plan, k))
                 for k in noisy]  # fmt: skip
        if max(sizes, default=0) > _MOST_NUMBERS:
            return out
        spreads = {number: self.spread(number, mine) for number in noisy}
        for pair in combinations(noisy, 2):
            found: Array = np.einsum(*self._pair_operands(pair, mine, spreads), [0], optimize="greedy")
            out += found
        return out

    def spread(self, number: int, mine: npt.NDArray[np.int64]) -> Array:
        """A fragment's covariances by pairs of terms, ``(batch, k, letters of k, l, letters of l, forms)``."""
        asks, ends = self.question.fragments[number], 4 ** len(self.plan.fragments[number].ends)
        shape, n = n_forms(self.plan, number), len(asks.strings)
        whole = np.zeros((self.batch, n, n, prod(shape)))
        for setting, one in zip(asks.settings, self.values[number].covariances or (), strict=True):
            inside = np.array(setting.strings, np.int64)
            whole[:, inside[:, None], inside] = one.transpose(0, 2, 3, 1)
        parts = self.question.parts[number][mine]
        some = whole.reshape(self.batch, asks.n_parts, ends, asks.n_parts, ends, -1)[:, parts][:, :, :, parts]
        letters = self.shape(number)[: len(self.plan.fragments[number].ends)]
        return some.reshape(self.batch, len(mine), *letters, len(mine), *letters, *shape)

    def _pair_operands(
        self, pair: tuple[int, int], mine: npt.NDArray[np.int64], spreads: dict[int, Array]
    ) -> list[Any]:
        """Axis 1 is term ``k``, 2 term ``l``; each end of a cut has an axis for each, one for both where a fragment of
        the pair takes the same form for both."""
        fragments = self.plan.fragments
        shared = {axis for k in pair for axis in self.axes(k)[len(fragments[k].ends) :]}

        def axes(all_of: Sequence[int], term: int) -> list[int]:
            return [3 + 2 * (axis - 2) + (term == 2 and axis not in shared) for axis in all_of]

        ones, coefficients = np.ones((self.batch, len(mine))), self.question.coefficients[mine]
        out: list[Any] = [ones, [0, 1], ones, [0, 2], coefficients, [1], coefficients, [2]]
        for number in range(len(fragments)):
            own, n_ends = self.axes(number), len(fragments[number].ends)
            if number in pair:
                both = [*axes(own[:n_ends], 1), 2, *axes(own[:n_ends], 2)]
                out += [spreads[number], [0, 1, *both, *axes(own[n_ends:], 1)]]
                continue
            tensor = self.tensor(number)[:, mine]
            for term in (1, 2):
                out += [tensor, [0, term, *axes(own, term)]]
        for number, cut in enumerate(self.cuts):
            table = np.broadcast_to(cut, (self.batch, *cut.shape[1:]))
            for term in (1, 2):
                out += [table, [0, *axes([2 + 2 * number, 3 + 2 * number], term)]]
        return out
