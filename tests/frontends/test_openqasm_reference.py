"""Our OpenQASM parser against the reference parser of the OpenQASM project, on every file: acceptance and structure."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from superpose.circuits.qasm import syntax
from superpose.circuits.qasm.lexer import Source
from superpose.circuits.qasm.parser import Parser3
from superpose.circuits.qasm.parser2 import Parser2
from superpose.errors import QasmError

openqasm3 = pytest.importorskip("openqasm3", reason="needs openqasm3[parser], which superpose[test] brings")
pytest.importorskip("antlr4", reason="needs openqasm3[parser], which superpose[test] brings")

REPO = Path(__file__).parents[2]
DATA = REPO.parent / "shared" / "data" / "circuits"
GOLDEN = sorted((REPO / "tests" / "circuits" / "golden").glob("*.qasm"))
PUBLISHED = sorted((DATA / "openqasm" / "examples").glob("*.qasm"))
REFERENCE = sorted((DATA / "openqasm" / "source").rglob("*.yaml"))
INVALID = sorted((DATA / "openqasm" / "source").rglob("invalid/**/*.qasm"))
BENCH = sorted((DATA / "qasmbench" / "small").rglob("*.qasm"))
MAX_BYTES = 2_500  # of a file that the default tests give to the reference parser, which takes 1 s for 30 kB

KINDS = {
    syntax.Include: {"Include"},
    syntax.InputDeclaration: {"IODeclaration"},
    syntax.VariableDeclaration: {"ConstantDeclaration", "ClassicalDeclaration"},
    syntax.BitDeclaration: {"ClassicalDeclaration", "IODeclaration"},
    syntax.QubitDeclaration: {"QubitDeclaration"},
    syntax.AliasDeclaration: {"AliasStatement"},
    syntax.Assignment: {"ClassicalAssignment"},
    syntax.GateDefinition: {"QuantumGateDefinition"},
    syntax.Call: {"QuantumGate", "QuantumPhase"},
    syntax.Measurement: {"QuantumMeasurementStatement"},
    syntax.BarrierStatement: {"QuantumBarrier"},
    syntax.ResetStatement: {"QuantumReset"},
    syntax.DelayStatement: {"DelayInstruction"},
    syntax.IfStatement: {"BranchingStatement"},
    syntax.ForStatement: {"ForInLoop"},
    syntax.Block: {"CompoundStatement"},
}
"""Our statements and what the reference parser calls them."""


def ours(text: str) -> tuple[list[syntax.Statement], QasmError | None]:
    """The statements up to the first that is refused, and its error."""
    kind = Parser2 if text.lstrip().startswith("OPENQASM 2") or 'include "qelib1.inc"' in text else Parser3
    found: list[syntax.Statement] = []
    try:
        for statement in kind(Source(text), 1_000_000, lambda match: False).program():
            found.append(statement)
    except QasmError as error:
        return found, error
    return found, None


def theirs(text: str) -> list[object] | None:
    """The reference parser's statements, None where it refuses."""
    try:
        return list(openqasm3.parse(text).statements)
    except (openqasm3.parser.QASM3ParsingError, AttributeError):  # it stumbles over `qreg q2[5]` in a subroutine
        return None


def assert_alike(mine: syntax.Statement, other: object) -> None:
    """Equal kinds, names, numbers of operands and angles, and bodies."""
    kind = type(other).__name__
    assert kind in KINDS[type(mine)], (mine, other)
    if isinstance(mine, syntax.Call) and kind == "QuantumGate":
        got = (other.name.name, len(other.arguments), len(other.qubits), len(other.modifiers))
        assert got == (mine.name, len(mine.angles), len(mine.operands), len(mine.modifiers))
    elif isinstance(mine, syntax.GateDefinition):
        body = [item for item in other.body if type(item).__name__ != "QuantumBarrier"]
        assert (other.name.name, len(other.arguments), len(other.qubits)) == (
            mine.name, len(mine.angles), len(mine.qubits),
        )  # fmt: skip
        assert_all_alike(list(mine.body), body)
    elif isinstance(mine, syntax.IfStatement):
        assert_all_alike(_flat(mine.then), other.if_block)
        assert_all_alike(_flat(mine.otherwise), other.else_block)
    elif isinstance(mine, syntax.ForStatement):
        assert other.identifier.name == mine.name
        assert_all_alike(_flat(mine.body), other.block)
    elif isinstance(mine, syntax.QubitDeclaration):
        assert (other.qubit.name, other.size is None) == (mine.name, mine.size is None)
    elif isinstance(mine, syntax.AliasDeclaration):
        assert other.target.name == mine.name
    elif isinstance(mine, syntax.BitDeclaration | syntax.VariableDeclaration | syntax.InputDeclaration):
        assert other.identifier.name == mine.name


def _flat(body: tuple[syntax.Statement, ...]) -> list[syntax.Statement]:
    return list(body)


def assert_all_alike(mine: list[syntax.Statement], other: list[object]) -> None:
    assert len(mine) == len(other)
    for one, two in zip(mine, other, strict=True):
        assert_alike(one, two)


def check(text: str) -> str:
    """Compare the two on a text; "both read", "both refuse", "ours refuses"."""
    statements, error = ours(text)
    reference = theirs(text)
    if reference is None:
        assert error is not None, f"read by ours only: {text}"
        return "both refuse"
    # the reference lists pragmas and annotated statements as we do; what we read is a beginning of what it reads
    for mine, other in zip(statements, reference, strict=False):
        assert_alike(mine, other)
    if error is None:
        assert len(statements) == len(reference)
        return "both read"
    assert len(statements) < len(reference)
    return "ours refuses"


def sized(paths: list[Path]) -> list[object]:
    """Cases, large files slow."""
    return [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stat().st_size > MAX_BYTES else [])
        for path in paths
        if path.stat().st_size < 40_000
    ]


@pytest.mark.parametrize("path", sized([*GOLDEN, *PUBLISHED, *BENCH]))
def test_a_file_is_parsed_alike(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    outcome = check(text)
    if path in GOLDEN or path in BENCH:
        assert outcome == "both read"


@pytest.mark.parametrize("path", REFERENCE, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_text_of_the_grammars_tests_is_parsed_alike(path: Path) -> None:
    outcome = check(yaml.safe_load(path.read_text(encoding="utf-8"))["source"])
    both_refuse = path.stem in ("quantum_gate", "subroutine")  # reset in a gate; a register of the old form as argument
    assert outcome == "both refuse" if both_refuse else outcome in ("both read", "ours refuses")


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_line_is_refused_by_both(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip() and line[:2] != "//"]
    assert [check(line) for line in lines] == ["both refuse"] * len(lines)


def test_where_an_error_is_said_to_be(capfd: pytest.CaptureFixture[str]) -> None:
    """The reason why the parser is our own: the reference's exception names neither line nor cause."""
    text = 'include "stdgates.inc";\nqubit q;\nx q[;\n'
    with pytest.raises(openqasm3.parser.QASM3ParsingError) as caught:
        openqasm3.parse(text)
    assert str(caught.value) == ""
    _, error = ours(text)
    assert error is not None
    assert (error.line, error.column) == (3, 5)
