"""Random numbers 0 .. 255 from eight qubits in equal superposition, in Qiskit.

Input {"n": 5}, output {"numbers": [17, 203, ...]}: as many as asked for, in the order in which they were measured.
The numbers are as random as what measures: on this machine's simulator they come from a pseudo-random generator.
"""

import math

N_QUBITS = 8
INPUT_SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 1000}},
    "required": ["n"],
    "additionalProperties": False,
}


def circuit():
    """Turn each qubit by the angle that pre() sets, a quarter turn, and measure it."""
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter

    turn = Parameter("turn")
    made = QuantumCircuit(N_QUBITS, N_QUBITS)
    for qubit in range(N_QUBITS):
        made.ry(turn, qubit)
        made.measure(qubit, qubit)
    return made


def pre(input):
    """One entry of the batch and one shot for each number, so that their order is kept."""
    return {"turn": [math.pi / 2] * input["n"]}, {"shots": 1}


def post(result, input):
    """Read each entry's bit string as a number."""
    return {"numbers": [int(bits, 2) for entry in result["counts"] for bits in entry]}
