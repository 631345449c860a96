"""Shor's algorithm: the factors of 15, by the order of a base, in Qiskit.

Input {"base": 7}, output {"base": 7, "order": 4, "factors": [3, 5], "share": 0.5, "measured": {"0": 241, ...}};
``share`` is how many of the measurements gave the factors by themselves. Base 14 has an order that gives none: its
square root of 1 is -1.

The circuit finds the order by phase estimation: 8 counting qubits (2**8 > 15**2, so that continued fractions give
the order), 4 qubits that hold x, and multiplications x -> a**(2**j) x mod 15 controlled by the j-th counting qubit.
Special to 15 is how it multiplies: every base is 2**k or -2**k mod 15, so that a multiplication is a rotation of
the bits of x by k places and perhaps a flip of them all. Which of these happen is set by parameters (0 or pi) when
called: one circuit serves every base. a**4 = 1 mod 15 for every base, which classical squaring tells; so counting
qubits from the third on control nothing.
"""

import math
from fractions import Fraction

N = 15
N_COUNTING = 8
BASES = {2: (1, 1), 4: (2, 1), 7: (3, -1), 8: (3, 1), 11: (2, -1), 13: (1, -1), 14: (0, -1)}
"""Each base as (k, sign): sign * 2**k mod 15."""
SHOTS = 1000
INPUT_SCHEMA = {
    "type": "object",
    "properties": {"base": {"enum": list(BASES)}},
    "required": ["base"],
    "additionalProperties": False,
}


def circuit():
    """Order finding; counting qubit 0 is the most significant bit of the count, and bit 0 of what is measured."""
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter

    made = QuantumCircuit(N_COUNTING + 4, N_COUNTING)
    counting, x = range(N_COUNTING), range(N_COUNTING, N_COUNTING + 4)  # x[0] is its least significant bit
    made.h(counting)
    made.x(x[0])  # x = 1
    for power in range(2):
        control = counting[N_COUNTING - 1 - power]  # the j-th bit of the count
        one, two, flip = (Parameter(f"{name}_{power}") for name in ("rotate_1", "rotate_2", "flip"))
        for low in (2, 1, 0):
            switched_swap(made, one, control, x[low], x[low + 1])
        for low in (0, 1):
            switched_swap(made, two, control, x[low], x[low + 2])
        for bit in x:
            made.h(bit)
            made.cp(flip, control, bit)
            made.h(bit)
    for place in range(N_COUNTING - 1, -1, -1):  # the inverse Fourier transform, from its last step to its first
        for other in range(N_COUNTING - 1, place, -1):
            made.cp(-math.pi / 2 ** (other - place), counting[N_COUNTING - 1 - other], counting[N_COUNTING - 1 - place])
        made.h(counting[N_COUNTING - 1 - place])
    return measured(made)


def switched_swap(made, switch, control, a, b):
    """Exchange a and b where the control is 1 and the switch is pi; do nothing where it is 0."""
    made.cx(b, a)
    made.h(b)
    made.cp(switch / 2, a, b)
    made.cx(control, a)
    made.cp(-switch / 2, a, b)
    made.cx(control, a)
    made.cp(switch / 2, control, b)
    made.h(b)
    made.cx(b, a)


def measured(made):
    """Measure the counting qubits; the transform leaves the most significant bit on the last one."""
    for bit in range(N_COUNTING):
        made.measure(N_COUNTING - 1 - bit, bit)
    return made


def pre(input):
    """Set the switches for the base and for its square."""
    switches = {}
    for power in range(2):
        shift, sign = BASES[pow(input["base"], 2**power, N)] if pow(input["base"], 2**power, N) != 1 else (0, 1)
        switches[f"rotate_1_{power}"] = math.pi * (shift % 2)
        switches[f"rotate_2_{power}"] = math.pi * (shift // 2)
        switches[f"flip_{power}"] = math.pi * (sign < 0)
    return switches


def post(result, input):
    """Read each measurement as a phase, its continued fraction as an order, and the order as factors."""
    base, counts = input["base"], result["counts"][0]
    orders, good = set(), 0
    for bits, number in counts.items():
        order = Fraction(int(bits, 2), 2**N_COUNTING).limit_denominator(N - 1).denominator
        if pow(base, order, N) == 1:
            orders.add(order)
            good += number * bool(factors_by(base, order))
    order = min(orders, default=None)
    return {
        "base": base,
        "order": order,
        "factors": factors_by(base, order) if order else None,
        "share": good / result["shots"],
        "measured": {str(int(bits, 2)): number for bits, number in sorted(counts.items())},
    }


def factors_by(base, order):
    """The factors that an order gives, or None."""
    if order % 2 or pow(base, order // 2, N) == N - 1:
        return None
    return sorted(math.gcd(pow(base, order // 2, N) + sign, N) for sign in (-1, 1))
