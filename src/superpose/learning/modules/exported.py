"""An exported module as plain values, and its file: graphs and circuits (JSON), arrays (safetensors). No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from superpose import __version__
from superpose.circuits import circuit_from_json, circuit_to_json
from superpose.errors import ModelFileCorruptError, ModuleFormatError, SuperposeError
from superpose.learning.canonical import canonical_json, digest_bytes, write_atomically
from superpose.learning.container import pack, unpack
from superpose.learning.modules.graph import ARRAY_DTYPES, ModuleGraph, Node
from superpose.learning.quantum_block import QuantumBlock

__all__ = ["ROLES", "ExportedModule", "changes_in_place", "in_place_steps", "updates_statistics"]

FORMAT_VERSION = 1
MAX_CIRCUITS = 50
MAX_OUTPUTS = 10_000

ROLES = ("parameter", "frozen", "buffer", "constant")
"""What an array is: trained, a parameter that is not trained, changed by training steps, or never changed."""

_MANIFEST, _ARRAYS, _TRAINING, _PREDICTING = (
    "manifest.json",
    "arrays.safetensors",
    "graphs/training.json",
    "graphs/predicting.json",
)


@dataclass(frozen=True, eq=False)
class ExportedModule:
    """A module ``(batch, n_columns) -> (batch, n_outputs)`` as data.

    Attributes:
        name: what the module's class was called.
        n_columns: inputs per row.
        n_outputs: outputs per row; a module that gives ``(batch,)`` has one.
        dtype: "float32" or "float64", of its inputs.
        training: the graph of ``module.train()``, with dropout and changing buffers.
        predicting: the graph of ``module.eval()``.
        arrays: parameters, buffers and constants by their names in the module.
        roles: for each array a word of `ROLES`.
        layers: the quantum layers by the names that the graphs call them.
    """

    name: str
    n_columns: int
    n_outputs: int
    dtype: str
    training: ModuleGraph
    predicting: ModuleGraph
    arrays: Mapping[str, NDArray[Any]]
    roles: Mapping[str, str]
    layers: Mapping[str, QuantumBlock]

    @property
    def n_params(self) -> int:
        """Numbers in trained and frozen parameters."""
        return sum(a.size for name, a in self.arrays.items() if self.roles[name] in ("parameter", "frozen"))

    @property
    def n_trainable(self) -> int:
        """Numbers that training changes."""
        return sum(a.size for name, a in self.arrays.items() if self.roles[name] == "parameter")

    @cached_property
    def quantum_weights(self) -> frozenset[str]:
        """Arrays that are weights of quantum layers."""
        calls = (*self.training.quantum_calls, *self.predicting.quantum_calls)
        return frozenset(call.weights for call in calls if call.weights is not None)

    def describe(self) -> dict[str, Any]:
        """What manifests and the registry say of the module; JSON values."""
        return {
            "name": self.name,
            "n_columns": self.n_columns,
            "n_outputs": self.n_outputs,
            "dtype": self.dtype,
            "n_params": self.n_params,
            "n_trainable": self.n_trainable,
            "operators": sorted({*self.training.operators, *self.predicting.operators}),
            "roles": dict(sorted(self.roles.items())),
            "layers": {
                name: {**block.to_dict(), "n_qubits": block.circuit.n_qubits, "member": f"circuits/{name}.json"}
                for name, block in sorted(self.layers.items())
            },
        }

    def to_members(self) -> dict[str, bytes]:
        """Graphs and circuits as members of a file; the arrays go their own way."""
        circuits = {
            f"circuits/{name}.json": canonical_json(circuit_to_json(block.circuit))
            for name, block in sorted(self.layers.items())
        }
        graphs = {_TRAINING: self.training, _PREDICTING: self.predicting}
        return {**circuits, **{name: canonical_json(graph.to_json()) for name, graph in graphs.items()}}

    @classmethod
    def from_parts(cls, description: object, members: Mapping[str, bytes], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `describe` and `to_members`; every part is checked.

        Raises:
            ModuleFormatError: the parts do not make an exported module.
        """
        try:
            return cls._from_parts(description, members, arrays)
        except ModuleFormatError:
            raise
        except (SuperposeError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
            raise ModuleFormatError(
                f"the parts do not make an exported module: {type(error).__name__}: {str(error)[:200]}"
            ) from None

    @classmethod
    def _from_parts(cls, description: Any, members: Mapping[str, bytes], arrays: Mapping[str, NDArray[Any]]) -> Self:
        roles = {str(name): str(role) for name, role in description["roles"].items()}
        _check_arrays(arrays, roles)
        if len(description["layers"]) > MAX_CIRCUITS:
            raise ModuleFormatError(f"a module holds at most {MAX_CIRCUITS} different circuits")
        layers = {}
        for name, facts in description["layers"].items():
            circuit = circuit_from_json(json.loads(members[f"circuits/{name}.json"]))
            layers[str(name)] = QuantumBlock.from_parts(circuit, facts)
            if layers[name].weight_names != tuple(facts["weight_names"]):
                raise ModuleFormatError(f"the weights of circuit {name} stand in another order than described")
        known, names = frozenset(arrays), frozenset(layers)
        graphs = [ModuleGraph.from_json(json.loads(members[m]), known, names) for m in (_TRAINING, _PREDICTING)]
        changed = in_place_steps(graphs[1])
        if changed:
            raise ModuleFormatError(
                f"predicting changes an array of the module in node {changed[0]!r}", node=changed[0]
            )
        dtype, n_columns, n_outputs = description["dtype"], description["n_columns"], description["n_outputs"]
        sizes_fit = all(isinstance(n, int) and 1 <= n <= 10**6 for n in (n_columns, n_outputs))
        if dtype not in ("float32", "float64") or not sizes_fit or n_outputs > MAX_OUTPUTS:
            raise ModuleFormatError(
                f"dtype, n_columns or n_outputs are not usable: {dtype!r}, {n_columns}, {n_outputs}"
            )
        name = str(description["name"])[:100]
        return cls(name, n_columns, n_outputs, dtype, graphs[0], graphs[1], dict(arrays), roles, layers)

    def to_bytes(self) -> bytes:
        """The module's file: what a client uploads. Equal modules give equal bytes."""
        members = {_ARRAYS: _save(self.arrays), **self.to_members()}
        manifest = {
            "format": "superpose-module",
            "format_version": FORMAT_VERSION,
            "superpose_version": __version__,
            "module": self.describe(),
            "members": {name: {"sha256": digest_bytes(m), "size": len(m)} for name, m in members.items()},
        }
        text = json.dumps(manifest, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode()
        return pack({_MANIFEST: text, **members})

    def save(self, path: Path | str) -> Path:
        """Write the module's file; it appears whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        target = Path(path)
        write_atomically(target, self.to_bytes())
        return target

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read and check a module's file. Nothing in it is executed, unpickled or evaluated.

        Raises:
            ModuleFormatError: it is no such file, is damaged, or uses what exported modules may not.
        """
        try:
            members = unpack(content)
        except ModelFileCorruptError as error:
            raise ModuleFormatError(f"not an exported module: {error.message}") from None
        try:
            manifest = json.loads(members[_MANIFEST])
            kind, version, listed = manifest["format"], manifest["format_version"], manifest["members"]
        except (KeyError, ValueError, TypeError, RecursionError):
            raise ModuleFormatError("not an exported module: its manifest is absent or not JSON") from None
        if kind != "superpose-module" or version != FORMAT_VERSION:
            raise ModuleFormatError(
                f"the file has format {str(kind)[:40]!r} version {str(version)[:10]}, this release reads "
                f"superpose-module {FORMAT_VERSION}; export the module with this release"
            )
        stated = {n: {"sha256": digest_bytes(m), "size": len(m)} for n, m in members.items() if n != _MANIFEST}
        if listed != stated or _ARRAYS not in members:
            raise ModuleFormatError("the members of the exported module are not those that its manifest lists")
        try:
            arrays = {name: np.array(array) for name, array in safetensors.numpy.load(members[_ARRAYS]).items()}
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ModuleFormatError(f"the arrays of the exported module cannot be read: {str(error)[:100]}") from None
        found = cls.from_parts(manifest.get("module"), members, arrays)
        if set(stated) != {_ARRAYS, *found.to_members()}:
            raise ModuleFormatError("the exported module has members that it does not use")
        return found


def _save(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    return safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in sorted(arrays.items())})


def _check_arrays(arrays: Mapping[str, NDArray[Any]], roles: Mapping[str, str]) -> None:
    if set(arrays) != set(roles) or not set(roles.values()) <= set(ROLES):
        raise ModuleFormatError("each array needs one role of " + ", ".join(ROLES))
    for name, array in arrays.items():
        if str(array.dtype) not in ARRAY_DTYPES:
            raise ModuleFormatError(f"array {name!r} has dtype {array.dtype}; allowed are {', '.join(ARRAY_DTYPES)}")
        trained = roles[name] == "parameter"
        if trained and not (array.dtype.kind == "f" and np.isfinite(array).all()):
            raise ModuleFormatError(f"parameter {name!r} must hold finite floating-point numbers")


_VIEWS = """
alias.default broadcast_to.default chunk.default contiguous.default detach.default diagonal.default expand.default
expand_as.default flatten.using_ints movedim.int movedim.intlist narrow.default numpy_T.default permute.default
reshape.default select.int slice.Tensor split.Tensor split.sizes split_with_sizes.default squeeze.default squeeze.dim
squeeze.dims swapaxes.default t.default to.device to.dtype to.dtype_layout transpose.int type_as.default unbind.int
unflatten.int unfold.default unsqueeze.default view.default view_as.default
"""
_SAME_MEMORY = frozenset(f"aten.{name}" for name in _VIEWS.split()) | {"python.getitem"}
"""Operators whose result may be a view of an argument."""


def in_place_steps(graph: ModuleGraph, *, of_input: bool = False) -> list[str]:
    """Nodes that change an array of the module in place (or its input), directly or through a view."""
    form = "input" if of_input else "array"
    shared: set[str] = set()
    found = []
    for node in graph.nodes:
        if not of_input and updates_statistics(node):
            found.append(node.name)
        first = node.args[0] if node.args else None
        if not (isinstance(first, Mapping) and (form in first or first.get("node") in shared)):
            continue
        in_place = changes_in_place(node)
        if in_place:
            found.append(node.name)
        if in_place or node.op in _SAME_MEMORY:
            shared.add(node.name)
    return found


def changes_in_place(node: Node) -> bool:
    """Whether a step changes its first argument."""
    return node.op.partition(".")[2].partition(".")[0].endswith("_")


def updates_statistics(node: Node) -> bool:
    """Whether a normalisation updates running means: (input, weight, bias, mean, variance, training, ...)."""
    if node.op not in ("aten.batch_norm.default", "aten.instance_norm.default"):
        return False
    return len(node.args) > 5 and node.args[3] is not None and node.args[5] is not False
