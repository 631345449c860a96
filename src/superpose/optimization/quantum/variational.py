"""QAOA and VQE: a circuit's parameters are chosen so that the cost it measures is small, then it is measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from superpose.backends import LocalBackend, LocalExecutable
from superpose.backends.providers import find_backend
from superpose.circuits import Backend, Circuit, CompilingBackend, Executable, ProgramExecutable, Template
from superpose.engine import warm
from superpose.errors import ProblemTooLargeError
from superpose.optimization.options import SolveOptions
from superpose.optimization.penalties import PenalisedQubo, penalised
from superpose.optimization.quadratic import QuadraticProblem
from superpose.optimization.quantum.ansatz import qaoa_circuit, vqe_circuit
from superpose.optimization.quantum.relaxation import relaxed_solution
from superpose.optimization.qubo import Ising, Qubo
from superpose.optimization.samplers import Drawn, Setting

__all__ = ["QaoaSampler", "VqeSampler", "cost_scale", "interpolated", "ramp"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint8]

RAMP_TIME: Final = 0.75
"""Angle that a linear ramp reaches (Sack and Serbyn 2021, arXiv:2101.05742: good about 0.75, whatever the depth)."""


class _Variational:
    """What both circuits share: optimisation and measurement."""

    name = "variational"

    def __init__(self, options: SolveOptions) -> None:
        self.options = options
        local = options.backend == "local"
        if local:
            warm(dtypes=("float64",))  # a machine's first circuits would else be timed with the building of kernels
        self.backend: Backend = LocalBackend() if local else find_backend(options.backend)

    def _minimised(self, circuit: Circuit, qubo: Qubo, start: Floats, setting: Setting) -> tuple[Floats, _Cost]:
        cost = _Cost(circuit, qubo, self.backend, self.options, setting)
        return cost.minimised(start), cost

    def _drawn(self, form: PenalisedQubo, cost: _Cost, params: Floats, facts: dict[str, Any]) -> Drawn:
        samples, counts = cost.measured(params, cost.options.shots, seed=cost.setting.seed)
        whole = np.repeat(samples, counts, axis=0)
        facts |= {
            "n_qubits": form.qubo.n_variables,
            "layers": self.options.layers,
            "backend": self.options.backend,
            "n_evaluations": cost.n_evaluations,
            "mean_energy": float(form.qubo.energy(whole).mean()),
            "params": [float(x) for x in params],
        }
        return Drawn.of(form.bits(whole), facts)


class QaoaSampler(_Variational):
    """The quantum approximate optimisation algorithm.

    Args:
        options: Layers, mixer, start, shots, CVaR, backend and evaluations are heeded.
    """

    name = "qaoa"

    def groups(self, problem: QuadraticProblem) -> tuple[Indices, ...]:
        """Return the sets of variables that the mixer keeps one-hot."""
        return problem.one_hot_groups if self.options.mixer in ("auto", "xy") else ()

    def form(self, problem: QuadraticProblem, setting: Setting) -> PenalisedQubo:
        """Constraints as penalties, less those that the mixer keeps."""
        kept = {frozenset(group.tolist()) for group in self.groups(problem)}
        rest = [row for row in problem.constraints if not (row.is_one_hot and frozenset(row.indices.tolist()) in kept)]
        less = QuadraticProblem(
            problem.linear, problem.quadratic, constant=problem.constant, sense=problem.sense,
            constraints=rest, conflicts=problem.conflicts, names=problem.names, name=problem.name,
        )  # fmt: skip
        options = self.options
        found = penalised(
            less,
            feasible_value=setting.known,
            scale=options.penalty_scale,
            max_slack_bits=setting.max_slack_bits,
        )
        return replace(found, problem=problem)

    def draw(self, form: PenalisedQubo, setting: Setting) -> Drawn:
        """Return what the circuit measures at the best angles that were found."""
        _check_size(form, self.options)
        ising, groups = form.qubo.ising(), self.groups(form.problem)
        scale = cost_scale(ising)
        relaxed = relaxed_solution(form.qubo) if self.options.mixer == "warm" else None

        def circuit(layers: int) -> Circuit:
            return qaoa_circuit(ising, layers, scale=scale, groups=groups, relaxed=relaxed)

        p, n_evaluations = self.options.layers, 0
        first = 1 if self.options.start == "interp" else p
        angles = ramp(first)
        for layers in range(first, p + 1):
            if layers > first:
                angles = interpolated(angles)
                if layers < p and setting.budget.is_over:  # angles of layers between are not looked at any more
                    continue
            made = circuit(layers)
            # A cost without terms has no gammas, a mixer of groups of one no betas.
            used = np.isin([f"{name}{k}" for k in range(layers) for name in ("gamma", "beta")], made.parameters)
            with setting.budget.part(layers - first, p - first + 1):
                angles[used], cost = self._minimised(made, form.qubo, angles[used], setting)
            n_evaluations += cost.n_evaluations
        cost.n_evaluations = n_evaluations
        mixer = "xy" if groups else "warm" if relaxed is not None else "x"
        return self._drawn(form, cost, angles[used], {"mixer": mixer, "start": self.options.start})


class VqeSampler(_Variational):
    """A hardware-efficient circuit whose angles are free.

    Args:
        options: Layers, shots, CVaR, backend and evaluations are heeded.
    """

    name = "vqe"

    def form(self, problem: QuadraticProblem, setting: Setting) -> PenalisedQubo:
        """All constraints as penalties."""
        return penalised(
            problem,
            feasible_value=setting.known,
            scale=self.options.penalty_scale,
            max_slack_bits=setting.max_slack_bits,
        )

    def draw(self, form: PenalisedQubo, setting: Setting) -> Drawn:
        """Return what the circuit measures; angles begin near |+> on every qubit, drawn by the seed."""
        _check_size(form, self.options)
        circuit = vqe_circuit(form.qubo.n_variables, self.options.layers)
        rng = np.random.default_rng(setting.seed)
        start = 0.1 * rng.normal(size=circuit.n_params)
        first = [k for k, name in enumerate(circuit.parameters) if name.startswith("theta0_")]
        start[first] += np.pi / 2
        params, cost = self._minimised(circuit, form.qubo, start, setting)
        return self._drawn(form, cost, params, {})


class _Cost:
    """The cost that a circuit measures, scaled to the order of 1, and how it is made small."""

    def __init__(self, circuit: Circuit, qubo: Qubo, backend: Backend, options: SolveOptions, setting: Setting) -> None:
        self.qubo, self.options, self.setting, self.n_evaluations = qubo, options, setting, 0
        ising = qubo.ising()
        self.scale = cost_scale(ising)
        self.bare = _executable(backend, Template(circuit))
        self.exact = isinstance(backend, LocalBackend) and options.cvar is None
        if self.exact:
            scaled = Ising(ising.fields, ising.couplings, 0.0).observable() * (1 / self.scale)
            self.measuring = LocalExecutable(Template(circuit, [scaled]))
        self._best: tuple[float, Floats] | None = None

    def minimised(self, start: Floats) -> Floats:
        """The best parameters that were seen: L-BFGS with adjoint gradients, or COBYLA on what shots tell.

        COBYLA, which asks for two evaluations more than parameters, is ended by `_check_time` before.
        """
        if not len(start):
            return start
        try:
            if self.exact:
                minimize(
                    self._with_gradient, start, jac=True, method="L-BFGS-B",
                    options={"maxfun": self.options.max_evaluations, "maxiter": self.options.max_evaluations},
                )  # fmt: skip
            else:
                minimize(
                    self._by_shots, start, method="COBYLA",
                    options={"maxiter": max(self.options.max_evaluations, len(start) + 2), "rhobeg": 0.3},
                )  # fmt: skip
        except _TimeIsUpError:
            pass
        return start if self._best is None else self._best[1]

    def _with_gradient(self, params: Floats) -> tuple[float, Floats]:
        self._check_time()
        values, _, slopes = self.measuring.value_and_grad(params)
        self._seen(float(values[0, 0]), params)
        return float(values[0, 0]), np.asarray(slopes, np.float64)

    def _by_shots(self, params: Floats) -> float:
        self._check_time()
        samples, counts = self.measured(params, self.options.shots, self.setting.seed + 1 + self.n_evaluations)
        order = np.argsort(self.qubo.energy(samples), kind="stable")
        energies, weights = self.qubo.energy(samples)[order], counts[order].astype(np.float64)
        if self.options.cvar is not None:
            left = self.options.cvar * weights.sum()
            weights = np.clip(left - (np.cumsum(weights) - weights), 0, weights)
        value = float(energies @ weights / weights.sum()) / self.scale
        self._seen(value, params)
        return value

    def _check_time(self) -> None:
        self.setting.budget.counted(self.n_evaluations / self.options.max_evaluations)
        if self.n_evaluations and (self.setting.budget.is_over or self.n_evaluations >= self.options.max_evaluations):
            raise _TimeIsUpError

    def _seen(self, value: float, params: Floats) -> None:
        self.n_evaluations += 1
        if self._best is None or value < self._best[0]:
            self._best = (value, np.array(params, np.float64))

    def measured(self, params: Floats, shots: int, seed: int) -> tuple[Bits, Indices]:
        """Bit strings, uint8 ``(n, n_variables)``, and how often each was measured."""
        counts = self.bare.run(params, shots=shots, seed=seed).counts
        if counts is None:
            raise ProblemTooLargeError(f"Backend {self.options.backend} gave no counts.")
        words = list(counts[0])
        bits = np.frombuffer("".join(words).encode("ascii"), np.uint8).reshape(len(words), -1) - ord("0")
        return bits.astype(np.uint8), np.array([counts[0][word] for word in words], np.int64)


class _TimeIsUpError(Exception):
    """Ends SciPy's loop; never leaves this file."""


