"""The graph of an exported module as JSON: a list of steps, each one known operator on results of earlier ones.

A document is ``{"nodes": [{"name", "op", "args", "kwargs"}, ...], "output": name}``. An argument is a JSON value, a
list, or one of the forms ``{"node": name}``, ``{"array": name}`` (a parameter, buffer or constant), ``{"input": 0}``,
``{"dtype": "float32"}``, ``{"device": "cpu"}``, ``{"layout": "strided"}``, ``{"memory_format": name}``,
``{"float": "inf"}``. Reading one builds plain values only and needs no torch: names of operators are looked up in a
table, never imported or evaluated. (`torch.export.load` does more: it falls back to unpickling, and evaluates the text
of symbolic sizes as Python.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from superpose.errors import ModuleFormatError
from superpose.learning.modules.operators import OPERATORS, QUANTUM_LAYER, SCALAR_OPERATORS

__all__ = ["ARRAY_DTYPES", "MAX_ELEMENTS", "MAX_NODES", "ModuleGraph", "Node", "QuantumCall"]

MAX_NODES = 20_000
"""Steps of a graph."""

MAX_ELEMENTS = 2**26
"""Numbers that one step may make out of nothing or by repeating: 256 MB of float32."""

_MAX_DEPTH = 8
_FILLING = frozenset(
    {"arange", "constant_pad_nd", "eye", "full", "linspace", "new_full", "new_ones", "new_zeros", "ones", "one_hot"}
    | {"pad", "rand", "randn", "repeat", "repeat_interleave", "tile", "zeros"}
)
_MAX_TEXT = 200

ARRAY_DTYPES = ("float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")
"""Kinds of numbers that an exported module may hold and compute with."""

_FORMS: Mapping[str, tuple[str, ...] | None] = {
    "node": None,
    "array": None,
    "input": None,
    "dtype": ARRAY_DTYPES,
    "device": ("cpu",),
    "layout": ("strided",),
    "memory_format": ("contiguous_format", "preserve_format", "channels_last"),
    "float": ("inf", "-inf", "nan"),
}


@dataclass(frozen=True)
class Node:
    """One step: operator, arguments as in the document."""

    name: str
    op: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@dataclass(frozen=True)
class QuantumCall:
    """One use of a quantum layer: the layer's name in the module file, and the array its weights are."""

    layer: str
    weights: str | None


@dataclass(frozen=True, eq=False)
class ModuleGraph:
    """Steps in order, and the name of the one whose result is the module's output."""

    nodes: tuple[Node, ...]
    output: str

    @classmethod
    def from_json(cls, document: object, arrays: frozenset[str], layers: frozenset[str]) -> Self:
        """Read and check a graph.

        Args:
            document: the parsed JSON.
            arrays: names of the arrays that come with it.
            layers: names of the quantum layers that come with it.

        Raises:
            ModuleFormatError: it is no such graph, uses an operator that is not allowed, or refers to what is not
                there.
        """
        if not isinstance(document, Mapping) or set(document) != {"nodes", "output"}:
            raise ModuleFormatError("a module's graph must be an object of nodes and output")
        nodes = document["nodes"]
        if not isinstance(nodes, list) or not 1 <= len(nodes) <= MAX_NODES:
            raise ModuleFormatError(f"a module's graph must be a list of 1 to {MAX_NODES} nodes")
        known: set[str] = set()
        read = []
        for place, item in enumerate(nodes):
            node = _node(item, place)
            _check_operator(node, layers)
            _check_sizes(node)
            for form, name in _references((*node.args, *node.kwargs.values())):
                _check_reference(node, form, name, known, arrays)
            if node.name in known:
                raise ModuleFormatError(f"node {node.name!r} stands in the graph twice", node=node.name)
            known.add(node.name)
            read.append(node)
        output = document["output"]
        if not isinstance(output, str) or output not in known:
            raise ModuleFormatError("the graph's output must be the name of one of its nodes")
        return cls(tuple(read), output)

    def to_json(self) -> dict[str, Any]:
        """The document that `from_json` reads."""
        nodes = [
            {"name": n.name, "op": n.op, "args": list(n.args), **({"kwargs": dict(n.kwargs)} if n.kwargs else {})}
            for n in self.nodes
        ]
        return {"nodes": nodes, "output": self.output}

    @cached_property
    def operators(self) -> tuple[str, ...]:
        """Names of all operators used, sorted."""
        return tuple(sorted({node.op for node in self.nodes}))

    @cached_property
    def quantum_calls(self) -> tuple[QuantumCall, ...]:
        """All uses of quantum layers, in order."""
        calls = []
        for node in self.nodes:
            if node.op == QUANTUM_LAYER:
                weights = node.args[1]
                name = weights.get("array") if isinstance(weights, Mapping) else None
                calls.append(QuantumCall(str(node.args[2]), name))
        return tuple(calls)


