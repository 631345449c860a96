"""NumPy serves exported modules: every operator of its table gives what torch gives."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from superpose import QuantumLayer, export_module
from superpose.datasets import builtin_table
from superpose.learning import ModuleRecipe, Predictor, read_model, run_experiment
from superpose.learning.modules import model as model_module
from superpose.learning.modules.admission import admit_module
from superpose.learning.modules.model import ModuleModel
from superpose.learning.modules.network import ModuleNetwork, module_outputs, torch_operator
from superpose.learning.modules.numpy_operators import NUMPY_OPERATORS
from superpose.learning.modules.numpy_program import NumpyProgram, runtime_of
from superpose.learning.modules.operators import OPERATORS, SCALAR_OPERATORS
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.spec import PreprocessingSpec

from . import modules_under_test as users

X = torch.linspace(0.1, 0.9, 24).reshape(2, 3, 4)
SIGNED = torch.linspace(-2.5, 2.5, 24).reshape(2, 3, 4)
MATRIX = torch.linspace(-1, 1, 12).reshape(3, 4)
WHOLE = torch.arange(6).reshape(2, 3)
IMAGE = torch.linspace(-1, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
WAVE = IMAGE.flatten(2)
MASK = SIGNED > 0

#: Arguments of each operator that does not take one array, or two of one shape.
CALLS: dict[str, list[tuple[Any, ...]]] = {
    "pow.Tensor_Scalar": [(X, 2), (X, 0.5)],
    "pow.Tensor_Tensor": [(X, X)],
    "atan2.default": [(SIGNED, X), (X, SIGNED)],
    "clamp.default": [(SIGNED, -1.0, 1.0), (SIGNED, None, 0.5)],
    "clamp_min.default": [(SIGNED, 0.5)],
    "hardtanh.default": [(SIGNED,), (SIGNED, -0.5, 2.0)],
    "leaky_relu.default": [(SIGNED,), (SIGNED, 0.2)],
    "elu.default": [(SIGNED,), (SIGNED, 0.5)],
    "celu.default": [(SIGNED,), (SIGNED, 0.5)],
    "softplus.default": [(SIGNED,), (SIGNED * 20, 2.0, 5.0)],
    "softmax.int": [(SIGNED, -1), (SIGNED, 1)],
    "log_softmax.int": [(SIGNED, -1), (SIGNED, 0)],
    "where.self": [(MASK, X, SIGNED)],
    "masked_fill.Scalar": [(X, MASK, 3.0)],
    "logical_and.default": [(MASK, X > 0.5)],
    "logical_or.default": [(MASK, X > 0.5)],
    "linear.default": [(X, MATRIX), (X, MATRIX, MATRIX[:, 0])],
    "addmm.default": [(MATRIX[:, 0], X[0], MATRIX.T)],
    "mm.default": [(MATRIX, MATRIX.T)],
    "mv.default": [(MATRIX, MATRIX[0])],
    "bmm.default": [(X, X.transpose(1, 2))],
    "matmul.default": [(X, MATRIX.T), (MATRIX, MATRIX[0])],
    "dot.default": [(MATRIX[0], MATRIX[1])],
    "outer.default": [(MATRIX[0], MATRIX[1])],
    "einsum.default": [("bij,kj->bki", [X, MATRIX])],
    "layer_norm.default": [(X, [4]), (X, [3, 4], MATRIX, MATRIX)],
    "batch_norm.default": [(X, None, None, torch.ones(3), torch.ones(3) * 2, False, 0.1, 1e-5, False)],
    "dropout.default": [(X, 0.5, False)],
    "reshape.default": [(X, [6, -1])],
    "view.default": [(X, [2, 12])],
    "flatten.using_ints": [(X,), (X, 1), (X, 0, 1)],
    "unflatten.int": [(X, -1, [2, 2])],
    "unsqueeze.default": [(X, 1), (X, -1)],
    "squeeze.default": [(X[:, :1],)],
    "squeeze.dim": [(X[:, :1], 1), (X, 1)],
    "squeeze.dims": [(X[:1, :1], [0, 1])],
    "transpose.int": [(X, 0, 2)],
    "permute.default": [(X, [2, 0, 1])],
    "t.default": [(MATRIX,)],
    "cat.default": [([X, X], 1), ([X, X],)],
    "stack.default": [([X, X], -1)],
    "split.Tensor": [(X, 2, 1), (X, 3, -1)],
    "split_with_sizes.default": [(X, [1, 3], -1)],
    "chunk.default": [(X, 2, -1), (WHOLE, 2, 1)],
    "unbind.int": [(X, 1)],
    "select.int": [(X, 1, -1)],
    "slice.Tensor": [(X, 1, 0, 2), (X, -1, 1, 9223372036854775807, 2)],
    "index_select.default": [(X, 1, torch.tensor([2, 0]))],
    "flip.default": [(X, [0, 2])],
    "expand.default": [(X[:, :1], [2, 5, 4]), (MATRIX, [2, -1, -1])],
    "repeat.default": [(X, [1, 2, 1]), (MATRIX, [2, 1, 1])],
    "sum.default": [(X,), (WHOLE,)],
    "sum.dim_IntList": [(X, [1]), (X, [0, 2], True)],
    "mean.default": [(X,)],
    "mean.dim": [(X, [1]), (X, [-1], True)],
    "amax.default": [(SIGNED, [1]), (SIGNED, [-1], True)],
    "amin.default": [(SIGNED, [1])],
    "prod.default": [(X,)],
    "prod.dim_int": [(X, 1), (X, 1, True)],
    "cumsum.default": [(X, 1)],
    "conv1d.default": [(WAVE, WAVE[:, :, :5], None), (WAVE, WAVE[:, :, :3], torch.ones(2), [2], [1], [2])],
    "conv2d.default": [
        (IMAGE, IMAGE[:, :, :3, :3], torch.ones(2), [2, 1], [1, 1]),
        (IMAGE, IMAGE[:, :, :2, :2]),
        (IMAGE, IMAGE[0, :, None, :3, :3], torch.ones(3), [2, 2], [1, 1], [1, 1], 3),  # each channel by itself
        (IMAGE.repeat(1, 2, 1, 1), IMAGE.repeat(2, 1, 1, 1)[:, :, :2, :2], None, [1, 1], [0, 0], [1, 1], 2),
    ],
    "pad.default": [(X, [1, 2]), (X, [1, 0, 2, 1], "constant", 0.5)],
    "constant_pad_nd.default": [(X, [0, 3, 1, 1]), (MATRIX, [1, 1], 2.0)],
    "max_pool1d.default": [(WAVE, [2]), (WAVE, [3], [2], [1])],
    "max_pool2d.default": [(IMAGE, [2, 2]), (IMAGE, [3, 3], [2, 2], [1, 1])],
    "avg_pool1d.default": [(WAVE, [2])],
    "avg_pool2d.default": [(IMAGE, [2, 2]), (IMAGE, [3, 3], [2, 2])],
    "adaptive_avg_pool1d.default": [(WAVE, [4])],
    "adaptive_avg_pool2d.default": [(IMAGE, [1, 1]), (IMAGE, [2, 4])],
    "embedding.default": [(MATRIX, torch.tensor([[0, 2]]))],
    "arange.default": [(4,), (2.5,)],
    "arange.start": [(1, 4)],
    "arange.start_step": [(0, 9, 2)],
    "zeros.default": [([2, 3],)],
    "ones.default": [([2, 3],)],
    "full.default": [([2, 3], 1.5), ([2], 3), ([2], True)],
    "zeros_like.default": [(X,)],
    "ones_like.default": [(WHOLE,)],
    "to.dtype": [(X, torch.float64), (MASK, torch.float32)],
    "type_as.default": [(WHOLE, X)],
    "sym_size.int": [(X, 1)],
}

LEFT_OUT = {"_assert_tensor_metadata.default", "to.dtype_layout"}


def as_numpy(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.numpy().copy()
    if isinstance(value, torch.dtype):
        return np.dtype(str(value).removeprefix("torch."))
    return [as_numpy(item) for item in value] if isinstance(value, list) else value


def cases() -> list[tuple[str, tuple[Any, ...]]]:
    found = []
    for name in sorted(NUMPY_OPERATORS):
        namespace, _, rest = name.partition(".")
        if namespace != "aten" or rest in LEFT_OUT:
            continue
        packet, _, overload = rest.partition(".")
        if rest in CALLS:
            calls = CALLS[rest]
        elif overload in ("Tensor", "Scalar"):
            plain = packet.rstrip("_") in ("add", "sub", "mul", "div")
            calls = [(SIGNED, X)] if overload == "Tensor" else [(SIGNED, 2.5)]
            if plain and not packet.endswith("_") and overload == "Tensor":
                calls += [(SIGNED, 3), (WHOLE, WHOLE + 1), (X, WHOLE[:, :, None] + 1)]
        elif packet in ("maximum", "minimum"):
            calls = [(SIGNED, X)]
        else:
            calls = (
                [(X,)]
                if packet in ("log", "log1p", "log2", "log10", "sqrt", "rsqrt", "asin", "acos")
                else [(SIGNED,), (X,)]
            )
        found += [(name, call) for call in calls]
    return found


@pytest.mark.parametrize(("name", "arguments"), cases(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_operator_gives_what_torch_gives(name: str, arguments: tuple[Any, ...]) -> None:
    def own(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.clone()
        return [own(item) for item in value] if isinstance(value, list) else value

    theirs = torch_operator(name)(*own(list(arguments)))
    given = as_numpy(list(arguments))
    ours = NUMPY_OPERATORS[name](*given)
    pairs = list(zip(ours, theirs, strict=True)) if isinstance(theirs, list | tuple) else [(ours, theirs)]
    for mine, other in pairs:
        if isinstance(other, int):
            assert mine == other
            continue
        assert mine.shape == tuple(other.shape)
        assert str(mine.dtype) == str(other.dtype).removeprefix("torch.")
        np.testing.assert_allclose(mine, other.numpy(), rtol=2e-6, atol=2e-6)
    if name.partition(".")[2].partition(".")[0].endswith("_"):
        np.testing.assert_array_equal(given[0], ours)  # changed in place


def test_the_table_holds_allowed_operators_only() -> None:
    assert set(NUMPY_OPERATORS) <= OPERATORS | {f"python.{name}" for name in SCALAR_OPERATORS}


def test_gelu_by_name() -> None:
    for approximate in ("none", "tanh"):
        ours = NUMPY_OPERATORS["aten.gelu.default"](SIGNED.numpy(), approximate=approximate)
        np.testing.assert_allclose(ours, F.gelu(SIGNED, approximate=approximate).numpy(), atol=2e-6)


class Picture(nn.Module):
    """Rows as pictures: convolutions, pooling, a circuit."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv2d(1, 2, 3, padding=1)
        self.circuit = QuantumLayer(2, seed=1)
        self.exit = nn.Linear(2, 3)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """(batch, 16) -> (batch, 3)."""
        hidden = F.max_pool2d(F.relu(self.filters(rows.reshape(-1, 1, 4, 4))), 2)
        return self.exit(self.circuit(hidden.mean((2, 3))))


