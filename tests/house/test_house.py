"""The house itself: what an import costs, which words are used, how large files grow, what is never done."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

import superpose
from superpose import errors

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "superpose").rglob("*.py"))
BANNED_WORDS = (
    "wire",
    "wires",
    "repetitions",
    "wavefunction",
    "utils",
    "helpers",
    "helper",
    "common",
    "manager",
    "task",
    "tasks",
)

FOREIGN_WORDS = {"pennylane_device/device.py": {"wires"}}
"""Words that another toolkit's interface asks for, by file."""


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_importing_superpose_is_fast_and_loads_neither_torch_nor_any_sdk() -> None:
    code = """
import time; start = time.process_time()  # what else the machine does is not counted
import superpose, sys
print(time.process_time() - start)
heavy = {"torch", "numba", "pandas", "sklearn", "fastapi", "pennylane", "qiskit", "cirq", "braket"}
print(sorted(heavy & set(sys.modules)))
"""
    runs = [python(code).split("\n") for _ in range(3)]
    assert min(float(run[0]) for run in runs) < 0.3
    assert runs[0][1] == "[]"


def test_every_public_name_loads_and_is_listed() -> None:
    for name in superpose.__all__:
        assert getattr(superpose, name) is not None
    assert set(superpose.__all__) <= set(dir(superpose))
    with pytest.raises(AttributeError, match="no attribute 'qbit'"):
        superpose.qbit  # noqa: B018


def test_version_is_the_one_of_the_package() -> None:
    assert f'version = "{superpose.__version__}"' in (ROOT / "pyproject.toml").read_text()


@dataclass
class Facts:
    """What stands in a file, by the rules that are kept here.

    Attributes:
        lines: How many.
        names: That it defines.
        imported: First names of imported modules, relative ones too.
        foreign: Those that are not relative.
        refused: Lines of what is never done, with what it is.
    """

    lines: int
    names: set[str] = field(default_factory=set)
    imported: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    refused: set[tuple[int, str]] = field(default_factory=set)


@cache
def facts(path: Path) -> Facts:
    """A file's, which is read and walked through once for all tests."""
    text = path.read_text(encoding="utf-8")
    found = Facts(text.count("\n"))
    for node in ast.walk(ast.parse(text, filename=str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.names.add(node.name)
        elif isinstance(node, ast.arg):
            found.names.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.names.add(node.id)
        elif isinstance(node, ast.Import):
            modules = {alias.name.split(".")[0] for alias in node.names}
            found.imported |= modules
            found.foreign |= modules
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".")[0]
            found.imported.add(module)
            if not node.level:
                found.foreign.add(module)
        elif (why := refusal(node)) is not None:
            found.refused.add(why)
    return found


def refusal(node: ast.AST) -> tuple[int, str] | None:
    """The line of what is never done, and what it is."""
    if isinstance(node, ast.Assert):
        return node.lineno, "assert is not validation"
    if isinstance(node, ast.Call) and any(k.arg == "shell" for k in node.keywords):
        return node.lineno, "no shell strings"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec"}:
        return node.lineno, "no text is run as code"
    return None


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT / "src")))
def test_identifiers_keep_to_the_glossary(path: Path) -> None:
    words = {word.lower() for name in facts(path).names | {path.stem} for word in re.findall(r"[A-Za-z][a-z]*", name)}
    foreign = FOREIGN_WORDS.get(path.relative_to(ROOT / "src" / "superpose").as_posix(), set())
    assert not words & set(BANNED_WORDS) - foreign, f"{path}: docs/glossary.md has the words to use instead"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT / "src")))
def test_no_file_outgrows_its_room_or_does_what_is_refused(path: Path) -> None:
    found = facts(path)
    assert found.lines <= 600, f"{path} has {found.lines} lines, at most 600 are allowed: part it"
    assert not found.imported & {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    assert not found.refused


def error_classes(root: type[errors.SuperposeError]) -> list[type[errors.SuperposeError]]:
    """All classes below a root."""
    return [c for sub in root.__subclasses__() for c in (sub, *error_classes(sub))]


def test_every_error_is_drawn_in_the_tree_with_its_code_and_codes_are_unique() -> None:
    public = [c for c in error_classes(errors.SuperposeError) if c.__module__.startswith("superpose.errors.")]
    assert {c.__name__ for c in public} | {"SuperposeError"} == set(errors.__all__)
    tree = errors.__doc__ or ""
    leaves = [c for c in public if not set(c.__subclasses__()) & set(public)]
    for leaf in leaves:
        assert re.search(rf"── {leaf.__name__}\s+({re.escape(leaf.code)}|\(the code)", tree), leaf.__name__
    assert len({leaf.code for leaf in leaves}) == len(leaves)


def test_what_is_imported_is_declared_and_what_is_declared_is_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[<>=]", line)[0] for line in project["dependencies"]}
    extras = {k: v for k, v in project["optional-dependencies"].items() if k not in {"test", "bench", "dev"}}
    optional = {re.split(r"[<>=\[]", line)[0] for lines in extras.values() for line in lines}
    names = {
        "sklearn": "scikit-learn",
        "yaml": "pyyaml",
        "prometheus_client": "prometheus-client",
        "jsonschema_rs": "jsonschema-rs",
    }
    names |= {"opentelemetry": "opentelemetry-sdk", "PIL": "pillow", "cirq": "cirq-core", "braket": "amazon-braket-sdk"}
    names |= {"botocore": "boto3", "cirq_google": "cirq-google"}
    used = set[str]().union(*(facts(path).foreign for path in SOURCES))
    used = {names.get(name, name) for name in used - sys.stdlib_module_names - {"superpose"}}
    assert used - declared <= optional | {"hypothesis", "mlflow"}  # imported only where they are needed
    assert declared - used == {"httptools"}  # named to uvicorn, not imported
