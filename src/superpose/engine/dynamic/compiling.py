"""Dynamic programs of this process: equal requests share one."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from superpose.circuits import Circuit, Observable
from superpose.engine.dynamic.choice import Method
from superpose.engine.dynamic.program import DynamicProgram
from superpose.engine.runner import Dtype

__all__ = ["compile_dynamic"]

_CACHE_SIZE = 64
_programs: OrderedDict[Any, DynamicProgram] = OrderedDict()
_programs_lock = threading.Lock()


def compile_dynamic(
    circuit: Circuit,
    observables: Sequence[Observable] = (),
    *,
    inputs: Sequence[str] = (),
    dtype: Dtype = "float64",
    method: Method = "auto",
) -> DynamicProgram:
    """Return the program that runs a circuit with measurement, feed-forward, reset or noise; equal requests share one.

    Args:
        circuit: The circuit; later changes do not reach the program.
        observables: What `DynamicProgram.expectation` measures; may be empty.
        inputs: Names of the parameters whose values are given per sample; all others are weights.
        dtype: Precision of results.
        method: "density_matrix": exact, ``4**n_qubits`` real numbers per state, at most 12 classical bits told apart
            at a time. "branching": exact, pure states, no noise channels, at most 1024 branches. "trajectories":
            sampled. "auto": the cheapest exact one that fits, else trajectories.

    Raises:
        ObservableError: An observable acts on another number of qubits.
        ParameterUnboundError: ``inputs`` names something else than distinct parameters of the circuit.
        UnsupportedProgramError: Another dtype or method.

    >>> from superpose.circuits import Channel
    >>> circuit = Circuit(1).x(0).channel("amplitude_damping", (0.25,), (0,))
    >>> compile_dynamic(circuit, [Observable("Z")]).expectation(None, None).round(12).tolist()
    [[-0.5]]
    """
    observables, inputs = tuple(observables), tuple(inputs)
    key = (circuit.digest, observables, inputs, dtype, method)
    with _programs_lock:
        found = _programs.get(key)
        if found is not None:
            _programs.move_to_end(key)
            return found
    made = DynamicProgram(circuit, observables, inputs, dtype, method)
    with _programs_lock:
        made = _programs.setdefault(key, made)
        while len(_programs) > _CACHE_SIZE:
            _programs.popitem(last=False)
    return made


def _after_fork() -> None:
    """Another thread may have held the lock when the process forked."""
    global _programs_lock
    _programs_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
