"""Every ordered pair of toolkits and languages: what comes through both, and back, is the same circuit.

The long tests carry more than a thousand random circuits and compare what they find with docs/frontends.md, which they
write with ``WRITE_DOCS=1``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import superpose
from superpose.circuits import Barrier, Circuit, Delay, Parameter, reference, z_all
from superpose.engine import compile_program
from superpose.errors import ConversionError

from .conftest import BOUND_ONLY, NAMES, WITHOUT_PHASE, assert_same, carried, installed, random_circuit, values_of

PAIRS = [(one, other) for one in NAMES for other in NAMES]
PAGE = Path(__file__).parents[2] / "docs" / "frontends.md"
BEGIN, END = "<!-- pairs: written by tests/frontends/test_pairs.py -->\n", "<!-- pairs end -->"
N_EACH = 8
"""Circuits of each kind, bound and free, for each pair."""


def is_free(*names: str) -> bool:
    return not set(names) & set(BOUND_ONLY)


def keeps_phase(*names: str) -> bool:
    return not set(names) & set(WITHOUT_PHASE)


@pytest.mark.parametrize("symbolic", [False, True], ids=["bound", "free"])
@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_from_one_to_another_and_back(one: str, other: str, symbolic: bool) -> None:
    installed(one), installed(other)
    if symbolic and not is_free(one, other):
        pytest.skip("no parameters there")
    for seed in range(4):
        circuit = random_circuit(seed, symbolic=symbolic, n_qubits=1 + seed % 4)
        assert_same(circuit, carried(circuit, one, other, one), phase=keeps_phase(one, other))


def gradients(circuit: Circuit) -> dict[str, float]:
    program = compile_program(circuit, z_all(circuit.n_qubits), dtype="float64")
    values = values_of(circuit)
    given = [values[name] for name in program.weight_names]
    _, _, gradient = program.value_and_grad(None, given, np.ones((1, circuit.n_qubits)))
    return dict(zip(program.weight_names, gradient, strict=True))


@pytest.mark.parametrize("name", [name for name in NAMES if is_free(name)])
def test_gradients_are_the_same(name: str) -> None:
    installed(name)
    circuit = random_circuit(7, symbolic=True, n_qubits=4)
    assert gradients(circuit) == pytest.approx(gradients(carried(circuit, name)), abs=1e-9)


@pytest.mark.parametrize("name", [name for name in NAMES if is_free(name)])
def test_parameters_stay_what_they_were(name: str) -> None:
    """The circuit on which converters fail: H, RX(2 theta + 0.1), RZ(theta), CX; idle qubits stay too."""
    installed(name)
    theta = Parameter("theta")
    circuit = Circuit(4).h(0).rx(2 * theta + 0.1, 0).rz(theta, 0).cx(0, 2)
    other = carried(circuit, name)
    angles = [item.angles[0] for item in other.gate_calls() if item.angles]
    assert [angle.names for angle in angles] == [("theta",), ("theta",)]
    at = {"theta": 0.7}
    assert [angle.evaluate(at) for angle in angles] == pytest.approx([1.5, 0.7], abs=1e-12)
    assert other.n_qubits == 4


def outcomes(circuit: Circuit) -> set[str]:
    return set(superpose.run(circuit, shots=5, seed=1).counts[0])


@pytest.mark.parametrize("name", NAMES)
def test_bits_keep_their_numbers(name: str) -> None:
    """Also where a circuit measures in another order than that of its bits."""
    installed(name)
    circuit = Circuit(2, n_bits=2).x(0).measure(0, 1).measure(1, 0)
    assert outcomes(carried(circuit, name)) == {"01"}


def in_the_middle() -> Circuit:
    return Circuit(2, n_bits=2).x(0).measure(0, 0).x(0).measure(0, 1)


def asked() -> Circuit:
    """Bit 0 reads 1, so qubit 1 is turned and qubit 2 is not."""
    circuit = Circuit(3, n_bits=3).x(0).measure(0, 0)
    return circuit.if_(0, 1, Circuit(3).x(1), Circuit(3).x(2)).measure(1, 1).measure(2, 2)


def same_phase(one: Circuit, other: Circuit) -> bool:
    return np.allclose(reference.unitary(one, {}), reference.unitary(other, {}), atol=1e-9)


FEATURES: dict[str, tuple[Circuit, Callable[[Circuit], bool]]] = {
    "P": (Circuit(1).rx(2 * Parameter("φ") + 0.1, 0), lambda got: got.parameters == ("φ",)),
    "G": (Circuit(1).p(0.7, 0), lambda got: same_phase(Circuit(1).p(0.7, 0), got)),
    "M": (in_the_middle(), lambda got: outcomes(got) == {"10"}),
    "R": (Circuit(1, n_bits=1).x(0).reset(0).measure(0, 0), lambda got: outcomes(got) == {"0"}),
    "C": (asked(), lambda got: outcomes(got) == {"110"}),
    "B": (
        Circuit(2).h(0).barrier(0, 1).h(1),
        lambda got: [item.qubits for item in got.instructions if isinstance(item, Barrier)] == [(0, 1)],
    ),
    "D": (
        Circuit(1).h(0).delay(20.0, 0).h(0),
        lambda got: [item.duration_ns for item in got.instructions if isinstance(item, Delay)] == pytest.approx([20.0]),
    ),
}
"""Letters of the matrix: a circuit that holds the feature, and whether another one does too."""


def kept(one: str, other: str) -> str:
    """Letters of the features that come through both; others are refused by name, or fail."""
    letters = ""
    for letter, (circuit, holds) in FEATURES.items():
        try:
            got = carried(circuit, one, other)
        except ConversionError as error:
            assert error.details["feature"], (letter, one, other)
            continue
        if letter == "G" and not keeps_phase(one, other):
            continue
        assert holds(got), (letter, one, other)
        letters += letter
    return letters


FOUND: dict[tuple[str, str], tuple[int, str]] = {}


@pytest.mark.slow
@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_random_circuits_through_every_pair(one: str, other: str) -> None:
    """There and back: equal unitaries to 1e-9, parameters and, of one circuit, gradients."""
    installed(one), installed(other)
    n = 0
    for symbolic in (False, True) if is_free(one, other) else (False,):
        for seed in range(N_EACH):
            circuit = random_circuit(100 + seed, symbolic=symbolic, n_qubits=1 + seed)
            assert_same(circuit, carried(circuit, one, other, one), phase=keeps_phase(one, other))
            n += 1
    if is_free(one, other):
        circuit = random_circuit(7, symbolic=True, n_qubits=4)
        assert gradients(circuit) == pytest.approx(gradients(carried(circuit, one, other)), abs=1e-9)
    FOUND[one, other] = n, kept(one, other)


@pytest.mark.slow
def test_the_page_says_what_was_found() -> None:
    names = [name for name in NAMES if (name, name) in FOUND]
    if set(FOUND) != {(one, other) for one in names for other in names} or len(names) < len(NAMES) - 1:
        pytest.skip("needs all toolkits, and all pairs in the same run")
    total = sum(n for n, _ in FOUND.values())
    assert total >= 1000
    lines = [
        f"{total:,} random circuits of 1 to {N_EACH} qubits came through, {N_EACH} with numbers and {N_EACH} with free "
        "parameters for each pair (row, then column, then row again).",
        "",
        "| from \\ to | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
        *(f"| {one} | " + " | ".join(FOUND[one, other][1] for other in names) + " |" for one in names),
        "",
    ]
    head, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    page = head + BEGIN + "\n".join(lines) + END + tail
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "the matrix in docs/frontends.md is stale: run with WRITE_DOCS=1"