def _node(item: object, place: int) -> Node:
    if not isinstance(item, Mapping) or not {"name", "op", "args"} <= set(item) <= {"name", "op", "args", "kwargs"}:
        raise ModuleFormatError(f"node {place} of the graph must have name, op and args, and may have kwargs")
    name, op, args, kwargs = item["name"], item["op"], item["args"], item.get("kwargs", {})
    if not isinstance(name, str) or not isinstance(op, str) or not 0 < len(name) <= _MAX_TEXT:
        raise ModuleFormatError(f"name and op of node {place} must be text")
    if not isinstance(args, list) or not isinstance(kwargs, Mapping) or not all(isinstance(k, str) for k in kwargs):
        raise ModuleFormatError(f"args of node {name!r} must be a list, and its kwargs an object")
    for value in (*args, *kwargs.values()):
        _check_value(value, name, 0)
    return Node(name, op, tuple(args), dict(kwargs))


def _check_value(value: object, name: str, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ModuleFormatError(f"an argument of node {name!r} is nested more than {_MAX_DEPTH} levels deep")
    if isinstance(value, list):
        for item in value:
            _check_value(item, name, depth + 1)
    elif isinstance(value, Mapping):
        form = str(next(iter(value), None))
        if len(value) != 1 or form not in _FORMS:
            raise ModuleFormatError(f"an argument of node {name!r} has an unknown form {sorted(map(str, value))[:3]}")
        allowed = _FORMS[form]
        if allowed is not None and value[form] not in allowed:
            raise ModuleFormatError(
                f"node {name!r} uses {form} {str(value[form])[:40]!r}; allowed are {', '.join(allowed)}", node=name
            )
    elif isinstance(value, str):
        if len(value) > _MAX_TEXT:
            raise ModuleFormatError(f"a text of node {name!r} is longer than {_MAX_TEXT} characters")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ModuleFormatError(f'a number of node {name!r} is not finite; it is written {{"float": "inf"}}')
    elif value is not None and not isinstance(value, bool | int | float):
        raise ModuleFormatError(f"an argument of node {name!r} is a {type(value).__name__}")


def _check_operator(node: Node, layers: frozenset[str]) -> None:
    namespace, _, rest = node.op.partition(".")
    if node.op not in OPERATORS and not (namespace == "python" and rest in SCALAR_OPERATORS):
        raise ModuleFormatError(
            f"node {node.name!r} uses the operator {node.op[:80]!r}, which is not among those that exported modules "
            "may use",
            node=node.name,
            operator=node.op[:80],
        )
    if node.op == QUANTUM_LAYER and (len(node.args) != 4 or node.kwargs or node.args[2] not in layers):
        raise ModuleFormatError(f"node {node.name!r} must name a quantum layer of this module", node=node.name)


def _check_sizes(node: Node) -> None:
    """Refuse a step that would fill more memory than a module may want, by the sizes written in it."""
    if node.op.partition(".")[2].partition(".")[0] not in _FILLING:
        return
    sizes = [abs(n) for n in _whole_numbers((*node.args, *node.kwargs.values())) if n]
    if math.prod(sizes) > MAX_ELEMENTS:
        raise ModuleFormatError(
            f"node {node.name!r} ({node.op}) makes an array of sizes {sizes[:8]}; at most {MAX_ELEMENTS:,} numbers are "
            "allowed in one step",
            node=node.name,
        )


def _whole_numbers(values: Sequence[Any]) -> Iterator[int]:
    for value in values:
        if isinstance(value, list):
            yield from _whole_numbers(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            yield value


def _check_reference(node: Node, form: str, name: object, known: set[str], arrays: frozenset[str]) -> None:
    if form == "input":
        found = name == 0 and not isinstance(name, bool)
    else:
        found = isinstance(name, str) and name in (known if form == "node" else arrays)
    if not found:
        raise ModuleFormatError(f"node {node.name!r} refers to {form} {str(name)[:80]!r}, which is not there before it")


def _references(values: Sequence[Any]) -> Iterator[tuple[str, object]]:
    """All nodes, arrays and inputs that arguments refer to."""
    for value in values:
        if isinstance(value, list):
            yield from _references(value)
        elif isinstance(value, Mapping):
            form, name = next(iter(value.items()))
            if form in ("node", "array", "input"):
                yield form, name
