"""OpenQASM text cut into tokens, statement by statement."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from typing import NamedTuple

from superpose.errors import QasmError

__all__ = ["NS_OF", "SKIPPED", "Lexer", "Source", "Token"]

MAX_TOKEN_LENGTH = 500
NS_OF = {"ns": 1.0, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9}
"""Nanoseconds by the unit of a timing literal."""

SKIPPED = r"(?:\s++|//[^\n]*+|/\*(?s:.*?)\*/)*+"
"""Pattern of what stands between tokens; possessive, for else a run of spaces before a wrong sign takes ever longer."""

_TOKENS = r"""
    (?P<name>[^\W\d]\w*)
  | (?P<symbol>->|\*\*|\+\+|==|!=|<=|>=|<<|>>|&&|\|\||/(?!\*)|[-+*%=<>()\[\]{};,:@!&|^~]|\.(?![0-9]))
  | (?P<number>0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+
      |(?:[0-9][0-9_]*\.?(?:[0-9][0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)(?P<suffix>\w*)
  | (?P<string>"[^"\n]*"|'[^'\n]*')
  | (?P<hardware>\$[0-9]+)
  | (?P<end>\Z)
"""
_INSIDE = re.compile(f"{SKIPPED}(?:{_TOKENS})", re.VERBOSE)
_AT_START = re.compile(
    rf"{SKIPPED}(?:(?P<annotation>@[^\W\d][\w.]*[^\n]*)|(?P<pragma>\#?pragma\b[^\n]*)|{_TOKENS})", re.VERBOSE
)
_ONLY_SKIPPED = re.compile(SKIPPED)
_STATEMENT_ENDS = frozenset({";", "{", "}"})


class Token(NamedTuple):
    """A piece of the text.

    ``kind`` is name, number, duration, string, symbol, annotation, hardware, pragma or end.
    """

    kind: str
    text: str
    offset: int


class Source:
    """Text with its line starts, to tell where an offset lies."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    def error(self, offset: int, message: str) -> QasmError:
        """Return the error ``message`` at ``offset``."""
        line = bisect_right(self._starts, offset)
        return QasmError(message, line, offset - self._starts[line - 1] + 1)


class Lexer:
    """Cuts a text into tokens, from ``offset`` on, a statement at a time.

    Args:
        source: The text.
        max_tokens: Most that are cut.
    """

    def __init__(self, source: Source, max_tokens: int) -> None:
        self.source = source
        self.offset = 0
        self._max_tokens = max_tokens
        self.n_tokens = 0
        self._pattern = _AT_START

    def more(self, tokens: list[Token]) -> None:
        """Append the tokens up to the next ``;``, ``{`` or ``}``, or up to the end, comments left out.

        Raises:
            QasmError: A character or number that OpenQASM does not have, or more tokens than allowed.

        Cost: linear in the text that they take.
        """
        while True:
            token = self._cut()
            tokens.append(token)
            self.n_tokens += 1
            if self.n_tokens > self._max_tokens:
                raise self.source.error(
                    token.offset, f"Texts of more than {self._max_tokens:,} words and signs are not read."
                )
            starts = token.text in _STATEMENT_ENDS or token.kind in ("annotation", "pragma")
            self._pattern = _AT_START if starts else _INSIDE
            if token.kind == "end" or token.text in _STATEMENT_ENDS:
                return

    def _cut(self) -> Token:
        source = self.source
        match = self._pattern.match(source.text, self.offset)
        if match is None:
            raise _unreadable(source, self.offset)
        kind, self.offset = match.lastgroup or "", match.end()
        if kind == "suffix":
            kind = "number"
            if match["suffix"]:
                return self._with_suffix(match)
        piece = match[kind]
        if len(piece) > MAX_TOKEN_LENGTH and kind not in ("annotation", "pragma"):
            raise source.error(match.start(kind), f"Names and literals of {len(piece)} characters are not supported.")
        return Token(kind, piece or "end of text", match.start(kind))

    def _with_suffix(self, match: re.Match[str]) -> Token:
        literal, start = match["number"] + match["suffix"], match.start("number")
        if match["suffix"] not in NS_OF or len(literal) > MAX_TOKEN_LENGTH:
            raise self.source.error(
                start,
                f"The literal {literal[:40]!r} is not supported; timing literals end in ns, us, ms or s, "
                "and there are no imaginary ones.",
            )
        return Token("duration", literal, start)


def _unreadable(source: Source, offset: int) -> QasmError:
    match = _ONLY_SKIPPED.match(source.text, offset)
    offset = offset if match is None else match.end()
    if source.text.startswith("/*", offset):
        return source.error(offset, "This comment is never closed; end it with */.")
    return source.error(offset, f"OpenQASM has no character {source.text[offset]!r} here.")
