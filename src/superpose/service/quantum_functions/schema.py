"""The inputs of functions: JSON Schemas that are safe to evaluate here, and the one that a circuit implies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from superpose.errors import FunctionFileError, FunctionInputError

__all__ = ["check_schema", "input_check", "schema_of"]

MAX_NODES = 2_000
"""Subschemas with every reference followed: what one evaluation may cost for each value of the input."""

_MAX_DEPTH = 64
_REFUSED = ("$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$recursiveAnchor", "$anchor", "$id")


def schema_of(parameters: Sequence[str]) -> dict[str, Any]:
    """The schema of inputs that are the parameters of a circuit: each a number, or a list of numbers for a batch."""
    one = {"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}, "minItems": 1}]}
    return {
        "type": "object",
        "properties": {name: one for name in parameters},
        "required": list(parameters),
        "additionalProperties": False,
    }


def check_schema(schema: object) -> dict[str, Any]:
    """The schema, if it is one (draft 2020-12) that can be evaluated in bounded time and without asking anybody.

    References lead into the schema itself and in no circle; patterns are those of linear-time matching.

    Raises:
        FunctionFileError: it is not.
    """
    if not isinstance(schema, Mapping):
        _refuse(f"must be a JSON Schema, an object; got {type(schema).__name__}")
    document = dict(schema)
    _count(document, document, 0, [0])
    input_check(document)
    return document


def input_check(schema: Mapping[str, Any]) -> Callable[[object], None]:
    """A function that refuses values which do not fit the schema.

    Raises:
        FunctionFileError: the schema is none, or has a pattern that cannot be matched in linear time.
    """
    import jsonschema_rs

    def nothing(uri: str) -> Any:
        raise ValueError(f"{uri} is not looked up")

    try:
        validator = jsonschema_rs.Draft202012Validator(
            dict(schema), retriever=nothing, pattern_options=jsonschema_rs.RegexOptions()
        )
    except UnicodeEncodeError:
        _refuse("holds half of a character (a lone surrogate)")
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        _refuse(f"is no JSON Schema of draft 2020-12: {str(error).splitlines()[0][:300]}")

    def check(value: object) -> None:
        try:
            errors = list(validator.iter_errors(value))
        except UnicodeEncodeError:
            raise FunctionInputError(
                "The input holds half of a character (a lone surrogate), which is no text.", field="input"
            ) from None
        for error in errors:
            place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path)
            raise FunctionInputError(
                f"The input does not fit the function's schema at {f'input{place}'[:200]}: {error.message[:300]}.",
                field=f"input{place}"[:200],
            )

    return check


def _count(root: Mapping[str, Any], node: object, depth: int, seen: list[int]) -> None:
    """Refuse a schema that is too large once every reference in it is followed."""
    seen[0] += 1
    if seen[0] > MAX_NODES or depth > _MAX_DEPTH:
        _refuse(f"has more than {MAX_NODES:,} parts or {_MAX_DEPTH} levels, references followed, or refers to itself")
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name in _REFUSED:
                _refuse(f"uses {name}; refer to a part of the schema by '$ref': '#/$defs/NAME'")
            if name == "$ref":
                _count(root, _target(root, value), depth + 1, seen)
            else:
                _count(root, value, depth + 1, seen)
    elif isinstance(node, list):
        for value in node:
            _count(root, value, depth + 1, seen)


def _target(root: Mapping[str, Any], reference: object) -> object:
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        _refuse(f"refers to {str(reference)[:100]!r}; only references into itself ('#/$defs/NAME') are taken")
    found: Any = root
    for part in reference.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or name not in found:
            _refuse(f"refers to {reference[:100]!r}, which is not there")
        found = found[name]
    return found


def _refuse(what: str) -> NoReturn:
    raise FunctionFileError(f"INPUT_SCHEMA {what}.", field="INPUT_SCHEMA")
