"""Ours: superpose.engine, kernels warm, one fused value_and_grad call."""

from __future__ import annotations

import math

import numpy as np

from rivals.circuit import Task
from rivals.families import gates, weights_shape
from rivals.protocol import Candidate, Step
from superpose.circuits import Circuit, Parameter, z_all
from superpose.engine import compile_program, set_threads, warm

__all__ = ["PACKAGES", "candidates", "circuit_of"]

PACKAGES = ("superpose", "numba", "llvmlite", "numpy")


def circuit_of(task: Task) -> Circuit:
    """The circuit with parameters x_q and w_i."""
    circuit = Circuit(task.case.n_qubits)
    for gate in gates(task.case):
        angles = [Parameter(f"{'x' if gate.source == 'input' else 'w'}_{gate.index}")] if gate.source else []
        circuit.append(gate.name, list(gate.qubits), angles)
    return circuit


def _build(task: Task) -> Step:
    circuit, n = circuit_of(task), task.case.n_qubits
    program = compile_program(circuit, z_all(n), inputs=[f"x_{qubit}" for qubit in range(n)], dtype="float32")
    order = np.array([int(name[2:]) for name in program.weight_names])  # by first use, not by layers
    inputs, upstream = task.inputs, task.upstream
    weights = np.ascontiguousarray(task.weights.ravel()[order])
    if not task.gradients:
        return Step(lambda: (program.expectation(inputs, weights),), lambda results: results)

    def run():
        return program.value_and_grad(inputs, weights, upstream)

    def arrays(results):
        values, grad_inputs, grad_weights = results
        placed = np.zeros(math.prod(weights_shape(task.case)))
        placed[order] = grad_weights
        return values, grad_inputs, placed

    return Step(run, arrays)


def candidates(task: Task) -> list[Candidate]:
    """One way only; building the kernels, once per machine, is not part of a first call."""
    set_threads(task.threads)
    if task.options.get("warm") != "no":
        warm(dtypes=("float32",))
    return [Candidate("value_and_grad", "complex64", lambda: _build(task))]
