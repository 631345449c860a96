"""Circuits in a processor's own gates on its own qubits, by Qiskit's transpiler."""

from __future__ import annotations

import threading
from collections import Counter
from functools import cached_property
from importlib import import_module
from typing import Any

from superpose.circuits import Calibration, Circuit
from superpose.errors import ToolkitMissingError, UnsupportedProgramError

__all__ = ["Placer"]

SEED = 7
LEVEL = 2
_GATES = {
    "id": "IGate", "x": "XGate", "sx": "SXGate", "rx": "RXGate", "rz": "RZGate", "cx": "CXGate", "cz": "CZGate",
    "ecr": "ECRGate", "rzz": "RZZGate",
}  # fmt: skip
"""Names of classes in Qiskit's library."""
_DIRECTED = ("cx", "ecr")


class Placer:
    """Puts circuits on the qubits of a calibrated processor. For any number of threads.

    The same circuit gets the same place, whatever ran before: the transpiler is seeded.

    Args:
        calibration: Of the processor; the layout prefers what errs less.
    """

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        self._lock = threading.Lock()

    @cached_property
    def _passes(self) -> Any:
        _ = _qiskit()
        from qiskit.transpiler import generate_preset_pass_manager

        return generate_preset_pass_manager(optimization_level=LEVEL, target=self._target, seed_transpiler=SEED)

    @cached_property
    def _target(self) -> Any:
        from qiskit.circuit import Delay, IfElseOp, Measure, Parameter, Reset, library
        from qiskit.transpiler import InstructionProperties, Target

        target = Target(num_qubits=self.calibration.n_qubits)
        for name in sorted(self.calibration.native_gates - self._rarer_directed()):
            rows = {
                row.qubits: InstructionProperties(duration=(row.duration_ns or 0.0) * 1e-9, error=row.error or 0.0)
                for row in self.calibration.gates
                if row.gate == name
            }
            kind = getattr(library, _GATES[name])
            target.add_instruction(kind(Parameter("angle")) if name in ("rx", "rz", "rzz") else kind(), rows)
        reading = {
            (number,): InstructionProperties(
                duration=(qubit.readout_ns or 0.0) * 1e-9, error=((qubit.flip0 or 0.0) + (qubit.flip1 or 0.0)) / 2
            )
            for number, qubit in enumerate(self.calibration.qubits)
        }
        target.add_instruction(Measure(), reading)
        target.add_instruction(Reset(), dict.fromkeys(reading))
        target.add_instruction(Delay(Parameter("time")), dict.fromkeys(reading))
        target.add_instruction(IfElseOp, name="if_else")
        return target

    def _rarer_directed(self) -> frozenset[str]:
        """Of cx and ecr, which have a direction, the one on fewer pairs: Qiskit's transpiler cannot turn it around."""
        pairs = Counter(row.gate for row in self.calibration.gates if row.gate in _DIRECTED)
        return frozenset(gate for gate, _ in pairs.most_common()[1:])

    def place(self, circuit: Circuit) -> Circuit:
        """Return the circuit in native gates on the processor's qubits, up to a global phase; parameters stay symbolic.

        Raises:
            ToolkitMissingError: Qiskit is not installed.
            UnsupportedProgramError: It cannot be put there.

        Cost: 5 to 50 ms, the first time half a second more.
        """
        frontend = _qiskit()
        from qiskit.exceptions import QiskitError

        source = frontend.write(circuit)
        try:
            with self._lock:
                placed = self._passes.run(source)
        except QiskitError as error:
            raise UnsupportedProgramError(
                f"{self.calibration.backend} cannot hold this circuit: {error.message}",
                backend=self.calibration.backend,
            ) from error
        _drop_phase(placed)
        found: Circuit = frontend.read(placed, circuit.name)
        return found


def _qiskit() -> Any:
    """The frontend of Qiskit."""
    try:
        import_module("qiskit")
    except ImportError as error:
        raise ToolkitMissingError(
            f"Emulators put circuits on processors by Qiskit's transpiler, which is not installed ({error}); "
            "pip install 'superpose[emulators]' brings it.",
            toolkit="qiskit",
            extra="emulators",
        ) from None
    return import_module("superpose.frontends.qiskit")


def _drop_phase(circuit: Any) -> None:
    """Take the global phase out, in branches too: nothing that is measured depends on it."""
    circuit.global_phase = 0
    for item in circuit.data:
        for block in getattr(item.operation, "blocks", ()):
            _drop_phase(block)
