"""How probable it is that a shot of a circuit is free of errors, from what was measured about the processor.

Every gate, every readout and every stretch of idling goes well or not, by itself:

    P = prod over gates (1 - e (d + 1) / d) * prod over readouts (1 - (flip0 + flip1) / 2)
        * prod over idle stretches (1 + 2 exp(-t / T2) + exp(-t / T1)) / 4

The first factor is the process fidelity of a gate of average infidelity ``e`` on ``d = 2**n`` levels (Nielsen, Physics
Letters A 303, 249 (2002)), the last that of relaxation over a time ``t``, both the probability that nothing happened
where errors are Pauli errors. The circuit is scheduled as late as possible; a qubit idles between its first operation
and its last.

Gates that the processor does not have are counted as what they come down to: an entangling gate as the pair's best
one for each CX of its decomposition, neighbouring one-qubit gates as the pulses they need together, rotations about Z
as changes of frame without error. A branch on what was read is counted as its longer side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from superpose.backends.timing import PULSES
from superpose.circuits import GATES, Affine, Calibration, Circuit, Delay, If, Instruction, Measure, Operation, Reset
from superpose.circuits.calibration import GateCalibration
from superpose.errors import UnsupportedProgramError

__all__ = ["SuccessProbability", "Tariff", "success_probability"]

PULSE_GATES = ("sx", "x", "rx", "ry", "u", "sxdg", "h", "y")
"""Gates that a pulse is taken for, the likeliest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessProbability:
    """The probability that a shot is free of errors, and what it is made of.

    Attributes:
        gates: Product over gates.
        readout: Product over readouts, resets included.
        idling: Product over idle stretches.
        n_two_qubit: Entangling gates.
        duration_ns: From the first gate to the end of the last readout.
        missing: What the calibration does not tell, and was taken from other qubits or left out.
    """

    gates: float
    readout: float
    idling: float
    n_two_qubit: int
    duration_ns: float
    missing: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """The product of the three."""
        return self.gates * self.readout * self.idling


@dataclass(frozen=True, slots=True)
class _Step:
    """What occupies qubits for a time and goes well with a probability."""

    qubits: tuple[int, ...]
    fidelity: float
    duration_ns: float
    is_readout: bool = False


