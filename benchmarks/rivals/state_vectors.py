"""One contestant of `large_states.py` and `sampling.py` in a process of its own: JSON lines in on stdin, out on stdout.

    {"op": "setup", "contestant", "n_qubits", "gates", "precision", "threads", "places"} -> {"amplitudes", "first_ms"}
    {"op": "run"}                      -> {"ms", "peak_bytes"}: from the circuit to its final state as a NumPy array
    {"op": "sample", "shots", "seed"}  -> {"ms", "n_outcomes"}: from the circuit to measured shots

A gate is ``[name, qubits, angles]``, qubit 0 the most significant bit of an index. ``places`` are indices whose
amplitudes come back to be compared. Peaks are of the memory that the process held, less what it held before.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["CONTESTANTS", "serve"]


class Superpose:
    """Ours."""

    def __init__(self, request: dict[str, Any]) -> None:
        from superpose.circuits import Circuit
        from superpose.engine import compile_program, set_threads

        set_threads(request["threads"])
        circuit = Circuit(request["n_qubits"])
        for name, qubits, angles in request["gates"]:
            circuit.append(name, qubits, angles)
        dtype: Any = "float32" if request["precision"] == "single" else "float64"
        self.program = compile_program(circuit, [], dtype=dtype)
        small = compile_program(Circuit(12).h(0), [], dtype=dtype)  # loads the kernels, which are no memory of a state
        small.state_vector(None, None)

    def state(self) -> Any:
        return self.program.state_vector(None, None)[0]

    def sample(self, shots: int, seed: int) -> int:
        return len(self.program.counts(None, None, shots, seed)[0])

    def amplitudes(self, state: Any, places: list[int]) -> Any:
        return state[places]


class _LowFirst:
    """Qubit 0 is the least significant bit there."""

    def amplitudes(self, state: Any, places: list[int]) -> Any:
        n = len(state).bit_length() - 1
        return state[[int(format(place, f"0{n}b")[::-1], 2) for place in places]]


class Qulacs(_LowFirst):
    """Double precision only; the circuit is fused by its own optimiser, as its manual advises."""

    def __init__(self, request: dict[str, Any]) -> None:
        import qulacs
        from qulacs import gate as g
        from qulacs.circuit import QuantumCircuitOptimizer

        if request["precision"] == "single":
            raise ValueError("complex128 only")
        self.n_qubits = request["n_qubits"]
        circuit = qulacs.QuantumCircuit(self.n_qubits)
        plain = {"h": g.H, "x": g.X, "y": g.Y, "z": g.Z, "s": g.S, "sdg": g.Sdag, "t": g.T, "tdg": g.Tdag, "cx": g.CNOT,
                 "cz": g.CZ, "swap": g.SWAP, "ccx": g.TOFFOLI, "id": g.Identity}  # fmt: skip
        turns = {"rx": g.RX, "ry": g.RY, "rz": g.RZ}
        for name, qubits, angles in request["gates"]:
            if name in plain:
                circuit.add_gate(plain[name](*qubits))
            elif name in turns:
                circuit.add_gate(turns[name](*qubits, -angles[0]))
            elif name == "p":
                circuit.add_gate(g.U1(qubits[0], angles[0]))
            elif name == "u":
                circuit.add_gate(g.U3(qubits[0], *angles))
            elif name == "cp":
                phase = g.to_matrix_gate(g.U1(qubits[1], angles[0]))
                phase.add_control_qubit(qubits[0], 1)
                circuit.add_gate(phase)
            elif name in ("rzz", "rxx", "ryy"):
                circuit.add_multi_Pauli_rotation_gate(qubits, [" xyz".index(name[1])] * 2, -angles[0])
            else:
                raise ValueError(f"no translation of {name}")
        QuantumCircuitOptimizer().optimize_light(circuit)
        self.circuit, self.new = circuit, qulacs.QuantumState

    def run(self) -> Any:
        state = self.new(self.n_qubits)
        self.circuit.update_quantum_state(state)
        return state

    def state(self) -> Any:
        return self.run().get_vector()

    def sample(self, shots: int, seed: int) -> int:
        return len(np.unique(self.run().sampling(shots, seed)))


class Aer(_LowFirst):
    """The state-vector method with fusion, as it is by default."""

    def __init__(self, request: dict[str, Any]) -> None:
        from qiskit import QuantumCircuit, transpile
        from qiskit_aer import AerSimulator

        self.simulator = AerSimulator(
            method="statevector", precision=request["precision"], max_parallel_threads=request["threads"]
        )
        circuit = QuantumCircuit(request["n_qubits"])
        for name, qubits, angles in request["gates"]:
            getattr(circuit, name)(*angles, *qubits)
        measured = circuit.copy()
        circuit.save_statevector()
        measured.measure_all()
        self.circuit, self.measured = (transpile(c, self.simulator, optimization_level=0) for c in (circuit, measured))

    def state(self) -> Any:
        return np.asarray(self.simulator.run(self.circuit, shots=1).result().data(0)["statevector"])

    def sample(self, shots: int, seed: int) -> int:
        return len(self.simulator.run(self.measured, shots=shots, seed_simulator=seed).result().data(0)["counts"])


class Lightning(Superpose):
    """lightning.qubit."""

    def __init__(self, request: dict[str, Any]) -> None:
        import pennylane as qml

        names = {"h": "Hadamard", "x": "PauliX", "y": "PauliY", "z": "PauliZ", "s": "S", "t": "T", "rx": "RX",
                 "ry": "RY", "rz": "RZ", "p": "PhaseShift", "u": "U3", "cx": "CNOT", "cz": "CZ", "swap": "SWAP",
                 "cp": "ControlledPhaseShift", "rxx": "IsingXX", "ryy": "IsingYY", "rzz": "IsingZZ", "ccx": "Toffoli",
                 "id": "Identity"}  # fmt: skip
        gates = []
        for name, qubits, angles in request["gates"]:
            if name in ("sdg", "tdg"):
                gates.append(qml.adjoint(getattr(qml, names[name[0]])(wires=qubits[0])))
            elif name in names:
                gates.append(getattr(qml, names[name])(*angles, wires=qubits))
            else:
                raise ValueError(f"no translation of {name}")
        kind = np.complex64 if request["precision"] == "single" else np.complex128
        self.device = qml.device("lightning.qubit", wires=request["n_qubits"], c_dtype=kind)
        self.qml, self.gates = qml, gates

    def state(self) -> Any:
        tape = self.qml.tape.QuantumScript(self.gates, [self.qml.state()])
        return np.asarray(self.device.execute(tape))

    def sample(self, shots: int, seed: int) -> int:
        del seed  # it is given to the device when that is made
        tape = self.qml.tape.QuantumScript(self.gates, [self.qml.counts()], shots=shots)
        return len(self.device.execute(tape))


CONTESTANTS = {"superpose": Superpose, "qulacs": Qulacs, "aer": Aer, "lightning": Lightning}


def _peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _answer(request: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    if request["op"] == "setup":
        begin = time.perf_counter()
        found["own"] = own = CONTESTANTS[request["contestant"]](request)
        found["before"] = _peak()
        state = own.state()
        first = (time.perf_counter() - begin) * 1e3
        values = own.amplitudes(state, request["places"])
        return {"amplitudes": [[float(v.real), float(v.imag)] for v in values], "first_ms": first}
    begin = time.perf_counter()
    if request["op"] == "sample":
        n = found["own"].sample(request["shots"], request["seed"])
        return {"ms": (time.perf_counter() - begin) * 1e3, "n_outcomes": n}
    state = found["own"].state()
    ms = (time.perf_counter() - begin) * 1e3
    del state
    return {"ms": ms, "peak_bytes": _peak() - found["before"]}


def serve(requests: Any, answers: Any) -> None:
    """Answer until the input ends."""
    found: dict[str, Any] = {}
    for line in requests:
        try:
            answer = {"ok": True, **_answer(json.loads(line), found)}
        except Exception as error:  # the driver reports it as this contestant's reason
            answer = {"ok": False, "error": f"{type(error).__name__}: {str(error)[:300]}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print cannot spoil the answers
    serve(sys.stdin, channel)
