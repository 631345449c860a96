"""How a problem is to be solved."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Final, Literal, get_args

from superpose.circuits.wording import shown
from superpose.errors import ProblemError
from superpose.optimization.penalties import MAX_SCALE

__all__ = ["METHODS", "Method", "Mixer", "SolveOptions", "Start"]

Method = Literal["qaoa", "vqe", "annealing", "classical"]
Mixer = Literal["auto", "x", "xy", "warm"]
Start = Literal["ramp", "interp"]

METHODS: Final[tuple[str, ...]] = get_args(Method)
MAX_QUBITS: Final = 24
MOST: Final = {
    "layers": 1000, "shots": 1_000_000, "max_evaluations": 100_000, "max_rounds": 1_000_000, "n_reads": 100_000,
}  # fmt: skip
"""Options that count something, each 1 or more, and the most of each: above it memory ends before the time limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveOptions:
    """How a problem is to be solved; defaults suit a laptop.

    Attributes:
        layers: QAOA's p, or the entangling layers of VQE.
        mixer: "x"; "xy", which keeps to one-hot strings of "exactly one" constraints and starts in a W state of each;
            "warm" (start and mixer from a continuous relaxation); "auto": "xy" where there are such constraints,
            else "x".
        start: Angles at first: "ramp" (linear in the layer), or "interp" (the best of p layers, interpolated to p + 1).
        shots: Measurements of the last state, and of every evaluation where expectations are not exact.
        cvar: Share of the best shots whose mean is minimised, between 0 and 1; None: the mean of all.
        backend: Name of the backend; expectations on "local" are exact unless ``cvar`` is given.
        max_qubits: Largest circuit; larger problems are decomposed.
        max_evaluations: Of the optimiser, for each circuit.
        max_rounds: Of the decomposition, at most.
        n_reads: Of simulated annealing.
        time_limit_s: For each method by itself.
        penalty_scale: Weights of constraints, as a multiple of those that are proven to suffice.
        seed: Of everything drawn at random.
        compare: Whether controls and a classical solver run beside the method.

    Raises:
        ProblemError: A value is not among those allowed.
    """

    layers: int = 2
    mixer: Mixer = "auto"
    start: Start = "ramp"
    shots: int = 1000
    cvar: float | None = None
    backend: str = "local"
    max_qubits: int = 16
    max_evaluations: int = 60
    max_rounds: int = 200
    n_reads: int = 100
    time_limit_s: float = 10.0
    penalty_scale: float = 1.0
    seed: int = 0
    compare: bool = True

    def __post_init__(self) -> None:
        for name in (*MOST, "max_qubits", "seed"):
            _whole(name, getattr(self, name))
        for name in ("time_limit_s", "penalty_scale", *(() if self.cvar is None else ("cvar",))):
            _number(name, getattr(self, name))
        for name, most in MOST.items():
            if not 1 <= getattr(self, name) <= most:
                raise ProblemError(f"{name} must be between 1 and {most:,}, got {getattr(self, name)}.")
        if self.mixer not in get_args(Mixer) or self.start not in get_args(Start):
            raise ProblemError(
                f"mixer is one of {', '.join(get_args(Mixer))} and start one of {', '.join(get_args(Start))}; "
                f"got {self.mixer!r} and {self.start!r}."
            )
        if not 2 <= self.max_qubits <= MAX_QUBITS:
            raise ProblemError(f"max_qubits must be between 2 and {MAX_QUBITS}, got {self.max_qubits}.")
        if self.cvar is not None and not 0 < self.cvar <= 1:
            raise ProblemError(f"cvar must be above 0 and at most 1, got {self.cvar}.")
        if not 0 < self.time_limit_s <= sys.float_info.max:
            raise ProblemError(f"time_limit_s must be above 0, got {shown(self.time_limit_s)}.")
        if not 0 < self.penalty_scale <= MAX_SCALE:
            raise ProblemError(
                f"penalty_scale must be above 0 and at most {MAX_SCALE:g}, got {shown(self.penalty_scale)}."
            )
        if self.seed < 0:
            raise ProblemError(f"seed must be 0 or more, got {self.seed}.")


def _whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ProblemError(f"{name} must be a whole number, got {value!r:.40}.")


def _number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ProblemError(f"{name} must be a number, got {value!r:.40}.")
