"""Tokens and expressions, as all versions of OpenQASM have them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import ClassVar, TypeVar

from superpose.circuits.names import FUNCTIONS, KEYWORDS
from superpose.circuits.qasm.lexer import NS_OF, Lexer, Source, Token
from superpose.circuits.qasm.syntax import (
    Cast,
    Chain,
    Constant,
    DurationLiteral,
    Expression,
    FunctionCall,
    Index,
    IndexSet,
    Inversion,
    Name,
    Negation,
    Operand,
    Power,
    Product,
    Range,
    Sum,
)
from superpose.errors import QasmError

__all__ = ["ExpressionParser"]

MAX_DEPTH = 50
CASTS = frozenset({"int", "uint", "float", "angle", "bool", "bit"})

_LISTS_END = frozenset({")", "]", "}", "{", ";"})
_RANKS = {
    "||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "==": 6, "!=": 6,
    "<": 7, "<=": 7, ">": 7, ">=": 7, "<<": 8, ">>": 8,
}  # fmt: skip

_T = TypeVar("_T")


class ExpressionParser:
    """A recursive-descent parser of expressions over a stream of tokens.

    Attributes:
        keywords: Words that are no names.
        functions: Function names, as written, and their names in OpenQASM 3.
        power: The sign of powers.
        ranks: Operators that bind less than sums do, the loosest 1.
        has_values: Whether there are casts, indices, durations, ``!``, ``~``, ``%`` and commas before a closing sign.

    Args:
        source: The text.
        max_tokens: Most tokens that are read.
    """

    keywords: ClassVar[frozenset[str]] = KEYWORDS
    functions: ClassVar[Mapping[str, str]] = {name: name for name in FUNCTIONS}
    power: ClassVar[str] = "**"
    ranks: ClassVar[Mapping[str, int]] = _RANKS
    has_values: ClassVar[bool] = True

    def __init__(self, source: Source, max_tokens: int) -> None:
        self.source = source
        self.lexer = Lexer(source, max_tokens)
        self.tokens: list[Token] = []
        self.place = 0
        self.depth = 0

    # tokens

    @property
    def token(self) -> Token:
        """The next token, which stays."""
        if self.place == len(self.tokens):
            self.tokens, self.place = [], 0
            self.lexer.more(self.tokens)
        return self.tokens[self.place]

    def after(self) -> Token:
        """The token behind the next one."""
        if self.token.kind != "end" and self.place + 1 == len(self.tokens):
            self.lexer.more(self.tokens)
        return self.tokens[min(self.place + 1, len(self.tokens) - 1)]

    def error(self, message: str, token: Token | None = None) -> QasmError:
        """Return the error ``message`` at ``token``, or at the next one."""
        return self.source.error((token or self.token).offset, message)

    def next(self) -> Token:
        """Take the next token."""
        token = self.token
        if token.kind != "end":
            self.place += 1
        return token

    def accept(self, text: str) -> bool:
        """Take the next token if it is ``text``; return whether it was."""
        if self.token.text == text:
            self.place += 1
            return True
        return False

    def expect(self, text: str) -> Token:
        """Take the next token, which must be ``text``."""
        token = self.next()
        if token.text != text:
            raise self.error(f"Expected {text!r}, got {token.text!r}.", token)
        return token

    def name(self, what: str) -> str:
        """Take the next token, which must be a name."""
        token = self.next()
        if token.kind != "name":
            raise self.error(f"Expected {what}, got {token.text!r}.", token)
        if token.text in self.keywords:
            raise self.error(f"Expected {what}, got the reserved word {token.text!r}.", token)
        return token.text

    @property
    def n_taken(self) -> int:
        """How many tokens have been taken from the text so far."""
        return self.lexer.n_tokens - len(self.tokens) + self.place

    def separated(self, item: Callable[[], _T]) -> tuple[_T, ...]:
        """Take one or more items with commas between them."""
        items = [item()]
        while self.accept(","):
            if self.has_values and self.token.text in _LISTS_END:
                break
            items.append(item())
        return tuple(items)

    # expressions, loosest binding first

    def expression(self) -> Expression:
        """Take any expression."""
        return self.ranked(1)

    def ranked(self, least: int) -> Expression:
        """Take a sum, with operators of rank ``least`` and higher behind it."""
        self.deeper()
        offset = self.token.offset
        value = self.sum()
        while (rank := self.ranks.get(self.token.text, 0)) >= least:
            rest = []
            while self.ranks.get(self.token.text) == rank:
                rest.append((self.next().text, self.ranked(rank + 1)))
            value = Chain(offset, value, tuple(rest))
        self.depth -= 1
        return value

    def sum(self) -> Expression:
        """Take terms with ``+`` or ``-`` between them."""
        offset = self.token.offset
        terms = [(1, self.product())]
        while self.token.text in ("+", "-"):
            sign = 1 if self.next().text == "+" else -1
            terms.append((sign, self.product()))
        return terms[0][1] if len(terms) == 1 else Sum(offset, tuple(terms))

    def deeper(self) -> None:
        """Count one more level of nesting."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"Expressions nested more than {MAX_DEPTH} deep are not supported.")

    def product(self) -> Expression:
        """Take factors with ``*``, ``/`` or ``%`` between them."""
        offset = self.token.offset
        factors = [("*", self.unary())]
        while self.token.text in ("*", "/") or (self.token.text == "%" and self.has_values):
            factors.append((self.next().text, self.unary()))
        return factors[0][1] if len(factors) == 1 else Product(offset, tuple(factors))

    def unary(self) -> Expression:
        """Take a power with signs in front of it."""
        offset, negative = self.token.offset, False
        while self.token.text == "-":
            self.next()
            negative = not negative
        if self.token.text in ("!", "~") and self.has_values:
            value: Expression = self.inversion()
        else:
            value = self.powers()
        return Negation(offset, value) if negative else value

    def inversion(self) -> Inversion:
        """Take ``!`` or ``~`` and what it inverts."""
        self.deeper()
        token = self.next()
        value = Inversion(token.offset, token.text, self.unary())
        self.depth -= 1
        return value

    def powers(self) -> Expression:
        """Take an atom, perhaps with an exponent; exponents bind from the right."""
        offset = self.token.offset
        base = self.atom()
        if not self.accept(self.power):
            return base
        self.deeper()
        exponent = self.unary()
        self.depth -= 1
        return Power(offset, base, exponent)

    def atom(self) -> Expression:
        """Take a number, a name, a function call or an expression in parentheses."""
        token = self.next()
        if token.kind == "number":
            if self.token.text in NS_OF and self.has_values:
                return self.duration(token, token.text + self.next().text)
            return Constant(token.offset, self.number(token))
        if token.kind == "duration":
            return self.duration(token, token.text)
        if token.text == "(":
            inner = self.expression()
            self.expect(")")
            return inner
        if token.kind != "name":
            raise self.error(f"Expected a number, a name or '(', got {token.text!r}.", token)
        if token.text in self.functions:
            self.expect("(")
            arguments = self.separated(self.expression)
            self.expect(")")
            return FunctionCall(token.offset, self.functions[token.text], arguments)
        if token.text in ("true", "false") and self.has_values:
            return Constant(token.offset, token.text == "true")
        if token.text in CASTS and self.has_values:
            return self.cast(token)
        if token.text in self.keywords:
            raise self.error(f"{token.text!r} is not supported in an expression.", token)
        if self.token.text == "(" and self.has_values:
            raise self.error(f"Calls of subroutines and external functions ({token.text!r}) are not supported.", token)
        return self.named(token)

    def cast(self, token: Token) -> Cast:
        """Take what stands behind a type's name."""
        width = self.type_width(token)
        self.expect("(")
        operand = self.expression()
        self.expect(")")
        return Cast(token.offset, token.text, width, operand)

    def width(self) -> Expression | None:
        """Take a type's width in brackets, if there is one."""
        if not self.accept("["):
            return None
        value = self.expression()
        self.expect("]")
        return value

    def type_width(self, kind: Token) -> Expression | None:
        """Take the width of the type ``kind``."""
        if kind.text in ("bool", "duration") and self.token.text == "[":
            raise self.error(f"The type {kind.text} has no width.")
        return self.width()

    def duration(self, token: Token, text: str) -> DurationLiteral:
        """Return the time that a literal is."""
        if not self.has_values:
            raise self.error(f"OpenQASM 2 has no times such as {text!r}.", token)
        digits = text.rstrip("nuµμms")
        try:
            return DurationLiteral(token.offset, float(digits) * NS_OF[text[len(digits) :]])
        except ValueError:
            raise self.error(f"A time is a decimal number of ns, us, ms or s, got {text!r}.", token) from None

    def named(self, token: Token) -> Expression:
        """Return the expression that a name is, with indices if they follow."""
        if self.token.text == "[":
            return Operand(token.offset, token.text, self.indices())
        return Name(token.offset, token.text)

    def indices(self) -> tuple[Expression | Index, ...]:
        """Take indices, each in its brackets."""
        found = []
        while self.accept("["):
            found.append(self.index_item())
            if self.token.text == ",":
                raise self.error("Indices of several dimensions are not supported (classical arrays).")
            self.expect("]")
        return tuple(found)

    def index_item(self) -> Expression | Index:
        """Take one index: an expression, a range or a set."""
        if self.token.text == "{":
            return self.index_set()
        offset = self.token.offset
        first = None if self.token.text == ":" else self.expression()
        return self.range_from(offset, first) if first is None or self.token.text == ":" else first

    def index_set(self) -> IndexSet:
        """Take ``{a, b, c}``."""
        offset = self.expect("{").offset
        items = self.separated(self.expression)
        self.expect("}")
        return IndexSet(offset, items)

    def range_from(self, offset: int, first: Expression | None) -> Range:
        """Take what stands behind the first number of a range."""
        parts: list[Expression | None] = []
        while len(parts) < 2 and self.accept(":"):
            parts.append(None if self.token.text in (":", "]") else self.expression())
        return Range(offset, first, parts[0] if len(parts) == 2 else None, parts[-1] if parts else None)

    def number(self, token: Token) -> int | float:
        """Return the value of a literal; an int where it is written as one."""
        text = token.text
        try:
            if text.isdigit():
                return int(text)
            if re.fullmatch(r"0[xXoObB]\w+", text):
                return int(text, 0)
            return int(text) if re.fullmatch(r"[0-9_]+", text) else float(text)
        except ValueError:
            raise self.error(f"{text[:40]!r} is not a number.", token) from None
