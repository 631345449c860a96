"""A trained module as plain values: what a model file of kind ``module_classifier`` holds and a predictor serves.

NumPy runs the module where it knows all its operators and was seen to give what torch gives; else torch does, loaded
when the first such model is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from superpose.errors import ModuleFormatError
from superpose.learning.modules.exported import ExportedModule
from superpose.learning.modules.losses import check_outputs, numpy_scores
from superpose.learning.modules.numpy_program import NumpyProgram, checked_outputs
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.quantum_block import QuantumBlock
from superpose.learning.trained_model import CLASS_TYPES, ClassLabel, class_type_of

if TYPE_CHECKING:
    from torch import Tensor

    from superpose.learning.modules.network import ModuleNetwork, Tap

__all__ = ["RUNTIMES", "ModuleModel"]

_MOST_ROWS = 4096
"""Rows of one run of the graph at most."""

_FEW_ROWS = 32
"""So many go through together whatever they take."""

_MOST_GRADIENT_ROWS = 256

_STEP_BYTES = 2**26
"""Of what the largest step of a run gives: a few of them are in memory together, and what steps need meanwhile."""

_GRAPH_BYTES = 2**28
"""Of what is kept of rows until their gradients were computed."""

RUNTIMES = ("numpy", "torch")
"""What can run a module's predicting graph."""

_PREPROCESSING, _MODULE = "preprocessing.", "module."

