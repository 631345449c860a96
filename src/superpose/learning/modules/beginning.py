"""New beginnings for an exported module's arrays: drawn as PyTorch's layers draw them, by what uses each array.

A file tells what a module's layers are by the operators that take their arrays, not how its author began them; here
they begin as `torch.nn`'s layers do by default. No torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.errors import SpecError
from superpose.learning.modules.blocks import arrays_of
from superpose.learning.modules.exported import ExportedModule
from superpose.learning.modules.graph import Node
from superpose.learning.modules.operators import QUANTUM_LAYER

__all__ = ["check_beginning", "new_arrays"]

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]


def new_arrays(module: ExportedModule, names: Iterable[str], seed: int) -> dict[str, NDArray[Any]]:
    """Arrays as an untrained module of these layers has them; equal seeds give equal numbers.

    Parameters that the author froze, constants, and buffers that no normalisation keeps stay as they are.

    Args:
        module: what was exported.
        names: of the arrays to begin anew.
        seed: of what is drawn; each array has a stream of its own.

    Raises:
        SpecError: a parameter is used in a way that does not say how it begins.
    """
    draws, found = _draws(module), {}
    places = {name: place for place, name in enumerate(sorted(module.arrays))}
    for name in sorted(names):
        array, draw = module.arrays[name], draws.get(name)
        if draw is None:
            _refuse_parameter(module, name)
            continue
        if module.roles[name] in ("parameter", "buffer"):
            drawn = draw(np.random.default_rng([seed, places[name]]), array.shape)
            found[name] = np.ascontiguousarray(drawn.astype(array.dtype))
    return found


def check_beginning(module: ExportedModule) -> None:
    """Refuse a module of which not every trained parameter can begin anew, as training from scratch needs.

    Raises:
        SpecError: names the parameter.
    """
    draws = _draws(module)
    for name in module.arrays:
        if name not in draws:
            _refuse_parameter(module, name)


def _refuse_parameter(module: ExportedModule, name: str) -> None:
    if module.roles[name] != "parameter":
        return
    users = sorted({node.op for node in module.training.nodes if name in arrays_of(node)})
    raise SpecError(
        f"is module {module.name}, whose parameter {name!r} is used by {', '.join(users) or 'nothing'}: that does not "
        "say how it begins, so that nothing can be trained from scratch beside it. Modules of PyTorch's layers and "
        "quantum layers can be carried on",
        "fine_tune.parent",
    )


def _draws(module: ExportedModule) -> dict[str, Draw]:
    """How each array begins, where the first step that takes it says so."""
    found: dict[str, Draw] = {}
    for node in module.training.nodes:
        for name, draw in _of_node(node, module.arrays).items():
            found.setdefault(name, draw)
    return found


def _of_node(node: Node, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Draw]:
    kind = node.op.removeprefix("aten.").partition(".")[0]
    own = [value["array"] if isinstance(value, Mapping) and "array" in value else None for value in node.args]
    if node.op == QUANTUM_LAYER:
        return _named(own[1:2], _uniform(math.pi))
    if kind in ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d") and own[1] is not None:
        fan_in = math.prod(arrays[own[1]].shape[1:])
        return _named(own[1:3], _uniform(1.0 / math.sqrt(max(fan_in, 1))))
    if kind == "bilinear" and own[2] is not None:
        return _named(own[2:4], _uniform(1.0 / math.sqrt(arrays[own[2]].shape[1])))
    if kind in ("batch_norm", "instance_norm"):
        return {**_named(own[1:2], _full(1.0)), **_named(own[2:4], _full(0.0)), **_named(own[4:5], _full(1.0))}
    if kind in ("layer_norm", "group_norm", "rms_norm"):
        return {**_named(own[2:3], _full(1.0)), **_named(own[3:4], _full(0.0))}
    if kind == "embedding":
        return _named(own[:1], lambda rng, shape: rng.normal(size=shape))
    if kind == "prelu":
        return _named(own[1:2], _full(0.25))
    if kind in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
        names = arrays_of(node)
        hidden = max((arrays[name].shape[1] for name in names[1:2] if arrays[name].ndim == 2), default=1)
        return _named(names, _uniform(1.0 / math.sqrt(hidden)))
    if kind == "add_":  # a normalisation's count of batches
        return {name: _full(0.0) for name in own[:1] if name is not None and arrays[name].dtype.kind == "i"}
    return {}


def _named(names: Iterable[str | None], draw: Draw) -> dict[str, Draw]:
    return {name: draw for name in names if name is not None}


def _uniform(bound: float) -> Draw:
    return lambda rng, shape: rng.uniform(-bound, bound, size=shape)


def _full(value: float) -> Draw:
    return lambda rng, shape: np.full(shape, value)
