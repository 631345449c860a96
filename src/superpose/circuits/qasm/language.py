"""What differs between the two versions of OpenQASM that are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from superpose.circuits.names import CONSTANTS, FUNCTIONS, KEYWORDS

__all__ = ["OPENQASM_2", "OPENQASM_3", "Language"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """A version of OpenQASM.

    Attributes:
        version: 2 or 3.
        keywords: Words that name nothing of the user's.
        functions: What a function is called in the text, and what OpenQASM 3 calls it.
        constants: Names of constants.
        power: The sign of powers.
        has_integers: Whether numbers without a point divide as integers.
        library: The file of gates that can be included.
    """

    version: int
    keywords: frozenset[str]
    functions: Mapping[str, str]
    constants: frozenset[str]
    power: str
    has_integers: bool
    library: str

    @property
    def reserved(self) -> frozenset[str]:
        """Names of constants and functions."""
        return self.constants | self.functions.keys()


OPENQASM_3 = Language(
    version=3,
    keywords=KEYWORDS,
    functions={name: name for name in FUNCTIONS},
    constants=CONSTANTS,
    power="**",
    has_integers=True,
    library="stdgates.inc",
)
OPENQASM_2 = Language(
    version=2,
    keywords=frozenset(
        {"OPENQASM", "include", "gate", "opaque", "qreg", "creg", "barrier", "measure", "reset", "if", "U"}
    ),
    functions={"sin": "sin", "cos": "cos", "tan": "tan", "exp": "exp", "ln": "log", "sqrt": "sqrt"},
    constants=frozenset({"pi"}),
    power="^",
    has_integers=False,
    library="qelib1.inc",
)
"""Source: Cross et al., Open Quantum Assembly Language, arXiv 1707.03429, appendix A."""
