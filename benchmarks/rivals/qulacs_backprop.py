"""Qulacs: a loop over samples; forward, then one backprop_inner_product per sample with the weighted sum of all Z.

backprop(observable) runs the forward pass once more, and GradCalculator shifts every parameter, so both are slower.
Qulacs computes in complex128 only and holds the GIL: one process with its own threads, or one process per thread.
"""

from __future__ import annotations

import os
from contextlib import suppress
from multiprocessing import get_context

import numpy as np
from qulacs import ParametricQuantumCircuit, QuantumState

from rivals.circuit import Task, ring_pairs
from rivals.protocol import Candidate, Step

__all__ = ["PACKAGES", "candidates"]

PACKAGES = ("qulacs", "numpy")


class _Samples:
    """The step for some of the samples.

    Qulacs counts qubit 0 as the low bit, so the signs do here too; its rotations turn by the negative angle.
    """

    def __init__(self, n_qubits: int, layers: int) -> None:
        self.n_qubits = n_qubits
        self.circuit = ParametricQuantumCircuit(n_qubits)
        for qubit in range(n_qubits):
            self.circuit.add_parametric_RY_gate(qubit, 0.0)
        for layer in range(layers):
            for qubit in range(n_qubits):
                self.circuit.add_parametric_RZ_gate(qubit, 0.0)
                self.circuit.add_parametric_RY_gate(qubit, 0.0)
                self.circuit.add_parametric_RZ_gate(qubit, 0.0)
            for control, target in ring_pairs(n_qubits, layer):
                self.circuit.add_CNOT_gate(control, target)
        self.state, self.adjoint = QuantumState(n_qubits), QuantumState(n_qubits)
        index = np.arange(1 << n_qubits)[:, None]
        self.signs = 1.0 - 2.0 * ((index >> np.arange(n_qubits)) & 1)

    def step(self, inputs, weights, upstream):
        n, circuit, state = self.n_qubits, self.circuit, self.state
        for index, angle in enumerate((-weights).ravel().tolist()):
            circuit.set_parameter(n + index, angle)
        values, grad_inputs = np.empty(inputs.shape), np.empty(inputs.shape)
        grad_weights = np.zeros(weights.size)
        combined = 2 * (upstream @ self.signs.T)
        for sample, angles in enumerate((-inputs).tolist()):
            for qubit, angle in enumerate(angles):
                circuit.set_parameter(qubit, angle)
            state.set_zero_state()
            circuit.update_quantum_state(state)
            amplitudes = state.get_vector()
            values[sample] = (amplitudes.real**2 + amplitudes.imag**2) @ self.signs
            self.adjoint.load(combined[sample] * amplitudes)
            gradient = np.array(circuit.backprop_inner_product(self.adjoint))
            grad_inputs[sample] = -gradient[:n]
            grad_weights -= gradient[n:]
        return values, grad_inputs, grad_weights.reshape(weights.shape)


def _serve(pipe, n_qubits: int, layers: int) -> None:
    samples = _Samples(n_qubits, layers)
    with suppress(EOFError):  # the other end is gone: the candidate lost
        while True:
            pipe.send(samples.step(*pipe.recv()))


def _one_process(task: Task) -> Step:
    samples = _Samples(task.case.n_qubits, task.case.layers)
    numbers = [array.astype(np.float64) for array in (task.inputs, task.weights, task.upstream)]
    return Step(lambda: samples.step(*numbers), lambda results: results)


def _many_processes(task: Task) -> Step:
    context, pipes = get_context("spawn"), []
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        for _ in range(task.threads - 1):
            mine, theirs = context.Pipe()
            arguments = (theirs, task.case.n_qubits, task.case.layers)
            context.Process(target=_serve, args=arguments, daemon=True).start()
            pipes.append(mine)
    finally:
        os.environ.pop("OMP_NUM_THREADS")
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before
    samples = _Samples(task.case.n_qubits, task.case.layers)
    inputs, weights, upstream = (array.astype(np.float64) for array in (task.inputs, task.weights, task.upstream))
    shares = np.array_split(np.arange(task.case.batch), task.threads)

    def run():
        for pipe, share in zip(pipes, shares[1:], strict=True):
            pipe.send((inputs[share], weights, upstream[share]))
        parts = [samples.step(inputs[shares[0]], weights, upstream[shares[0]]), *(pipe.recv() for pipe in pipes)]
        values, grad_inputs, grad_weights = zip(*parts, strict=True)
        return np.concatenate(values), np.concatenate(grad_inputs), sum(grad_weights)

    return Step(run, lambda results: results)


def candidates(task: Task) -> list[Candidate]:
    """One process, or the samples shared out over processes."""
    found = [Candidate("one process", "complex128", lambda: _one_process(task))]
    if 1 < task.threads <= task.case.batch:
        found.append(Candidate(f"{task.threads} processes", "complex128", lambda: _many_processes(task)))
    return found
