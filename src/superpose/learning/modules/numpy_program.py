"""An exported module at work in NumPy: its predicting graph, step by step, for endpoints that load no torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.engine import CompiledProgram, compile_program
from superpose.errors import ModuleFormatError
from superpose.learning.modules.blocks import results_of
from superpose.learning.modules.exported import ExportedModule, in_place_steps
from superpose.learning.modules.graph import Node
from superpose.learning.modules.numpy_operators import NUMPY_OPERATORS, NotInNumPy
from superpose.learning.modules.operators import QUANTUM_LAYER
from superpose.learning.quantum_block import QuantumBlock

__all__ = ["NumpyProgram", "checked_outputs", "runtime_of"]


class NumpyProgram:
    """The predicting graph of a module; safe for threads, since every run has its own results.

    Args:
        module: what was exported.

    Raises:
        NotInNumPy: it uses an operator that NumPy does not serve; `ModuleNetwork` runs it then.
    """

    def __init__(self, module: ExportedModule) -> None:
        self._module = module
        self._dtype = np.dtype(module.dtype)
        self._copies_input = bool(in_place_steps(module.predicting, of_input=True))
        layers = {name: _Layer(block, module.dtype) for name, block in module.layers.items()}
        nodes = module.predicting.nodes
        last = {name: place for place, node in enumerate(nodes) for name in results_of(node)}
        spent: list[list[str]] = [[] for _ in nodes]
        for name, place in last.items():
            if name != module.predicting.output:
                spent[place].append(name)
        self._steps = [(node, _function(node, layers), names) for node, names in zip(nodes, spent, strict=True)]

    def __call__(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """Outputs ``(n_rows, n_outputs)`` in float64 of encoded rows ``(n_rows, n_columns)``.

        Raises:
            NotInNumPy: an operator's arguments are left to torch.
        """
        with np.errstate(all="ignore"):
            (last,) = deque(self._results(encoded), maxlen=1)
        outputs: NDArray[np.float64] = np.asarray(last, dtype=np.float64)
        return outputs.reshape(len(encoded), -1)  # (n_rows, n_outputs)

    def bytes_of_a_row(self) -> int:
        """What the largest step gives for one row, in bytes.

        Raises:
            NotInNumPy: an operator's arguments are left to torch.
        """
        row = np.zeros((1, self._module.n_columns))
        with np.errstate(all="ignore"):
            return max(np.asarray(result).nbytes for result in self._results(row))

    def _results(self, encoded: NDArray[np.float64]) -> Iterator[Any]:
        """What every step gives, the output last."""
        rows = encoded.astype(self._dtype, copy=self._copies_input)
        found: dict[str, Any] = {}
        for node, function, spent in self._steps:
            args = [self._value(value, found, rows) for value in node.args]
            kwargs = {name: self._value(value, found, rows) for name, value in node.kwargs.items()}
            found[node.name] = function(*args, **kwargs)
            yield found[node.name]
            for name in spent:  # large pictures would fill the memory with what nothing takes any more
                del found[name]
        yield found[self._module.predicting.output]

    def _value(self, value: Any, found: Mapping[str, Any], rows: NDArray[Any]) -> Any:
        if isinstance(value, list):
            return [self._value(item, found, rows) for item in value]
        if not isinstance(value, Mapping):
            return value
        form, name = next(iter(value.items()))
        if form == "node":
            return found[name]
        if form == "array":
            return self._module.arrays[name]
        if form == "input":
            return rows
        if form == "dtype":
            return np.dtype(name)
        return float(name) if form == "float" else None


def checked_outputs(module: ExportedModule, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """A module's outputs, if they are of the stated shape and finite.

    Raises:
        ModuleFormatError: they are not.
    """
    if outputs.shape[1] != module.n_outputs:
        raise ModuleFormatError(f"module {module.name} gave {outputs.shape[1]} outputs, stated are {module.n_outputs}")
    if not np.isfinite(outputs).all():
        raise ModuleFormatError(f"module {module.name} gave outputs that are not finite")
    return outputs


def runtime_of(module: ExportedModule, torch_outputs: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> str:
    """ "numpy" if NumPy serves the module's operators and gives what torch gives, within rounding; else "torch"."""
    rows = np.random.default_rng(0).normal(size=(32, module.n_columns))
    try:
        program = NumpyProgram(module)
        ours, single = program(rows), program(rows[:1])
    except (NotInNumPy, ValueError, TypeError, IndexError, AttributeError, KeyError, np.exceptions.DTypePromotionError):
        return "torch"
    try:
        theirs = torch_outputs(rows)
    except ModuleFormatError:  # these rows are not such as the module takes
        return "torch"
    scale = max(1.0, float(np.abs(theirs).max()))
    tolerance = (1e-5 if module.dtype == "float32" else 1e-10) * scale
    same = ours.shape == theirs.shape and np.abs(ours - theirs).max() <= tolerance
    return "numpy" if same and np.abs(single - theirs[:1]).max() <= tolerance else "torch"


class _Layer:
    """A quantum layer without gradients."""

    def __init__(self, block: QuantumBlock, dtype: str) -> None:
        self._block = block
        kind: Any = dtype
        self._program: CompiledProgram = compile_program(
            block.circuit, block.observables, inputs=block.angle_names, dtype=kind
        )

    def __call__(self, inputs: NDArray[Any], weights: NDArray[Any], layer: str, method: str) -> NDArray[Any]:
        """(batch, n_inputs), (n_weights,) -> (batch, n_observables)."""
        angles = np.ascontiguousarray(inputs)
        if self._block.feature_map_name != "identity":
            angles = self._block.feature_map.apply(angles).astype(inputs.dtype)
        return np.asarray(self._program.expectation(angles, np.ascontiguousarray(weights)))


def _function(node: Node, layers: Mapping[str, _Layer]) -> Callable[..., Any]:
    if node.op == QUANTUM_LAYER:
        return layers[str(node.args[2])]
    if node.op not in NUMPY_OPERATORS:
        raise NotInNumPy(node.op)
    return NUMPY_OPERATORS[node.op]
