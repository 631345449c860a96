"""An exported module at work in torch: its graph, step by step, on parameters that can be trained."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from superpose.errors import ModuleFormatError, SuperposeError
from superpose.learning.modules.exported import (
    ExportedModule,
    changes_in_place,
    in_place_steps,
    updates_statistics,
)
from superpose.learning.modules.graph import ModuleGraph, Node
from superpose.learning.modules.losses import class_scores
from superpose.learning.modules.numpy_program import checked_outputs
from superpose.learning.modules.operators import QUANTUM_LAYER
from superpose.learning.modules.quantum import LayerRuntime

__all__ = ["ModuleNetwork", "Tap", "module_outputs", "one_thread_in_servers", "torch_operator"]

_PYTHON: Mapping[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "neg": operator.neg,
    "getitem": operator.getitem,
}

_DTYPES = {
    name: getattr(torch, name) for name in ("float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")
}
_FORMATS = {name: getattr(torch, name) for name in ("contiguous_format", "preserve_format", "channels_last")}


def torch_operator(name: str) -> Callable[..., Any]:
    """The function behind an allowed operator's name.

    Raises:
        ModuleFormatError: this release of torch has no such operator.
    """
    namespace, _, rest = name.partition(".")
    if namespace == "python":
        return _PYTHON[rest]
    packet, _, overload = rest.partition(".")
    try:
        found: Callable[..., Any] = getattr(getattr(torch.ops.aten, packet), overload)
    except AttributeError:
        raise ModuleFormatError(
            f"torch {torch.__version__} has no operator {name}; the module was exported with another release",
            operator=name,
        ) from None
    return found


@dataclass(frozen=True)
class _Slot:
    """Where a result is kept while the graph runs."""

    place: int


@dataclass(frozen=True)
class _Step:
    """A node, ready to run: ``plain`` says that no argument is a list with results in it."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    target: int
    done: tuple[int, ...]
    name: str


@dataclass(frozen=True)
class Tap:
    """One step of a run: its arguments, detached, and its result, which the output can be differentiated by."""

    args: tuple[Any, ...]
    result: Tensor


class _GraphProgram:
    """A graph as a list of calls over slots: slot 0 is the input, then the arrays, then the nodes."""

    def __init__(
        self,
        graph: ModuleGraph,
        arrays: Sequence[str],
        layers: Mapping[str, LayerRuntime],
        still: frozenset[str] = frozenset(),
    ) -> None:
        self._layers, self._still = layers, still
        self._place = {("array", name): i for i, name in enumerate(arrays, start=1)}
        self._place["input", 0] = 0  # type: ignore[index]  # the one input has a number
        first = 1 + len(arrays)
        self._place |= {("node", node.name): first + i for i, node in enumerate(graph.nodes)}
        self.n_slots = first + len(graph.nodes)
        self.output = self._place["node", graph.output]
        self.copies_input = bool(in_place_steps(graph, of_input=True))
        last_use: dict[int, int] = {}
        read = []
        for i, node in enumerate(_resting(node, still) for node in graph.nodes):
            args, kwargs = self._value(list(node.args)), {k: self._value(v) for k, v in node.kwargs.items()}
            for place in _slots([args, list(kwargs.values())]):
                last_use[place] = i
            read.append((node, tuple(args), kwargs))
        done: dict[int, list[int]] = {}
        for place, i in last_use.items():
            if place >= first and place != self.output:
                done.setdefault(i, []).append(place)
        self.steps = [
            _Step(self._function(node), args, kwargs, first + i, tuple(done.get(i, ())), node.name)
            for i, (node, args, kwargs) in enumerate(read)
        ]

    def run(self, rows: Tensor, arrays: Sequence[Tensor], taps: dict[str, Tap] | None = None) -> Any:
        """The output for rows ``(batch, n_columns)``; ``taps`` gets what happens at the steps that it names."""
        slots: list[Any] = [None] * self.n_slots
        slots[0] = rows.clone() if self.copies_input else rows
        slots[1 : 1 + len(arrays)] = arrays
        for step in self.steps:
            args = [_filled(value, slots) for value in step.args]
            kwargs = {name: _filled(value, slots) for name, value in step.kwargs.items()}
            result = step.function(*args, **kwargs)
            if taps is not None and step.name in taps:
                taps[step.name] = Tap(tuple(v.detach().clone() if isinstance(v, Tensor) else v for v in args), result)
                result = result.clone()  # a later step may change it in place
            slots[step.target] = result
            for place in step.done:
                slots[place] = None
        return slots[self.output]

    def _function(self, node: Node) -> Callable[..., Any]:
        if node.args and changes_in_place(node) and _array_name(node.args[0]) in self._still:
            return lambda array, *rest, **further: array
        if node.op != QUANTUM_LAYER:
            return torch_operator(node.op)
        runtime = self._layers[str(node.args[2])]

        def run_layer(inputs: Tensor, weights: Tensor, layer: str, method: str) -> Tensor:
            return runtime(inputs.contiguous(), weights, method)

        return run_layer

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        form, name = next(iter(value.items()))
        if form in ("node", "array", "input"):
            return _Slot(self._place[form, name])
        return _constant(form, name)


def _resting(node: Node, still: frozenset[str]) -> Node:
    """A step, or where it normalises by statistics that are to rest, the same as it is in predicting mode."""
    if not updates_statistics(node) or _array_name(node.args[3]) not in still:
        return node
    return Node(node.name, node.op, (*node.args[:5], False, *node.args[6:]), node.kwargs)


