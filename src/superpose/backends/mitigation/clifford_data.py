"""Clifford data regression: what noise does is learnt from near circuits that can be simulated."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from superpose.backends.local import LocalBackend
from superpose.backends.mitigation.variants import asks_for_expectations, capabilities_of, drawn_seed, told, variant
from superpose.circuits import Backend, Capabilities, Circuit, Instruction, Program, ProgramResult
from superpose.errors import UnsupportedProgramError

__all__ = ["CliffordDataRegression"]

_KEPT = 0.2
"""Share of the angles that stay as they are in a training circuit."""


class CliffordDataRegression:
    """A backend that corrects expectations by a line, fitted to circuits like the program's whose values are known.

    Training circuits are the program's with most angles moved to near multiples of pi/2. Their values without noise
    come from the local engine, with noise from the backend; a line from the latter to the former, for each observable
    and batch entry, corrects the program's own. (The published method simulates by stabilisers with few other gates; up
    to some 20 qubits the engine needs no such limit.)

    Args:
        backend: The noisy one.
        n_training: Training circuits for each batch entry.
        same_shots: Whether they and the program share the program's shots, half of them for the program; else each gets
            all.

    Raises:
        UnsupportedProgramError: Fewer than two training circuits.

    Source: Czarnik, Arrasmith, Coles, Cincio 2021, arXiv 2005.10189.
    """

    def __init__(self, backend: Backend, n_training: int = 10, *, same_shots: bool = True) -> None:
        if isinstance(n_training, bool) or not isinstance(n_training, int) or n_training < 2:
            raise UnsupportedProgramError(f"n_training must be a whole number of at least 2, got {n_training!r}.")
        self._backend, self._n, self._same = backend, n_training, same_shots
        self._exact = LocalBackend()

    @property
    def name(self) -> str:
        """The backend's name, with what is done to it."""
        return f"{self._backend.name}+cdr"

    @property
    def wrapped(self) -> tuple[Backend, ...]:
        """The backend that it corrects."""
        return (self._backend,)

    def capabilities(self) -> Capabilities:
        """What the backend can do, state vectors aside."""
        return capabilities_of(self._backend)

    def n_shots(self, program: Program) -> int:
        """Return how many shots each measurement setting of each batch entry takes in all."""
        return (program.shots or 0) * (1 if self._same else 1 + self._n)

    def run(self, program: Program) -> ProgramResult:
        """Run ``program`` and its training circuits, and correct its expectations.

        Raises:
            UnsupportedProgramError: It asks for no expectations, its circuit does more than gates, or there are too few
                shots.
            StateTooLargeError: The local engine cannot simulate the circuit.

        Cost: one run of the backend and, for each batch entry and training circuit, one of backend and engine.
        """
        asks_for_expectations(program, "Clifford data regression")
        seed = drawn_seed(program)
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2**31,)))
        mine, theirs = self._shots(program)
        own = self._backend.run(replace(variant(program, program.circuit, 0, 1, seed, share=False), shots=mine))
        measured = np.asarray(own.expectations)  # (batch, n_observables)
        found, results = measured.copy(), [own]
        names = program.circuit.parameters
        for entry, row in enumerate(program.param_matrix().tolist()):
            bound = program.circuit.bind(dict(zip(names, row, strict=True))) if names else program.circuit
            noisy, exact = [], []
            for place in range(self._n):
                near = near_clifford(bound, rng)
                asked = Program(near, {}, program.observables, dtype=program.dtype)
                exact.append(np.asarray(self._exact.run(asked).expectations)[0])
                one = variant(asked, near, entry * self._n + place + 1, 1, seed, share=False)
                results.append(self._backend.run(replace(one, shots=theirs)))
                noisy.append(np.asarray(results[-1].expectations)[0])
            found[entry] = _corrected(measured[entry], np.array(noisy), np.array(exact), program)
        facts = {"clifford_data": {"n_training": self._n, "measured": measured.tolist()}}
        return replace(own, expectations=found, provenance=told(program, results, self.name, seed, facts))

    def _shots(self, program: Program) -> tuple[int | None, int | None]:
        """Shots of the program and of each training circuit."""
        shots = program.shots
        if shots is None or not self._same:
            return shots, shots
        theirs = shots // 2 // self._n
        if theirs < 1:
            raise UnsupportedProgramError(
                f"{shots} shots cannot be shared with {self._n} training circuits; give at least {2 * self._n}, or "
                "same_shots=False."
            )
        return shots - theirs * self._n, theirs


def near_clifford(circuit: Circuit, rng: np.random.Generator) -> Circuit:
    """Return a circuit without parameters with most of its angles moved to a near multiple of pi/2.

    Nearer multiples are more probable: with weights ``exp(-d**2 / 0.5)`` of the distance ``d`` in radians.

    Raises:
        UnsupportedProgramError: It does more than gates, barriers, delays and final measurements.
    """
    body, finals = circuit.without_final_measurements()
    body.gate_calls()
    out = Circuit(circuit.n_qubits, circuit.name, n_bits=circuit.n_bits)
    for item in body.instructions:
        if isinstance(item, Instruction) and item.angles:
            angles = [_moved(float(angle.evaluate({})), rng) for angle in item.angles]
            out.append(item.gate, item.qubits, angles)
        else:
            out.extend([item])
    return out.extend(finals)


def _moved(angle: float, rng: np.random.Generator) -> float:
    if rng.random() < _KEPT:
        return angle
    steps = math.floor(angle / (math.pi / 2)) + np.arange(-1, 3)
    weights = np.exp(-((steps * math.pi / 2 - angle) ** 2) / 0.5)
    return float(rng.choice(steps, p=weights / weights.sum())) * math.pi / 2


def _corrected(
    measured: npt.NDArray[np.float64],
    noisy: npt.NDArray[np.float64],
    exact: npt.NDArray[np.float64],
    program: Program,
) -> npt.NDArray[np.float64]:
    """Each observable's line at what was measured, kept within what the observable can be, ``(n_observables,)``.

    Where the training values hardly differ, their mean offset is all that can be learnt.
    """
    out = np.empty_like(measured)
    for column, observable in enumerate(program.observables):
        x, y = noisy[:, column], exact[:, column]
        spread = float(((x - x.mean()) ** 2).sum())
        slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread if spread > 1e-6 * len(x) else 1.0
        value = y.mean() + slope * (measured[column] - x.mean())
        constant = sum(k for pauli, k in observable.terms if not pauli.strip("I"))
        reach = sum(abs(k) for pauli, k in observable.terms if pauli.strip("I"))
        out[column] = min(constant + reach, max(constant - reach, value))
    return out
