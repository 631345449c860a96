"""Hypothesis strategies of circuits and programs, for property tests of whatever takes them (needs hypothesis)."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from superpose.circuits import (
    GATES,
    Affine,
    Barrier,
    Channel,
    Circuit,
    Condition,
    Delay,
    If,
    Instruction,
    KrausChannel,
    Measure,
    Observable,
    Operation,
    Program,
    Reset,
)

__all__ = ["affines", "circuits", "dynamic_circuits", "observables", "operations", "programs"]

NAMES = ("a", "theta", "w_0", "w_1", "w_10", "θ", "x", "q", "rzz", "c")
"""Parameter names with the awkward ones: a gate's, a register's, a Greek letter."""


def numbers() -> st.SearchStrategy[float]:
    """Finite doubles as they stand in circuits: multiples of pi, plain decimals, and any."""
    fractions = st.builds(lambda k, m: k * np.pi / m, st.integers(-8, 8), st.sampled_from([1, 2, 3, 4, 8, 16]))
    return st.one_of(fractions, st.integers(-10, 10).map(float), st.floats(-1e9, 1e9, allow_subnormal=False))


def affines(names: tuple[str, ...] = NAMES) -> st.SearchStrategy[Affine]:
    """Angles: constants, parameters, and sums of up to three."""
    terms = st.dictionaries(st.sampled_from(names), numbers(), max_size=3) if names else st.just({})
    return st.builds(lambda found, constant: Affine(tuple(found.items()), constant), terms, numbers())


@st.composite
def circuits(
    draw: st.DrawFn, max_qubits: int = 4, max_instructions: int = 12, names: tuple[str, ...] = NAMES
) -> Circuit:
    """Circuits over the whole gate table."""
    circuit = Circuit(draw(st.integers(1, max_qubits)), draw(st.sampled_from(["circuit", "", 'naïve "name"'])))
    rows = [row for row in GATES.values() if row.n_qubits <= circuit.n_qubits]
    for row in draw(st.lists(st.sampled_from(rows), max_size=max_instructions)):
        qubits = draw(st.permutations(range(circuit.n_qubits)))[: row.n_qubits]
        angles = draw(st.tuples(*[affines(names)] * row.n_angles))
        circuit.extend([Instruction(row.name, tuple(qubits), angles)])
    return circuit


@st.composite
def operations(
    draw: st.DrawFn,
    n_qubits: int,
    n_bits: int,
    names: tuple[str, ...] = NAMES,
    *,
    noise: bool = True,
    depth: int = 2,
) -> Operation:
    """Anything that a circuit of so many qubits and bits holds.

    Args:
        draw: Hypothesis gives it.
        n_qubits: Qubits there are, at least 1.
        n_bits: Classical bits there are; without any there are no measurements and conditions.
        names: Names of parameters.
        noise: Whether channels and readout errors are among them.
        depth: How deep conditions may stand in each other.
    """
    qubit = draw(st.integers(0, n_qubits - 1))
    probability = st.floats(0.0, 1.0, allow_subnormal=False)
    kinds = (
        ["gate", "gate", "reset", "delay", "barrier"] + ["channel", "kraus"] * noise + ["measure", "if"] * bool(n_bits)
    )
    match draw(st.sampled_from(kinds)):
        case "reset":
            return Reset(qubit)
        case "delay":
            return Delay(qubit, draw(st.floats(0, 1e6, allow_subnormal=False)))
        case "barrier":
            return Barrier(tuple(draw(st.permutations(range(n_qubits)))[: draw(st.integers(1, n_qubits))]))
        case "channel":
            return Channel("pauli", (qubit,), tuple(x / 3 for x in draw(st.tuples(*[probability] * 3))))
        case "kraus":
            return KrausChannel((qubit,), Channel("amplitude_damping", (0,), (draw(probability),)).kraus())
        case "measure":
            flips = draw(st.tuples(probability, probability)) if noise and draw(st.booleans()) else (0.0, 0.0)
            return Measure(qubit, draw(st.integers(0, n_bits - 1)), *flips)
        case "if" if depth:
            bits = tuple(draw(st.permutations(range(n_bits)))[: draw(st.integers(1, min(n_bits, 3)))])
            inner = st.lists(operations(n_qubits, n_bits, names, noise=noise, depth=depth - 1), max_size=2)
            return If(Condition(bits, draw(st.integers(0, 2 ** len(bits) - 1))), tuple(draw(inner)), tuple(draw(inner)))
        case _:
            row = draw(st.sampled_from([row for row in GATES.values() if row.n_qubits <= n_qubits]))
            qubits = draw(st.permutations(range(n_qubits)))[: row.n_qubits]
            return Instruction(row.name, tuple(qubits), draw(st.tuples(*[affines(names)] * row.n_angles)))


@st.composite
def dynamic_circuits(
    draw: st.DrawFn,
    max_qubits: int = 3,
    max_bits: int = 4,
    max_operations: int = 10,
    names: tuple[str, ...] = NAMES,
    *,
    noise: bool = True,
) -> Circuit:
    """Circuits of any operations, with or without classical bits and noise."""
    n_qubits, n_bits = draw(st.integers(1, max_qubits)), draw(st.integers(0, max_bits))
    circuit = Circuit(n_qubits, n_bits=n_bits)
    return circuit.extend(draw(st.lists(operations(n_qubits, n_bits, names, noise=noise), max_size=max_operations)))


def observables(n_qubits: int) -> st.SearchStrategy[Observable]:
    """Pauli sums of up to four terms."""
    pauli = st.text("IXYZ", min_size=n_qubits, max_size=n_qubits)
    return st.dictionaries(pauli, numbers(), max_size=4).map(lambda terms: Observable(terms, n_qubits))


@st.composite
def programs(draw: st.DrawFn, max_qubits: int = 3) -> Program:
    """Programs with single and batched parameters, any observables, shots, seed and initial state."""
    circuit = draw(circuits(max_qubits=max_qubits, max_instructions=6))
    batch = draw(st.integers(1, 3))
    values = st.one_of(numbers(), st.lists(numbers(), min_size=batch, max_size=batch).map(np.array))
    state = None
    if draw(st.booleans()):
        shape = draw(st.sampled_from([(2**circuit.n_qubits,), (batch, 2**circuit.n_qubits)]))
        rng = np.random.default_rng(draw(st.integers(0, 10)))
        state = rng.normal(size=shape) + 1j * rng.normal(size=shape)
        state /= np.linalg.norm(state, axis=-1, keepdims=True)
    return Program(
        circuit,
        {name: draw(values) for name in circuit.parameters},
        tuple(draw(st.lists(observables(circuit.n_qubits), max_size=2))),
        shots=draw(st.none() | st.integers(1, 1000)),
        seed=draw(st.none() | st.integers(0, 2**63 - 1)),
        initial_state=state,
        dtype=draw(st.sampled_from(["float64", "float32"])),
    )
