"""Grover's search for one of 16 bit strings, in Cirq.

Input {"marked": "1011"}, output {"found": "1011", "share": 0.96, "expected_share": 0.9613}. Three rounds are the
best number for 16: the marked string is measured with probability sin(7 arcsin(1/4))**2. Which string the oracle
marks is set by parameters when called.
"""

import math

N_QUBITS = 4
ROUNDS = 3
SHOTS = 1000
INPUT_SCHEMA = {
    "type": "object",
    "properties": {"marked": {"type": "string", "pattern": "^[01]{4}$"}},
    "required": ["marked"],
    "additionalProperties": False,
}


def circuit():
    """Three rounds of oracle and reflection about the mean."""
    import cirq
    import sympy

    qubits = cirq.LineQubit.range(N_QUBITS)
    flips = sympy.symbols(f"flip_0:{N_QUBITS}")  # pi where the marked string has 0
    sign = cirq.Z(qubits[-1]).controlled_by(*qubits[:-1])  # -1 for 1111
    made = cirq.Circuit(cirq.H.on_each(qubits))
    for _ in range(ROUNDS):
        made.append([cirq.rx(flip).on(qubit) for flip, qubit in zip(flips, qubits, strict=True)])
        made.append(sign)
        made.append([cirq.rx(-flip).on(qubit) for flip, qubit in zip(flips, qubits, strict=True)])
        made.append(
            [cirq.H.on_each(qubits), cirq.X.on_each(qubits), sign, cirq.X.on_each(qubits), cirq.H.on_each(qubits)]
        )
    made.append(cirq.measure(*qubits, key="found"))
    return made


def pre(input):
    """Turn the qubits where the marked string has 0, so that it looks like 1111 to the oracle."""
    return {f"flip_{place}": math.pi * (bit == "0") for place, bit in enumerate(input["marked"])}


def post(result, input):
    """Give the string found most often, and how often the marked one was."""
    counts = result["counts"][0]
    return {
        "found": max(counts, key=counts.get),
        "share": counts.get(input["marked"], 0) / result["shots"],
        "expected_share": round(math.sin((2 * ROUNDS + 1) * math.asin(2 ** (-N_QUBITS / 2))) ** 2, 4),
    }
