"""QASMBench small through every toolkit: read, written there, read back, run to the same states or distributions.

Source: Li et al., QASMBench, ACM Trans. Quantum Comput. 4(2), 2023; the files lie beside this repository, and the tests
are skipped where they do not. The table in docs/frontends.md is compared, and written with ``WRITE_DOCS=1``.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import superpose
from superpose.circuits import Circuit
from superpose.errors import ConversionError, QasmError

from .conftest import NAMES, WITHOUT_PHASE, carried, installed

SMALL = Path(__file__).parents[3] / "shared" / "data" / "circuits" / "qasmbench" / "small"
FILES = [path for path in sorted(SMALL.glob("*/*.qasm")) if path.stem == path.parent.name]
PAGE = Path(__file__).parents[2] / "docs" / "frontends.md"
BEGIN, END = "<!-- qasmbench: written by tests/frontends/test_qasmbench_pairs.py -->\n", "<!-- qasmbench end -->"
SHOTS = 4000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FILES, reason="QASMBench is not beside this repository"),
]


def circuits() -> dict[str, Circuit]:
    """All that can be read: three files measure a register that they do not declare."""
    out = {}
    for path in FILES:
        try:
            out[path.stem] = superpose.load(path)
        except QasmError:
            assert path.stem.startswith("vqe_uccsd")
    return out


def assert_runs_alike(name: str, one: Circuit, other: Circuit, *, phase: bool) -> None:
    """Equal states and final measurements; equal distributions, to 4.5 sigma, where it measures in the middle."""
    (body, measured), (got, found) = one.without_final_measurements(), other.without_final_measurements()
    if not body.is_unitary:
        shares = [
            {bits: n / SHOTS for bits, n in superpose.run(circuit, shots=SHOTS, seed=5).counts[0].items()}
            for circuit in (one, other)
        ]
        for bits in shares[0].keys() | shares[1].keys():
            assert shares[0].get(bits, 0.0) == pytest.approx(shares[1].get(bits, 0.0), abs=0.05), name
        return
    places = [sorted((item.bit, item.qubit) for item in items) for items in (measured, found)]
    assert places[0] == places[1], name
    states = [superpose.run(circuit).state_vectors[0] for circuit in (body, got)]
    overlap = np.vdot(states[1], states[0])
    if phase:
        assert overlap == pytest.approx(1.0, abs=1e-9), name
    assert abs(overlap) == pytest.approx(1.0, abs=1e-9), name


FOUND: dict[str, tuple[int, int, Counter[str]]] = {}


@pytest.mark.parametrize("name", NAMES)
def test_every_circuit_comes_back_or_is_refused_by_name(name: str) -> None:
    installed(name)
    kept, refused = 0, Counter[str]()
    given = circuits()
    for title, circuit in given.items():
        try:
            other = carried(circuit, name)
        except ConversionError as error:
            refused[f"{error.details['feature']}"] += 1
            continue
        assert_runs_alike(title, circuit, other, phase=name not in WITHOUT_PHASE)
        kept += 1
    assert kept >= len(given) // 2
    FOUND[name] = kept, len(given), refused


def test_the_page_says_what_was_found() -> None:
    if len(FOUND) < len(NAMES) - 1:
        pytest.skip("needs all toolkits, and all of them in the same run")
    lines = ["| toolkit | kept | refused, and for what |", "|---|---|---|"]
    for name, (kept, total, refused) in FOUND.items():
        why = "; ".join(f"{n}: {feature}" for feature, n in sorted(refused.items())) or "none"
        lines.append(f"| {name} | {kept} of {total} | {why} |")
    head, _, rest = PAGE.read_text().partition(BEGIN)
    page = head + BEGIN + "\n".join(lines) + "\n" + END + rest.partition(END)[2]
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "the table in docs/frontends.md is stale: run with WRITE_DOCS=1"
