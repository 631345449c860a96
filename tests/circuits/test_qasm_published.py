"""What the OpenQASM project publishes: its examples, the texts its grammar must accept, and those it must not.

Source: openqasm/openqasm, examples and source/grammar/tests; the files lie beside this repository, and the tests are
skipped where they do not.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import superpose
from superpose.circuits import from_qasm, to_qasm
from superpose.errors import QasmError

REPO = Path(__file__).parents[2]
PUBLISHED = REPO.parent / "shared" / "data" / "circuits" / "openqasm"
PAGE = (REPO / "docs" / "openqasm.md").read_text(encoding="utf-8")

needs_published = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason="the published OpenQASM files are not beside this repository"
)

RUNS = "runs"
OUTCOMES = dict(re.findall(r"^\| `(\w+\.qasm)` \| (.+?) \|$", PAGE, re.MULTILINE))
"""The page's table: each example with "runs" or the line, column and reason of its refusal."""

REFERENCE = {
    "assignment/alias": "Index 2 lies outside 'b'",
    "assignment/assignment": "classical computation is not supported",
    "assignment/slices": "classical arrays",
    "comments/comments": "'cnot' is not defined",
    "control_flow/branch_binop": "named 'spec'",
    "control_flow/branching": "classical computation is not supported",
    "control_flow/loop": "'while' (loops whose end is not known)",
    "control_flow/switch": "'switch' (classical control",
    "declaration/array": "classical arrays",
    "declaration/complex": "complex numbers",
    "declaration/declaration": "'z' is declared twice",
    "directives/annotations": "Inputs of type 'uint'",
    "directives/defcalgrammar": "pulse calibrations",
    "directives/include": "can be included, got 'foo2'",
    "directives/pragma": "Pragmas",
    "expression/binary_expr": "Expected a statement",
    "expression/built_in_call": "an expression",
    "expression/order_of_ops": "an expression",
    "expression/sub_and_extern_call": "subroutines and external functions",
    "expression/unary_expr": "Expected a statement",
    "gate/gate_modifiers": "1 qubits after its controls",
    "gate/quantum_gate": "Only gate calls may stand in a gate definition",
    "header": "declares no qubits",
    "pulse/cal": "pulse calibrations",
    "pulse/defcal": "pulse calibrations",
    "scope/anonymous_block": "declares no qubits",
    "scope/nop": "'nop'",
    "subroutine/array": "subroutines",
    "subroutine/extern": "external functions",
    "subroutine/subroutine": "subroutines",
    "trailing_commas/array": "classical arrays",
    "trailing_commas/extern": "external functions",
    "trailing_commas/gate": "'CX' is not defined",
    "trailing_commas/index": "named 'two'",
    "trailing_commas/nop": "'nop'",
}
"""Every text of the grammar's tests and what superpose says of it: they are fragments, none a whole program."""

REPAIRED = {
    "assignment/alias": ("b[1:2]", "b[0:1]", "qubit[1] q0;", RUNS),
    "comments/comments": ("cnot", "cx", "", RUNS),
    "gate/gate_modifiers": ("ctrl(2) @ g q;", "ctrl(2) @ g r; negctrl(3) @ g s; inv @ g q;", "", "named 'r'"),
    "header": ("output", "qubit q; output", "", RUNS),
    "scope/anonymous_block": ("{", "qubit q; {", "", RUNS),
    "trailing_commas/gate": ("CX", "cx", 'include "stdgates.inc"; qubit q;', RUNS),
    "trailing_commas/index": ("let", "qubit[6] two; let", "", RUNS),
}
"""Some of them made whole: what is replaced, what is put in front, and the outcome."""


def outcome(text: str) -> str:
    """ "runs", or the error's text."""
    try:
        circuit = from_qasm(text)
    except QasmError as error:
        assert 1 <= error.line <= text.count("\n") + 1
        assert error.column >= 1
        return str(error)
    assert from_qasm(to_qasm(circuit)) == circuit
    superpose.run(circuit, shots=2, seed=1)
    return RUNS


@needs_published
def test_the_page_lists_every_example() -> None:
    assert set(OUTCOMES) == {path.name for path in (PUBLISHED / "examples").glob("*.qasm")}
    assert len(OUTCOMES) == 21


@needs_published
@pytest.mark.parametrize("name", OUTCOMES)
def test_an_example_runs_or_says_why_not(name: str) -> None:
    text = (PUBLISHED / "examples" / name).read_text(encoding="utf-8")
    assert outcome(text) == OUTCOMES[name].replace("\\|", "|")


@needs_published
def test_examples_give_what_they_say() -> None:
    def counts(name: str) -> dict[str, int]:
        text = (PUBLISHED / "examples" / name).read_text(encoding="utf-8")
        (found,) = superpose.run(from_qasm(text), shots=200, seed=1).counts or ()
        return dict(found)

    assert counts("adder.qasm") == {"00001": 200}  # 1 + 15, the first bit the least
    assert len(counts("qft.qasm")) == 16
    assert counts("inverseqft1.qasm") == counts("inverseqft2.qasm") == {"0000": 200}  # of equal amplitudes


@needs_published
def test_every_reference_text_is_known() -> None:
    folder = PUBLISHED / "source" / "grammar" / "tests" / "reference"
    assert {str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.yaml")} == set(REFERENCE)
    assert len(REFERENCE) == 35


def reference(name: str) -> str:
    path = PUBLISHED / "source" / "grammar" / "tests" / "reference" / f"{name}.yaml"
    return str(yaml.safe_load(path.read_text(encoding="utf-8"))["source"])


@needs_published
@pytest.mark.parametrize("name", REFERENCE)
def test_a_reference_text_runs_or_says_why_not(name: str) -> None:
    assert REFERENCE[name] in outcome(reference(name))


@needs_published
@pytest.mark.parametrize("name", REPAIRED)
def test_a_reference_text_made_whole(name: str) -> None:
    old, new, head, wanted = REPAIRED[name]
    assert wanted in outcome(head + reference(name).replace(old, new, 1))


def invalid_lines() -> list[tuple[str, int, str]]:
    """File, number and text of each line that must be refused."""
    return [
        (path.stem, number, line)
        for path in sorted((PUBLISHED / "source" / "grammar" / "tests" / "invalid" / "statements").glob("*.qasm"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if line.strip() and not line.startswith("//")
    ]


@needs_published
@pytest.mark.parametrize("registers", [False, True], ids=["as they are", "on registers"])
def test_every_invalid_line_is_refused_where_it_stands(registers: bool) -> None:
    """Alone behind a sound head; also with physical qubits, which superpose refuses, replaced by a register's."""
    lines = invalid_lines()
    assert len({file for file, _, _ in lines}) == 11
    assert len(lines) > 100
    for file, number, line in lines:
        text = re.sub(r"\$(\d)", r"q[\1]", line) if registers else line
        head = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] a; bit b; int myvar; uint i = 1; bit x0;\n'
        if file == "headers" and line.startswith("OPENQASM"):
            head = ""
        with pytest.raises(QasmError) as caught:
            from_qasm(f"{head}{text}\n")
        where = (file, number, line, str(caught.value))
        assert caught.value.line == head.count("\n") + 1, where
        assert 1 <= caught.value.column <= len(text) + 1, where
