"""Texts: which language one is in, and the circuit that it means."""

from __future__ import annotations

import re
from types import MappingProxyType

from superpose.circuits import Circuit

__all__ = ["LANGUAGES", "is_text", "language_of", "read_text"]

LANGUAGES = MappingProxyType({".qasm": "openqasm", ".json": "json", ".qs": "qsharp", ".quil": "quil"})
"""What stands in a file, by the end of its name."""

_REMARK = re.compile(r"//[^\n]*|#[^\n]*|/\*.*?\*/", re.DOTALL)
_QSHARP = re.compile(r"\b(operation|namespace)\s+[\w.]+\s*(<[^>]*>\s*)?[({]")
_QUIL = re.compile(r"\s*(?!OPENQASM\b)[A-Z][A-Z0-9-]*\b(?!\s*q?\[)")


def is_text(source: str) -> bool:
    """Return whether a string is a text rather than a path: it has ``;``, ``{``, or an end of line with more around it.

    >>> is_text("circuit.qasm"), is_text("H 0\\nCNOT 0 1"), is_text("qubit q;")
    (False, True, True)
    """
    return ";" in source or "{" in source or "\n" in source


def language_of(text: str) -> str:
    """Return the language of a text: "json", "qsharp", "quil" or "openqasm".

    >>> language_of("operation Main() : Unit { }"), language_of("H 0\\nCNOT 0 1"), language_of("qubit q;")
    ('qsharp', 'quil', 'openqasm')
    """
    bare = text.lstrip("\ufeff \t\r\n")
    if bare.startswith("{"):
        return "json"
    code = _REMARK.sub(" ", bare)
    if _QSHARP.search(code):
        return "qsharp"
    return "quil" if _QUIL.match(code) else "openqasm"


def read_text(text: str, name: str = "circuit", language: str | None = None) -> Circuit:
    """Return the circuit in a text.

    Raises:
        CircuitFormatError: JSON that is no circuit.
        QasmError: OpenQASM that cannot be read.
        ConversionError: Q# or Quil that cannot be read, or that holds something that cannot be kept.
        ToolkitMissingError: What reads Q# or Quil is not installed.
    """
    language = language or language_of(text)
    if language in ("qsharp", "quil"):
        from superpose.frontends.table import TOOLKITS

        row = TOOLKITS["qsharp" if language == "qsharp" else "pyquil"]
        circuit: Circuit = row.module().read(text, name)
        return circuit
    from superpose.circuits import circuit_from_json, from_qasm  # parsers, that toolkits' objects do without

    return circuit_from_json(text) if language == "json" else from_qasm(text, name)
