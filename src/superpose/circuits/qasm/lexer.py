"""OpenQASM 3 text cut into tokens."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

from superpose.errors import QasmError

__all__ = ["Source", "Token", "tokenize"]

MAX_TOKEN_LENGTH = 500

_SKIPPED = r"(?:\s+|//[^\n]*|/\*(?s:.*?)\*/)*"
_TOKENS = r"""
    (?P<name>[^\W\d]\w*)
  | (?P<symbol>->|\*\*|\+\+|==|!=|<=|>=|<<|>>|&&|\|\||/(?!\*)|[-+*%=<>()\[\]{};,:@!&|^~]|\.(?![0-9]))
  | (?P<number>0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+
      |(?:[0-9][0-9_]*\.?(?:[0-9][0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)(?P<suffix>\w*)
  | (?P<string>"[^"\n]*"|'[^'\n]*')
  | (?P<hardware>\$[0-9]+)
  | (?P<end>\Z)
"""
_INSIDE = re.compile(f"{_SKIPPED}(?:{_TOKENS})", re.VERBOSE)
_AT_START = re.compile(
    rf"{_SKIPPED}(?:(?P<annotation>@[^\W\d][\w.]*[^\n]*)|(?P<pragma>\#?pragma\b[^\n]*)|{_TOKENS})", re.VERBOSE
)
_ONLY_SKIPPED = re.compile(_SKIPPED)
_UNITS = frozenset({"ns", "us", "µs", "μs", "ms", "s"})
_STATEMENT_ENDS = frozenset({";", "{", "}"})


class Token(NamedTuple):
    """A piece of the text; ``kind`` is name, number, duration, string, symbol, annotation, hardware, pragma or end."""

    kind: str
    text: str
    offset: int


class Source:
    """Text with its line starts, to tell where an offset lies."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def error(self, offset: int, message: str) -> QasmError:
        """Return the error ``message`` at ``offset``."""
        line = bisect_right(self._starts, offset)
        return QasmError(message, line, offset - self._starts[line - 1] + 1)


def tokenize(source: Source, max_tokens: int) -> list[Token]:
    """Return the tokens of ``source``, comments left out, one of kind "end" last.

    Raises:
        QasmError: A character or number that OpenQASM does not have, or more than ``max_tokens``.

    Cost: linear in the text.
    """
    text = source.text
    tokens: list[Token] = []
    pattern = _AT_START
    offset, kind = 0, ""
    while kind != "end":
        match = pattern.match(text, offset)
        if match is None:
            raise _unreadable(source, offset)
        kind, offset = match.lastgroup or "", match.end()
        if kind == "suffix":
            kind = "number"
            if match["suffix"] in _UNITS:
                kind = "duration"
            elif match["suffix"]:
                literal = match["number"] + match["suffix"]
                raise source.error(
                    match.start(kind), f"Timing and imaginary literals like {literal!r} are not supported."
                )
        start = match.start("number" if kind == "duration" else kind)
        piece = text[start:offset] if kind == "duration" else match[kind]
        if len(piece) > MAX_TOKEN_LENGTH and kind not in ("annotation", "pragma"):
            raise source.error(start, f"Names and literals of {len(piece)} characters are not supported.")
        if len(tokens) >= max_tokens:
            raise source.error(start, f"Texts of more than {max_tokens:,} words and signs are not read.")
        tokens.append(Token(kind, piece or "end of text", start))
        pattern = _AT_START if piece in _STATEMENT_ENDS or kind in ("annotation", "pragma") else _INSIDE
    return tokens


def _unreadable(source: Source, offset: int) -> QasmError:
    match = _ONLY_SKIPPED.match(source.text, offset)
    offset = offset if match is None else match.end()
    if source.text.startswith("/*", offset):
        return source.error(offset, "This comment is never closed; end it with */.")
    return source.error(offset, f"OpenQASM has no character {source.text[offset]!r} here.")
