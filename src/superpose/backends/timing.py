"""How long a program takes on a quantum processor behind a cloud: fixed cost of a step, and cost of a shot.

A variational run is a sequence of steps, each the same template with new parameters and many shots:

    T(shots) = compile (once, or at every step) + load + trigger + network + residual
               + shots * (reset + circuit + readout)

The circuit's part is the critical path of its native gates: rotations about Z are changes of frame and take no time, a
general one-qubit gate is at most two pulses, an entangling gate is one CZ.

Source: Karalekas et al., Quantum Science and Technology 5, 024003 (2020), arXiv 2001.04449, for the structure and the
published budgets behind `QCS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from superpose.circuits import GATES, Affine, Barrier, Circuit, Delay, If, Instruction, Measure, Operation, Reset
from superpose.errors import UnsupportedProgramError

__all__ = ["QCS", "ActiveReset", "PassiveReset", "PulseTimes", "StepTimes", "TimingModel"]

PULSES: Mapping[str, int] = MappingProxyType(
    dict.fromkeys(("id", "z", "s", "sdg", "t", "tdg", "rz", "p"), 0)
    | dict.fromkeys(("x", "y", "sx", "sxdg", "h"), 1)
    | dict.fromkeys(("rx", "ry", "u"), 2)
)
"""Pulses of each one-qubit gate: half and quarter turns are one, any other two with changes of frame between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseTimes:
    """Durations on the processor, in nanoseconds.

    Attributes:
        one_qubit_ns: One pulse on one qubit.
        two_qubit_ns: One CZ.
        readout_ns: One measurement.
        feedback_ns: From a measured bit to a gate that depends on it.
    """

    one_qubit_ns: float = 60.0
    two_qubit_ns: float = 300.0
    readout_ns: float = 2_000.0
    feedback_ns: float = 1_500.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PassiveReset:
    """Wait until the qubits have decayed, commonly five times T1.

    Attributes:
        wait_ns: How long.
    """

    wait_ns: float = 100_000.0

    def duration_ns(self, pulses: PulseTimes) -> float:
        """Return the nanoseconds of one reset of all qubits."""
        return self.wait_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveReset:
    """Measure, and flip what was found excited, several times.

    Attributes:
        rounds: How often.
    """

    rounds: int = 3

    def duration_ns(self, pulses: PulseTimes) -> float:
        """Return the nanoseconds of one reset of all qubits: each round is a readout and its feedback."""
        return self.rounds * (pulses.readout_ns + pulses.feedback_ns)

    def circuit(self, n_qubits: int = 1, *, flip0: float = 0.0, flip1: float = 0.0) -> Circuit:
        """Return the reset as a feedback circuit: ``rounds`` times measure every qubit into its bit, then X if it is 1.

        Args:
            n_qubits: Qubits, and as many classical bits.
            flip0: Probability to read 1 where the state gave 0.
            flip1: Probability to read 0 where it gave 1.
        """
        circuit = Circuit(n_qubits, name="active_reset", n_bits=n_qubits)
        for _ in range(self.rounds):
            for qubit in range(n_qubits):
                circuit.extend([Measure(qubit, qubit, flip0, flip1)])
                circuit.if_((qubit,), 1, Circuit(n_qubits).x(qubit))
        return circuit


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """Fixed costs of a step, in milliseconds.

    Attributes:
        compile_ms: From the template to pulses; paid once where parameters are patched in at run time.
        load_ms: Load the binary and arm the instruments.
        trigger_ms: Start them and collect the results.
        network_ms: Both ways between the user's processor and the controller.
    """

    compile_ms: float = 200.0
    load_ms: float = 8.0
    trigger_ms: float = 10.0
    network_ms: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingModel:
    """A quantum processor with the classical machines in front of it, in one configuration.

    Attributes:
        name: Of the configuration.
        pulses: Durations on the processor.
        reset: How qubits are brought to zero before each shot.
        step: Fixed costs of a step.
        parametric: Whether parameters are patched at run time, so that a structure is compiled once.
        residual_ms: Fixed cost of a step that no other budget covers.

    >>> model = QCS["active_reset"]
    >>> round(model.shot_us(Circuit(1).h(0)), 2)
    12.56
    """

    name: str
    pulses: PulseTimes = PulseTimes()
    reset: PassiveReset | ActiveReset = PassiveReset()
    step: StepTimes = StepTimes()
    parametric: bool = False
    residual_ms: float = 0.0

    def circuit_us(self, circuit: Circuit) -> float:
        """Return the critical path of the circuit in microseconds, its own measurements and resets included.

        Raises:
            UnsupportedProgramError: A gate has neither pulses nor a decomposition.

        Cost: linear in the number of operations.
        """
        free_at = [0.0] * circuit.n_qubits
        self._play(circuit.instructions, free_at)
        return max(free_at) / 1e3

    def shot_us(self, circuit: Circuit) -> float:
        """Return the microseconds of one shot: reset, circuit, and a readout unless the circuit measures itself."""
        readout = 0.0 if any(isinstance(item, Measure) for item in circuit.instructions) else self.pulses.readout_ns
        return self.circuit_us(circuit) + (self.reset.duration_ns(self.pulses) + readout) / 1e3

    def step_ms(self, *, first: bool = False) -> float:
        """Return the fixed cost of a step in milliseconds.

        Args:
            first: Whether the structure has not been compiled yet.
        """
        step = self.step
        compiled = step.compile_ms if first or not self.parametric else 0.0
        return compiled + step.load_ms + step.trigger_ms + step.network_ms + self.residual_ms

    def run_s(self, circuit: Circuit, shots: int, n_steps: int = 1, *, compiled: bool = True) -> float:
        """Return the seconds of ``n_steps`` steps of ``shots`` shots.

        Args:
            circuit: The template.
            shots: Shots per step.
            n_steps: Steps with new parameters.
            compiled: Whether a parametric structure has been compiled before.
        """
        shots_ms = n_steps * shots * self.shot_us(circuit) / 1e3
        return (self.step_ms(first=not compiled) + (n_steps - 1) * self.step_ms() + shots_ms) / 1e3

    def _play(self, operations: Sequence[Operation], free_at: list[float]) -> None:
        """Let each operation start when its qubits are free."""
        for item in operations:
            if isinstance(item, Instruction):
                self._play_gate(item, free_at)
            elif isinstance(item, Barrier):
                self._occupy(item.qubits or range(len(free_at)), 0.0, free_at)
            elif isinstance(item, Measure):
                self._occupy(item.qubits, self.pulses.readout_ns, free_at)
            elif isinstance(item, Reset):
                self._occupy(item.qubits, self.reset.duration_ns(self.pulses), free_at)
            elif isinstance(item, Delay):
                self._occupy(item.qubits, item.duration_ns, free_at)
            elif isinstance(item, If):
                self._play_branches(item, free_at)

    def _play_branches(self, item: If, free_at: list[float]) -> None:
        """The controller waits for the bits, then the longer branch counts."""
        self._occupy(item.qubits, self.pulses.feedback_ns, free_at)
        ends = []
        for branch in (item.then, item.otherwise):
            ends.append(free_at.copy())
            self._play(branch, ends[-1])
        free_at[:] = map(max, *ends)

    def _play_gate(self, item: Instruction, free_at: list[float]) -> None:
        pulses = PULSES.get(item.gate)
        if pulses is not None:
            self._occupy(item.qubits, pulses * self.pulses.one_qubit_ns, free_at)
        elif item.gate == "cz":
            self._occupy(item.qubits, self.pulses.two_qubit_ns, free_at)
        elif item.gate == "cx":  # H on the target, CZ, H on the target
            self._occupy(item.qubits[1:], self.pulses.one_qubit_ns, free_at)
            self._occupy(item.qubits, self.pulses.two_qubit_ns, free_at)
            self._occupy(item.qubits[1:], self.pulses.one_qubit_ns, free_at)
        else:
            row = GATES[item.gate]
            if not row.decomposition:
                raise UnsupportedProgramError(
                    f"Gate {item.gate!r} has neither a number of pulses nor a decomposition; decompose it first.",
                    gate=item.gate,
                )
            for step in row.decomposition:
                name, places, angles = row.call(step, item.qubits, item.angles)
                self._play_gate(Instruction(name, places, tuple(map(Affine.of, angles))), free_at)

    def _occupy(self, qubits: Iterable[int], duration_ns: float, free_at: list[float]) -> None:
        places = list(qubits)
        end = max((free_at[q] for q in places), default=0.0) + duration_ns
        for qubit in places:
            free_at[qubit] = end


QCS: Mapping[str, TimingModel] = MappingProxyType(
    {
        "co_located": TimingModel(name="co_located"),
        "parametric": TimingModel(name="parametric", parametric=True),
        "active_reset": TimingModel(name="active_reset", parametric=True, reset=ActiveReset()),
    }
)
"""The three co-located configurations of Karalekas et al. (2020) with the budgets published there and no residual.

Published: compile 200 ms, load and arm 8, trigger 10, network 5; pulse 60 ns, CZ 300 ns, readout 2 us, passive reset
100 us; active reset 9 to 12 us for three rounds, of which the feedback time here takes the middle, 10.5 us.
"""
