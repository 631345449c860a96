"""The blocks of an exported module: which arrays stand before, in and behind its circuits. No torch.

The circuits part a module's graph: **head** is what the output needs and no circuit does, **circuit** the weights of
quantum layers, **entry** the layer next before them, **features** all before that. A module without circuits has
features and a head, its last layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from superpose.learning.modules.exported import ExportedModule
from superpose.learning.modules.graph import ModuleGraph, Node
from superpose.learning.modules.operators import QUANTUM_LAYER

__all__ = ["MODULE_BLOCKS", "arrays_of", "blocks_of", "last_layer", "last_of", "results_of"]

MODULE_BLOCKS = ("features", "entry", "circuit", "head")
"""In the order of the graph; an array that several blocks use belongs to the first of them."""


def blocks_of(module: ExportedModule) -> dict[str, str]:
    """The block of each array that the training graph uses.

    Args:
        module: what was exported.

    Returns:
        A word of `MODULE_BLOCKS` by the array's name.
    """
    graph = module.training
    calls = [node for node in graph.nodes if node.op == QUANTUM_LAYER]
    found: dict[str, str] = {}
    if calls:
        before = _ancestors(graph, [name for call in calls for name in _nodes(call.args[:1])])
        next_to = _last_with_parameters(module, graph, [name for call in calls for name in _nodes(call.args[:1])])
        weights = {call.name for call in calls} | _ancestors(
            graph, [name for call in calls for name in _nodes(call.args[1:2])]
        )
    else:
        next_to = _last_with_parameters(module, graph, [graph.output])
        before, weights = {node.name for node in graph.nodes} - next_to, set()
    needed = _ancestors(graph, [graph.output])
    for node in graph.nodes:
        block = _block(node.name, before, next_to, weights, bool(calls))
        for array in arrays_of(node) if node.name in needed else ():
            old = found.get(array)
            if old is None or MODULE_BLOCKS.index(block) < MODULE_BLOCKS.index(old):
                found[array] = block
    return found | _counters(graph, found)


def _counters(graph: ModuleGraph, found: Mapping[str, str]) -> dict[str, str]:
    """Arrays that the output does not need, such as a normalisation's count: of the block of their own layer."""
    layers = {name.rpartition(".")[0]: block for name, block in found.items()}
    others = {array for node in graph.nodes for array in arrays_of(node)} - set(found)
    return {array: layers.get(array.rpartition(".")[0], "head") for array in sorted(others)}


def _block(node: str, before: set[str], next_to: set[str], weights: set[str], has_circuits: bool) -> str:
    if node in next_to:
        return "entry" if has_circuits else "head"
    if node in before:
        return "features"
    return "circuit" if node in weights else "head"


def last_layer(module: ExportedModule) -> Node | None:
    """The linear layer that gives the module's outputs; None where they come from something else."""
    for graph in (module.training, module.predicting):
        names = _last_with_parameters(module, graph, [graph.output])
        own = [node for node in graph.nodes if node.name in names]
        arrays = {tuple(arrays_of(node)) for node in own}
        if len(arrays) != 1 or any(node.op != "aten.linear.default" for node in own):
            return None
    return own[0]


def last_of(graph: ModuleGraph, names: Sequence[str]) -> list[str]:
    """Those of some steps whose results none of the others needs: of several branches the last of each."""
    needed = {own for name in names for own in _ancestors(graph, [name]) - {name}}
    return [name for name in names if name not in needed]


def arrays_of(node: Node) -> list[str]:
    """Names of the arrays that a step takes, in order."""
    return [str(name) for form, name in _references((*node.args, *node.kwargs.values())) if form == "array"]


def results_of(node: Node) -> list[str]:
    """Names of the earlier steps whose results a step takes."""
    return _nodes((*node.args, *node.kwargs.values()))


def _last_with_parameters(module: ExportedModule, graph: ModuleGraph, ends: Sequence[str]) -> set[str]:
    """Going back from some steps, the first on each way that takes a parameter and is no quantum layer."""
    steps = {node.name: node for node in graph.nodes}
    found: set[str] = set()
    seen: set[str] = set()
    waiting = list(ends)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        node = steps[name]
        takes = any(module.roles[array] in ("parameter", "frozen") for array in arrays_of(node))
        if takes and node.op != QUANTUM_LAYER:
            found.add(name)
        else:
            waiting += _nodes((*node.args, *node.kwargs.values()))
    return found


def _ancestors(graph: ModuleGraph, ends: Sequence[str]) -> set[str]:
    """The steps themselves and all whose results they need."""
    steps = {node.name: node for node in graph.nodes}
    found: set[str] = set()
    waiting = list(ends)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _nodes((*steps[name].args, *steps[name].kwargs.values()))
    return found


def _nodes(values: Iterable[Any]) -> list[str]:
    return [str(name) for form, name in _references(values) if form == "node"]


def _references(values: Iterable[Any]) -> Iterator[tuple[str, object]]:
    for value in values:
        if isinstance(value, list):
            yield from _references(value)
        elif isinstance(value, Mapping):
            form, name = next(iter(value.items()))
            yield form, name
