"""The language in which models are searched: terms between blanks, all of which must hold for one version.

=====================  ================================================================================
term                   holds where
=====================  ================================================================================
``word``, ``"words"``  name, note, tags, data set, family or alias hold the text
``accuracy>0.9``       the metric (or n_qubits, n_params, layers, version) compares so: ``> >= < <= = !=``
``tag:site``           the model or the version has the tag; ``tag:site=north`` with this value
``name:`` ``note:``    the name or a note holds the text
``dataset:``           the data set's name holds the text, or its digest begins with it
``family:angle``       encoding, ansatz or kind is of this name
``alias:champion``     the version has the alias
=====================  ================================================================================

Text is compared without regard to case.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from superpose.errors import RequestError

__all__ = ["ModelQuery", "VersionFacts"]

MAX_CHARACTERS = 500
MAX_TERMS = 20

_NUMBERS = ("n_qubits", "n_params", "layers", "version")
_TOKEN = re.compile(r'(?:[A-Za-z_]+:)?"[^"]*"|\S+')
_COMPARISON = re.compile(r"([A-Za-z_]\w*)(>=|<=|!=|==|=|>|<)(.+)", re.ASCII)
_KEYED = re.compile(r"([A-Za-z_]+):(.*)", re.ASCII | re.DOTALL)
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class VersionFacts:
    """What a search can ask about one version of a model; ``note`` and ``tags`` are the model's and the version's."""

    model: str
    version: int
    notes: tuple[str, ...]
    tags: Mapping[str, frozenset[str]]
    aliases: tuple[str, ...]
    dataset: str
    dataset_digest: str
    families: tuple[str, ...]
    numbers: Mapping[str, float]

    def texts(self) -> Iterator[str]:
        """Everything that a bare word is looked for in."""
        yield self.model
        yield from self.notes
        for name, values in self.tags.items():
            yield name
            yield from values
        yield from (self.dataset, *self.families, *self.aliases)


Term = Callable[[VersionFacts], bool]


@dataclass(frozen=True)
class ModelQuery:
    """A search that has been read; ``terms`` are what must hold."""

    terms: tuple[Term, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a search.

        Raises:
            RequestError: unknown key or number, a value that is no number, or too much of it; the message names it.
        """
        if len(text) > MAX_CHARACTERS:
            raise RequestError(f"query has {len(text)} characters; at most {MAX_CHARACTERS} are read.", field="query")
        tokens = _TOKEN.findall(text)
        if len(tokens) > MAX_TERMS:
            raise RequestError(f"query has {len(tokens)} terms; at most {MAX_TERMS} are read.", field="query")
        return cls(tuple(map(_term, tokens)))

    def matches(self, facts: VersionFacts) -> bool:
        """Whether every term holds for the version."""
        return all(term(facts) for term in self.terms)


def _term(token: str) -> Term:
    keyed = _KEYED.fullmatch(token)
    if keyed:
        return _keyed(keyed[1].lower(), keyed[2].strip('"'))
    compared = _COMPARISON.fullmatch(token)
    if compared:
        return _compared(*compared.groups())
    word = token.strip('"').casefold()
    return lambda facts: any(word in text.casefold() for text in facts.texts())


def _compared(name: str, sign: str, value: str) -> Term:
    from superpose.learning.metrics import METRICS, NUMBER_METRICS

    allowed = (*METRICS, *NUMBER_METRICS, *_NUMBERS)
    if name not in allowed:
        raise RequestError(
            f"query compares {name!r}, which is no number of a version; allowed are {', '.join(allowed)}. "
            f"For a tag say tag:{name}=VALUE.",
            field="query",
            allowed=list(allowed),
        )
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RequestError(f"query compares {name} with {value[:40]!r}; a number is needed.", field="query")
    compare = _OPERATORS[sign]
    return lambda facts: name in facts.numbers and compare(facts.numbers[name], number)


def _keyed(key: str, value: str) -> Term:
    text = value.casefold()
    terms: dict[str, Term] = {
        "name": lambda facts: text in facts.model.casefold(),
        "note": lambda facts: any(text in note.casefold() for note in facts.notes),
        "dataset": lambda facts: text in facts.dataset.casefold() or facts.dataset_digest.startswith(text),
        "family": lambda facts: text in facts.families,
        "alias": lambda facts: text in map(str.casefold, facts.aliases),
        "tag": _tagged(text),
    }
    if key not in terms or not text:
        raise RequestError(
            f"query has the term {f'{key}:{value}'[:60]!r}; allowed are {', '.join(f'{k}:TEXT' for k in terms)}.",
            field="query",
            allowed=list(terms),
        )
    return terms[key]


def _tagged(text: str) -> Term:
    name, equal, value = text.partition("=")

    def holds(facts: VersionFacts) -> bool:
        values = [v for tag, found in facts.tags.items() if tag.casefold() == name for v in found]
        return bool(values) and (not equal or value in map(str.casefold, values))

    return holds