@pytest.mark.parametrize(
    ("make", "n_columns", "runtime"),
    [
        (users.Hybrid, 4, "numpy"),
        (lambda: users.Hybrid(dtype=torch.float64), 4, "numpy"),
        (users.Single, 4, "numpy"),
        (Picture, 16, "numpy"),
        (users.Attention, 4, "torch"),  # a recurrent layer
    ],
)
def test_numpy_runs_what_it_can_and_leaves_the_rest_to_torch(
    make: Callable[[], nn.Module], n_columns: int, runtime: str
) -> None:
    torch.manual_seed(0)
    exported = export_module(make(), torch.zeros(1, n_columns))
    network = ModuleNetwork(exported).eval()
    assert runtime_of(exported, lambda rows: module_outputs(network, rows)) == runtime
    if runtime == "numpy":
        rows = np.random.default_rng(1).normal(size=(50, n_columns))
        theirs = module_outputs(network, rows)
        np.testing.assert_allclose(NumpyProgram(exported)(rows), theirs, atol=1e-6 * max(1, np.abs(theirs).max()))


def test_serving_a_module_loads_no_torch(tmp_path: Path) -> None:
    table = builtin_table("iris")
    exported = export_module(users.Hybrid(4, 3), torch.zeros(1, 4))
    spec = admit_module(exported, "cross_entropy", {"training": {"epochs": 2}, "evaluation": {"n_splits": 2}}, table)
    found = run_experiment(spec, table, tmp_path, recipe=ModuleRecipe(exported, "cross_entropy"))
    assert read_model(found.model_path).manifest["pipeline"]["network"]["runtime"] == "numpy"
    code = (
        "import sys; from superpose.learning import Predictor; p = Predictor.load(sys.argv[1]);"
        "print(p.predict_proba([[5.1, 3.5, 1.4, 0.2]])[0].tolist()); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(found.model_path)], capture_output=True, text=True, check=True
    )
    numbers, loaded = done.stdout.splitlines()
    assert loaded == "False"
    expected = Predictor.load(found.model_path).predict_proba([[5.1, 3.5, 1.4, 0.2]])
    np.testing.assert_allclose(np.array(json.loads(numbers)), expected[0], atol=1e-12)


