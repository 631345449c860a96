"""Users' own modules: export, what is refused and how, equality with the module, training, files, serving."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import library as operators
from torch import nn

from superpose import QuantumLayer, export_module
from superpose.datasets import Table, builtin_table
from superpose.errors import ModelFileCorruptError, ModuleExportError, ModuleFormatError, SpecError
from superpose.explain import model_card
from superpose.learning import (
    ExportedModule,
    ModuleRecipe,
    Predictor,
    Stopped,
    load_model,
    read_model,
    run_experiment,
)
from superpose.learning.container import pack, unpack
from superpose.learning.model_file import encode_model
from superpose.learning.modules.admission import admit_module
from superpose.learning.modules.model import ModuleModel
from superpose.learning.modules.network import ModuleNetwork, torch_operator
from superpose.learning.modules.operators import OPERATORS, QUANTUM_LAYER
from superpose.learning.modules.quantum import quantum_layer, register_layer
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.spec import PreprocessingSpec

from . import modules_under_test as users

ROWS = torch.linspace(-1.0, 1.0, 28).reshape(7, 4)


def gradients(module: nn.Module, function: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor) -> list[Any]:
    torch.manual_seed(5)
    rows = rows.clone().requires_grad_()
    outputs = function(rows)
    (outputs * torch.linspace(1, 2, outputs.numel(), dtype=outputs.dtype).reshape(outputs.shape)).sum().backward()
    return [outputs.detach(), rows.grad, *(p.grad for p in module.parameters() if p.requires_grad)]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("make", "dtype", "tolerance"),
    [
        (users.Hybrid, torch.float32, 1e-6),
        (lambda: users.Hybrid(dtype=torch.float64), torch.float64, 1e-12),
        (users.Attention, torch.float32, 1e-6),
        (users.Single, torch.float32, 1e-6),
    ],
)
def test_outputs_and_gradients_equal_the_modules(
    make: Callable[[], nn.Module], dtype: torch.dtype, tolerance: float, training: bool
) -> None:
    torch.manual_seed(3)
    module = make()
    exported = ExportedModule.from_bytes(export_module(module, ROWS[:1].to(dtype)).to_bytes())
    network = ModuleNetwork(exported).train(training)
    rows = ROWS.to(dtype)
    theirs = gradients(module.train(training), module, rows)
    ours = gradients(network, network.raw, rows)
    assert len(theirs[2:]) == len(ours[2:])
    torch.testing.assert_close(ours[:2], theirs[:2], rtol=tolerance, atol=tolerance)
    names = [n for n, p in module.named_parameters() if p.requires_grad]
    by_name = {n: network.get_parameter(f"array_{i}").grad for i, n in enumerate(sorted(exported.arrays)) if n in names}
    for name, grad in zip(names, theirs[2:], strict=True):
        torch.testing.assert_close(by_name[name], grad, rtol=10 * tolerance, atol=tolerance, msg=name)


def test_buffers_change_as_the_modules_do() -> None:
    module = users.Hybrid()
    network = ModuleNetwork(export_module(module, ROWS)).train()
    module.train()(ROWS)
    network(ROWS)
    trained = network.trained_module().arrays
    np.testing.assert_allclose(trained["norm.running_mean"], module.norm.running_mean.numpy(), atol=1e-7)
    assert trained["norm.num_batches_tracked"] == 1


@pytest.mark.parametrize(
    ("make", "said", "source"),
    [
        (users.Branching, "control flow", "if rows.sum() > 0:"),
        (users.TakesNumbers, "Python number", "return rows * float(rows.mean())"),
        (users.UsesNumpy, "NumPy", "return torch.from_numpy(rows.detach().numpy() * 2)"),
        (users.SelectsRows, "size that depends on values", "return rows[rows > 0]"),
        (users.UsesNoGrad, "torch.no_grad()", "doubled = rows * 2"),
        (users.Decomposes, "aten.linalg_svd", "return torch.linalg.svd(rows[:, :2, None] * rows[:, None, :2])[1]"),
        (users.DependsOnBatch, "number of rows", None),
        (users.RollsDice, "other outputs", None),
        (users.DrawsNumbers, "draws random numbers", None),
        (users.OwnGradient, "gradient of 'weight' differs", None),
        (users.Counts, "changes an array", None),
        (users.BatchMean, "depend on the rows beside it", None),
        (users.Two, "one tensor", None),
        (users.Mixed, "all float64", None),
    ],
)
def test_what_cannot_be_exported_is_refused_by_name_and_line(
    make: Callable[[], nn.Module], said: str, source: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModuleExportError, match=r"export|parameters|must give") as caught:
        export_module(make(), ROWS)
    assert said in caught.value.message
    if source is not None:
        line = int(caught.value.details["line"])  # type: ignore[call-overload]
        assert Path(users.__file__).read_text().splitlines()[line - 1].strip() == source
        assert f"modules_under_test.py line {line}: {source}" in caught.value.message
    assert capfd.readouterr() == ("", "")


def test_single_numbers_stay_single_in_every_file(tmp_path: Path) -> None:
    module = users.SingleNumbers().eval()
    exported = export_module(module, ROWS)
    exported.save(tmp_path / "module")
    read = ExportedModule.from_bytes((tmp_path / "module").read_bytes())
    assert read.to_bytes() == exported.to_bytes()
    preprocessor = Preprocessor.fit(ROWS.numpy(), list("abcd"), ["number"] * 4, PreprocessingSpec(scaling="none"))
    content, _ = encode_model(ModuleModel(preprocessor, exported, "cross_entropy", (0, 1)))
    kept = read_model(content).model.arrays
    with torch.no_grad():
        expected = module(ROWS)
    for arrays in (read.arrays, kept):
        assert {n: arrays[n].shape for n in exported.arrays} == {n: a.shape for n, a in exported.arrays.items()}
    torch.testing.assert_close(ModuleNetwork(read).eval()(ROWS), expected)
    shares = Predictor.load(content).predict_proba(ROWS.numpy())
    np.testing.assert_allclose(shares, torch.softmax(expected.double(), dim=1).numpy(), atol=1e-6)


def test_an_example_that_is_no_batch_of_rows_is_refused() -> None:
    for example in (torch.zeros(4), torch.zeros(1, 4, dtype=torch.int64), np.zeros((0, 4))):
        with pytest.raises(ModuleExportError, match="example must be rows"):
            export_module(users.Hybrid(), example)


def test_export_leaves_the_module_and_the_generator_alone() -> None:
    module = users.Hybrid()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = torch.get_rng_state()
    export_module(module, ROWS)
    assert torch.equal(state, torch.get_rng_state())
    assert module.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_the_operator_passes_torchs_own_checks() -> None:
    layer = QuantumLayer(2, "iqp", layers=1, dtype=torch.float64, seed=1)
    name = register_layer(layer.block)
    rows = torch.rand(3, 2, dtype=torch.float64, requires_grad=True)
    operators.opcheck(quantum_layer, (rows, layer.weights, name, "adjoint"))
    assert torch.autograd.gradcheck(lambda x, w: quantum_layer(x, w, name, "adjoint"), (rows, layer.weights))
    torch.testing.assert_close(quantum_layer(rows, layer.weights, name, "adjoint"), layer(rows))


def test_torch_knows_every_operator_of_the_table() -> None:
    for name in OPERATORS - {QUANTUM_LAYER}:
        assert callable(torch_operator(name)), name


def forged(content: bytes, member: str, change: Callable[[Any], None]) -> bytes:
    """The file with one JSON member changed, and its digests made to fit."""
    from superpose.trust import sha256_bytes

    members = unpack(content)
    document = json.loads(members[member])
    change(document)
    members[member] = json.dumps(document).encode()
    manifest = json.loads(members["manifest.json"])
    if member != "manifest.json":
        manifest["members"][member] = {"sha256": sha256_bytes(members[member]), "size": len(members[member])}
        members["manifest.json"] = json.dumps(manifest).encode()
    return pack(members)


PREDICTING = "graphs/predicting.json"


@pytest.fixture(scope="module")
def content() -> bytes:
    """The file of a module."""
    return export_module(users.Hybrid(), ROWS, check=False).to_bytes()


@pytest.mark.parametrize(
    ("member", "change", "said"),
    [
        (PREDICTING, lambda d: d["nodes"][0].update(op="aten.from_file.default"), "aten.from_file.default"),
        (PREDICTING, lambda d: d["nodes"][0].update(op="python.__import__"), "python.__import__"),
        (PREDICTING, lambda d: d["nodes"][0].update(op="superpose.anything.default"), "not among those"),
        (PREDICTING, lambda d: d["nodes"][0].update(args=[{"node": "later"}]), "not there before it"),
        (PREDICTING, lambda d: d["nodes"][0].update(args=[{"array": "nothing"}]), "not there before it"),
        (PREDICTING, lambda d: d["nodes"][0].update(args=[{"code": "1"}]), "unknown form"),
        (PREDICTING, lambda d: d["nodes"][0].update(args=[{"device": "cuda"}]), "allowed are cpu"),
        (PREDICTING, lambda d: d["nodes"].append(d["nodes"][0]), "twice"),
        (PREDICTING, lambda d: d.update(output="nothing"), "output"),
        (
            PREDICTING,
            lambda d: d["nodes"].append({"name": "z", "op": "aten.add_.Tensor", "args": [{"array": "exit.bias"}, 1]}),
            "changes an array",
        ),
        (
            PREDICTING,
            lambda d: d["nodes"].append({"name": "z", "op": "aten.zeros.default", "args": [[100_000, 100_000]]}),
            "at most 67,108,864 numbers",
        ),
        ("manifest.json", lambda d: d["module"].update(n_columns=-1), "n_columns"),
        ("manifest.json", lambda d: d["module"]["roles"].pop("exit.bias"), "role"),
        ("manifest.json", lambda d: d["module"].pop("layers"), "KeyError"),
        ("manifest.json", lambda d: d.update(format="superpose-model"), "format"),
        ("manifest.json", lambda d: d["members"].pop(PREDICTING), "members"),
    ],
)
def test_forged_files_are_refused(content: bytes, member: str, change: Callable[[Any], None], said: str) -> None:
    with pytest.raises(ModuleFormatError, match=said.replace("(", ".")):
        ExportedModule.from_bytes(forged(content, member, change))


def test_what_is_no_module_file_is_refused() -> None:
    for content in (b"", b"PK", pack({"manifest.json": b"{}"}), pack({"other.json": b"{}"})):
        with pytest.raises(ModuleFormatError):
            ExportedModule.from_bytes(content)


def test_nothing_is_pickled_and_equal_modules_give_equal_bytes() -> None:
    torch.manual_seed(1)
    content = export_module(users.Hybrid(), ROWS).to_bytes()
    torch.manual_seed(1)
    assert export_module(users.Hybrid(), ROWS[:2]).to_bytes() == content
    names = zipfile.ZipFile(BytesIO(content)).namelist()
    assert {Path(name).suffix for name in names} == {".json", ".safetensors"}


@pytest.fixture(scope="module")
def table() -> Table:
    return builtin_table("iris")


SPEC = {"training": {"epochs": 6, "batch_size": 32}, "evaluation": {"n_splits": 2, "baseline": "logistic_regression"}}


@pytest.fixture(scope="module")
def exported() -> ExportedModule:
    torch.manual_seed(0)
    return export_module(users.Hybrid(4, 3), np.zeros((1, 4), dtype=np.float32))


def test_an_experiment_with_a_module_stops_and_resumes_to_the_same_bytes(
    exported: ExportedModule, table: Table, tmp_path: Path
) -> None:
    spec = admit_module(exported, "cross_entropy", SPEC, table)
    recipe = ModuleRecipe(exported, "cross_entropy")
    whole = run_experiment(spec, table, tmp_path / "whole", recipe=recipe)
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked % 2 == 0

    stops = 0
    while True:
        try:
            parts = run_experiment(spec, table, tmp_path / "parts", recipe=recipe, should_stop=stop)
            break
        except Stopped:
            stops += 1
    assert stops >= 5
    assert parts.model_path.read_bytes() == whole.model_path.read_bytes()
    models = whole.evaluation["models"]
    assert set(models["controls"]) == {"frozen"}
    assert models["controls"]["frozen"]["n_trainable"] == models["hybrid"]["n_trainable"] - 18 - 6
    assert models["baseline"]["metrics"]["accuracy"]["mean"] > 0.8
    assert whole.evaluation["verdict"].endswith(".")
    assert whole.evaluation["quantum_part"] == "undecided"  # a user's module has no twin to compare it with
    assert [row["against"] for row in whole.evaluation["comparisons"]] == ["frozen", "baseline"]
    own = models["hybrid"]["metrics"][whole.evaluation["primary_metric"]]["values"]
    for row in whole.evaluation["comparisons"]:
        other = models["controls"].get(row["against"], models["baseline"])
        beside = other["metrics"][whole.evaluation["primary_metric"]]["values"]
        assert row["mean_difference"] == pytest.approx(np.mean(np.subtract(own, beside)))
        assert row["low"] <= row["mean_difference"] <= row["high"]
        assert row["cases"]["n_cases"] > 0
    assert parts.evaluation == whole.evaluation


def test_a_model_file_of_a_module_serves_what_the_module_gives(
    exported: ExportedModule, table: Table, tmp_path: Path
) -> None:
    spec = admit_module(exported, "cross_entropy", SPEC, table)
    found = run_experiment(spec, table, tmp_path, recipe=ModuleRecipe(exported, "cross_entropy"))
    predictor = Predictor.load(found.model_path, found.model_digest)
    file = read_model(found.model_path)
    assert file.manifest["kind"] == "module_classifier"
    assert file.manifest["provenance"]["module"]["name"] == "Hybrid"
    card = model_card(file.manifest)
    assert "PyTorch module Hybrid" in card
    assert "3 qubits" in card
    rows = table.features.iloc[:40]
    module = users.Hybrid(4, 3)
    arrays = file.model.module.arrays  # type: ignore[attr-defined]
    module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
    encoded = torch.tensor(predictor.encode(rows), dtype=torch.float32)
    with torch.no_grad():
        expected = torch.softmax(module.eval()(encoded).double(), dim=1).numpy()
    np.testing.assert_allclose(predictor.predict_proba(rows), expected, atol=1e-6)
    assert set(predictor.predict(rows)) <= set(table.classes)
    changed = bytearray(found.model_path.read_bytes())
    changed[len(changed) // 3] ^= 1
    with pytest.raises(ModelFileCorruptError):
        read_model(bytes(changed))
    with pytest.raises(Exception, match="no HybridClassifier"):
        load_model(found.model_path)


def test_a_single_output_is_trained_by_binary_cross_entropy(tmp_path: Path) -> None:
    table = builtin_table("breast_cancer")
    module = export_module(users.Single(30), torch.zeros(1, 30))
    spec = admit_module(module, "binary_cross_entropy", SPEC, table)
    found = run_experiment(spec, table, tmp_path, recipe=ModuleRecipe(module, "binary_cross_entropy"))
    assert found.evaluation["model_metrics"]["accuracy"] > 0.85
    probabilities = Predictor.load(found.model_path).predict_proba(table.features.iloc[:5])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)


def test_what_does_not_fit_is_refused_before_training(exported: ExportedModule, table: Table) -> None:
    for loss, document, field in (
        ("mean_squares", {}, "loss"),
        ("binary_cross_entropy", {}, "loss"),
        ("cross_entropy", {"model": {}}, "model"),
        ("cross_entropy", {"evaluation": {"controls": ["classical_twin"]}}, "evaluation.controls"),
        ("cross_entropy", {"training": {"gradient_method": "spsa"}}, "training.gradient_method"),
        ("cross_entropy", {"epochs": 3}, "epochs"),
    ):
        with pytest.raises(SpecError) as caught:
            admit_module(exported, loss, document, table)
        assert field in caught.value.message
    with pytest.raises(SpecError, match="takes 4 columns, the data have 30"):
        admit_module(export_module(nn.Linear(4, 2), ROWS), "cross_entropy", {}, builtin_table("breast_cancer"))


def test_a_module_without_circuits_has_no_frozen_control(table: Table) -> None:
    module = export_module(nn.Linear(4, 3), ROWS)
    assert admit_module(module, "cross_entropy", {}, table).evaluation.controls == ()


def test_reading_a_module_file_loads_no_torch(exported: ExportedModule, tmp_path: Path) -> None:
    path = tmp_path / "module.superpose"
    path.write_bytes(exported.to_bytes())
    code = (
        "import sys, pathlib; from superpose.learning import ExportedModule;"
        "ExportedModule.from_bytes(pathlib.Path(sys.argv[1]).read_bytes()); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


SERVE = """
import json, pathlib, sys, sysconfig
import superpose

