"""From a user's `torch.nn.Module` to data: captured by `torch.export`, each operator checked, compared with itself."""

from __future__ import annotations

import contextlib
import copy
import io
import linecache
import logging
import operator
import re
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from superpose.errors import ModuleExportError, ModuleFormatError, SuperposeError
from superpose.learning.modules.exported import ExportedModule
from superpose.learning.modules.graph import ModuleGraph
from superpose.learning.modules.network import ModuleNetwork
from superpose.learning.modules.operators import OPERATORS, SCALAR_OPERATORS
from superpose.learning.modules.quantum import known_layer
from superpose.learning.torch_chance import borrowed_generator

__all__ = ["export_module"]

_TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-9}
_PYTHON_OPERATORS = {getattr(operator, name): name for name in SCALAR_OPERATORS}
_FRAME = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')
_DTYPE_NAMES = {torch.float32: "float32", torch.float64: "float64"}
_SIZES = "a size that depends on values; mask by multiplying or torch.where instead of selecting rows"
_HINTS = {
    "wrap_with_set_grad_enabled": "torch.no_grad() in forward; use .detach() on what takes no gradient",
    "wrap_with_autocast": "torch.autocast inside forward; compute in one dtype",
    "_assert_scalar": _SIZES,
    "nonzero": _SIZES,
    "python.ge": _SIZES,
    "item": "a Python number taken out of a tensor; keep it a tensor",
    "cond": "torch.cond; use torch.where",
}


def export_module(module: nn.Module, example: Tensor | NDArray[Any], *, check: bool = True) -> ExportedModule:
    """A PyTorch module as data, for `Client.train_module`; the module itself is left as it is.

    The module is captured twice, in training and in predicting mode, for any number of rows, by `torch.export`; quantum
    layers become the operator `superpose::quantum_layer`. Then the capture is run beside the module on numbers that
    torch has not seen while capturing, and outputs and gradients must be equal.

    Args:
        module: takes ``(batch, n_columns)`` and gives ``(batch, n_outputs)`` or ``(batch,)``; its rows must not depend
            on one another in predicting mode.
        example: rows such as it takes, ``(batch, n_columns)``, float32 or float64; the values do not matter much, one
            row is enough.
        check: whether to compare the capture with the module; leaving it out saves a few runs of the module.

    Raises:
        ModuleExportError: the module uses what a graph of allowed operators cannot hold (control flow that depends on
            values, Python or NumPy code on values, another operator), or the capture computes something else. The
            message and its details name the cause, and the file and line of the user's code where torch tells it.

    Cost: two captures (about a second for tens of layers) and a few runs of the module.
    Source: https://docs.pytorch.org/docs/stable/export.html
    """
    rows = _example_rows(example)
    own = copy.deepcopy(module)
    dtype = _check_parameters(own)
    if dtype is not None and rows.dtype is not dtype:
        rows = rows.to(dtype)
    names, arrays, roles = _arrays(own)
    graphs, outputs = {}, rows
    layers: dict[str, Any] = {}
    for training in (True, False):
        program = _captured(copy.deepcopy(own).train(training), rows)
        graphs[training] = _Translation(program, names, arrays, roles, layers).graph()
        outputs = program.graph_module.graph.find_nodes(op="output")[0].args[0][0].meta["val"]
    n_outputs = 1 if outputs.dim() == 1 else int(outputs.shape[-1])
    try:
        exported = ExportedModule.from_parts(
            {
                "name": type(module).__name__,
                "n_columns": rows.shape[1],
                "n_outputs": n_outputs,
                "dtype": _DTYPE_NAMES[rows.dtype],
                "roles": roles,
                "layers": {name: block.to_dict() for name, block in layers.items()},
            },
            _members(graphs, layers),
            arrays,
        )
    except ModuleFormatError as error:
        raise ModuleExportError(
            f"{type(module).__name__} cannot be exported: {error.message}", **error.details
        ) from None
    if check:
        _compare(own, exported, rows)
    return exported


def _members(graphs: Mapping[bool, ModuleGraph], layers: Mapping[str, Any]) -> dict[str, bytes]:
    from superpose.circuits import circuit_to_json
    from superpose.learning.canonical import canonical_json

    circuits = {f"circuits/{name}.json": canonical_json(circuit_to_json(b.circuit)) for name, b in layers.items()}
    return {
        **circuits,
        "graphs/training.json": canonical_json(graphs[True].to_json()),
        "graphs/predicting.json": canonical_json(graphs[False].to_json()),
    }


