"""Tokens taken one by one, and expressions out of them, for both versions of OpenQASM."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from superpose.circuits.qasm.language import OPENQASM_3, Language
from superpose.circuits.qasm.lexer import Source, Token, tokenize
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
    """A text as tokens, and its expressions as trees.

    Args:
        source: The text.
        max_tokens: Most words and signs that it may have.
    """

    language: Language = OPENQASM_3

    def __init__(self, source: Source, max_tokens: int) -> None:
        self.source = source
        self.tokens = tokenize(source, max_tokens)
        self.place = 0
        self.in_index = False
        self._depth = 0

    # tokens

    @property
    def token(self) -> Token:
        """The token that is next."""
        return self.tokens[self.place]

    def error(self, message: str, token: Token | None = None) -> QasmError:
        """Return the error ``message`` at a token, the next one by default."""
        return self.source.error((token or self.token).offset, message)

    def next(self) -> Token:
        """Take the next token."""
        token = self.tokens[self.place]
        if token.kind != "end":
            self.place += 1
        return token

    def accept(self, text: str) -> bool:
        """Take the next token if it reads so, and return whether it did."""
        token = self.tokens[self.place]
        if token.text == text:
            self.place += 1
            return True
        return False

    def expect(self, text: str) -> Token:
        """Take the next token, which must read so."""
        token = self.next()
        if token.text != text:
            raise self.error(f"Expected {text!r}, got {token.text!r}.", token)
        return token

    def name(self, what: str) -> str:
        """Take a name that is no reserved word."""
        token = self.next()
        if token.kind != "name":
            raise self.error(f"Expected {what}, got {token.text!r}.", token)
        if token.text in self.language.keywords:
            raise self.error(f"Expected {what}, got the reserved word {token.text!r}.", token)
        return token.text

    def separated(self, item: Callable[[], _T]) -> tuple[_T, ...]:
        """Return one or more items with commas between them."""
        items = [item()]
        while self.accept(","):
            items.append(item())
        return tuple(items)

    def index(self) -> Expression | None:
        """Take ``[expression]`` if there is one."""
        if not self.accept("["):
            return None
        self.in_index = True
        value = self.expression()
        self.in_index = False
        if self.token.text in (":", ","):
            raise self.error("Ranges and lists of indices are not supported; write one gate call per qubit.")
        self.expect("]")
        return value

    # expressions, loosest binding first

    def expression(self) -> Expression:
        """Take an expression."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.error(f"Expressions nested more than {MAX_DEPTH} deep are not supported.")
        offset = self.token.offset
        terms = [(1, self._product())]
        while self.token.text in ("+", "-"):
            sign = 1 if self.next().text == "+" else -1
            terms.append((sign, self._product()))
        self._depth -= 1
        return terms[0][1] if len(terms) == 1 else Sum(offset, tuple(terms))

    def _product(self) -> Expression:
        offset = self.token.offset
        factors = [("*", self._unary())]
        while self.token.text in ("*", "/"):
            factors.append((self.next().text, self._unary()))
        if self.token.text == "%":
            raise self.error("The operator % is not supported.")
        return factors[0][1] if len(factors) == 1 else Product(offset, tuple(factors))

    def _unary(self) -> Expression:
        offset, negative = self.token.offset, False
        while self.token.text == "-":
            self.next()
            negative = not negative
        value = self._power()
        return Negation(offset, value) if negative else value

    def _power(self) -> Expression:
        offset = self.token.offset
        base = self._atom()
        if not self.accept(self.language.power):
            return base
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.error(f"Expressions nested more than {MAX_DEPTH} deep are not supported.")
        exponent = self._unary()
        self._depth -= 1
        return Power(offset, base, exponent)

    def _atom(self) -> Expression:
        token = self.next()
        if token.kind == "number":
            value = self._number(token)
            return Constant(token.offset, value if self.language.has_integers or self.in_index else float(value))
        if token.kind == "duration":
            raise self.error(f"Timing literals like {token.text!r} are not supported here.", token)
        if token.text == "(":
            inner = self.expression()
            self.expect(")")
            return inner
        if token.kind != "name":
            raise self.error(f"Expected a number, a name or '(', got {token.text!r}.", token)
        if token.text in self.language.functions:
            self.expect("(")
            argument = self.expression()
            if self.token.text == ",":
                raise self.error(f"Functions of two arguments such as {token.text} are not supported.", token)
            self.expect(")")
            return FunctionCall(token.offset, self.language.functions[token.text], argument)
        if token.text in self.language.keywords:
            raise self.error(f"{token.text!r} is not supported in an expression.", token)
        return Name(token.offset, token.text)

    def _number(self, token: Token) -> int | float:
        text = token.text
        try:
            if text.isdigit():
                return int(text)
            if re.fullmatch(r"0[xXoObB]\w+", text):
                return int(text, 0)
            return int(text) if re.fullmatch(r"[0-9_]+", text) else float(text)
        except ValueError:
            raise self.error(f"{text[:40]!r} is not a number.", token) from None
