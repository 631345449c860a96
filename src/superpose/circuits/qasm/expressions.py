"""Tokens and expressions, as all versions of OpenQASM have them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import ClassVar, TypeVar

from superpose.circuits.names import FUNCTIONS, KEYWORDS
from superpose.circuits.qasm.lexer import Lexer, Source, Token
from superpose.circuits.qasm.syntax import (
    Constant,
    Expression,
    FunctionCall,
    Name,
    Negation,
    Power,
    Product,
    Sum,
)
from superpose.errors import QasmError

__all__ = ["ExpressionParser"]

MAX_DEPTH = 50

_T = TypeVar("_T")


class ExpressionParser:
    """A recursive-descent parser of expressions over a stream of tokens.

    Attributes:
        keywords: Words that are no names.
        functions: Function names, as written, and their names in OpenQASM 3.
        power: The sign of powers.

    Args:
        source: The text.
        max_tokens: Most tokens that are read.
    """

    keywords: ClassVar[frozenset[str]] = KEYWORDS
    functions: ClassVar[Mapping[str, str]] = {name: name for name in FUNCTIONS}
    power: ClassVar[str] = "**"

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

    def separated(self, item: Callable[[], _T]) -> tuple[_T, ...]:
        """Take one or more items with commas between them."""
        items = [item()]
        while self.accept(","):
            items.append(item())
        return tuple(items)

    # expressions, loosest binding first

    def expression(self) -> Expression:
        """Take a sum, or what is one in a wider sense."""
        self.deeper()
        offset = self.token.offset
        terms = [(1, self.product())]
        while self.token.text in ("+", "-"):
            sign = 1 if self.next().text == "+" else -1
            terms.append((sign, self.product()))
        self.depth -= 1
        return terms[0][1] if len(terms) == 1 else Sum(offset, tuple(terms))

    def deeper(self) -> None:
        """Count one more level of nesting."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"Expressions nested more than {MAX_DEPTH} deep are not supported.")

    def product(self) -> Expression:
        """Take factors with ``*`` or ``/`` between them."""
        offset = self.token.offset
        factors = [("*", self.unary())]
        while self.token.text in ("*", "/"):
            factors.append((self.next().text, self.unary()))
        if self.token.text == "%":
            raise self.error("The operator % is not supported.")
        return factors[0][1] if len(factors) == 1 else Product(offset, tuple(factors))

    def unary(self) -> Expression:
        """Take a power with signs in front of it."""
        offset, negative = self.token.offset, False
        while self.token.text == "-":
            self.next()
            negative = not negative
        value = self.powers()
        return Negation(offset, value) if negative else value

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
            return Constant(token.offset, self.number(token))
        if token.kind == "duration":
            raise self.error(f"Timing literals like {token.text!r} stand in delays only.", token)
        if token.text == "(":
            inner = self.expression()
            self.expect(")")
            return inner
        if token.kind != "name":
            raise self.error(f"Expected a number, a name or '(', got {token.text!r}.", token)
        if token.text in self.functions:
            self.expect("(")
            argument = self.expression()
            if self.token.text == ",":
                raise self.error(f"Functions of two arguments such as {token.text} are not supported.", token)
            self.expect(")")
            return FunctionCall(token.offset, self.functions[token.text], argument)
        if token.text in self.keywords:
            raise self.error(f"{token.text!r} is not supported in an expression.", token)
        return self.named(token)

    def named(self, token: Token) -> Expression:
        """Return the expression that a name is."""
        return Name(token.offset, token.text)

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
