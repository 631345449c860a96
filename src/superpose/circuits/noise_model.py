"""Noise models: which channels stand behind which gates, how wrong readout is, how fast qubits relax."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeAlias

from superpose.circuits.channels import channel_row
from superpose.circuits.circuit import Circuit
from superpose.circuits.gates import gate
from superpose.circuits.instruction import Instruction
from superpose.circuits.operations import Channel, Delay, If, Measure, Operation
from superpose.errors import ProgramError

__all__ = ["NoiseModel", "NoiseSpec"]

NoiseSpec: TypeAlias = tuple[str, tuple[float, ...]]
"""A channel's name and its numbers."""

Times: TypeAlias = float | Mapping[int, float] | None
Readout: TypeAlias = tuple[float, float] | Mapping[int, tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class NoiseModel:
    """How a processor errs. `apply` writes it into a circuit.

    Behind a gate stand the channels of the most specific entry: of the gate on these qubits (``local``), else of the
    gate (``gates``), else of its number of qubits (``one_qubit``, ``two_qubit``). A channel on one qubit behind a
    larger gate stands on each of its qubits. Relaxation follows, where times are given. A pair ``rz(a)``, ``p(-a)`` on
    one qubit, as which `from_qasm` writes a global phase, is no gate of a processor and has no noise.

    Attributes:
        one_qubit, two_qubit: Channels behind every gate on one or two qubits, as (name, numbers).
        gates: Channels by gate name.
        local: Channels by (gate name, qubits).
        readout: (flip0, flip1) of all qubits, or by qubit; see `Measure`.
        t1_ns, t2_ns: Relaxation times in nanoseconds, of all qubits or by qubit; None for none. ``t2_ns <= 2 t1_ns``.
        gate_times_ns: Durations by gate name; gates without one take no time.
        excited: Share of 1 that qubits relax to.

    Raises:
        ProgramError: An unknown channel, numbers it does not take, relaxation with only one of the two times or with
            ``t2_ns > 2 t1_ns``, or a negative gate time.
        GateUnknownError: An unknown gate.

    >>> model = NoiseModel(one_qubit=[("depolarizing", (0.01,))], readout=(0.02, 0.05))
    >>> [type(item).__name__ for item in model.apply(Circuit(1).h(0).measure_all()).instructions]
    ['Instruction', 'Channel', 'Measure']
    """

    one_qubit: Sequence[NoiseSpec] = ()
    two_qubit: Sequence[NoiseSpec] = ()
    gates: Mapping[str, Sequence[NoiseSpec]] = field(default_factory=dict)
    local: Mapping[tuple[str, tuple[int, ...]], Sequence[NoiseSpec]] = field(default_factory=dict)
    readout: Readout = (0.0, 0.0)
    t1_ns: Times = None
    t2_ns: Times = None
    gate_times_ns: Mapping[str, float] = field(default_factory=dict)
    excited: float = 0.0

    def __post_init__(self) -> None:
        for name in ("one_qubit", "two_qubit"):
            object.__setattr__(self, name, _checked(getattr(self, name)))
        object.__setattr__(
            self, "gates", MappingProxyType({gate(name).name: _checked(specs) for name, specs in self.gates.items()})
        )
        local = {(gate(name).name, tuple(qubits)): _checked(specs) for (name, qubits), specs in self.local.items()}
        object.__setattr__(self, "local", MappingProxyType(local))
        times = MappingProxyType({gate(name).name: float(time) for name, time in self.gate_times_ns.items()})
        object.__setattr__(self, "gate_times_ns", times)
        if (self.t1_ns is None) != (self.t2_ns is None):
            raise ProgramError("Relaxation needs both t1_ns and t2_ns; give both or neither.")
        for qubit in _qubits(self.t1_ns) | _qubits(self.t2_ns):
            self._relaxed((qubit,), 1.0)
        for gate_name, time_ns in times.items():
            if not 0.0 <= time_ns < math.inf:
                raise ProgramError(f"gate_times_ns[{gate_name!r}] must be 0 or more nanoseconds, got {time_ns}.")
        flips = self.readout.values() if isinstance(self.readout, Mapping) else [self.readout]
        for flip0, flip1 in flips:
            Measure(0, 0, flip0, flip1)

    @property
    def has_readout_error(self) -> bool:
        """Whether any qubit is read wrongly now and then."""
        flips = self.readout.values() if isinstance(self.readout, Mapping) else [self.readout]
        return any(flip for pair in flips for flip in pair)

    def apply(self, circuit: Circuit) -> Circuit:
        """Return the circuit with the noise written in: channels behind gates and in delays, errors of readout.

        Measurements that have a readout error already keep it. Without measurements, readout errors have no place.

        Cost: linear in the circuit.
        """
        noisy = Circuit(circuit.n_qubits, circuit.name, n_bits=circuit.n_bits)
        return noisy.extend(self._noisy(circuit.instructions))

    def _noisy(self, operations: Iterable[Operation]) -> list[Operation]:
        out: list[Operation] = []
        phase, place = None, 0  # the operation that would end a global phase, and where the noise before it starts
        for item in operations:
            if item == phase:
                del out[place:]  # the noise of its first half
                out.append(item)
                phase = None
                continue
            phase, place = _end_of_phase(item), len(out) + 1
            if isinstance(item, Measure):
                out.append(self._misread(item))
            elif isinstance(item, If):
                then, otherwise = (tuple(self._noisy(branch)) for branch in (item.then, item.otherwise))
                out.append(If(item.condition, then, otherwise))
            else:
                out.append(item)
                if isinstance(item, Instruction):
                    out += self._behind(item)
                elif isinstance(item, Delay):
                    out += self._relaxed(item.qubits, item.duration_ns)
        return out

    def _misread(self, item: Measure) -> Measure:
        flips = self.readout.get(item.qubit, (0.0, 0.0)) if isinstance(self.readout, Mapping) else self.readout
        return replace(item, flip0=flips[0], flip1=flips[1]) if item.is_exact else item

    def _behind(self, item: Instruction) -> list[Operation]:
        by_size = {1: self.one_qubit, 2: self.two_qubit}.get(len(item.qubits), ())
        specs = self.local.get((item.gate, item.qubits), self.gates.get(item.gate, by_size))
        out: list[Operation] = []
        for name, values in specs:
            n = channel_row(name).n_qubits
            if n == len(item.qubits):
                out.append(Channel(name, item.qubits, values))
            elif n == 1:
                out += [Channel(name, (qubit,), values) for qubit in item.qubits]
            else:
                raise ProgramError(f"Channel {name} on {n} qubits does not fit behind {item.gate} on {item.qubits}.")
        return out + self._relaxed(item.qubits, self.gate_times_ns.get(item.gate, 0.0))

    def _relaxed(self, qubits: Sequence[int], time_ns: float) -> list[Operation]:
        if self.t1_ns is None or self.t2_ns is None or time_ns == 0.0:
            return []
        out: list[Operation] = []
        for qubit in qubits:
            t1, t2 = (times.get(qubit) if isinstance(times, Mapping) else times for times in (self.t1_ns, self.t2_ns))
            if t1 is not None and t2 is not None:
                out.append(Channel("thermal_relaxation", (qubit,), (t1, t2, time_ns, self.excited)))
        return out


def _end_of_phase(item: Operation) -> Instruction | None:
    """The gate that makes a global phase of an rz in front of it."""
    if isinstance(item, Instruction) and item.gate == "rz":
        return Instruction("p", item.qubits, (-item.angles[0],))
    return None


def _qubits(times: Times) -> set[int]:
    """The qubits that have times of their own; 0 stands for all others."""
    return set(times) | {0} if isinstance(times, Mapping) else {0}


def _checked(specs: Iterable[NoiseSpec]) -> tuple[NoiseSpec, ...]:
    """Return the channels with their numbers checked by their rows."""
    return tuple((channel_row(name).name, channel_row(name).checked(values)) for name, values in specs)