def _array_name(value: Any) -> str | None:
    """The array that an argument is; None where it is something else."""
    return str(value["array"]) if isinstance(value, Mapping) and "array" in value else None


def _constant(form: str, name: str) -> Any:
    if form == "dtype":
        return _DTYPES[name]
    if form == "device":
        return torch.device("cpu")
    if form == "layout":
        return torch.strided
    if form == "memory_format":
        return _FORMATS[name]
    return float(name)


def _slots(value: Any) -> list[int]:
    if isinstance(value, _Slot):
        return [value.place]
    return [place for item in value for place in _slots(item)] if isinstance(value, list) else []


def _filled(value: Any, slots: Sequence[Any]) -> Any:
    if isinstance(value, _Slot):
        return slots[value.place]
    return [_filled(item, slots) for item in value] if type(value) is list else value


class ModuleNetwork(nn.Module):
    """An exported module as a `torch.nn.Module`: rows ``(batch, n_columns)`` to class scores ``(batch, n_classes)``.

    In training mode it runs the graph of ``module.train()``, else that of ``module.eval()``.

    Args:
        module: what was exported.
        loss: a row of `LOSSES`; says how outputs become class scores.
        frozen: names of parameters that are not to be trained.
        still: names of arrays that nothing changes: parameters are not trained, and normalisations take the running
            statistics that they have, also in training mode.
    """

    def __init__(
        self,
        module: ExportedModule,
        loss: str = "cross_entropy",
        frozen: frozenset[str] = frozenset(),
        still: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__()
        self.module, self.loss = module, loss
        self._names = tuple(sorted(module.arrays))
        layers = {name: LayerRuntime(block) for name, block in module.layers.items()}
        self._programs = {
            mode: _GraphProgram(graph, self._names, layers, still)
            for mode, graph in ((True, module.training), (False, module.predicting))
        }
        self._dtype = _DTYPES[module.dtype]
        for place, name in enumerate(self._names):
            tensor, role = torch.from_numpy(np.array(module.arrays[name])), module.roles[name]
            if role in ("parameter", "frozen"):
                trained = role == "parameter" and name not in frozen and name not in still
                self.register_parameter(f"array_{place}", nn.Parameter(tensor, requires_grad=trained))
            else:
                self.register_buffer(f"array_{place}", tensor)

    @property
    def array_of_parameter(self) -> dict[str, str]:
        """The module's name of each array that is a parameter here, by the name that torch knows it by."""
        own = {f"array_{place}": name for place, name in enumerate(self._names)}
        return {parameter: own[parameter] for parameter, _ in self.named_parameters()}

    def raw(self, rows: Tensor, taps: dict[str, Tap] | None = None) -> Tensor:
        """The module's own output.

        Raises:
            ModuleFormatError: the graph does not run on these rows.
        """
        arrays = [getattr(self, f"array_{place}") for place in range(len(self._names))]
        try:
            found = self._programs[self.training].run(rows.to(self._dtype), arrays, taps)
        except SuperposeError:
            raise
        except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
            raise ModuleFormatError(
                f"module {self.module.name} cannot be computed: {type(error).__name__}: {str(error)[:300]}"
            ) from error
        if not isinstance(found, Tensor):
            raise ModuleFormatError(f"module {self.module.name} must give one tensor, got {type(found).__name__}")
        return found

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, n_columns) -> (batch, n_classes), logarithms of unnormalised probabilities, float32."""
        return class_scores(self.raw(rows), self.loss).float()

    def tapped(self, rows: Tensor, names: Sequence[str]) -> tuple[Tensor, dict[str, Tap]]:
        """Class scores ``(batch, n_classes)`` in float64 with their graph, and what happened at the named steps.

        Raises:
            ModuleFormatError: the graph does not run on these rows.
        """
        taps = dict.fromkeys(names, Tap((), torch.empty(0)))
        with torch.enable_grad():
            followed = rows if rows.requires_grad else rows.clone().requires_grad_(True)
            scores = class_scores(self.raw(followed, taps), self.loss).double()
        return scores, taps

    def bytes_of_a_row(self) -> int:
        """What is kept of one row until its gradient was computed, in bytes.

        Raises:
            ModuleFormatError: the graph does not run.
        """
        kept: dict[int, int] = {}

        def count(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            scores, _ = self.tapped(torch.zeros(1, self.module.n_columns, dtype=torch.float64), ())
        for array in (*self.parameters(), *self.buffers()):  # kept for any number of rows
            kept.pop(array.untyped_storage().data_ptr(), None)
        del scores  # until here, so that no place in memory was counted twice
        return max(1, sum(kept.values()))

    def trained_module(self) -> ExportedModule:
        """The module with the arrays as they are now."""
        arrays = {
            name: np.array(getattr(self, f"array_{place}").detach().numpy()) for place, name in enumerate(self._names)
        }
        m = self.module
        return ExportedModule(
            m.name, m.n_columns, m.n_outputs, m.dtype, m.training, m.predicting, arrays, m.roles, m.layers
        )


def module_outputs(network: ModuleNetwork, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
    """The module's raw outputs ``(n_rows, n_outputs)`` in float64, without gradients, in predicting mode.

    Safe to call from several threads, since predicting changes nothing.
    """
    with torch.inference_mode():
        found = network.raw(torch.tensor(encoded, dtype=torch.float64))
    return checked_outputs(network.module, found.double().numpy().reshape(len(encoded), -1))  # (n_rows, n_outputs)


def one_thread_in_servers() -> None:
    """Have torch compute on one thread where nobody said otherwise: micro-batches are small, and each has a thread."""
    if torch.get_num_threads() > 1:
        torch.set_num_threads(1)
