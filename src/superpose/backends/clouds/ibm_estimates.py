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
    """Return one PUB for the template: all observables that are no constants, ``(n, 1)``, against all values,
    ``(batch,)``.

    A circuit of which no parameter is left after compiling stands there once per batch entry. The first circuit carries
    the program, so that its result can be read by another process.
    """
    body, _ = program.circuit.without_final_measurements()
    native = carrying(compiler.native(body), program)
    column = [[_operator(terms, native.layout)] for terms in _measured(program.observables) if terms]
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
    sent = [place for place, terms in enumerate(_measured(program.observables)) if terms]
    try:
        shape = (program.batch, len(sent))
        evs, errors = (
            np.concatenate([np.asarray(one.data[name], np.float64).reshape(len(sent), -1) for one in results], 1).T
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
    constants = [sum(w for string, w in one.terms if set(string) == {"I"}) for one in program.observables]
    values = np.tile(np.asarray(constants, np.float64), (program.batch, 1))  # (batch, n_observables)
    spread = np.zeros_like(values)
    values[:, sent] += evs
    spread[:, sent] = errors
    return values, spread


def _measured(observables: Sequence[Observable]) -> list[list[tuple[str, float]]]:
    """Each observable's terms but constants, which nobody has to measure."""
    return [[(string, float(w)) for string, w in one.terms if set(string) != {"I"}] for one in observables]


def _operator(terms: Sequence[tuple[str, float]], layout: Any) -> Any:
    """Qiskit's operator on the processor's qubits; its rightmost character is our qubit 0."""
    from qiskit.quantum_info import SparsePauliOp

    return SparsePauliOp.from_list([(string[::-1], weight) for string, weight in terms]).apply_layout(layout)
