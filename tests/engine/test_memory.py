"""Memory that runs of large states really take, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from superpose.engine import memory_required

_RUN = """
import json, resource, sys
import numpy as np
from superpose.circuits import Circuit, z_all
from superpose.engine import compile_program

def run(n_qubits, dtype, what):
    circuit = Circuit(n_qubits)
    for q in range(n_qubits):
        circuit.h(q)
        for other in range(q + 1, n_qubits):
            circuit.cp(np.pi / 2 ** (other - q), other, q)
    for q in range(n_qubits - 1):
        circuit.u(0.1 * q, 0.2, 0.3, q).cx(q, q + 1)
    program = compile_program(circuit, z_all(n_qubits), dtype=dtype)
    if what == "expectations":
        return program.expectation(None, None)
    if what == "from a state":
        given = np.zeros(1 << n_qubits, np.complex128 if dtype == "float64" else np.complex64)  # the caller's own
        given[5] = 1.0
        return program.expectation(None, None, initial_state=given)
    if what == "states":
        return program.state_vector(None, None)
    return program.sample(None, None, 1000, seed=1)

n_qubits, dtype, what = int(sys.argv[1]), sys.argv[2], sys.argv[3]
run(12, dtype, what)  # kernels, libraries

def peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024

before = peak()
result = run(n_qubits, dtype, what)
print(json.dumps(peak() - before))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("n_qubits", "dtype", "what"),
    [
        (20, "float64", "states"),
        (21, "float32", "probabilities"),
        (22, "float32", "states"),
        (22, "float64", "probabilities"),
        (22, "float64", "expectations"),
        (22, "float64", "from a state"),
        (23, "float32", "from a state"),
        pytest.param(24, "float64", "states", marks=pytest.mark.slow),
        pytest.param(24, "float32", "expectations", marks=pytest.mark.slow),
        pytest.param(24, "float32", "probabilities", marks=pytest.mark.slow),
    ],
)
def test_forward_runs_take_what_is_stated_and_at_most_2_2_states(n_qubits, dtype, what):
    state = (8 if dtype == "float32" else 16) << n_qubits
    if what == "from a state":  # the caller's, of which the few pages that are not zero count; and a copy
        stated = memory_required(n_qubits, 1, dtype=dtype) + state
    else:
        stated = memory_required(n_qubits, 1, dtype=dtype, returns=what)
    assert stated <= 2.2 * state
    command = [sys.executable, "-c", _RUN, str(n_qubits), dtype, what]
    taken = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout)
    small = 3 << 20  # of the interpreter and the allocator
    assert taken <= 2.2 * state + small
    assert 0.7 * stated <= taken <= stated + small
