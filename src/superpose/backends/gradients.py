"""Programs on backends as gradient problems: all shifted circuits of a gradient go as one program."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from superpose.backends.local import LocalBackend
from superpose.circuits import Backend, Circuit, Program
from superpose.engine.arrays import Array
from superpose.engine.dynamic import compile_dynamic
from superpose.engine.gradients import GradientProblem, adjoint_gradient
from superpose.errors import ProgramError, ProviderError

__all__ = ["gradient_problem"]


def gradient_problem(program: Program, backend: Backend) -> GradientProblem:
    """Return a program's expectations on a backend as a function of the circuit's parameters.

    Args:
        program: Its ``param_matrix`` says where; its shots and seed, how expectations come about. With shots, all
            points of a gradient are measured ``shots`` times each, by one program with the program's seed.
        backend: Where it runs.

    Raises:
        ProgramError: The program has no observables.
    """
    if not program.observables:
        raise ProgramError("A gradient is one of expectations; give observables.")

    def evaluate(circuit: Circuit, points: Array) -> Array:
        n_points, batch, n_params = points.shape
        columns = points.reshape(n_points * batch, n_params).T
        state = program.initial_state
        shifted = Program(
            circuit,
            dict(zip(circuit.parameters, columns, strict=True)),
            program.observables,
            program.shots,
            program.seed,
            np.tile(state, (n_points, 1)) if state is not None and state.ndim == 2 and len(state) > 1 else state,
            dtype=program.dtype,
        )
        found = backend.run(shifted).expectations
        n_rows = shifted.batch  # one where nothing differs
        if found is None or found.shape != (n_rows, len(program.observables)):
            raise ProviderError(
                f"Backend {backend.name!r} gave no expectations of shape ({n_rows}, {len(program.observables)}).",
                provider=backend.name,
                provider_job_id=None,
                retryable=False,
            )
        return np.broadcast_to(found, (n_points * batch, found.shape[1])).reshape(n_points, batch, -1)

    return GradientProblem(
        circuit=program.circuit,
        values=program.param_matrix(),
        evaluate=evaluate,
        adjoint=_adjoint(program, backend),
        noise=_noise(program, backend),
    )


def _noise(program: Program, backend: Backend) -> str:
    """Return what the expectations are uncertain by: rounding, shots, or trajectories, which are as shots."""
    if program.shots is not None:
        return "shots"
    body = program.circuit.without_final_measurements()[0]
    if isinstance(backend, LocalBackend) and not body.is_unitary:
        method = compile_dynamic(body, program.observables).choice().method
        return "shots" if method == "trajectories" else program.dtype
    return program.dtype


def _adjoint(program: Program, backend: Backend) -> Callable[[], Array] | None:
    """Return the adjoint method where the backend is this machine's engine and the program asks for exact values."""
    if not isinstance(backend, LocalBackend) or program.shots is not None:
        return None
    body = program.circuit.without_final_measurements()[0]
    if not body.is_unitary and not compile_dynamic(body, program.observables).gives_gradients:
        return None
    return lambda: adjoint_gradient(
        body, program.param_matrix(), program.observables, program.dtype, program.initial_state
    )