seen, content = [], pathlib.Path(sys.argv[1]).read_bytes()
FORBIDDEN = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")

def hook(event, arguments):
    if event in FORBIDDEN or (event == "compile" and "modules_under_test" in repr(arguments)):
        seen.append(event)

sys.addaudithook(hook)
from superpose.learning import Predictor
predictor = Predictor.load(content)
rows = json.loads(sys.argv[2])
answer = predictor.predict_proba(rows).tolist()
homes = [str(pathlib.Path(superpose.__file__).parent)]
homes += [str(pathlib.Path(p).resolve()) for p in sysconfig.get_paths().values()]
homes += [str(pathlib.Path(json.__file__).resolve().parent.parent)]
homes += [path for path in sys.path if path.endswith("site-packages")]
foreign = sorted(
    name for name, module in list(sys.modules.items())
    if isinstance(path := getattr(module, "__file__", None), str) and path.startswith("/")
    and not any(str(pathlib.Path(path).resolve()).startswith(home) or path.startswith(home) for home in homes)
)
print(json.dumps({"seen": seen, "foreign": foreign, "torch": "torch" in sys.modules, "answer": answer}))
"""


@pytest.mark.parametrize(
    "make",
    [lambda: users.Hybrid(4, 3), pytest.param(users.Sequence, marks=pytest.mark.slow)],
    ids=["numpy", "torch"],
)
def test_serving_executes_nothing_of_the_users(make: Callable[[], nn.Module], table: Table, tmp_path: Path) -> None:
    """In a process that cannot import the module's class; torch serves what NumPy does not, and unpickles nothing."""
    torch.manual_seed(0)
    exported = export_module(make(), torch.zeros(1, 4))
    spec = admit_module(exported, "cross_entropy", {**SPEC, "training": {"epochs": 1}}, table)
    found = run_experiment(spec, table, tmp_path, recipe=ModuleRecipe(exported, "cross_entropy"))
    rows = [[5.1, 3.5, 1.4, 0.2], [6.0, 3.0, 4.0, 1.0]]
    command = [sys.executable, "-P", "-c", SERVE, str(found.model_path), json.dumps(rows)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["seen"], told["foreign"]) == ([], [])
    assert told["torch"] == (type(make()) is users.Sequence)
    np.testing.assert_allclose(told["answer"], Predictor.load(found.model_path).predict_proba(rows), atol=1e-6)
