"""What a backend answered, compared with exact values as far as shots allow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from superpose.circuits import Backend, Observable, Program, ProgramResult
from superpose.circuits.reference import expectation
from superpose.testing.contracts import require

__all__ = ["EXACT_TOLERANCE", "SHOTS", "close", "compare", "compare_result", "pauli_sums", "ran", "sampling_error"]

SHOTS = 4000
FAILURE_PROBABILITY = 1e-9
"""Of one comparison of a sampled number with its exact value, by Hoeffding's inequality."""

EXACT_TOLERANCE: Mapping[str, float] = {"float64": 1e-12, "float32": 2e-5}


def pauli_sums() -> tuple[Observable, ...]:
    """Observables of three qubits with all letters, constants and nothing at all."""
    first = Observable({"ZII": 1.0, "IXI": 0.5, "IIY": -0.7, "III": 0.25})
    return (first, Observable({"XYZ": 1.0, "ZZX": 0.3}), Observable({}, 3), Observable({"III": 2.0}))


def ran(backend: Backend, program: Program) -> ProgramResult:
    """Return what ``backend`` answers, which has what the program asks for and nothing else."""
    digest = program.digest
    result = backend.run(program)
    require(isinstance(result, ProgramResult), "run returns a ProgramResult")
    require(replace(program).digest == digest, "run leaves the program as it was")
    asked = (bool(program.observables), program.shots is not None)
    require((result.expectations is not None) == asked[0], "expectations come where there are observables")
    require((result.counts is not None) == (asked == (False, True)), "counts come with shots and no observables")
    require((result.state_vectors is not None) == (asked == (False, False)), "state vectors come without either")
    return result


def compare(backend: Backend, program: Program, tolerance: float, what: str) -> None:
    """Run a program, with shots where the backend gives no exact values, and compare its expectations."""
    if program.shots is None and not backend.capabilities().exact:
        program = replace(program, shots=SHOTS, seed=1)
    compare_result(ran(backend, program), program, tolerance, what)


def compare_result(result: ProgramResult, program: Program, tolerance: float, what: str) -> None:
    """Compare expectations with the reference, sampled ones within what chance allows."""
    states = program.initial_state
    wanted = np.empty((program.batch, len(program.observables)))
    for entry, row in enumerate(program.param_matrix()):
        values = dict(zip(program.circuit.parameters, row.tolist(), strict=True))
        state = states[entry] if states is not None and states.ndim == 2 else states
        for column, observable in enumerate(program.observables):
            wanted[entry, column] = expectation(program.circuit, observable, values, state)
    require(result.expectations is not None and result.expectations.dtype == np.float64, "expectations are float64")
    weights = np.array([sum(abs(k) for p, k in o.terms if p.strip("I")) for o in program.observables])
    chance = 2 * sampling_error(1.0) * weights if program.shots is not None else np.zeros_like(weights)
    close(result.expectations, wanted, tolerance + chance + EXACT_TOLERANCE[program.dtype], what)


def sampling_error(width: float) -> float:
    """How far the mean of SHOTS values in an interval of this width strays, but for the failure probability."""
    return width * math.sqrt(math.log(2 / FAILURE_PROBABILITY) / (2 * SHOTS))


def close(got: npt.ArrayLike | None, wanted: npt.ArrayLike, allowed: npt.ArrayLike, what: str) -> None:
    """Compare numbers one by one."""
    require(got is not None and np.shape(got) == np.shape(wanted), f"{what}: shape is {np.shape(wanted)}")
    off = np.abs(np.asarray(got) - np.asarray(wanted))
    require(bool((off <= allowed).all()), f"{what}: off by {off.max():.3g} from {np.asarray(wanted)}")
