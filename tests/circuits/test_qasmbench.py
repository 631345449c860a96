"""All of QASMBench small and medium: read as Qiskit reads it, and run to the amplitudes and distributions of Aer.

Files of up to 12 qubits are run by default, the larger ones with ``-m slow``. Source: Li et al., QASMBench, ACM Trans.
Quantum Comput. 4(2), 2023; the files lie beside this repository, and the tests are skipped where they do not.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from qiskit import qasm2, transpile
from qiskit.circuit import QuantumCircuit
from qiskit_aer import AerSimulator

import superpose
from superpose.circuits import GATES, Circuit, Instruction, Measure, Program, from_qasm
from superpose.engine.dynamic import compile_dynamic
from superpose.errors import QasmError

QASMBENCH = Path(__file__).parents[3] / "shared" / "data" / "circuits" / "qasmbench"
FILES = sorted(QASMBENCH.glob("*/*/*.qasm"))
BROKEN = [path for path in FILES if path.name.startswith("vqe_uccsd")]
WHOLE = [path for path in FILES if path not in BROKEN]
MAX_DEFAULT_QUBITS = 12

needs_qasmbench = pytest.mark.skipif(not FILES, reason="QASMBench is not beside this repository")


def theirs(path: Path) -> QuantumCircuit:
    return qasm2.load(path, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)


def ours(path: Path) -> Circuit:
    return from_qasm(path.read_text(encoding="utf-8"), path.stem)


def n_qubits(path: Path) -> int:
    """Number of qubits, as the directory says: ``qft_n18``."""
    return int(path.parent.name.rsplit("_n", 1)[1])


def sized(paths: list[Path]) -> list[object]:
    """Cases, the large ones slow."""
    slow = pytest.mark.slow
    return [
        pytest.param(path, id=path.stem, marks=[slow] if n_qubits(path) > MAX_DEFAULT_QUBITS else []) for path in paths
    ]


def is_dynamic(circuit: Circuit) -> bool:
    return not circuit.without_final_measurements()[0].is_unitary


DYNAMIC = [path for path in WHOLE if is_dynamic(ours(path))]
UNITARY = [path for path in WHOLE if path not in DYNAMIC]


@needs_qasmbench
def test_the_collection_is_whole() -> None:
    assert (len(FILES), len(BROKEN)) == (124, 6)
    assert len(DYNAMIC) >= 10


@needs_qasmbench
@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_broken_file_is_refused_with_line_and_reason(path: Path) -> None:
    """They measure a register ``q`` that they never declare."""
    with pytest.raises(QasmError, match="No qubit register is named 'q'") as caught:
        ours(path)
    line = path.read_text(encoding="utf-8").splitlines()[caught.value.line - 1]
    assert line.startswith("measure q[")
    assert caught.value.column == line.index("q[") + 1


@needs_qasmbench
@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_a_file_is_read_as_qiskit_reads_it(path: Path) -> None:
    circuit, loaded = ours(path), theirs(path)
    assert (circuit.n_qubits, circuit.n_bits) == (loaded.num_qubits, loaded.num_clbits)
    counted = loaded.count_ops()
    gates = [item.gate for item in circuit.instructions if isinstance(item, Instruction)]
    if "gate " not in path.read_text(encoding="utf-8"):
        for name in ("cx", "h", "x", "ccx", "cswap", "swap"):
            assert gates.count(name) == counted.get(name, 0)
    assert sum(isinstance(item, Measure) for item in circuit.instructions) == counted.get("measure", 0)


def aer_amplitudes(path: Path) -> np.ndarray:
    """Aer's amplitudes before the final measurements, in our order of qubits."""
    circuit = theirs(path)
    circuit.remove_final_measurements()
    simulator = AerSimulator(method="statevector", precision="double")
    plain = transpile(circuit, simulator, optimization_level=0).reverse_bits()
    plain.save_statevector()
    return np.asarray(simulator.run(plain).result().get_statevector())


def furthest(a: np.ndarray, b: np.ndarray) -> float:
    """Largest distance between amplitudes, piece by piece, for the large states fill the memory already."""
    assert a.shape == b.shape
    return max(float(np.abs(a[k : k + 2**18] - b[k : k + 2**18]).max()) for k in range(0, len(a), 2**18))


@cache
def n_primitive(gate: str) -> int:
    """How many gates on one qubit and CX a gate is, as QASMBench counts: 15 for ccx."""
    return sum(n_primitive(step.gate) for step in GATES[gate].decomposition) or 1


@needs_qasmbench
@pytest.mark.parametrize("path", sized(UNITARY))
def test_amplitudes_are_aers(path: Path) -> None:
    """Global phases included: within 1e-12 in float64, and 5e-8 per gate in float32."""
    circuit = ours(path)
    wanted = aer_amplitudes(path)
    double = superpose.run(circuit).state_vectors[0]
    assert furthest(double, wanted) <= 1e-12
    del double
    n_gates = sum(n_primitive(item.gate) for item in circuit.instructions if isinstance(item, Instruction))
    single = superpose.run(Program(circuit, dtype="float32")).state_vectors[0]
    assert furthest(single, wanted) <= 5e-8 * n_gates


def aer_frequencies(path: Path, shots: int) -> np.ndarray:
    """How often Aer finds each value of the bits, ours in order: bit 0 the most significant."""
    circuit = theirs(path)
    simulator = AerSimulator(method="statevector", seed_simulator=7)
    counts = simulator.run(transpile(circuit, simulator, optimization_level=0), shots=shots).result().get_counts()
    found = np.zeros(2**circuit.num_clbits)
    for string, number in counts.items():
        found[int(string.replace(" ", "")[::-1], 2)] = number
    return found


@needs_qasmbench
@pytest.mark.parametrize("path", [p for p in DYNAMIC if "square_root" not in p.stem], ids=lambda path: path.stem)
def test_distributions_are_aers(path: Path) -> None:
    """Exact probabilities of ours against a sample of Aer's with a fixed seed, no outcome off by 5 deviations or more.

    With another seed some outcome of the 16 files would be that far off with a probability of about 1e-4.
    """
    circuit = ours(path)
    shots = 1000 if circuit.n_qubits <= 8 else 100
    (exact,) = compile_dynamic(circuit, ()).probabilities(None, None)
    found = aer_frequencies(path, shots)
    assert found[exact < 1e-12].sum() == 0
    deviation = np.sqrt(np.maximum(shots * exact * (1 - exact), 1.0))
    assert (np.abs(found - shots * exact) / deviation).max() < 5.0


@needs_qasmbench
@pytest.mark.slow
@pytest.mark.parametrize("path", [p for p in DYNAMIC if "square_root" in p.stem], ids=lambda path: path.stem)
def test_square_roots_are_aers(path: Path) -> None:
    """18 qubits and some 60 resets: trajectories; the circuit has one outcome only."""
    (counts,) = superpose.run(ours(path), shots=5, seed=1).counts or ()
    (outcome,) = counts
    assert aer_frequencies(path, 5)[int(outcome, 2)] == 5
