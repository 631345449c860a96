"""Which names a parameter may have: the identifiers of OpenQASM 3, so that every name survives the way out and back."""

from __future__ import annotations

import re
import unicodedata

from superpose.circuits.wording import shown
from superpose.errors import ParameterNameError

__all__ = ["CONSTANTS", "FUNCTIONS", "KEYWORDS", "check_name", "is_identifier"]

MAX_NAME_LENGTH = 256

CONSTANTS = frozenset({"pi", "π", "tau", "τ", "euler", "ℇ"})
FUNCTIONS = frozenset(
    {"arccos", "arcsin", "arctan", "ceiling", "cos", "exp", "floor", "imag", "log", "mod", "popcount", "pow", "real"}
    | {"rotl", "rotr", "sin", "sizeof", "sqrt", "tan"}
)
KEYWORDS = frozenset(
    {"OPENQASM", "include", "pragma", "nop", "gate", "def", "extern", "box", "let", "cal", "defcal", "defcalgrammar"}
    | {"break", "continue", "if", "else", "end", "return", "for", "while", "in", "switch", "case", "default"}
    | {"input", "output", "const", "readonly", "mutable", "qreg", "qubit", "creg", "bit", "bool", "int", "uint"}
    | {"float", "angle", "complex", "array", "void", "duration", "stretch", "im", "dim", "true", "false"}
    | {"gphase", "inv", "ctrl", "negctrl", "U", "durationof", "delay", "reset", "measure", "barrier"}
)

_ASCII = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LETTERS = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nl"})


def is_identifier(name: str) -> bool:
    """Whether ``name`` is an identifier of OpenQASM 3 (letters of any script, digits, underscores).

    Source: OpenQASM 3 live specification, "Identifiers".
    """
    if _ASCII.fullmatch(name):
        return True
    return (
        bool(name)
        and not name[0].isdigit()
        and all(c == "_" or "0" <= c <= "9" or unicodedata.category(c) in _LETTERS for c in name)
    )


def check_name(name: object) -> str:
    """Return ``name`` if a parameter may have it.

    Raises:
        ParameterNameError: Not a string, not an identifier, too long, or a reserved word of OpenQASM 3.
    """
    if not isinstance(name, str):
        raise ParameterNameError(f"A parameter's name must be a string, got {type(name).__name__}.")
    if len(name) > MAX_NAME_LENGTH:
        raise ParameterNameError(
            f"A parameter's name may have {MAX_NAME_LENGTH} characters, got {len(name)}.", length=len(name)
        )
    if not is_identifier(name):
        raise ParameterNameError(
            f"{shown(name)} cannot name a parameter; use letters, digits and underscores, a digit not first.", name=name
        )
    if name in KEYWORDS or name in CONSTANTS or name in FUNCTIONS:
        raise ParameterNameError(
            f"{name!r} is a reserved word of OpenQASM 3 and cannot name a parameter; try {name + '_'!r}.", name=name
        )
    return name