def _example_rows(example: Tensor | NDArray[Any]) -> Tensor:
    """At least three rows, so that torch does not take their number for a constant."""
    rows = example.detach().clone() if isinstance(example, Tensor) else torch.tensor(np.asarray(example))
    if rows.dim() != 2 or not rows.shape[0] or not rows.shape[1] or rows.dtype not in _DTYPE_NAMES or not rows.is_cpu:
        raise ModuleExportError(
            f"example must be rows (batch, n_columns) of float32 or float64 on the CPU, got shape={tuple(rows.shape)}, "
            f"dtype={rows.dtype}, device={rows.device}"
        )
    return rows if len(rows) >= 3 else rows.repeat(3, 1)  # (batch, n_columns)


def _check_parameters(module: nn.Module) -> torch.dtype | None:
    """The dtype of all parameters."""
    found = {p.dtype for p in module.parameters()}
    if len(found) > 1 or not found <= set(_DTYPE_NAMES):
        raise ModuleExportError(
            f"all parameters must be float32, or all float64, got {', '.join(sorted(map(str, found)))}; "
            "module.float() makes them equal"
        )
    elsewhere = [name for name, p in module.named_parameters() if not p.is_cpu]
    if elsewhere:
        raise ModuleExportError(f'parameter {elsewhere[0]!r} is not on the CPU; module.to("cpu") moves all there')
    return next(iter(found), None)


def _arrays(module: nn.Module) -> tuple[dict[str, str], dict[str, NDArray[Any]], dict[str, str]]:
    """Canonical name of each parameter and buffer (tied ones share one), the arrays, and their roles."""
    names: dict[str, str] = {}
    arrays: dict[str, NDArray[Any]] = {}
    roles: dict[str, str] = {}
    first: dict[int, str] = {}
    tensors = [
        *(
            (name, p, "parameter" if p.requires_grad else "frozen")
            for name, p in module.named_parameters(remove_duplicate=False)
        ),
        *((name, b, "buffer") for name, b in module.named_buffers(remove_duplicate=False)),
    ]
    for name, tensor, role in tensors:
        names[name] = first.setdefault(id(tensor), name)
        if names[name] == name:
            arrays[name], roles[name] = np.array(tensor.detach().numpy()), role
    return names, arrays, roles


def _captured(module: nn.Module, rows: Tensor) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", min=1, max=10_000_000)
    try:
        with _quiet(), borrowed_generator(), torch.enable_grad():
            return torch.export.export(module, (rows,), dynamic_shapes=({0: batch},), strict=False)
    except SuperposeError:
        raise
    except Exception as error:
        raise _refusal(module, error) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """torch tells its own story of every failure on the log and in warnings; ours is one message."""
    log = logging.getLogger("torch")
    level, disabled = log.level, logging.root.manager.disable
    log.setLevel(logging.CRITICAL)
    logging.disable(max(disabled, logging.WARNING))
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
        logging.disable(disabled)


def _refusal(module: nn.Module, error: Exception) -> ModuleExportError:
    """What went wrong while capturing, in one sentence, with the line of the user's code."""
    told = str(error).split("\n", 1)[0].strip() or type(error).__name__
    kind = type(error).__name__
    if "data-dependent" in told:
        what = (
            "control flow or a Python number that depends on the values of a tensor; torch.where keeps it in the graph"
        )
    elif "Constraints violated" in told:
        what = f"what it does depends on the number of rows, which must be free ({_guard(str(error))})"
    elif ".numpy()" in told:
        what = "NumPy on the values of a tensor; use torch's own functions"
    else:
        what = f"{kind}: {told[:300]}"
    place = _place_in_traceback(error) or _place_in_text(str(error))
    return _export_error(type(module).__name__, what, place)


def _guard(text: str) -> str:
    found = re.search(r"generated guard (.+)", text)
    return found.group(1).strip()[:120] if found else "torch names no guard"


Place = tuple[str, int, str]


def _export_error(name: str, what: str, place: Place | None, **details: Any) -> ModuleExportError:
    if place is None:
        return ModuleExportError(f"{name} cannot be exported: {what}", **details)
    path, line, source = place
    shown = f": {source}" if source else ""
    return ModuleExportError(
        f"{name} cannot be exported, {Path(path).name} line {line}{shown}: {what}",
        file=Path(path).name,
        line=line,
        source=source,
        **details,
    )


def _is_users(path: str) -> bool:
    return not any(part in path for part in ("/torch/", "/superpose/learning/", "/contextlib.py", "<"))


def _place_in_traceback(error: Exception) -> Place | None:
    """The innermost frame of the user's module: the last one that is neither torch's nor ours, behind `_captured`."""
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if _is_users(frame.filename)]
    inside = [f for f in users if frames.index(f) > 1]
    return (inside[-1].filename, inside[-1].lineno or 0, inside[-1].line or "") if inside else None


def _place_in_text(text: str | None) -> Place | None:
    found = [match for match in _FRAME.finditer(text or "") if _is_users(match.group(1))]
    if not found:
        return None
    path, line, _ = found[-1].groups()
    return path, int(line), linecache.getline(path, int(line)).strip()