Outputs = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class ModuleModel:
    """Encoded rows -> the module -> class scores -> softmax.

    Attributes:
        preprocessor: from rows to encoded rows, ``(n_rows, n_columns)``.
        module: the exported module with its trained arrays.
        loss: a row of `LOSSES`; says how outputs become class scores.
        classes: labels, in the order of the probabilities.
        runtime: what runs the module: "numpy" or "torch".
    """

    kind: ClassVar[str] = "module_classifier"

    preprocessor: Preprocessor
    module: ExportedModule
    loss: str
    classes: tuple[ClassLabel, ...]
    runtime: str = "torch"

    def __post_init__(self) -> None:
        if self.runtime not in RUNTIMES:
            raise ValueError(f"runtime must be one of {', '.join(RUNTIMES)}, got {self.runtime!r}")
        check_outputs(self.loss, self.module.n_outputs, len(self.classes))
        if self.preprocessor.n_encoded != self.module.n_columns:
            raise ValueError(
                f"the module takes {self.module.n_columns} columns, preprocessing gives {self.preprocessor.n_encoded}"
            )
        if len(set(self.classes)) != len(self.classes) or class_type_of(self.classes) not in CLASS_TYPES:
            raise ValueError(f"classes must be at least two different labels of one type, got {self.classes!r}")

    @property
    def n_params(self) -> int:
        """Numbers in the module's parameters."""
        return self.module.n_params

    @property
    def blocks(self) -> tuple[QuantumBlock, ...]:
        """The module's circuits, each once."""
        return tuple(block for _, block in sorted(self.module.layers.items()))

    @property
    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """The module's arrays."""
        return self.module.arrays

    @cached_property
    def _outputs(self) -> Outputs:
        if self.runtime == "numpy":
            return NumpyProgram(self.module)
        from superpose.learning.modules.network import module_outputs

        return lambda encoded: module_outputs(self._network, encoded)

    def probabilities(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """Class probabilities ``(n_rows, n_classes)`` of encoded rows ``(n_rows, n_columns)``, in float64.

        Raises:
            ModuleFormatError: the module cannot be computed on these rows.
        """
        if not len(encoded):
            return np.empty((0, len(self.classes)))
        size = self.rows_at_once if len(encoded) > _FEW_ROWS else _FEW_ROWS
        if len(encoded) > size:
            starts = range(0, len(encoded), size)
            return np.concatenate([self.probabilities(encoded[i : i + size]) for i in starts])
        outputs = checked_outputs(self.module, self._outputs(encoded))  # (n_rows, n_outputs)
        scores = np.array(numpy_scores(outputs, self.loss), dtype=np.float64)  # (n_rows, n_classes)
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return scores

    def probability_gradients(
        self, encoded: NDArray[np.float64], classes: NDArray[np.integer]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of each row one class's probability, ``(n_rows,)``, and its gradient, ``(n_rows, n_columns)``, by torch.

        In the module's own precision, through its quantum layers too.

        Args:
            encoded: rows, ``(n_rows, n_columns)``.
            classes: index of each row's class, ``(n_rows,)``.

        Raises:
            ModuleFormatError: the module cannot be computed on these rows.
        """
        import torch

        values, slopes = [np.empty(0)], [np.empty((0, encoded.shape[1]))]
        size = self.gradient_rows_at_once if len(encoded) > 1 else 1
        for start in range(0, len(encoded), size):
            rows = torch.tensor(encoded[start : start + size], dtype=torch.float64, requires_grad=True)
            own = torch.tensor(classes[start : start + size], dtype=torch.int64)[:, None]
            shares = self._network.tapped(rows, ())[0].softmax(dim=1).gather(1, own)[:, 0]
            (slope,) = torch.autograd.grad(shares.sum(), rows, allow_unused=True)
            values.append(shares.detach().numpy())
            slopes.append(np.zeros(rows.shape) if slope is None else slope.numpy())
        return np.concatenate(values), np.concatenate(slopes)

    @cached_property
    def rows_at_once(self) -> int:
        """Rows of one run of the predicting graph: memory stays bounded, however large the pictures inside are."""
        program = self._outputs
        if isinstance(program, NumpyProgram):
            found = _STEP_BYTES // program.bytes_of_a_row()
        else:
            found = _GRAPH_BYTES // self._network.bytes_of_a_row()
        return min(_MOST_ROWS, max(_FEW_ROWS, found))

    @cached_property
    def gradient_rows_at_once(self) -> int:
        """The same for rows whose gradients are computed, of which much more is kept."""
        return min(_MOST_GRADIENT_ROWS, max(1, _GRAPH_BYTES // self._network.bytes_of_a_row()))

    @cached_property
    def _network(self) -> ModuleNetwork:
        from superpose.learning.modules.network import ModuleNetwork, one_thread_in_servers

        one_thread_in_servers()
        return ModuleNetwork(self.module, self.loss).eval()

    def tapped(self, encoded: NDArray[np.float64], names: Sequence[str]) -> tuple[Tensor, dict[str, Tap]]:
        """Class scores with their graph, and what happened at steps of the predicting graph; see `ModuleNetwork`."""
        import torch

        return self._network.tapped(torch.tensor(encoded, dtype=torch.float64), names)

    def columns_behind(
        self, encoded: NDArray[np.float64], name: str, weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The gradient by each row's columns, ``(n_rows, n_columns)``, of a weighted sum of a step's result.

        Args:
            encoded: rows, ``(n_rows, n_columns)``.
            name: the step, whose result is ``(n_rows, n_channels, ...)``.
            weights: of its entries, the same for all channels, ``(n_rows, ...)``.
        """
        import torch

        found = []
        for start in range(0, len(encoded), self.gradient_rows_at_once):
            end = start + self.gradient_rows_at_once
            rows = torch.tensor(encoded[start:end], dtype=torch.float64, requires_grad=True)
            result = self._network.tapped(rows, [name])[1][name].result
            summed = (result * torch.tensor(weights[start:end, None], dtype=result.dtype)).sum()
            slope = torch.autograd.grad(summed, rows, allow_unused=True)[0] if summed.requires_grad else None
            found.append(np.zeros(rows.shape) if slope is None else slope.numpy())
        return np.concatenate(found)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The model, except for graphs and circuits, as a JSON description and plain arrays."""
        preprocessing, learnt = self.preprocessor.to_parts()
        described = self.module.describe()
        description = {
            "preprocessing": preprocessing,
            "network": {
                "layers": ["module", "softmax"],
                "loss": self.loss,
                "runtime": self.runtime,
                "n_columns": self.module.n_columns,
                "n_params": self.n_params,
                "n_qubits": max((b.circuit.n_qubits for b in self.module.layers.values()), default=0),
                "module": described,
            },
            "classes": list(self.classes),
            "class_type": class_type_of(self.classes),
        }
        arrays = {_PREPROCESSING + name: array for name, array in learnt.items()}
        own = sorted(self.module.arrays.items())
        arrays |= {_MODULE + name: np.asarray(array, order="C") for name, array in own}  # single numbers stay single
        return description, arrays

    def to_members(self) -> dict[str, bytes]:
        """Graphs and circuits."""
        return self.module.to_members()

    @classmethod
    def from_parts(
        cls, description: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], members: Mapping[str, bytes]
    ) -> Self:
        """The inverse of `to_parts` and `to_members`; every part is checked, and nothing of it is executed.

        Raises:
            ModuleFormatError: graphs, circuits and arrays do not make a module; also ValueError, KeyError, TypeError.
        """
        network = description["network"]
        own = {name.removeprefix(_MODULE): array for name, array in arrays.items() if name.startswith(_MODULE)}
        learnt = {name.removeprefix(_PREPROCESSING): a for name, a in arrays.items() if name.startswith(_PREPROCESSING)}
        if len(own) + len(learnt) != len(arrays):
            raise ModuleFormatError("the model file holds arrays of neither the module nor its preprocessing")
        module = ExportedModule.from_parts(network["module"], members, own)
        if not set(module.to_members()) == set(members) - {"arrays.safetensors"}:
            raise ModuleFormatError("the model file has members that its module does not use")
        kind = CLASS_TYPES[description["class_type"]]
        return cls(
            preprocessor=Preprocessor.from_parts(description["preprocessing"], learnt),
            module=module,
            loss=str(network["loss"]),
            classes=tuple(kind(label) for label in description["classes"]),
            runtime=str(network["runtime"]),
        )