class Tariff:
    """What gates, pulses and readouts of one processor cost in fidelity and time; made once for a calibration.

    Args:
        calibration: Numbers it does not tell are taken as the median of those it tells for other qubits.
    """

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        self.missing = set[str]()
        rows = [row for row in calibration.gates if len(row.qubits) <= 2]
        self._errors = {n: _median(row.error for row in rows if len(row.qubits) == n) for n in (1, 2)}
        self._times = {n: _median(row.duration_ns for row in rows if len(row.qubits) == n) for n in (1, 2)}
        flips = [(q.flip0 + q.flip1) / 2 for q in calibration.qubits if q.flip0 is not None and q.flip1 is not None]
        self._flip = _median(flips)
        self._readout_ns = _median(qubit.readout_ns for qubit in calibration.qubits)
        self.pairs: dict[tuple[int, int], GateCalibration] = {}
        for row in rows:
            if len(row.qubits) == 2:
                for pair in (row.qubits, row.qubits[::-1]):
                    best = self.pairs.get(pair)
                    if best is None or self.of(row)[0] > self.of(best)[0]:
                        self.pairs[pair] = row
        self._pulses: dict[int, GateCalibration | None] = {}

    def of(self, row: GateCalibration) -> tuple[float, float]:
        """Return process fidelity and nanoseconds of a calibrated gate."""
        n = len(row.qubits)
        error, duration = row.error, row.duration_ns
        if error is None:
            error = 0.0 if row.gate in ("id", "rz", "p", "z") else self._else(f"errors of {row.gate}", self._errors[n])
        if duration is None:
            duration = self._else(f"durations of {row.gate}", self._times[n])
        levels = 2.0**n
        return max(0.0, 1.0 - error * (levels + 1.0) / levels), duration

    def pulse(self, qubit: int) -> tuple[float, float, bool]:
        """Return fidelity and nanoseconds of one pulse, and whether one is enough for any one-qubit gate."""
        if qubit not in self._pulses:
            found = (self.calibration.by_gate.get((name, (qubit,))) for name in PULSE_GATES)
            self._pulses[qubit] = next((row for row in found if row is not None), None)
        row = self._pulses[qubit]
        if row is None:
            error = self._else("errors of one-qubit gates", self._errors[1])
            return 1.0 - 1.5 * error, self._else("durations of one-qubit gates", self._times[1]), True
        return *self.of(row), row.gate == "u"

    def readout(self, qubit: int) -> tuple[float, float]:
        """Return fidelity and nanoseconds of one readout."""
        found = self.calibration.qubits[qubit]
        if found.flip0 is None or found.flip1 is None:
            wrong = self._else("readout errors", self._flip)
        else:
            wrong = (found.flip0 + found.flip1) / 2
        duration = found.readout_ns
        return 1.0 - wrong, self._else("durations of readout", self._readout_ns) if duration is None else duration

    def idling(self, qubit: int, time_ns: float) -> float:
        """Return the probability that nothing happens to a qubit that idles."""
        found = self.calibration.qubits[qubit]
        if time_ns <= 0.0:
            return 1.0
        if found.t1_us is None and found.t2_us is None:
            self.missing.add("relaxation times")
        # without T2, dephasing is taken to come from relaxation alone: T2 = 2 T1; without T1 likewise
        t1 = found.t1_us if found.t1_us is not None else math.inf if found.t2_us is None else found.t2_us / 2
        t2 = found.t2_us if found.t2_us is not None else 2 * t1
        time_us = 1e-3 * time_ns
        return (1.0 + 2.0 * _decay(time_us, t2) + _decay(time_us, t1)) / 4.0

    def _else(self, what: str, value: float | None) -> float:
        self.missing.add(what)
        return 0.0 if value is None else value


def success_probability(circuit: Circuit, tariff: Tariff, measured: Iterable[int] | None = None) -> SuccessProbability:
    """Return how probable a shot without error is.

    Args:
        circuit: Over the processor's own qubits; entangling gates only on pairs that it joins.
        tariff: Of the processor.
        measured: Qubits that are read at the end; None takes what the circuit measures, and where it does not measure,
            all qubits that it uses.

    Raises:
        UnsupportedProgramError: A gate on qubits that the processor does not join; see `superpose.backends.estimates`.

    Cost: linear in the circuit, some microseconds per gate.
    """
    tariff.missing.clear()
    counter = _Counter(tariff)
    counter.take(circuit.instructions)
    if not counter.has_readout:
        counter.read(sorted(counter.used) if measured is None else measured)
    counter.flush_all()
    duration_ns, idle = _late(counter.steps)
    gates = math.prod(step.fidelity for step in counter.steps if not step.is_readout)
    readout = math.prod(step.fidelity for step in counter.steps if step.is_readout)
    idling = math.prod(tariff.idling(qubit, time_ns) for qubit, time_ns in idle)
    return SuccessProbability(
        gates=gates,
        readout=readout,
        idling=idling,
        n_two_qubit=counter.n_two_qubit,
        duration_ns=duration_ns,
        missing=tuple(sorted(tariff.missing)),
    )


