"""What backends must do that measure in the middle of a circuit, reset, branch on what was read, or have channels."""

from __future__ import annotations

import math
from collections.abc import Mapping

from superpose.circuits import Backend, Circuit, Observable, Program, z_all
from superpose.testing.comparing import EXACT_TOLERANCE, SHOTS, close, ran, sampling_error
from superpose.testing.contracts import Trial, require

__all__ = ["check_channels", "check_feed_forward", "check_mid_circuit", "check_reset"]

ONES = math.sin(0.35) ** 2
"""Probability of a 1 behind RY(0.7)."""


def check_mid_circuit(backend: Backend, trial: Trial) -> None:
    """A measurement in the middle is kept, and the qubit goes on as it was read."""
    circuit = Circuit(2, n_bits=3).ry(0.7, 0).measure(0, 0).x(0).measure(0, 1).x(1).measure(1, 2)
    _outcomes(backend, circuit, {"011": 1.0 - ONES, "101": ONES}, trial)


def check_reset(backend: Backend, trial: Trial) -> None:
    """A reset qubit is in 0, and what it was entangled with is left mixed."""
    circuit = Circuit(2, n_bits=2).h(0).cx(0, 1).reset(0).measure(0, 0).measure(1, 1)
    _outcomes(backend, circuit, {"00": 0.5, "01": 0.5}, trial)


def check_feed_forward(backend: Backend, trial: Trial) -> None:
    """A condition acts on what was read in the same shot, and counts are over classical bits."""
    circuit = Circuit(2, n_bits=2).ry(0.7, 0).measure(0, 0).if_(0, 1, Circuit(2).x(1)).measure(1, 1)
    _outcomes(backend, circuit, {"00": 1.0 - ONES, "11": ONES}, trial)


def check_channels(backend: Backend, trial: Trial) -> None:
    """Channels, resets and conditions act on expectations, exact ones where the backend has them."""
    noisy = Circuit(2).x(0).amplitude_damping(0.25, 0).x(1).reset(1)
    shots = None if backend.capabilities().exact else SHOTS
    found = ran(backend, Program(noisy, {}, z_all(2), shots=shots, seed=1)).expectations
    allowed = trial.tolerance + (2 * sampling_error(1.0) if shots else EXACT_TOLERANCE["float64"])
    close(found, [[-0.5, 1.0]], allowed, "channel and reset")
    circuit = Circuit(2, n_bits=2).ry(0.7, 0).measure(0, 0).if_(0, 1, Circuit(2).x(1)).measure(1, 1)
    observables = (Observable("ZI"), Observable("IZ"), Observable("ZZ"))
    found = ran(backend, Program(circuit, {}, observables, shots=shots, seed=1)).expectations
    close(found, [[math.cos(0.7), math.cos(0.7), 1.0]], allowed, "feed-forward")


def _outcomes(backend: Backend, circuit: Circuit, wanted: Mapping[str, float], trial: Trial) -> None:
    counts = (ran(backend, Program(circuit, shots=SHOTS, seed=1)).counts or ({},))[0]
    require(sum(counts.values()) == SHOTS, "counts of bits sum to the shots")
    require(trial.tolerance > 0 or set(counts) <= set(wanted), f"only {', '.join(wanted)} come, bit 0 leftmost")
    for bits, probability in wanted.items():
        off = abs(counts.get(bits, 0) / SHOTS - probability)
        require(off <= trial.tolerance + sampling_error(1.0), f"share of {bits} is {probability:.3f}; off by {off:.3f}")
