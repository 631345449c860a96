"""`Measurer`: a circuit's expectations and derivatives from a backend's shots, a program for each mini-batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from superpose.circuits import Backend, Program, SizingBackend, Template
from superpose.errors import SpecError
from superpose.learning.backend_spec import BackendSpec
from superpose.learning.measured.allocation import AdaptiveShots, FixedShots, ShotRule, StepShots
from superpose.learning.measured.shifts import GradientCircuits, ParameterShifts, RandomDirections, Shifts
from superpose.learning.measured.submissions import Answer, Journal, RunWatch, Submissions
from superpose.learning.quantum_block import QuantumBlock

__all__ = ["Measurer", "measured_expectations"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Step:
    """One mini-batch on its way: what was asked, and what came."""

    rows: NDArray[np.int64]
    shots: StepShots
    shifts: Shifts
    owners: NDArray[np.int64]  # row of each shifted copy
    shifted: Array  # (n_copies, n_points, n_observables)


class Measurer:
    """Gives a `QuantumLayer` its expectations and gradients from a backend while a training run lasts.

    Everything random comes from the run's seed and the number of the step, so a run that goes on from a checkpoint
    measures what it would have measured.

    Args:
        backend: where circuits run; any of the protocols in `superpose.circuits`.
        spec: shots, gradient, allocation; its name is that of the backend.
        block: the layer's circuit.
        n_rows: rows of the training set.
        seed: of shots, of SPSA's directions and of the allocation's rounding.
        inputs: whether the inputs' derivatives are needed, as layers before the circuit do.
        weights: whether the weights are trained.

    Raises:
        SpecError: the backend is too small for the circuit or for the shots.

    Cost: a program for each mini-batch, of ``batch * (1 + 2 n_angles)`` circuits by parameter shift under the fixed
    allocation; more programs only where the backend takes fewer circuits at once.
    """

    def __init__(
        self,
        backend: Backend,
        spec: BackendSpec,
        block: QuantumBlock,
        *,
        n_rows: int,
        seed: int,
        inputs: bool = True,
        weights: bool = True,
    ) -> None:
        _check_fit(backend, spec, block)
        self.spec, self.block, self._seed = spec, block, seed
        self._circuits: GradientCircuits
        if spec.gradient == "spsa":
            self._circuits = RandomDirections(block, inputs=inputs, weights=weights, n_directions=spec.n_directions)
        else:
            self._circuits = ParameterShifts(block, inputs=inputs, weights=weights)
        self._rule: ShotRule = (
            FixedShots(spec.shots)
            if spec.allocation == "fixed"
            else AdaptiveShots(spec.shots, n_rows, spec.least_shots)
        )
        self._norms = np.array([sum(abs(c) for _, c in o.terms) for o in block.observables])
        self._submissions = Submissions(backend, Journal(None))
        self._rows: NDArray[np.int64] | None = None
        self._step: _Step | None = None
        self._label, self._number = "step-0", 0
        self._n_steps = self._n_shots = self._n_circuits = self._n_submissions = 0
        self._cost_usd: float | None = None

    @property
    def n_round_trips(self) -> int:
        """Programs that this process has handed over."""
        return self._submissions.n_round_trips

    @property
    def evaluates(self) -> bool:
        """Whether figures outside training steps are measured too."""
        return self.spec.evaluate == "backend"

    def attend(self, directory: Path | None, watch: RunWatch) -> None:
        """Begin, or go on with, a run that keeps its files in this directory."""
        if directory is not None:
            self._submissions.journal = Journal(directory)
        self._submissions.watch = watch

    def begin_step(self, rows: Sequence[int] | NDArray[np.int64]) -> None:
        """The next expectations are those of a training step over these rows of the training set."""
        self._rows = np.asarray(rows, dtype=np.int64)
        self._label, self._number = f"step-{self._n_steps}", 0

    def begin_evaluation(self, what: str) -> None:
        """The next expectations are figures, such as of "validation", after the step that was begun last."""
        self._rows = None
        self._label, self._number = f"{what}-{self._n_steps}", 0

    def end_step(self) -> None:
        """The step's gradient has been used."""
        self._n_steps += 1
        self._step = None

    def settle(self) -> None:
        """A checkpoint holds everything up to here: results need not be kept."""
        self._submissions.journal.clear()

    def measure(self, angles: Array, weights: Array) -> Array:
        """Expectations ``(batch, n_observables)`` of a step, with all that its gradient needs, or of an evaluation.

        Args:
            angles: ``(batch, n_angles)``.
            weights: ``(n_weights,)``.

        Raises:
            ProviderError, Stopped: see `superpose.learning.measured.submissions`.
        """
        values = np.concatenate([angles, np.tile(weights, (len(angles), 1))], axis=1)
        own = self._circuits.own_values(values)  # (batch, n_own)
        if self._rows is None:
            return self._run(own, self.spec.shots)
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self._seed, self._n_steps, 1])))
        batch, n_points = len(own), self._circuits.n_points
        shifts = self._circuits.shifts(batch, generator)
        shots = self._rule.share(self._rows, n_points, generator)
        owners = np.repeat(np.arange(batch), shots.copies)
        points = own[owners, np.newaxis] + shifts.offsets_of(owners)  # (n_copies, n_points, n_own)
        forward = np.tile(own, (shots.forward_copies, 1))
        found = self._run(np.concatenate([forward, points.reshape(-1, own.shape[1])]), shots.unit)
        n_observables = found.shape[1]
        shifted = found[len(forward) :].reshape(len(owners), n_points, n_observables)
        self._step = _Step(self._rows, shots, shifts, owners, shifted)
        unshifted: Array = found[: len(forward)].reshape(shots.forward_copies, batch, n_observables).mean(axis=0)
        return unshifted

    def gradients(self, grad: Array) -> tuple[Array, Array]:
        """Derivatives of the loss by angles ``(batch, n_angles)`` and by weights ``(n_weights,)``.

        Args:
            grad: derivative of the loss by the expectations of the step, ``(batch, n_observables)``.
        """
        step = self._step
        if step is None:
            raise RuntimeError("gradients() follows measure() within a step")
        slopes = np.einsum("cko,co->ck", step.shifted, grad[step.owners])  # (n_copies, n_points)
        summed = np.zeros((len(grad), slopes.shape[1]))
        np.add.at(summed, step.owners, slopes)
        summed /= np.maximum(step.shots.copies, 1)[:, np.newaxis]
        by_row = step.shifts.derivatives(summed)  # (batch, n_params), each row by itself
        n_angles = len(self.block.angle_names)
        self._rule.learn(step.rows, step.shots, self._deviations(step, grad), by_row[:, n_angles:])
        weighted = by_row * step.shots.weights[:, np.newaxis]
        return weighted[:, :n_angles], weighted[:, n_angles:].sum(axis=0)

    def _deviations(self, step: _Step, grad: Array) -> Array:
        """``sqrt(B_b)`` of `superpose.learning.measured.allocation`, ``(batch,)``."""
        unit, n_angles = step.shots.unit, len(self.block.angle_names)
        by_weights = step.shifts.squares(slice(n_angles, None)) or step.shifts.squares(slice(0, n_angles))
        spread = self._norms**2
        if step.shifted.size:
            shown = spread - (step.shifted**2).mean(axis=(0, 1))  # too small by 1 / unit, on average
            spread = np.clip(shown * unit / max(unit - 1, 1), 0.05 * spread, spread)
        deviations: Array = np.sqrt(by_weights * (grad**2 @ spread))
        return deviations

    def _run(self, rows: Array, shots: int) -> Array:
        """Expectations of the circuit at these rows of its own parameters, by as few programs as the backend takes."""
        block, circuit = self.block, self._circuits.circuit
        limit = self._limit(shots)
        parts = []
        for start in range(0, len(rows), limit):
            some = rows[start : start + limit]
            seed = np.random.SeedSequence([self._seed, self._n_steps, 2, self._number, crc32(self._label.encode())])
            program = Program(
                circuit,
                dict(zip(circuit.parameters, some.T, strict=True)),
                block.observables,
                shots,
                int(seed.generate_state(1, np.uint64)[0] >> 1),
            )
            answer = self._submissions.answer(f"{self._label}-{self._number}", program)
            self._number += 1
            self._count(answer)
            parts.append(np.broadcast_to(answer.expectations, (len(some), len(block.observables))))
        return np.concatenate(parts)

    def _limit(self, shots: int) -> int:
        """Most rows of one program."""
        backend, circuit = self._submissions.backend, self._circuits.circuit
        limit = backend.capabilities().max_batch or 10**9
        if isinstance(backend, SizingBackend):
            template = Template(circuit, self.block.observables, circuit.parameters)
            limit = min(limit, backend.batch_limit(template, shots))
        return max(1, limit)

    def _count(self, answer: Answer) -> None:
        self._n_submissions += 1
        self._n_shots += answer.n_shots
        self._n_circuits += answer.n_circuits
        if answer.cost_usd is not None:
            self._cost_usd = (self._cost_usd or 0.0) + answer.cost_usd

    def facts(self) -> dict[str, Any]:
        """Where and how the model was trained, and what that took; JSON values that equal runs share."""
        facts: dict[str, Any] = {
            "backend": self.spec.name,
            "gradient_method": self.spec.gradient,
            "allocation": self.spec.allocation,
            "shots": self.spec.shots,
            "shots_spent": self._n_shots,
            "n_circuits": self._n_circuits,
            "n_submissions": self._n_submissions,
            "n_steps": self._n_steps,
            "evaluated_on": self.spec.name if self.evaluates else "exact",
        }
        return facts if self._cost_usd is None else {**facts, "cost_usd": self._cost_usd}

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and facts for a checkpoint between two steps."""
        arrays, rule = self._rule.state()
        counts = [self._n_steps, self._n_shots, self._n_circuits, self._n_submissions, self._cost_usd]
        return arrays, {"rule": rule, "counts": counts}

    def restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """The inverse of `state`."""
        self._rule.restore(arrays, facts["rule"])
        self._n_steps, self._n_shots, self._n_circuits, self._n_submissions, self._cost_usd = facts["counts"]


def measured_expectations(angles: Tensor, weights: Tensor, measurer: Measurer) -> Tensor:
    """Differentiable ``(batch, n_angles), (n_weights,) -> (batch, n_observables)``, once; for a step."""
    found: Tensor = _Measured.apply(angles, weights, measurer)  # type: ignore[no-untyped-call]  # torch leaves it so
    return found


class _Measured(torch.autograd.Function):
    """Expectations and derivatives of one program; nothing is measured on the way back."""

    @staticmethod
    def forward(ctx: Any, angles: Tensor, weights: Tensor, measurer: Measurer) -> Tensor:
        """(batch, n_angles), (n_weights,) -> (batch, n_observables)."""
        ctx.measurer, ctx.dtype = measurer, angles.dtype
        return torch.from_numpy(measurer.measure(_wide(angles), _wide(weights))).to(angles.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_expectations: Tensor) -> tuple[Tensor, Tensor, None]:
        """(batch, n_observables) -> (batch, n_angles), (n_weights,), None."""
        grad_angles, grad_weights = ctx.measurer.gradients(_wide(grad_expectations))
        return torch.from_numpy(grad_angles).to(ctx.dtype), torch.from_numpy(grad_weights).to(ctx.dtype), None


def _wide(tensor: Tensor) -> Array:
    return tensor.detach().numpy().astype(np.float64)


def _check_fit(backend: Backend, spec: BackendSpec, block: QuantumBlock) -> None:
    found = backend.capabilities()
    n_qubits = block.circuit.n_qubits
    if found.max_qubits is not None and n_qubits > found.max_qubits:
        raise SpecError(
            f"is {n_qubits}, but {backend.name} has {found.max_qubits} qubits; use fewer, or another backend",
            "model.n_qubits",
        )
    if found.max_shots is not None and spec.shots > found.max_shots:
        raise SpecError(
            f"is {spec.shots}, but {backend.name} takes at most {found.max_shots} shots per circuit", "backend.shots"
        )
