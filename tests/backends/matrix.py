"""The conformance matrix on disk: what the tests of backends found, and the tables that docs/conformance.md shows."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
STORED = Path(__file__).with_name("conformance.json")
PAGE = ROOT / "docs" / "conformance.md"
ADAPTERS = ROOT / "src" / "superpose" / "backends" / "clouds"
RECORD = "scripts/test tests/backends -m '' --record-conformance"

FAULTS = (
    "throttling",
    "server error",
    "timeout after submit",
    "duplicate submit",
    "job lost",
    "result truncated",
    "unknown status",
    "credentials expired",
)
"""What goes wrong with every cloud."""

TABLES: Mapping[str, Sequence[str]] = {
    "answers": (
        "capabilities", "bit order", "gates", "batches", "counts", "expectations", "exact", "state vectors",
        "initial states", "single precision", "provenance", "too large",
    ),
    "further": (
        "parametric", "mid-circuit", "reset", "feed-forward", "channels", "calibration", "estimate", "transpiled",
        "queue",
    ),
    "queueing": ("tokens", "results", "unknown ids", "cancel", "status table"),
}  # fmt: skip
"""The contracts in each table of the page."""

MARKS = {"passed": "yes", "not offered": "–", "not looked at": "?", "failed": "**no**"}


@dataclass
class Matrix:
    """What is known.

    Attributes:
        contracts: By backend, the outcome of each contract.
        faults: By adapter and fault, the tests that inject it and pass.
    """

    contracts: dict[str, dict[str, str]] = field(default_factory=dict)
    faults: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Matrix:
        """The one on disk."""
        if not STORED.exists():
            return cls()
        document = json.loads(STORED.read_text(encoding="utf-8"))
        return cls(document["contracts"], document["faults"])

    def add_fault(self, adapter: str, fault: str, test: str, *, passed: bool) -> None:
        """A test that injects a fault, whose every case must pass."""
        tests = self.faults.setdefault(adapter, {}).setdefault(fault, [])
        if passed and test not in tests:
            tests.append(test)
        elif not passed and test in tests:
            tests.remove(test)

    def write(self) -> None:
        """Put it on disk, and its tables into the page."""
        faults = {
            adapter: {fault: sorted(tests[fault]) for fault in FAULTS if tests.get(fault)}
            for adapter, tests in sorted(self.faults.items())
        }
        document = {"contracts": dict(sorted(self.contracts.items())), "faults": faults}
        STORED.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        PAGE.write_text(self.page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

    def page(self, text: str) -> str:
        """The page's text with the tables as they are to be."""
        for name, table in self.tables().items():
            head, _, rest = text.partition(f"<!-- {name} -->\n")
            _, end, tail = rest.partition(f"<!-- end of {name} -->")
            text = f"{head}<!-- {name} -->\n{table}{end}{tail}"
        return text

    def tables(self) -> dict[str, str]:
        """Each table of the page."""
        out = {}
        for name, columns in TABLES.items():
            rows = {
                backend: [MARKS[found[one]] for one in columns] for backend, found in sorted(self.contracts.items())
            }
            if name == "queueing":
                rows = {backend: marks for backend, marks in rows.items() if "yes" in marks}
            out[name] = _table("backend", columns, rows)
        remote, cells = remote_adapters(), {}
        for adapter, found in sorted(self.faults.items()):
            none = "**no**" if adapter in remote else "–"  # what hands nothing over loses nothing
            cells[adapter] = [_times(len(found.get(fault, ()))) or none for fault in FAULTS]
        out["faults"] = _table("adapter", FAULTS, cells)
        return out


def _times(n_tests: int) -> str:
    return f"{n_tests} test{'s' * (n_tests > 1)}" if n_tests else ""


def _table(corner: str, columns: Iterable[str], rows: Mapping[str, Sequence[str]]) -> str:
    columns = list(columns)
    lines = [f"| {corner} | {' | '.join(columns)} |", f"|{'---|' * (len(columns) + 1)}"]
    lines += [f"| `{name}` | {' | '.join(cells)} |" for name, cells in rows.items()]
    return "\n".join(lines) + "\n"


def marked_faults() -> dict[str, dict[str, list[str]]]:
    """By adapter and fault, the tests that are marked with it, read from the files: no package of a cloud is needed."""
    out: dict[str, dict[str, list[str]]] = {}
    for path in sorted(Path(__file__).parent.joinpath("clouds").glob("test_*.py")):
        found: dict[str, list[str]] = {}
        for test in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):
                for name in {name for one in test.decorator_list for name in _names(one)}:
                    found.setdefault(name, []).append(test.name)
        if found:
            out[path.stem.removeprefix("test_")] = {name: sorted(tests) for name, tests in found.items()}
    return out


def _names(tree: ast.AST) -> Iterable[str]:
    """The faults named by markers anywhere in a decorator."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
            yield from (ast.literal_eval(argument) for argument in node.args)


def remote_adapters() -> set[str]:
    """The adapters that hand programs over and fetch results later, by their files' names up to an underscore."""
    out = set()
    for path in ADAPTERS.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
                if {"submit", "fetch", "capabilities"} <= methods:
                    out.add(path.stem.partition("_")[0])
    return out