class _Translation:
    """One captured program on its way to a `ModuleGraph`; collects constants and quantum layers as it meets them."""

    def __init__(
        self,
        program: torch.export.ExportedProgram,
        names: Mapping[str, str],
        arrays: dict[str, NDArray[Any]],
        roles: dict[str, str],
        layers: dict[str, Any],
    ) -> None:
        self._program, self._names = program, names
        self._arrays, self._roles, self._layers = arrays, roles, layers
        self._references: dict[str, dict[str, Any]] = {}

    def graph(self) -> ModuleGraph:
        """The graph.

        Raises:
            ModuleExportError: it uses an operator that is not allowed.
        """
        self._read_inputs()
        nodes = []
        output = None
        for node in self._program.graph.nodes:
            if node.op == "call_function":
                nodes.append(self._node(node))
                self._references[node.name] = {"node": node.name}
            elif node.op == "output":
                output = node.args[0]
            elif node.op == "get_attr":
                self._references[node.name] = {}
        if not isinstance(output, tuple | list) or len(output) != 1 or not isinstance(output[0], torch.fx.Node):
            raise ModuleExportError("the module must give one tensor (batch, n_outputs), got several or none")
        value = output[0].meta["val"]
        free = isinstance(value, Tensor) and value.dim() in (1, 2) and not isinstance(value.shape[0], int)
        if not free or not value.dtype.is_floating_point or (value.dim() == 2 and not isinstance(value.shape[1], int)):
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ModuleExportError(f"the module must give floating-point (batch, n_outputs) or (batch,), got {shape}")
        if "node" not in self._references[output[0].name]:
            raise ModuleExportError("the module must compute something: its output is its input or a parameter")
        document = {"nodes": nodes, "output": output[0].name}
        try:
            return ModuleGraph.from_json(document, frozenset(self._arrays), frozenset(self._layers))
        except ModuleFormatError as error:
            raise ModuleExportError(f"the module cannot be exported: {error.message}", **error.details) from None

    def _read_inputs(self) -> None:
        from torch.export.graph_signature import InputKind

        for spec in self._program.graph_signature.input_specs:
            name = getattr(spec.arg, "name", "")
            if spec.kind is InputKind.USER_INPUT:
                self._references[name] = {"input": 0}
            elif spec.kind in (InputKind.PARAMETER, InputKind.BUFFER):
                self._references[name] = {"array": self._names[str(spec.target)]}
            elif spec.kind is InputKind.CONSTANT_TENSOR:
                self._references[name] = {"array": self._constant(str(spec.target))}
            else:
                raise ModuleExportError(
                    f"the module holds {spec.target!r}, a {spec.kind.name.lower()}, which is not a tensor"
                )

    def _constant(self, target: str) -> str:
        tensor = self._program.constants[target]
        if not isinstance(tensor, Tensor):
            raise ModuleExportError(f"constant {target!r} is a {type(tensor).__name__}; only tensors can be exported")
        array = np.array(tensor.detach().numpy())
        name = target if target not in self._arrays or self._roles[target] == "constant" else f"constant.{target}"
        known = self._arrays.get(name)
        if known is not None and not (known.shape == array.shape and np.array_equal(known, array)):
            name = f"{name}.predicting"  # torch numbers constants anew in each capture
        self._arrays[name], self._roles[name] = array, "constant"
        return name

    def _node(self, node: torch.fx.Node) -> dict[str, Any]:
        name = self._operator(node)
        if name == "superpose.quantum_layer.default":
            layer = str(node.args[2])
            self._layers[layer] = known_layer(layer).block
        kwargs = {key: self._argument(value, node) for key, value in node.kwargs.items() if key != "pin_memory"}
        args = [self._argument(value, node) for value in node.args]
        return {"name": node.name, "op": name, "args": args, **({"kwargs": kwargs} if kwargs else {})}

    def _operator(self, node: torch.fx.Node) -> str:
        target: Any = node.target
        if target in _PYTHON_OPERATORS:
            return f"python.{_PYTHON_OPERATORS[target]}"
        name = str(target).removeprefix("torch.ops.")
        if getattr(target, "__module__", "") == "_operator":
            name = f"python.{target.__name__}"
        if name in OPERATORS:
            return name
        hint = _HINTS.get(name if name in _HINTS else name.removeprefix("aten.").partition(".")[0])
        place = _place_in_text(node.meta.get("stack_trace")) or self._place_below(node)
        what = f"operator {name} is not among those that exported modules may use"
        raise _export_error("the module", f"{what} ({hint})" if hint else what, place, operator=name)

    def _place_below(self, node: torch.fx.Node) -> Place | None:
        """The line of a block that became a graph of its own: that of its first step."""
        for argument in node.args:
            if isinstance(argument, torch.fx.Node) and argument.op == "get_attr":
                inner = getattr(self._program.graph_module, str(argument.target), None)
                for step in inner.graph.nodes if isinstance(inner, torch.fx.GraphModule) else ():
                    if step.meta.get("stack_trace"):
                        return _place_in_text(step.meta["stack_trace"])
        return None

    def _argument(self, value: Any, node: torch.fx.Node) -> Any:
        if isinstance(value, torch.fx.Node):
            return self._references[value.name]
        if isinstance(value, list | tuple):
            return [self._argument(item, node) for item in value]
        if isinstance(value, torch.dtype | torch.layout | torch.memory_format):
            form = {torch.dtype: "dtype", torch.layout: "layout", torch.memory_format: "memory_format"}[type(value)]
            return {form: str(value).removeprefix("torch.")}
        if isinstance(value, torch.device):
            return {"device": value.type}
        if isinstance(value, float) and not np.isfinite(value):
            return {"float": str(value)}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        what = f"operator {node.target} takes a {type(value).__name__}, which a graph cannot hold"
        raise _export_error("the module", what, _place_in_text(node.meta.get("stack_trace")))