def cost_scale(ising: Ising) -> float:
    """Return the root of the sum of squared coefficients per spin: a measure of the energies' spread."""
    total = float((ising.fields**2).sum() + (ising.couplings.values**2).sum())
    return float(np.sqrt(total / ising.n_variables)) or 1.0


def ramp(layers: int) -> Floats:
    """Return angles in the order of the circuit's parameters (gamma0, beta0, gamma1, ...): a linear ramp.

    ``gamma_k = 0.75 (k + 1/2) / p``, ``beta_k = -0.75 (1 - (k + 1/2) / p)``.

    >>> ramp(1).tolist()
    [0.375, -0.375]
    """
    rise = RAMP_TIME * (np.arange(layers) + 0.5) / layers
    return np.stack([rise, rise - RAMP_TIME], axis=1).reshape(-1)


def interpolated(params: Floats) -> Floats:
    """Return angles of one more layer, between those given (Zhou et al. 2020, arXiv:1812.01041, INTERP)."""
    p = len(params) // 2

    def longer(angles: Floats) -> Floats:
        k = np.arange(p + 1)
        before = np.concatenate([[0.0], angles])
        after = np.concatenate([angles, [0.0]])
        found: Floats = k / p * before + (p - k) / p * after
        return found

    return np.stack([longer(params[0::2]), longer(params[1::2])], axis=1).reshape(-1)


def _executable(backend: Backend, template: Template) -> Executable:
    return backend.compile(template) if isinstance(backend, CompilingBackend) else ProgramExecutable(template, backend)


def _check_size(form: PenalisedQubo, options: SolveOptions) -> None:
    n = form.qubo.n_variables
    if n > options.max_qubits:
        raise ProblemTooLargeError(
            f"{form.problem.name} needs {n} qubits, slack bits included; at most {options.max_qubits} are allowed."
        )
