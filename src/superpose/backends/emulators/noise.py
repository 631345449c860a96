"""What a calibration says about errors, as channels: relaxation during each gate, and depolarisation for the rest.

The rule is Aer's, so that counts agree: behind a gate of duration t stand a depolarising channel on its qubits and then
thermal relaxation during t on each, such that the average infidelity of the two together is the calibrated error. Where
relaxation alone is worse than that, there is no depolarisation. Source: ``qiskit_aer.noise.device.models``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache

from superpose.circuits import Calibration, Channel, Delay, If, Instruction, Measure, Operation

__all__ = ["NoiseOfCalibration", "error_free", "relaxation_fidelity"]


class NoiseOfCalibration:
    """Writes a calibration's errors into circuits on its qubits.

    Args:
        calibration: What was measured.
    """

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        self._behind = cache(self._channels)

    def times_ns(self, qubit: int) -> tuple[float, float]:
        """Return T1 and T2 in nanoseconds, infinite where nothing is known; T2 at most 2 T1."""
        row = self.calibration.qubits[qubit]
        t1 = math.inf if not row.t1_us else row.t1_us * 1e3
        return t1, min(math.inf if not row.t2_us else row.t2_us * 1e3, 2.0 * t1)

    def duration_ns(self, item: Operation) -> float:
        """Return how long an operation takes; what nobody measured takes no time, a reset as long as reading."""
        if isinstance(item, Instruction):
            row = self.calibration.by_gate.get((item.gate, item.qubits))
            return (row.duration_ns or 0.0) if row is not None else 0.0
        if isinstance(item, Delay):
            return item.duration_ns
        if isinstance(item, If):
            return 0.0  # of its branches, see the schedule
        return max((self.calibration.qubits[qubit].readout_ns or 0.0 for qubit in item.qubits), default=0.0)

    def apply(self, operations: Iterable[Operation]) -> list[Operation]:
        """Return operations on the processor's qubits with channels behind gates and in delays, and errors of
        readout."""
        out: list[Operation] = []
        for item in operations:
            if isinstance(item, Measure):
                row = self.calibration.qubits[item.qubit]
                out.append(Measure(item.qubit, item.bit, row.flip0 or 0.0, row.flip1 or 0.0))
            elif isinstance(item, If):
                out.append(If(item.condition, tuple(self.apply(item.then)), tuple(self.apply(item.otherwise))))
            else:
                out.append(item)
                if isinstance(item, Instruction):
                    out += self._behind(item.gate, item.qubits)
                elif isinstance(item, Delay):
                    out += self.relaxed(item.qubits, item.duration_ns)
        return out

    def relaxed(self, qubits: Sequence[int], time_ns: float) -> list[Channel]:
        """Return relaxation of each qubit during a time."""
        out = []
        for qubit in qubits:
            t1, t2 = self.times_ns(qubit)
            if time_ns > 0.0 and min(t1, t2) < math.inf:
                out.append(Channel("thermal_relaxation", (qubit,), (t1, t2, time_ns, 0.0)))
        return out

    def _channels(self, gate: str, qubits: tuple[int, ...]) -> tuple[Channel, ...]:
        row = self.calibration.by_gate.get((gate, qubits))
        if row is None:
            return ()
        time_ns, dimension = row.duration_ns or 0.0, 1 << len(qubits)
        kept = relaxation_fidelity([self.times_ns(qubit) for qubit in qubits], time_ns)
        error = min(row.error or 0.0, dimension / (dimension + 1))
        out = self.relaxed(qubits, time_ns)
        if error > 1.0 - kept:
            largest = dimension**2 / (dimension**2 - 1)
            share = min(dimension * (error - (1.0 - kept)) / (dimension * kept - 1.0), largest)
            out.insert(0, Channel("depolarizing" if len(qubits) == 1 else "depolarizing2", qubits, (share,)))
        return tuple(out)

    def fidelity(self, operations: Iterable[Operation]) -> float:
        """Return the probability that nothing goes wrong: the product over gates, idle times and readouts."""
        product = 1.0
        for item in operations:
            if isinstance(item, Measure):
                row = self.calibration.qubits[item.qubit]
                product *= 1.0 - ((row.flip0 or 0.0) + (row.flip1 or 0.0)) / 2.0
            elif isinstance(item, Delay):
                kept = relaxation_fidelity([self.times_ns(item.qubit)], item.duration_ns)
                product *= error_free(1.0 - kept, 1)
            elif isinstance(item, Instruction):
                found = self.calibration.by_gate.get((item.gate, item.qubits))
                product *= error_free((found.error or 0.0) if found is not None else 0.0, len(item.qubits))
            elif isinstance(item, If):
                product *= min(self.fidelity(item.then), self.fidelity(item.otherwise))
        return product


def error_free(infidelity: float, n_qubits: int) -> float:
    """Return the probability of no error, ``1 - e (d + 1)/d``, of an average infidelity ``e`` in ``d`` dimensions."""
    dimension = 1 << n_qubits
    return max(0.0, 1.0 - infidelity * (dimension + 1) / dimension)


def relaxation_fidelity(times_ns: Sequence[tuple[float, float]], time_ns: float) -> float:
    """Return the average gate fidelity of thermal relaxation to 0 of some qubits during a time.

    ``F = (d f + 1)/(d + 1)`` where the entanglement fidelity ``f`` is the product over qubits of
    ``(1 + exp(-t/T1) + 2 exp(-t/T2))/4``.

    >>> round(relaxation_fidelity([(100.0, 100.0)], 1.0), 6)
    0.995025
    """
    entanglement = 1.0
    for t1, t2 in times_ns:
        entanglement *= (1.0 + math.exp(-time_ns / t1) + 2.0 * math.exp(-time_ns / t2)) / 4.0
    dimension = 1 << len(times_ns)
    return (dimension * entanglement + 1.0) / (dimension + 1.0)
