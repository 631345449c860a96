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

from rivals.circuit import Case, Task
from rivals.families import Gate, gates
from rivals.protocol import Candidate, Step

__all__ = ["PACKAGES", "candidates"]

PACKAGES = ("qulacs", "numpy")


class _Samples:
    """The step for some of the samples.

    Qulacs counts qubit 0 as the low bit, so the signs do here too; its rotations turn by the negative angle.
    """

    def __init__(self, case: Case, gradients: bool) -> None:
        n = self.n_qubits = case.n_qubits
        self.circuit, self.gradients = ParametricQuantumCircuit(n), gradients
        sources = []
        for gate in gates(case):
            if gate.source:
                sources.append((gate.source == "input", gate.index))
            self._add(gate)
        of_input, index = np.array(sources).T
        self.places = np.flatnonzero(of_input), np.flatnonzero(~of_input.astype(bool))
        self.index = index[self.places[0]], index[self.places[1]]
        self.state, self.adjoint = QuantumState(n), QuantumState(n)
        basis = np.arange(1 << n)[:, None]
        self.signs = 1.0 - 2.0 * ((basis >> np.arange(n)) & 1)

    def _add(self, gate: Gate) -> None:
        circuit, qubits = self.circuit, gate.qubits
        if gate.name == "ry":
            circuit.add_parametric_RY_gate(*qubits, 0.0)
        elif gate.name == "rz":
            circuit.add_parametric_RZ_gate(*qubits, 0.0)
        elif gate.name == "rzz":
            circuit.add_parametric_multi_Pauli_rotation_gate(list(qubits), [3, 3], 0.0)
        elif gate.name == "h":
            circuit.add_H_gate(*qubits)
        else:
            (circuit.add_CNOT_gate if gate.name == "cx" else circuit.add_CZ_gate)(*qubits)

    def step(self, inputs, weights, upstream):
        circuit, state = self.circuit, self.state
        of_inputs, of_weights = self.places
        flat = -weights.ravel()
        for place, angle in zip(of_weights.tolist(), flat[self.index[1]].tolist(), strict=True):
            circuit.set_parameter(place, angle)
        values, grad_inputs = np.empty(inputs.shape), np.zeros(inputs.shape)
        grad_weights, places = np.zeros(weights.size), of_inputs.tolist()
        combined = 2 * (upstream @ self.signs.T) if self.gradients else None
        for sample, angles in enumerate((-inputs[:, self.index[0]]).tolist()):
            for place, angle in zip(places, angles, strict=True):
                circuit.set_parameter(place, angle)
            state.set_zero_state()
            circuit.update_quantum_state(state)
            amplitudes = state.get_vector()
            values[sample] = (amplitudes.real**2 + amplitudes.imag**2) @ self.signs
            if combined is None:
                continue
            self.adjoint.load(combined[sample] * amplitudes)
            gradient = np.array(circuit.backprop_inner_product(self.adjoint))
            np.add.at(grad_inputs[sample], self.index[0], -gradient[of_inputs])
            np.add.at(grad_weights, self.index[1], -gradient[of_weights])
        if combined is None:
            return (values,)
        return values, grad_inputs, grad_weights.reshape(weights.shape)


def _serve(pipe, case: Case, gradients: bool) -> None:
    samples = _Samples(case, gradients)
    with suppress(EOFError):  # the other end is gone: the candidate lost
        while True:
            pipe.send(samples.step(*pipe.recv()))


def _one_process(task: Task) -> Step:
    samples = _Samples(task.case, task.gradients)
    numbers = [array.astype(np.float64) for array in (task.inputs, task.weights, task.upstream)]
    return Step(lambda: samples.step(*numbers), lambda results: results)


def _many_processes(task: Task) -> Step:
    context, pipes = get_context("spawn"), []
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        for _ in range(task.threads - 1):
            mine, theirs = context.Pipe()
            arguments = (theirs, task.case, task.gradients)
            context.Process(target=_serve, args=arguments, daemon=True).start()
            pipes.append(mine)
    finally:
        os.environ.pop("OMP_NUM_THREADS")
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before
    samples = _Samples(task.case, task.gradients)
    inputs, weights, upstream = (array.astype(np.float64) for array in (task.inputs, task.weights, task.upstream))
    shares = np.array_split(np.arange(task.case.batch), task.threads)

    def run():
        for pipe, share in zip(pipes, shares[1:], strict=True):
            pipe.send((inputs[share], weights, upstream[share]))
        parts = [samples.step(inputs[shares[0]], weights, upstream[shares[0]]), *(pipe.recv() for pipe in pipes)]
        if not task.gradients:
            return (np.concatenate([part[0] for part in parts]),)
        values, grad_inputs, grad_weights = zip(*parts, strict=True)
        return np.concatenate(values), np.concatenate(grad_inputs), sum(grad_weights)

    return Step(run, lambda results: results)


def candidates(task: Task) -> list[Candidate]:
    """One process, or the samples shared out over processes."""
    found = [Candidate("one process", "complex128", lambda: _one_process(task))]
    if 1 < task.threads <= task.case.batch:
        found.append(Candidate(f"{task.threads} processes", "complex128", lambda: _many_processes(task)))
    return found