def test_torch_serves_what_cannot_be_compared_on_any_rows() -> None:
    exported = export_module(users.Rows(), torch.zeros(3, 4), check=False)
    network = ModuleNetwork(exported).eval()
    assert runtime_of(exported, lambda rows: module_outputs(network, rows)) == "torch"


class _Wide(nn.Module):
    """Two columns -> 5000 numbers -> two scores."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Linear(2, 5000), nn.Linear(5000, 2)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.narrow(torch.tanh(self.wide(rows)))
        return found


def test_a_row_is_known_by_what_it_takes_and_parameters_are_no_part_of_it() -> None:
    exported = export_module(_Wide(), torch.zeros(1, 2))
    assert NumpyProgram(exported).bytes_of_a_row() == 5000 * 4
    assert 5000 * 4 <= ModuleNetwork(exported).eval().bytes_of_a_row() < 5000 * 4 + 200  # the row and its scores too


@pytest.mark.parametrize("runtime", ["numpy", "torch"])
def test_large_modules_take_few_rows_at_once_to_the_same_numbers(runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, classes = np.random.default_rng(1).random((90, 2)), np.arange(90) % 2
    preprocessor = Preprocessor.fit(rows, ["a", "b"], ["number"] * 2, PreprocessingSpec(scaling="none"))
    model = ModuleModel(preprocessor, export_module(_Wide(), torch.zeros(1, 2)), "cross_entropy", (0, 1), runtime)
    whole, slopes = model.probabilities(rows), model.probability_gradients(rows, classes)
    for name in ("_STEP_BYTES", "_GRAPH_BYTES"):
        monkeypatch.setattr(model_module, name, 41 * 5000 * 4)
    sizes: list[int] = []
    called: list[tuple[Any, str]] = [(NumpyProgram, "__call__"), (ModuleNetwork, "raw")]
    for where, name in called:
        monkeypatch.setattr(where, name, _telling(getattr(where, name), sizes))
    again = replace(model)
    np.testing.assert_allclose(again.probabilities(rows), whole, rtol=1e-5)
    assert max(sizes) in (40, 41) and sum(size for size in sizes if size > 1) == 90
    sizes.clear()
    for found, expected in zip(again.probability_gradients(rows, classes), slopes, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
    assert max(sizes) in (40, 41) and sum(size for size in sizes if size > 1) == 90


def _telling(method: Callable[..., Any], sizes: list[int]) -> Callable[..., Any]:
    """The method, and how many rows each call had."""

    def told(self: Any, rows: Any, *rest: Any) -> Any:
        sizes.append(len(rows))
        return method(self, rows, *rest)

    return told
