"""A backend that runs programs wider than it is, in fragments."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose import __version__
from superpose.backends.cutting.joining import FragmentValues, cut_coefficients, joined, standard_errors
from superpose.backends.cutting.plan import CutPlan, plan_cuts
from superpose.backends.cutting.questions import Question, asked
from superpose.backends.cutting.reading import fragment_values
from superpose.backends.cutting.sampling import Sampling, sampled
from superpose.backends.cutting.telling import require_all, require_few, told, told_estimate
from superpose.backends.grouping import group_terms
from superpose.backends.program_sets import run_program_set
from superpose.circuits import (
    Backend,
    BackendKind,
    Capabilities,
    Circuit,
    Estimate,
    Observable,
    Program,
    ProgramExecutable,
    ProgramResult,
    ProgramSet,
    Template,
)
from superpose.errors import UnsupportedProgramError

__all__ = ["Cutting"]

KEPT = 64
MAX_RUNS = 200_000


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """A template cut."""

    plan: CutPlan
    question: Question


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """A program ready to be run in fragments."""

    cut: _Cut
    coefficients: list[npt.NDArray[np.float64]]
    sampling: Sampling
    seed: int | None


class Cutting:
    """A backend that runs programs wider than another one on it, in fragments, and joins their expectations.

    A program that is narrow enough runs as it is. A wider one is cut, at two-qubit gates (quasi-probability
    decomposition of a rotation about ZZ, overhead ``(1 + 2 |sin angle|)**2``, 9 for CX and CZ) and at qubits between
    gates (in the literature, wires; measured and prepared anew, overhead 16), wherever the search finds the overhead
    smallest. Every fragment runs in all forms that take the place of its cuts; their expectations are multiplied and
    summed. Exact expectations stay exact. With shots the result has a standard error, told in
    ``provenance["cutting"]["standard_errors"]``.

    Cuts, fragments and what each takes are found once for a template; parameters stay symbolic, those of gates that are
    cut included, and all runs of one call go to the backend as one program set.

    Args:
        backend: Where fragments run.
        max_qubits: Widest fragment; None takes the backend's own ``max_qubits``.
        max_overhead: The largest overhead ``gamma**2`` that is allowed.
        same_shots: Whether the runs share the shots that the program would take uncut; else each gets the program's.
        in_the_middle: Whether cut gates are read by measurements in the middle, instead of by qubits of their own that
            are measured at the end, one for each cut gate of a fragment; None does so where the backend can and either
            is noisy or the overhead is less. Exact expectations always take the qubits.

    Raises:
        UnsupportedProgramError: Numbers that cannot be, or measurements in the middle on a backend without.

    >>> from superpose.backends import LocalBackend
    >>> chain = Circuit(4).ry(0.4, 0).cx(0, 1).cx(1, 2).cx(2, 3)
    >>> cutting = Cutting(LocalBackend(), max_qubits=3)
    >>> result = cutting.run(Program(chain, {}, [Observable("ZZZZ"), Observable("IIIZ")]))
    >>> result.expectations.round(9).tolist(), result.provenance["cutting"]["overhead"]
    ([[1.0, 0.921060994]], 9.0)
    """

    def __init__(
        self,
        backend: Backend,
        max_qubits: int | None = None,
        max_overhead: float = 10_000.0,
        *,
        same_shots: bool = True,
        in_the_middle: bool | None = None,
    ) -> None:
        able = backend.capabilities()
        if max_qubits is not None and (
            isinstance(max_qubits, bool) or not isinstance(max_qubits, int) or max_qubits < 1
        ):
            raise UnsupportedProgramError(
                f"max_qubits must be a whole number of at least 1 or None, got {max_qubits!r}."
            )
        if not isinstance(max_overhead, int | float) or not max_overhead >= 1.0:
            raise UnsupportedProgramError(f"max_overhead must be a number of at least 1, got {max_overhead!r}.")
        if in_the_middle and not able.mid_circuit:
            raise UnsupportedProgramError(
                f"Backend {backend.name!r} does not measure in the middle; leave in_the_middle out."
            )
        self._backend, self._overhead, self._shared = backend, float(max_overhead), same_shots
        limits = [n for n in (max_qubits, able.max_qubits) if n is not None]
        self._max_qubits = min(limits) if limits else None
        self._kind: BackendKind = "qpu" if not able.simulator else "emulator" if able.native_gates else "simulator"
        self._by_qubits: tuple[bool, ...] = (True, False) if able.mid_circuit else (True,)  # in this order if equal
        if in_the_middle is not None:
            self._by_qubits = (not in_the_middle,)
        elif able.native_gates is not None or not able.simulator:
            self._by_qubits = self._by_qubits[-1:]
        self._kept: OrderedDict[Any, _Cut] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The backend's name, with what is done to it."""
        return f"{self._backend.name}+cut"

    @property
    def wrapped(self) -> tuple[Backend, ...]:
        """The backend that fragments go to."""
        return (self._backend,)

    def capabilities(self) -> Capabilities:
        """What the backend can do, of any width."""
        return replace(self._backend.capabilities(), max_qubits=None, max_batch=None, connectivity=None)

    def compile(self, template: Template) -> ProgramExecutable:
        """Return ``template`` cut; equal templates are cut once.

        Raises:
            UnsupportedProgramError, TooManyCutsError: It cannot be cut; see `run`.
        """
        if self._is_wide(template.circuit):
            self._cut(template.circuit, template.observables, exact=self._backend.capabilities().exact)
        return ProgramExecutable(template, self)

    def plan(self, program: Program) -> CutPlan:
        """Return how ``program`` is cut; nothing is run.

        Raises:
            UnsupportedProgramError, TooManyCutsError: See `run`.
        """
        return self._cut(program.circuit, program.observables, exact=program.shots is None).plan

    def n_shots(self, program: Program) -> int:
        """Return how many shots all runs of each batch entry take together; nothing is run.

        Raises:
            UnsupportedProgramError, TooManyCutsError: See `run`.
        """
        if program.shots is None:
            return 0
        if not self._is_wide(program.circuit):
            return program.shots * _n_settings(program)
        made = self._prepared(program)
        total = sum(made.sampling.n_shots(k) for k in range(len(made.cut.plan.fragments)))
        return total // program.batch

    def estimate(self, program: Program) -> Estimate:
        """Return what a run gives and takes; nothing is run or charged.

        The fidelity is the product over fragments, each at the worst of its circuits; prices are summed; ``notes`` have
        the cuts, the overhead, and runs and shots of each fragment under "cutting".

        Raises:
            UnsupportedProgramError, TooManyCutsError: See `run`.

        Cost: an estimate of the backend for each fragment and choice of its ends that are read.
        """
        from superpose.backends.estimates import estimate_program

        if not self._is_wide(program.circuit):
            return estimate_program(program, self._backend, kind=self._kind)
        made = self._prepared(program)
        found = [
            (one.fragment, estimate_program(one.program(), self._backend, kind=self._kind))
            for one in made.sampling.grids
        ]
        return told_estimate(found, told(made.cut.plan, made.sampling, made.coefficients))

    def run(self, program: Program) -> ProgramResult:
        """Run ``program``, in fragments where it is too wide.

        Raises:
            UnsupportedProgramError: A program that is too wide asks for counts or state vectors, measures in the middle
                or branches, starts from a state of its own, or has too few shots for all runs.
            TooManyCutsError: The cuts would cost more than is allowed; or none make it fit.
            PieceFailedError: The backend has failed.

        Cost: for ``k`` cut gates at a fragment up to ``5**k`` runs of it, 6 for each qubit that begins at a cut and 3
        for each that ends there, each for every batch entry and measurement setting.
        """
        if not self._is_wide(program.circuit):
            result = self._backend.run(program)
            return replace(result, provenance={**result.provenance, "backend": self.name})
        began_at, began = datetime.now(UTC), time.perf_counter()
        made = self._prepared(program)
        plan, question = made.cut.plan, made.cut.question
        values: list[FragmentValues] = []
        runs: dict[str, Any] = {}
        if made.sampling.grids:
            results = run_program_set(ProgramSet([one.grid for one in made.sampling.grids], made.seed), self._backend)
            require_all(results, self._backend.name)
            runs = dict(results.provenance)
            values = fragment_values(plan, question, made.sampling, results, program.batch)
        else:
            values = _all_known(made, program.batch)
        expectations = joined(plan, question, values, made.coefficients)
        expectations = np.broadcast_to(expectations, (program.batch, expectations.shape[1])).copy()
        errors = None
        if program.shots is not None:
            errors = standard_errors(plan, question, values, made.coefficients)
            errors = np.broadcast_to(errors, expectations.shape).tolist()
        provenance = {
            "backend": self.name,
            "version": __version__,
            "dtype": program.dtype,
            "shots": program.shots,
            "seed": made.seed,
            "started_at": began_at.isoformat(),
            "elapsed_s": time.perf_counter() - began,
            "program_digest": program.digest,
            "program_set_digest": runs.get("program_set_digest"),
            "cutting": {**told(plan, made.sampling, made.coefficients), "standard_errors": errors},
        }
        return ProgramResult(expectations=expectations, provenance=provenance)

    def _is_wide(self, circuit: Circuit) -> bool:
        return self._max_qubits is not None and circuit.n_qubits > self._max_qubits

    def _prepared(self, program: Program) -> _Prepared:
        """Everything up to the runs.

        Raises:
            UnsupportedProgramError, TooManyCutsError: See `run`.
        """
        if program.initial_state is not None:
            raise UnsupportedProgramError("A program that is cut starts from |0...0>; prepare its state by gates.")
        cut = self._cut(program.circuit, program.observables, exact=program.shots is None)
        coefficients = cut_coefficients(cut.plan, program.circuit.parameters, program.param_matrix())
        budget = None if program.shots is None else program.shots * (_n_settings(program) if self._shared else 1)
        sampling = sampled(cut.plan, cut.question, program, coefficients, budget=budget, shared=self._shared)
        seed = program.seed
        if program.shots is not None and seed is None:
            seed = int(np.random.default_rng().integers(2**63 - 1))
        return _Prepared(cut, coefficients, sampling, seed)

    def _cut(self, circuit: Circuit, observables: tuple[Observable, ...], *, exact: bool) -> _Cut:
        if not observables:
            raise UnsupportedProgramError(
                f"A program of {circuit.n_qubits} qubits would be cut for fragments of at most {self._max_qubits}; "
                "what comes out are expectations of observables, never counts or state vectors. Give observables, or "
                "take a wider backend.",
                n_qubits=circuit.n_qubits,
                allowed=self._max_qubits,
            )
        key = circuit.digest, observables, exact
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        most = self._max_qubits or circuit.n_qubits
        ways = (True,) if exact else self._by_qubits
        plans = [plan_cuts(circuit, observables, most, reads_by_qubits=by_qubits) for by_qubits in ways]
        plan = min(plans, key=lambda one: (not one.fits, round(one.overhead, 9)))
        require_few(plan, circuit.n_qubits, most, self._overhead)
        found = _Cut(plan, asked(plan, observables))
        with self._lock:
            found = self._kept.setdefault(key, found)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found


def _n_settings(program: Program) -> int:
    """How many measurement settings the program would take uncut."""
    return max(1, len(group_terms(program.observables)[0])) if program.observables else 1


def _all_known(made: _Prepared, batch: int) -> list[FragmentValues]:
    """Values of fragments of which nothing needs to be run."""
    return [FragmentValues(np.ones((batch, len(one.strings), 1)), None) for one in made.cut.question.fragments]
