"""Drawings: where operations stand, what they are called, and lines of text."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superpose.circuits import Circuit, Parameter
from superpose.circuits.drawing import Edge, angle_label, lay_out
from superpose.circuits.operations import If, Measure
from superpose.errors import DrawingError

a = Parameter("a")


def deep() -> Circuit:
    """A measurement read by nested conditions on other qubits."""
    inner = Circuit(4, n_bits=2).x(1).if_(1, 1, Circuit(4).cx(1, 3), Circuit(4).h(2)).y(1)
    return Circuit(4, n_bits=2).h(0).measure(0, 0).measure(0, 1).if_(0, 1, inner).z(0).rx(a / 2, 3)


def test_text_shows_conditions_with_what_they_hold() -> None:
    assert deep().draw() == "\n".join(
        [
            "q0: ──H──M→0──M→1──Z──────────────────────────────────────────────────────",
            "q1: ───────────────IF(0=1)──X──IF(1=1)──●──ELSE─────END──Y──END───────────",
            "q2: ───────────────║───────────║────────│──║─────H──║───────║─────────────",
            "q3: ───────────────║───────────║────────X──║────────║───────║────RX(a/2)──",
        ]
    )


@pytest.mark.parametrize("fold", [1, 2, 7])
def test_folded_rows_hold_all_columns_once(fold: int) -> None:
    circuit = Circuit(2)
    for k in range(15):
        circuit.rx(k * a, 0).cx(0, 1)
    rows = circuit.draw(fold=fold).split("\n\n")
    assert len(rows) == math.ceil(lay_out(circuit).n_columns / fold)
    assert all(line.endswith("»") for row in rows[:-1] for line in row.splitlines())
    assert all(line.startswith(("q0: «", "q1: «")) for row in rows[1:] for line in row.splitlines())
    joined = ["".join(row.splitlines()[q].removeprefix(f"q{q}: ").strip("«»─") + "─" for row in rows) for q in (0, 1)]
    whole = [line.removeprefix(f"q{q}: ").strip("─") for q, line in enumerate(circuit.draw(fold=0).splitlines())]
    assert [[w for w in line.split("─") if w] for line in joined] == [[w for w in x.split("─") if w] for x in whole]


@pytest.mark.parametrize("width", [20, 47, 100])
def test_rows_fit_the_width(width: int) -> None:
    circuit = Circuit(12)
    for k in range(40):
        circuit.h(k % 12).cx(k % 12, (k + 5) % 12)
    text = circuit.draw(width=width)
    assert max(map(len, text.splitlines())) <= width
    assert text.count("X") == 40 and text.count("H") == 40


def test_wide_characters_keep_the_lines_straight() -> None:
    from unicodedata import east_asian_width

    lines = Circuit(2).rx(Parameter("角度"), 0).cx(0, 1).draw().splitlines()
    rooms = [sum(2 if east_asian_width(c) in "WF" else 1 for c in line) for line in lines]
    assert rooms[0] == rooms[1]


@pytest.mark.parametrize(
    ("angle", "label"),
    [
        (a * 1, "a"),
        (-a, "-a"),
        (2 * a / 3 + math.pi / 4, "2*a/3 + π/4"),
        (0.1234567 * a - 1.5, "0.12346*a - 1.5"),
        (0 * a, "0"),
        (1e-9 * a + 1e9, "1e-09*a + 1e+09"),
        (a * 0 + 3 * math.pi / 2, "3π/2"),
        (a * 0 + 3.1416, "3.1416"),
    ],
)
def test_angles(angle: Parameter, label: str) -> None:
    assert angle_label(angle) == label


@pytest.mark.parametrize("options", [{"fold": -1}, {"width": 19}, {"width": 0}])
def test_rows_that_hold_nothing_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(DrawingError, match="got"):
        Circuit(1).draw(**options)


def test_a_condition_without_operations_is_not_drawn() -> None:
    assert Circuit(1, n_bits=1).if_(0, 1, ()).draw() == "q0: ──"


@given(seed=st.integers(0, 10_000))
def test_nothing_overlaps_and_nothing_changes_its_order(seed: int) -> None:
    circuit = random_dynamic(seed)
    layout = lay_out(circuit)
    taken: set[tuple[int, int]] = set()
    last_of_qubit, writer, reader = [-1] * 5, [-1] * 3, [-1] * 3
    for one in layout.placed:
        spots = {(one.column, q) for q in range(one.low, one.high + 1)}
        assert not spots & taken
        taken |= spots
        for q in one.item.qubits:
            assert one.column > last_of_qubit[q]
            last_of_qubit[q] = one.column
        if isinstance(one.item, Measure):
            assert one.column > max(writer[one.item.bit], reader[one.item.bit])
            writer[one.item.bit] = one.column
        if isinstance(one.item, Edge) and one.item.kind == "if":
            for bit in one.item.condition.condition.bits:
                assert one.column > writer[bit]
                reader[bit] = max(reader[bit], one.column)
    assert layout.n_columns == 1 + max((column for column, _ in taken), default=-1)
    n_drawn = sum(not isinstance(one.item, Edge) for one in layout.placed)
    assert n_drawn == count(circuit.instructions)


def random_dynamic(seed: int) -> Circuit:
    """Gates, measurements and nested conditions on 5 qubits and 3 bits."""
    import random

    rng = random.Random(seed)

    def some(depth: int) -> Circuit:
        made = Circuit(5, n_bits=3)
        for _ in range(rng.randint(0, 8)):
            match rng.randint(0, 4 if depth < 3 else 3):
                case 0:
                    made.h(rng.randrange(5))
                case 1:
                    made.cx(*rng.sample(range(5), 2))
                case 2:
                    made.measure(rng.randrange(5), rng.randrange(3))
                case 3:
                    made.barrier(*rng.sample(range(5), rng.randint(1, 5)))
                case 4:
                    bits = rng.sample(range(3), rng.randint(1, 3))
                    made.if_(bits, rng.randrange(2 ** len(bits)), some(depth + 1), some(depth + 1))
        return made

    return some(0)


def count(operations: tuple) -> int:
    """Operations that are no conditions, at any depth."""
    return sum(
        count(item.then) + count(item.otherwise) if isinstance(item, If) else bool(item.qubits) for item in operations
    )