def _compare(module: nn.Module, exported: ExportedModule, rows: Tensor) -> None:
    """Hold the capture against the module: outputs and gradients in both modes, on rows that were not captured."""
    generator = torch.Generator().manual_seed(1)  # the user's own generator is not touched
    spread = rows.std() if rows.std() > 0 else torch.ones((), dtype=rows.dtype)
    fresh = rows[torch.arange(5) % len(rows)] + spread * torch.randn(
        5, rows.shape[1], generator=generator, dtype=rows.dtype
    )
    name = type(module).__name__
    for training in (False, True):
        theirs = copy.deepcopy(module).train(training)
        ours = ModuleNetwork(exported).train(training)
        tensors = _by_name(theirs, exported)
        first = _run(theirs, fresh, tensors)
        if not training:
            again = _run(theirs, fresh, tensors, seed=8)
            if not _close(first[0], again[0]):
                raise ModuleExportError(
                    f"{name} cannot be exported: predicting the same rows again, it gives other outputs: "
                    "it draws random numbers, or counts its calls"
                )
        places = {n: getattr(ours, f"array_{i}") for i, n in enumerate(sorted(exported.arrays))}
        found = _run(ours.raw, fresh, {n: places[n] for n in tensors})
        mode = "training" if training else "predicting"
        if not _close(first[0], found[0]):
            raise ModuleExportError(
                f"{name} cannot be exported: in {mode} mode its capture gives other outputs (by up to "
                f"{float((first[0] - found[0]).abs().max()):.2g}); it uses Python state, random numbers or time that "
                "torch does not see"
            )
        for parameter in tensors:
            if not _close(first[1][parameter], found[1][parameter]):
                raise ModuleExportError(
                    f"{name} cannot be exported: in {mode} mode the gradient of {parameter!r} differs; it has a "
                    "torch.autograd.Function or hooks of its own, whose gradient a graph cannot hold",
                    parameter=parameter,
                )
    _check_rows_apart(module, fresh)


def _check_rows_apart(module: nn.Module, rows: Tensor) -> None:
    whole = copy.deepcopy(module).eval()
    with torch.no_grad():
        together, apart = whole(rows), torch.cat([whole(rows[:2]), whole(rows[2:])])
    if not _close(together, apart):
        raise ModuleExportError(
            f"{type(module).__name__} cannot be exported: predicting, a row's outputs depend on the rows beside it, "
            "and endpoints answer rows of many callers together; normalise by stored statistics instead of the batch's"
        )


def _by_name(module: nn.Module, exported: ExportedModule) -> dict[str, Tensor]:
    return {n: p for n, p in module.named_parameters() if exported.roles.get(n) == "parameter"}


def _run(
    function: Any, rows: Tensor, parameters: Mapping[str, Tensor], seed: int = 7
) -> tuple[Tensor, dict[str, Tensor]]:
    """Outputs, and gradients of a weighted sum of them; equal seeds give equal chance."""
    with borrowed_generator(seed):
        for p in parameters.values():
            p.grad = None
        outputs: Tensor = function(rows.clone())
        if outputs.requires_grad:
            weights = torch.linspace(0.5, 1.5, outputs.numel(), dtype=outputs.dtype).reshape(outputs.shape)
            (outputs * weights).sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it so
    grads = {n: torch.zeros_like(p) if p.grad is None else p.grad.detach().clone() for n, p in parameters.items()}
    return outputs.detach(), grads


def _close(a: Tensor, b: Tensor) -> bool:
    scale = max(1.0, float(a.abs().max())) if a.numel() else 1.0
    return a.shape == b.shape and bool(torch.allclose(a, b, rtol=0.0, atol=_TOLERANCE.get(a.dtype, 2e-5) * scale))
