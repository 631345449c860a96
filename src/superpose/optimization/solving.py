"""`solve`: a problem in, a feasible solution with its controls out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
from threadpoolctl import threadpool_limits

from superpose.errors import ExtraMissingError, ProblemError, ProblemInfeasibleError, SolverStuckError, SuperposeError
from superpose.optimization.answers import Answer, MethodResult, Role, Yardstick, gap_percent, verdict
from superpose.optimization.budgets import Budget
from superpose.optimization.decomposition import descend
from superpose.optimization.models import Decoded, GeneralModel, Model
from superpose.optimization.options import Method, SolveOptions
from superpose.optimization.penalties import MAX_SLACK_BITS
from superpose.optimization.progress import HowFar, OnProgress
from superpose.optimization.quadratic import QuadraticProblem
from superpose.optimization.qubo import Qubo
from superpose.optimization.samplers import (
    MAX_EXHAUSTIVE,
    AnnealingSampler,
    Drawn,
    ExhaustiveSampler,
    RandomSampler,
    Sampler,
    Setting,
)

__all__ = ["as_model", "solve"]

Solvable = Model[Any] | QuadraticProblem | Qubo | str | Path


def solve(
    problem: Solvable,
    method: Method = "qaoa",
    options: SolveOptions | None = None,
    *,
    on_step: Callable[[], None] | None = None,
    on_progress: OnProgress | None = None,
    **changes: Any,
) -> Answer:
    """Return a feasible solution of a problem, with what other methods reach on it.

    Constraints become penalties with stated bounds (`superpose.optimization.penalised`), or are kept by the mixer.
    Where the QUBO has more variables than ``max_qubits``, the problem is solved in pieces
    (`superpose.optimization.descend`), from a random feasible solution. Beside the method run, each for
    ``time_limit_s`` at most: the same with an exhaustive subsolver, the same with coin flips, simulated annealing of
    the whole QUBO, and a classical solver that bounds.

    Args:
        problem: A model, a quadratic problem, a QUBO, or the path of a file; see `superpose.optimization.read_problem`.
        method: "qaoa", "vqe", "annealing" or "classical".
        options: How; by default `SolveOptions()`.
        on_step: Called before each method, between evaluations and pieces, at each bit string that is made a solution,
            and ten times a second while CP-SAT, routing search, HiGHS, tabu search or annealing runs; what it raises
            stops the solver and ends the call, as Ctrl-C does. An evaluation, and a part of a tabu search or of
            annealing (`superpose.optimization.classical.annealing`), is finished first; HiGHS without the package
            ``highspy`` goes on until its time is over.
        on_progress: Called with a `Progress` at the beginning of each method, and four times a second at most where
            ``on_step`` would be called.
        changes: Single options, in place of those.

    Raises:
        ProblemError: An option is not allowed.
        ProblemFormatError: The file is no problem.
        ProblemInfeasibleError: The method found no feasible solution.
        SolverStuckError: The method is classical, and its solver does not end.
        ExtraMissingError: The method needs a package that is not installed. Controls that need one are told as not run.
        BackendUnknownError, ProviderError: The backend.

    >>> from superpose.optimization import Knapsack
    >>> answer = solve(Knapsack([6, 10, 12], [1, 2, 3], 5), "qaoa", compare=False)
    >>> answer.value, answer.rows[0].feasible
    (22.0, True)
    """
    if method not in get_args(Method):
        raise ProblemError(f"method is one of {', '.join(get_args(Method))}; got {method!r}.")
    try:
        chosen = replace(options or SolveOptions(), **changes)
    except TypeError as error:
        raise ProblemError(f"No such option: {error}.") from None
    model = as_model(problem)
    if model.reference is not None and not math.isfinite(model.reference):
        raise ProblemError(f"reference, the best objective known, must be finite, got {model.reference}.")
    with threadpool_limits(1):  # BLAS threads that wait actively cost SciPy's optimiser more than the circuits do
        return _Solving(model, method, chosen, HowFar(chosen.time_limit_s, on_step, on_progress)).answer()


def as_model(problem: Solvable) -> Model[Any]:
    """Return a problem of any form as a model."""
    if isinstance(problem, Model):
        return problem
    if isinstance(problem, QuadraticProblem):
        return GeneralModel(problem)
    if isinstance(problem, Qubo):
        return GeneralModel(problem.problem())
    if isinstance(problem, str | Path):
        from superpose.optimization.readers import read_problem

        return read_problem(Path(problem))
    raise ProblemError(f"A problem is a model, a QuadraticProblem, a Qubo or a path; got {type(problem).__name__}.")


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """A row before its gap is known."""

    result: MethodResult
    solution: Any = None
    bound: float | None = None


class _Solving:
    """One call of `solve`."""

    def __init__(self, model: Model[Any], method: Method, options: SolveOptions, how_far: HowFar) -> None:
        self.model, self.method, self.options, self._how_far = model, method, options, how_far
        self.penalties: dict[str, Any] | None = None

    def answer(self) -> Answer:
        first = self._asked()
        if first.solution is None:
            raise ProblemInfeasibleError(
                f"{self.method} found no feasible solution of {self.model.name} in {self.options.time_limit_s:g} s; it "
                "has none, or more time_limit_s is needed."
            )
        return self._weighed([first, *self._controls()])

    def _asked(self) -> _Row:
        if self.method == "classical":
            self._how_far.n_methods += len(self._planned())
            return self._classical("method")
        self._start = self.model.start(np.random.default_rng(self.options.seed))
        self._sampler = self._made(self.method)
        self._known = float(self.model.problem.objective(self.model.encode(self._start))[0])
        self._whole = self.method == "annealing" or self._size(self._sampler) <= self.options.max_qubits
        self._how_far.n_methods += len(self._planned())
        return self._run(self._sampler, "method", self.method)

    def _controls(self) -> list[_Row]:
        return [self._tried(run, name) for name, run in self._planned()]

    def _planned(self) -> list[tuple[str, Callable[[], _Row]]]:
        """What runs beside the method, by name."""
        if not self.options.compare:
            return []
        planned: list[tuple[str, Callable[[], _Row]]] = []
        if self.method in ("qaoa", "vqe"):
            name = "exhaustive search" if self._whole else "the same decomposition, exhaustive"
            if not self._whole or self.model.n_variables <= MAX_EXHAUSTIVE:
                planned.append((name, partial(self._run, ExhaustiveSampler(self.options), "control", name)))
            name = "coin flips" if self._whole else "the same decomposition, coin flips"
            planned.append((name, partial(self._run, RandomSampler(self.options), "control", name)))
        if self.method in ("qaoa", "vqe", "classical"):
            planned.append(("annealing", self._annealed))
        if self.method != "classical":
            planned.append(("classical", partial(self._classical, "classical")))
        return planned

    def _annealed(self) -> _Row:
        if self.method == "classical":
            start = self.model.start(np.random.default_rng(self.options.seed))
            self._known = float(self.model.problem.objective(self.model.encode(start))[0])
        return self._drawn_whole(AnnealingSampler(self.options), "control", "annealing")

    def _tried(self, run: Callable[[], _Row], name: str) -> _Row:
        self._how_far.look()
        begun = time.perf_counter()
        try:
            return run()
        except (ExtraMissingError, ProblemInfeasibleError, ProblemError, SolverStuckError) as error:
            role: Role = "classical" if name == "classical" else "control"
            return _Row(MethodResult(name, role, seconds=time.perf_counter() - begun, reason=error.message))

    def _made(self, method: str) -> Sampler:
        if method == "annealing":
            return AnnealingSampler(self.options)
        from superpose.optimization.quantum import QaoaSampler, VqeSampler

        return QaoaSampler(self.options) if method == "qaoa" else VqeSampler(self.options)

    def _setting(self, budget: Budget) -> Setting:
        return Setting(self._known, MAX_SLACK_BITS, budget, self.options.seed)

    def _size(self, sampler: Sampler) -> int:
        """Qubits that the problem needs as a whole; the number of variables where that is too many already."""
        if self.model.n_variables > self.options.max_qubits:
            return self.model.n_variables
        budget = Budget(self.options.time_limit_s, on_step=self._how_far.look)
        form = sampler.form(self.model.problem, self._setting(budget))
        return form.qubo.n_variables

    def _run(self, sampler: Sampler, role: Role, name: str) -> _Row:
        if self._whole:
            return self._drawn_whole(sampler, role, name)
        budget = self._how_far.begin(name)
        went = descend(self.model, sampler, self._sampler, self._start, self.options, budget)
        facts = {
            "start_value": went.start_value, "n_better": went.n_better, "largest_qubo": went.largest, **went.facts,
        }  # fmt: skip
        result = self._result(name, role, went.found, budget.spent_s)
        result = replace(result, share_feasible=went.share_feasible, n_rounds=went.n_rounds, facts=facts)
        if role == "method":
            self.penalties = self._told(sampler, budget)
        return _Row(result, went.found.solution)

    def _told(self, sampler: Sampler, budget: Budget) -> dict[str, Any] | None:
        """The penalties of the whole problem, told though it was solved in pieces, unless it is too large for that."""
        if self.model.n_variables > 3000:
            return None
        try:
            form = sampler.form(self.model.problem, self._setting(budget))
        except SuperposeError:
            return None
        return {**form.to_json(), "of": "the whole problem; pieces have their own, by the same rule"}

    def _drawn_whole(self, sampler: Sampler, role: Role, name: str) -> _Row:
        budget = self._how_far.begin(name)
        form = sampler.form(self.model.problem, self._setting(budget))
        drawn = sampler.draw(form, self._setting(budget))
        best = self._decoded(drawn, budget)
        result = replace(
            self._result(name, role, best, budget.spent_s),
            share_feasible=drawn.share_feasible(self.model.problem),
            facts=drawn.facts,
        )
        if role == "method":
            self.penalties = {**form.to_json(), "of": "the whole problem"}
        proves = isinstance(sampler, ExhaustiveSampler) and best is not None and self.model.kind != "cvrp"
        return _Row(result, None if best is None else best.solution, best.value if proves and best else None)

    def _decoded(self, drawn: Drawn, budget: Budget) -> Decoded[Any] | None:
        """The best solution among all that was drawn."""
        best: Decoded[Any] | None = None
        sign = 1.0 if self.model.sense == "min" else -1.0
        for bits in drawn.bits:  # repairs may take long, and there may be 100,000 of them
            budget.look()
            found = self.model.decode(bits)
            if found is not None and (best is None or sign * found.value < sign * best.value):
                best = found
        return best

    def _classical(self, role: Role) -> _Row:
        self._how_far.begin("classical")
        begun = time.perf_counter()
        found = self.model.classical(self.options.time_limit_s, self.options.seed, self._how_far.look)
        seconds = time.perf_counter() - begun
        decoded = None
        if found.solution is not None:
            decoded = Decoded(found.solution, self.model.value(found.solution), False)
        name = "classical" if role == "method" else f"classical ({found.solver})"
        result = self._result(name, role, decoded, seconds)
        return _Row(replace(result, facts={"solver": found.solver, "bound": found.bound}), found.solution, found.bound)

    def _result(self, name: str, role: Role, found: Decoded[Any] | None, seconds: float) -> MethodResult:
        if found is None:
            return MethodResult(
                name, role, seconds=seconds, reason="No feasible solution was found: there is none, or time was short."
            )
        return MethodResult(
            name,
            role,
            value=found.value,
            feasible=True,
            repaired=found.repaired,
            seconds=seconds,
            solution=self.model.to_json(found.solution),
        )

    def _weighed(self, rows: list[_Row]) -> Answer:
        model, sense = self.model, self.model.sense
        better = max if sense == "min" else min
        bounds = [row.bound for row in rows if row.bound is not None]
        bound = better(bounds) if bounds else None
        yardstick, measure = self._yardstick(rows, bound)
        results = [row.result for row in rows]
        if measure is not None:
            results = [
                r
                if r.value is None
                else replace(r, gap_percent=gap_percent(r.value, measure, sense, model.rounding(r.value, measure)))
                for r in results
            ]
        first = results[0]
        value = float(first.value or 0.0)
        return Answer(
            kind=model.kind,
            name=model.name,
            sense=sense,
            n_variables=model.n_variables,
            method=self.method,
            solution=rows[0].solution,
            value=value,
            bound=bound,
            yardstick=yardstick,
            yardstick_value=measure,
            gap_percent=first.gap_percent,
            rows=tuple(results),
            penalties=self.penalties,
            verdict=verdict(results, sense, yardstick, self.options.layers, model.rounding(value, value))
            + self._odd_reference(bound),
            options=asdict(self.options),
        )

    def _yardstick(self, rows: list[_Row], bound: float | None) -> tuple[Yardstick | None, float | None]:
        values = [row.result.value for row in rows if row.result.value is not None]
        best = min(values) if self.model.sense == "min" else max(values)
        if bound is not None and not self.model.is_better(bound, best):
            return "proven optimum", best
        if self.model.reference is not None and not self._odd_reference(bound):
            return "best known", self.model.reference
        return ("bound", bound) if bound is not None else (None, None)

    def _odd_reference(self, bound: float | None) -> str:
        """A sentence of a best value known that cannot be one of this problem; "" where it can."""
        known = self.model.reference
        if known is None or bound is None or not self.model.is_better(known, bound):
            return ""
        return (
            f" The best value known, {known:.10g}, is better than the bound, {bound:.10g}, so that it is of another "
            "problem (other units, or rounding) and no yardstick."
        )
