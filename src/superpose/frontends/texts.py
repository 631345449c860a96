"""Texts: which form one is in, and the circuit that it means."""

from __future__ import annotations

import re

from superpose.circuits import Circuit

__all__ = ["form_of_text", "is_text", "read_text"]

_REMARK = re.compile(r"//[^\n]*|#[^\n]*|/\*.*?\*/", re.DOTALL)
_QSHARP = re.compile(r"\b(operation|namespace)\s+[\w.]+\s*(<[^>]*>\s*)?[({]")
_QUIL = re.compile(r"\s*(?!OPENQASM\b)[A-Z][A-Z0-9-]*\b(?!\s*q?\[)")


def is_text(source: str) -> bool:
    """Return whether a string is a text rather than a path: it has ``;``, ``{``, or an end of line with more around it.

    >>> is_text("circuit.qasm"), is_text("H 0\\nCNOT 0 1"), is_text("qubit q;")
    (False, True, True)
    """
    return ";" in source or "{" in source or "\n" in source


def form_of_text(text: str) -> str:
    """Return the name of the text form that a text is in: "superpose", "qsharp", "quil" or "openqasm3" (or 2).

    >>> form_of_text("operation Main() : Unit { }"), form_of_text("H 0\\nCNOT 0 1"), form_of_text("qubit q;")
    ('qsharp', 'quil', 'openqasm3')
    """
    bare = text.lstrip("\ufeff \t\r\n")
    if bare.startswith("{"):
        return "superpose"
    code = _REMARK.sub(" ", bare)
    if _QSHARP.search(code):
        return "qsharp"
    return "quil" if _QUIL.match(code) else "openqasm3"


def read_text(text: str, name: str = "circuit") -> Circuit:
    """Return the circuit in a text, whose form is told by how it begins.

    Raises:
        CircuitFormatError: JSON that is no circuit.
        QasmError: OpenQASM that cannot be read.
        ConversionError: Q# or Quil that cannot be read, or that holds something that cannot be kept.
        ToolkitMissingError: What reads Q# or Quil is not installed.
    """
    from superpose.frontends.text_forms import READERS

    return READERS[form_of_text(text)](text, name)