class _Counter:
    """Turns operations into steps."""

    def __init__(self, tariff: Tariff) -> None:
        self.tariff = tariff
        self.steps: list[_Step] = []
        self.used = set[int]()
        self.n_two_qubit, self.has_readout = 0, False
        self._waiting: dict[int, int] = {}  # pulses by qubit, neighbours merged

    def take(self, items: Iterable[Operation]) -> None:
        for item in items:
            if isinstance(item, Instruction):
                self._gate(item)
            elif isinstance(item, Measure | Reset):
                self.read(item.qubits)
                self.has_readout |= isinstance(item, Measure)
            elif isinstance(item, Delay):
                self._flush(item.qubit)
                loss = self.tariff.idling(item.qubit, item.duration_ns)
                self.steps.append(_Step(item.qubits, loss, item.duration_ns))
            elif isinstance(item, If):
                self.take(item.then if len(item.then) >= len(item.otherwise) else item.otherwise)

    def read(self, qubits: Iterable[int]) -> None:
        for qubit in qubits:
            self._flush(qubit)
            self.steps.append(_Step((qubit,), *self.tariff.readout(qubit), True))

    def flush_all(self) -> None:
        for qubit in list(self._waiting):
            self._flush(qubit)

    def _gate(self, item: Instruction) -> None:
        self.used.update(item.qubits)
        row = self.tariff.calibration.by_gate.get((item.gate, item.qubits))
        if row is not None:
            for qubit in item.qubits:
                self._flush(qubit)
            self._add(row, item.qubits)
        elif len(item.qubits) == 1:
            pulses = _pulses(item)
            if pulses:
                self._waiting[item.qubits[0]] = self._waiting.get(item.qubits[0], 0) + pulses
        elif item.gate == "cx":
            self._pair(item.qubits)
        else:
            table = GATES[item.gate]
            for step in table.decomposition:
                name, places, angles = table.call(step, item.qubits, item.angles)
                self._gate(Instruction(name, places, tuple(map(Affine.of, angles))))

    def _pair(self, qubits: tuple[int, ...]) -> None:
        row = self.tariff.pairs.get((qubits[0], qubits[1]))
        if row is None:
            raise UnsupportedProgramError(
                f"The circuit has an entangling gate on qubits {qubits}, which the processor does not join; place it "
                "first.",
                qubits=list(qubits),
            )
        dressed = qubits[1:] if row.gate in ("cz", "rzz", "cp") else qubits if row.qubits != qubits else ()
        for qubit in dressed:  # cx is h cz h, and one in the other direction has h on both sides
            self._waiting[qubit] = self._waiting.get(qubit, 0) + 1
        for qubit in qubits:
            self._flush(qubit)
        self._add(row, qubits)
        for qubit in dressed:
            self._waiting[qubit] = self._waiting.get(qubit, 0) + 1

    def _add(self, row: GateCalibration, qubits: tuple[int, ...]) -> None:
        self.n_two_qubit += len(qubits) == 2
        fidelity, duration_ns = self.tariff.of(row)
        if fidelity < 1.0 or duration_ns > 0.0:
            self.steps.append(_Step(qubits, fidelity, duration_ns))

    def _flush(self, qubit: int) -> None:
        pulses = self._waiting.pop(qubit, 0)
        if pulses:
            fidelity, duration_ns, one_is_enough = self.tariff.pulse(qubit)
            number = min(pulses, 1 if one_is_enough else 2)
            self.steps.append(_Step((qubit,), fidelity**number, number * duration_ns))


def _pulses(item: Instruction) -> int:
    """Pulses of a one-qubit gate: a quarter turn of u is one, one about Z none."""
    if item.gate == "u" and item.angles[0].is_constant:
        turn = abs(item.angles[0].constant) % math.pi
        return 0 if turn < 1e-9 else 1 if abs(turn - math.pi / 2) < 1e-9 else 2
    return PULSES.get(item.gate, 2)


def _late(steps: Sequence[_Step]) -> tuple[float, list[tuple[int, float]]]:
    """The duration of the steps, each as late as possible, and the idle stretches (qubit, nanoseconds)."""
    starts: dict[int, float] = {}  # from the end, of what comes next on the qubit
    idle: list[tuple[int, float]] = []
    for step in reversed(steps):
        end = max(starts.get(qubit, 0.0) for qubit in step.qubits)
        for qubit in step.qubits:
            if qubit in starts and end > starts[qubit]:
                idle.append((qubit, end - starts[qubit]))
            starts[qubit] = end + step.duration_ns
    return max(starts.values(), default=0.0), idle


def _decay(time: float, scale: float) -> float:
    return 1.0 if math.isinf(scale) else math.exp(-time / scale) if scale > 0.0 else 0.0


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
