"""Templates compiled for this machine."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from superpose import __version__
from superpose.backends.admission import admit
from superpose.backends.plan import Plan, Values
from superpose.backends.plans import plan_of
from superpose.circuits import ParamsLike, ProgramResult, Template
from superpose.engine import get_threads

if TYPE_CHECKING:
    from superpose.backends.dynamic_plan import DynamicPlan

__all__ = ["LocalExecutable", "answered"]


class LocalExecutable:
    """A template compiled for the local engine. For any number of threads.

    A run converts the values, runs the kernels and notes how: no circuit is looked at, nothing is hashed.

    Args:
        template: What is compiled: now, not at the first run.

    Cost: some 20 us for a run of a small circuit, beyond the kernels' own time.

    >>> from superpose.circuits import Circuit, Observable, Parameter
    >>> executable = LocalExecutable(Template(Circuit(1).ry(Parameter("a"), 0), [Observable("Z")]))
    >>> executable.run([0.0]).expectations.tolist(), executable.run({"a": 0.0}).expectations.tolist()
    ([[1.0]], [[1.0]])
    >>> executable.n_runs
    2
    """

    def __init__(self, template: Template) -> None:
        self._template, self._plan = template, plan_of(template)
        self._n_runs, self._lock = 0, threading.Lock()
        _ = self._plan.measuring if template.observables else self._plan.bare

    @property
    def template(self) -> Template:
        """What was compiled."""
        return self._template

    @property
    def n_runs(self) -> int:
        """How often this was run, gradients included."""
        return self._n_runs

    def __repr__(self) -> str:
        return f"LocalExecutable({self._template.circuit!r}, n_runs={self._n_runs})"

    def run(
        self,
        params: ParamsLike | None = None,
        *,
        shots: int | None = None,
        seed: int | None = None,
        initial_state: npt.ArrayLike | None = None,
    ) -> ProgramResult:
        """Run with values for the parameters.

        Args:
            params: By name, or an array in the order of ``template.circuit.parameters``; see `Template.values`.
            shots: Measurements per batch entry, or None for exact answers.
            seed: Seed of the sampling; None draws one, which provenance tells.
            initial_state: State ``(2**n_qubits,)`` or ``(batch, 2**n_qubits)`` instead of ``|0...0>``; not checked to
                be normalised.

        Raises:
            ParameterUnboundError, ShapeError: The values do not fit.
            StateTooLargeError, UnsupportedProgramError: Not enough memory, or too many shots.
        """
        values = self._values(params, initial_state)
        result = answered(self._plan, values, shots, seed, {"template_digest": self._template.digest})
        self._count()
        return result

    def value_and_grad(
        self,
        params: ParamsLike | None = None,
        grad_expectations: npt.ArrayLike | None = None,
        *,
        initial_state: npt.ArrayLike | None = None,
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        """Return exact expectations and their gradients in one pass.

        Args:
            params, initial_state: See `run`.
            grad_expectations: ``(batch, n_observables)``, the gradient of some number with respect to the expectations;
                by default that of their sum.

        Returns:
            Expectations ``(batch, n_observables)``, gradients of the inputs ``(batch, n_inputs)`` and of the weights
            ``(n_weights,)``, in the order of ``template.input_names`` and ``template.weight_names``, in its dtype.

        Raises:
            ParameterUnboundError, ShapeError: The values do not fit.
            StateTooLargeError: Not enough memory.
        """
        inputs, weights, state = self._values(params, initial_state)
        if grad_expectations is None:
            grad_expectations = np.ones((len(inputs), len(self._template.observables)))
        found = self._plan.measuring.value_and_grad(inputs, weights, grad_expectations, initial_state=state)
        self._count()
        return found

    def _values(self, params: ParamsLike | None, initial_state: npt.ArrayLike | None) -> Values:
        inputs, weights = self._template.values(params)
        if initial_state is None:
            return Values(inputs, weights)
        state = np.asarray(initial_state, np.complex128)
        if state.ndim == 2 and len(inputs) == 1 and not inputs.shape[1]:
            inputs = np.empty((len(state), 0))
        return Values(inputs, weights, state)

    def _count(self) -> None:
        with self._lock:
            self._n_runs += 1


def answered(
    plan: Plan | DynamicPlan, values: Values, shots: int | None, seed: int | None, facts: dict[str, Any]
) -> ProgramResult:
    """Answer what template and shots ask for; provenance has ``facts`` too."""
    template = plan.template
    admit(template, values.batch, shots)
    started_at, started = datetime.now(UTC), time.perf_counter()
    if shots is not None and seed is None:
        seed = int(np.random.default_rng().integers(2**63 - 1))
    parts, notes = plan.answer(values, shots, seed)
    provenance = {
        "backend": "local",
        "version": __version__,
        "dtype": template.dtype,
        "shots": shots,
        "seed": seed,
        "n_threads": get_threads(),
        "started_at": started_at.isoformat(),
        "elapsed_s": time.perf_counter() - started,
        **facts,
        **notes,
    }
    return ProgramResult(**parts, provenance=provenance)
