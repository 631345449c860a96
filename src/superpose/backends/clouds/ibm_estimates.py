"""Programs as PUBs of EstimatorV2 and back: expectations that IBM estimates itself, with its own mitigation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.backends.clouds.ibm_pubs import Compiler, carrying
from superpose.circuits import Instruction, Observable, Program, walk
from superpose.errors import ProviderError

__all__ = ["are_estimates", "estimator_pubs", "estimator_takes", "expectations_of"]

Values = npt.NDArray[np.float64]


def estimator_takes(program: Program) -> bool:
    """Whether EstimatorV2 can run a program: it asks for expectations and measures or resets nothing before its end."""
    body, _ = program.circuit.without_final_measurements()
    return bool(program.observables) and all(isinstance(item, Instruction) for item in walk(body.instructions))


def estimator_pubs(program: Program, compiler: Compiler) -> list[tuple[Any, ...]]:
    """Return one PUB for the template: all observables, ``(n_observables, 1)``, against all values, ``(batch,)``.

    A circuit of which no parameter is left after compiling stands there once per batch entry. The first circuit carries
    the program, so that its result can be read by another process.
    """
    body, _ = program.circuit.without_final_measurements()
    native = carrying(compiler.native(body), program)
    column = [[_operator(one, program.n_qubits, native.layout)] for one in program.observables]
    names = [parameter.name for parameter in native.parameters]
    if not names:
        return [(native, column)] * program.batch
    columns = dict(zip(program.circuit.parameters, program.param_matrix().T, strict=True))
    return [(native, column, np.stack([columns[name] for name in names], axis=1))]


def are_estimates(results: Sequence[Any]) -> bool:
    """Whether a job's results are those of EstimatorV2."""
    return any("evs" in one.data for one in results)


def expectations_of(results: Sequence[Any], program: Program) -> tuple[Values, Values]:
    """Return expectations and their standard errors as IBM states them, ``(batch, n_observables)`` each.

    Raises:
        ProviderError: Some are missing, or are no numbers.
    """
    n_observables = len(program.observables)
    try:
        shape = (program.batch, n_observables)
        evs, errors = (
            np.concatenate([np.asarray(one.data[name], np.float64).reshape(n_observables, -1) for one in results], 1).T
            for name in ("evs", "stds")
        )
        if evs.shape != shape or errors.shape != shape or not np.isfinite(evs).all():
            raise ValueError(f"{evs.shape} expectations, asked were {shape}")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ProviderError(
            f"IBM answered with expectations that cannot be read ({error}); nothing of it is used. Fetch the result "
            "again, or run the program again.",
            provider="ibm",
            provider_job_id=None,
            retryable=True,
        ) from None
    return np.ascontiguousarray(evs), np.ascontiguousarray(errors)


def _operator(observable: Observable, n_qubits: int, layout: Any) -> Any:
    """Qiskit's operator on the processor's qubits; its rightmost character is our qubit 0."""
    from qiskit.quantum_info import SparsePauliOp

    terms = [(string[::-1], float(weight)) for string, weight in observable.terms] or [("I" * n_qubits, 0.0)]
    return SparsePauliOp.from_list(terms).apply_layout(layout)
