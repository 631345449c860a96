"""Processors for tests: calibrations of small devices, made from a seed, and how they would err."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np

from superpose.backends.estimates import Tariff
from superpose.circuits import (
    Calibration,
    Channel,
    Circuit,
    GateCalibration,
    Instruction,
    Measure,
    NoiseModel,
    Operation,
    QubitCalibration,
)

AT = datetime(2026, 11, 1, tzinfo=UTC)


def edges_of(n_qubits: int, shape: str) -> list[tuple[int, int]]:
    """A line, a ring or a ladder."""
    line = [(q, q + 1) for q in range(n_qubits - 1)]
    if shape == "ring":
        return [*line, (n_qubits - 1, 0)]
    if shape == "ladder":
        half = n_qubits // 2
        rails = [(q, q + 1) for q in range(half - 1)] + [(half + q, half + q + 1) for q in range(half - 1)]
        return rails + [(q, half + q) for q in range(half)]
    return line


def processor(name: str, n_qubits: int, shape: str = "line", *, seed: int = 0, scale: float = 1.0) -> Calibration:
    """A superconducting processor of typical figures, spread log-normally; ``scale`` multiplies its errors."""
    random = np.random.default_rng(seed)

    def spread(middle: float, width: float = 0.4) -> float:
        return float(middle * math.exp(width * random.standard_normal()))

    qubits = []
    for _ in range(n_qubits):
        t1 = spread(200.0 / scale)
        t2 = min(spread(150.0 / scale), 1.9 * t1)
        flip = min(spread(0.012 * scale), 0.4)
        qubits.append(QubitCalibration(t1_us=t1, t2_us=t2, flip0=0.7 * flip, flip1=1.3 * flip, readout_ns=1500.0))
    gates = []
    for qubit in range(n_qubits):
        error = min(spread(2.5e-4 * scale), 0.1)
        gates.append(GateCalibration(gate="rz", qubits=(qubit,), error=0.0, duration_ns=0.0))
        gates += [GateCalibration(gate=g, qubits=(qubit,), error=error, duration_ns=40.0) for g in ("sx", "x")]
    for pair in edges_of(n_qubits, shape):
        error = min(spread(6e-3 * scale, 0.6), 0.3)
        gates += [GateCalibration(gate="cx", qubits=q, error=error, duration_ns=300.0) for q in (pair, pair[::-1])]
    return Calibration(backend=name, taken_at=AT, qubits=tuple(qubits), gates=tuple(gates))


def noise_of(calibration: Calibration) -> NoiseModel:
    """How it errs: depolarising to the measured infidelity behind CX and each one-qubit gate, and readout."""
    local = {}
    for row in calibration.gates:
        if row.gate == "cx":
            local[("cx", row.qubits)] = [("depolarizing2", (_depolarizing(row.error or 0.0, 4),))]
    pulse = {row.qubits[0]: row.error or 0.0 for row in calibration.gates if row.gate == "sx"}
    for qubit, error in pulse.items():
        for name in ("rx", "ry", "u"):  # two pulses
            local[(name, (qubit,))] = [("depolarizing", (_depolarizing(2 * error, 2),))]
        local[("h", (qubit,))] = [("depolarizing", (_depolarizing(error, 2),))]
    readout = {q: (found.flip0 or 0.0, found.flip1 or 0.0) for q, found in enumerate(calibration.qubits)}
    return NoiseModel(local=local, gates={}, readout=readout)


def _depolarizing(infidelity: float, levels: int) -> float:
    """Weight of complete mixing that has this average infidelity: p (1 - 1 / d)."""
    return min(1.0, infidelity * levels / (levels - 1))


def noisy(circuit: Circuit, calibration: Calibration) -> Circuit:
    """The circuit with noise written in: gates, readout, and relaxation while qubits idle, as late as possible."""
    tariff = Tariff(calibration)
    times = dict.fromkeys(range(circuit.n_qubits), 0.0)
    begun = set[int]()
    out: list[Operation] = []
    for item in reversed(circuit.instructions):
        end = max(times[q] for q in item.qubits)
        for q in item.qubits:
            idle = end - times[q]
            if q in begun and idle > 0.0:
                found = calibration.qubits[q]
                t1, t2 = 1e3 * (found.t1_us or 0.0), 1e3 * (found.t2_us or 0.0)
                out.append(Channel("thermal_relaxation", (q,), (t1, t2, idle, 0.0)))
            begun.add(q)
            times[q] = end + _duration(item, tariff)
        out.append(item)
    made = Circuit(circuit.n_qubits, circuit.name, n_bits=circuit.n_bits).extend(reversed(out))
    return noise_of(calibration).apply(made)


def _duration(item: Operation, tariff: Tariff) -> float:
    if isinstance(item, Measure):
        return tariff.readout(item.qubit)[1]
    if isinstance(item, Instruction):
        return 300.0 if len(item.qubits) == 2 else 0.0 if item.gate in ("rz", "p", "t", "s", "z") else 80.0
    return 0.0


def compact(circuit: Circuit) -> tuple[Circuit, list[int]]:
    """The circuit over the qubits that it uses alone, and which these are."""
    used = sorted({q for item in circuit.instructions for q in item.qubits})
    places = [used.index(q) if q in used else 0 for q in range(circuit.n_qubits)]
    out = Circuit(len(used), circuit.name, n_bits=circuit.n_bits)
    return out.extend([item.moved(places) for item in circuit.instructions]), used


def random_circuit(n_qubits: int, n_layers: int, seed: int, *, far: bool = True) -> Circuit:
    """Layers of rotations and entangling gates of several kinds, on any pairs or on neighbours alone."""
    random = np.random.default_rng(seed)
    circuit = Circuit(n_qubits, f"random{seed}")
    for _ in range(n_layers):
        for qubit in range(n_qubits):
            if random.random() < 0.6:
                circuit.append(str(random.choice(["rx", "ry", "rz"])), [qubit], [float(random.uniform(-3, 3))])
        order = random.permutation(n_qubits) if far else np.roll(np.arange(n_qubits), int(random.integers(2)))
        for a, b in zip(order[::2].tolist(), order[1::2].tolist(), strict=False):
            if random.random() < 0.7:
                kind = str(random.choice(["cx", "cz", "rzz", "swap"], p=[0.5, 0.25, 0.15, 0.1]))
                circuit.append(kind, [a, b], [float(random.uniform(-3, 3))] if kind == "rzz" else [])
    return circuit


def hellinger(ideal: Mapping[str, float], found: Mapping[str, float]) -> float:
    """Fidelity of two distributions: (sum of sqrt(p q)) squared."""
    return float(sum(math.sqrt(p * found.get(key, 0.0)) for key, p in ideal.items()) ** 2)
