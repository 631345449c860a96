"""Fine-tuning of modules: blocks, what is taken over, what begins anew, frozen statistics, families as parents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from superpose.datasets import Table, table_from_frame
from superpose.errors import SpecError
from superpose.explain.fine_tuning_words import fine_tuning_words
from superpose.learning import (
    ModelFacts,
    ModuleRecipe,
    QuantumLayer,
    TrainingSpec,
    export_module,
    read_model,
    run_experiment,
    write_model,
)
from superpose.learning.families import FAMILIES
from superpose.learning.fine_tuning.modules import ModuleFineTuning, plan_module_fine_tuning
from superpose.learning.fine_tuning.parent import Parent
from superpose.learning.fine_tuning.spec import FineTuneSpec
from superpose.learning.modules.admission import admit_carried
from superpose.learning.modules.blocks import blocks_of
from superpose.learning.modules.model import ModuleModel
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.rows import ColumnNames

SIDE = 4
COLUMNS = tuple(f"grey_{row}_{column}" for row in range(SIDE) for column in range(SIDE))


class Pictures(nn.Module):
    """Convolution, normalisation, linear layer, circuit, linear layer."""

    def __init__(self, n_classes: int = 2) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(1, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3)
        self.entry, self.circuit = nn.Linear(3 * SIDE * SIDE, 2), QuantumLayer(2, layers=1, seed=0)
        self.exit = nn.Linear(2, n_classes)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        found = torch.relu(self.norm(self.convolution(rows.reshape(-1, 1, SIDE, SIDE))))
        return self.exit(self.circuit(torch.tanh(self.entry(found.flatten(1)))))


def _model(network: nn.Module, classes: tuple[str, ...] = ("ill", "well")) -> ModuleModel:
    n = SIDE * SIDE
    plain = Preprocessor(
        columns=ColumnNames(COLUMNS, ("number",) * n),
        fill=np.zeros(n),
        centre=np.zeros(n),
        scale=np.ones(n),
        categories=(),
        category_fill=(),
        refuses_missing=True,
    )
    return ModuleModel(plain, export_module(network.eval(), torch.zeros(3, n)), "cross_entropy", classes)


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Parent:
    torch.manual_seed(3)
    network = Pictures()
    network.train()(torch.rand(20, SIDE * SIDE))  # statistics that are not those of a new layer
    path = tmp_path_factory.mktemp("parent") / "model.superpose"
    write_model(path, _model(network), ModelFacts(provenance={}))
    return Parent.from_file(read_model(path), "chest:1")


def _table(labels: tuple[str, ...] = ("ill", "well"), columns: tuple[str, ...] = COLUMNS, n_rows: int = 60) -> Table:
    rng = np.random.default_rng(5)
    rows = rng.random((n_rows, len(columns)))
    codes = (rows[:, 0] * len(labels)).astype(int)
    frame = pd.DataFrame(rows, columns=list(columns))
    return table_from_frame(frame.assign(end=np.array(labels)[codes]), name="other", target="end")


def _plan(parent: Parent, table: Table, **section: Any) -> ModuleFineTuning:
    columns = ColumnNames(table.feature_names, tuple(column.kind for column in table.columns))
    return plan_module_fine_tuning(FineTuneSpec(parent=parent.name, **section), parent, columns, table.classes, table)


SPEC: dict[str, Any] = {
    "training": {"epochs": 2, "learning_rate": 0.05},
    "evaluation": {"n_splits": 2, "baseline": "none"},
}


def _run(plan: ModuleFineTuning, table: Table, folder: Path, **section: Any) -> Any:
    document = {**SPEC, "fine_tune": {"parent": plan.parent.name, **section}}
    recipe = ModuleRecipe.carrying(plan)
    module = plan.parent.model.module  # type: ignore[union-attr]
    return run_experiment(admit_carried(module, document, table), table, folder, recipe=recipe)


def _arrays(path: Path) -> dict[str, Any]:
    return dict(read_model(path).model.arrays)


def test_blocks_are_read_off_the_graph(parent: Parent) -> None:
    found = blocks_of(parent.model.module)  # type: ignore[union-attr]
    by_layer = {name.partition(".")[0]: block for name, block in found.items()}
    assert by_layer == {
        "convolution": "features",
        "norm": "features",
        "entry": "entry",
        "circuit": "circuit",
        "exit": "head",
    }
    plain = export_module(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.zeros(3, 4))
    assert blocks_of(plain) == {"0.weight": "features", "0.bias": "features", "2.weight": "head", "2.bias": "head"}


def test_frozen_blocks_and_their_statistics_rest_and_the_control_begins_anew(parent: Parent, tmp_path: Path) -> None:
    table = _table()
    plan = _plan(parent, table, freeze=("features", "circuit"), learning_rates={"head": 0.5})
    assert (plan.entry, plan.head) == ("keep", "keep")
    found = _run(plan, table, tmp_path / "run", freeze=["features", "circuit"], learning_rates={"head": 0.5})
    before, after = dict(parent.model.arrays), _arrays(found.model_path)
    for name, array in before.items():
        if name.startswith(("convolution", "norm", "circuit")):
            np.testing.assert_array_equal(after[name], array, err_msg=name)
    assert np.abs(after["entry.weight"] - before["entry.weight"]).max() > 1e-3
    assert np.abs(after["exit.bias"] - before["exit.bias"]).max() > 0.2  # a rate ten times the others'
    models = found.evaluation["models"]
    assert list(models["controls"]) == ["from_scratch", "frozen"]
    assert models["hybrid"]["n_params"] == models["controls"]["from_scratch"]["n_params"]
    assert models["hybrid"]["n_trainable"] < models["controls"]["from_scratch"]["n_trainable"]
    assert found.evaluation["fine_tuning"]["digest"] == parent.digest
    assert read_model(found.model_path).manifest["provenance"]["fine_tuned_from"] == plan.to_dict()
    again = _run(plan, table, tmp_path / "again", freeze=["features", "circuit"], learning_rates={"head": 0.5})
    assert again.model_digest == found.model_digest


@pytest.mark.slow
def test_training_moves_statistics_of_blocks_that_are_not_frozen(parent: Parent, tmp_path: Path) -> None:
    table = _table()
    after = _arrays(_run(_plan(parent, table), table, tmp_path).model_path)
    assert np.abs(after["norm.running_mean"] - parent.model.arrays["norm.running_mean"]).max() > 1e-4
    assert after["norm.num_batches_tracked"] > parent.model.arrays["norm.num_batches_tracked"]


def test_from_scratch_takes_nothing_over_and_draws_as_torch_does(parent: Parent) -> None:
    plan = _plan(parent, _table())
    scratch, same, other = plan.from_scratch(1).arrays, plan.from_scratch(1).arrays, plan.from_scratch(2).arrays
    for name, array in scratch.items():
        np.testing.assert_array_equal(array, same[name])
    for name in ("convolution.weight", "entry.weight", "circuit.weights", "exit.bias"):
        assert not np.isclose(scratch[name], parent.model.arrays[name]).any(), name
        assert not np.isclose(scratch[name], other[name]).any(), name
    fresh = Pictures().state_dict()
    for name in ("norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"):
        np.testing.assert_array_equal(scratch[name], fresh[name].numpy(), err_msg=name)
    assert np.abs(scratch["convolution.weight"]).max() <= 1 / 3  # nn.Conv2d: 1 / sqrt(fan-in of 9)
    assert 0.05 < np.abs(scratch["entry.weight"]).max() <= 1 / np.sqrt(48)


@pytest.mark.slow
def test_other_classes_get_a_new_head_of_their_number(parent: Parent, tmp_path: Path) -> None:
    table = _table(("benign", "malignant", "normal"))
    plan = _plan(parent, table, freeze=("features", "entry", "circuit"))
    assert (plan.head, plan.n_outputs) == ("new", 3)
    found = _run(plan, table, tmp_path, freeze=["features", "entry", "circuit"])
    model = read_model(found.model_path).model
    assert model.classes == ("benign", "malignant", "normal")
    assert model.probabilities(np.full((2, SIDE * SIDE), 0.5)).shape == (2, 3)
    np.testing.assert_array_equal(model.arrays["entry.weight"], parent.model.arrays["entry.weight"])


@pytest.mark.parametrize(
    ("table", "section", "field", "said"),
    [
        (_table(), {"freeze": ("features", "entry", "circuit", "head")}, "fine_tune.freeze", "nothing would be"),
        (_table(("a", "b")), {"freeze": ("head",)}, "fine_tune.freeze", "random weights"),
        (_table(("a", "b")), {"head": "keep"}, "fine_tune.head", "the classes are a, b here and ill, well"),
        (_table(columns=tuple(f"x{i}" for i in range(16))), {"entry": "keep"}, "fine_tune.entry", "lacks grey_0_0"),
        (_table(columns=(*COLUMNS[1:], "x")), {"entry": "match"}, "fine_tune.entry", "all its columns at once"),
        (_table(columns=tuple(f"x{i}" for i in range(16))), {"freeze": ("features",)}, "fine_tune.freeze", "random"),
        (_table(columns=(*COLUMNS, "part")), {}, "fine_tune.entry", "and also part: leave those out with preproc"),
        (_table(), {"digest": "0" * 64}, "fine_tune.digest", "chest:1 has"),
    ],
)
def test_what_does_not_fit_a_module_is_refused_by_field(
    parent: Parent, table: Table, section: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(SpecError, match=said) as refused:
        _plan(parent, table, **section)
    assert refused.value.field == field


def test_blocks_that_are_not_there_and_weights_that_cannot_begin_anew_are_named(tmp_path: Path) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.scale = nn.Linear(SIDE * SIDE, 2), nn.Parameter(torch.ones(2))

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return self.linear(rows) * self.scale

    scaled = Parent(_model(Scaled()), "own:1", "0" * 64, {})
    with pytest.raises(SpecError, match=r"'scale' is used by aten\.mul\.Tensor") as refused:
        _plan(scaled, _table())
    assert refused.value.field == "fine_tune.parent"
    linear = Parent(_model(nn.Sequential(nn.Linear(16, 4), nn.Tanh(), nn.Linear(4, 2))), "own:2", "1" * 64, {})
    with pytest.raises(SpecError, match="its blocks are features, head"):
        _plan(linear, _table(), freeze=("circuit",))


def test_words_name_the_blocks_that_a_parent_has(parent: Parent) -> None:
    def words(plan: ModuleFineTuning) -> str:
        return fine_tuning_words(plan.to_dict())[1]

    blocks = "weights of features, weights of entry, weights of circuit"
    assert words(_plan(parent, _table())) == (
        f"Taken over: preprocessing, {blocks}, weights of head; begun anew: nothing."
    )
    assert words(_plan(parent, _table(("a", "b")), entry="match")) == (
        f"Taken over: {blocks}; begun anew: head; preprocessing was learnt anew."
    )
    more = _table(columns=(*COLUMNS, "part"))
    assert words(_plan(parent, more, entry="new", head="new")) == (
        "Taken over: weights of circuit; begun anew: features, entry, head; preprocessing was learnt anew."
    )
    plain = Parent(_model(nn.Sequential(nn.Linear(16, 4), nn.Tanh(), nn.Linear(4, 2))), "own:2", "1" * 64, {})
    assert words(_plan(plain, _table(("a", "b")))) == (
        "Taken over: preprocessing, weights of features; begun anew: head."
    )
    with pytest.raises(SpecError, match="take nothing over: columns and classes are others than those of own:2"):
        _plan(plain, _table(("a", "b"), columns=tuple(f"x{i}" for i in range(16))))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "refused"),
    [
        ("data_reuploading", None),
        ("iqp_kernel", "family_classifier, whose training does not begin from weights"),
    ],
)
def test_families_that_are_trained_circuits_are_parents_and_kernels_are_refused(
    family: str, refused: str | None, tmp_path: Path
) -> None:
    frame, labels = _table().features, _table().target
    model = FAMILIES[family].load()(random_state=0)
    if hasattr(model, "epochs"):
        model.epochs = 1
    model.fit(frame[list(COLUMNS[:3])], labels).save(tmp_path / "family.superpose")
    file = read_model(tmp_path / "family.superpose")
    if refused is not None:
        with pytest.raises(SpecError, match=refused):
            Parent.from_file(file, "kernel:1")
        return
    table = _table(columns=COLUMNS[:3])
    plan = _plan(Parent.from_file(file, "family:1"), table)
    assert plan.entry == "keep"
    drawn = plan.from_scratch(4).arrays
    for name in ("scale", "block.weights", "exit.weight"):  # the family knows how each begins
        assert not np.isclose(drawn[name], plan.parent.model.arrays[name]).any(), name
    assert _run(plan, table, tmp_path / "run").evaluation["fine_tuning"]["parent"] == "family:1"


def test_a_spec_that_begins_from_a_module_has_no_circuit_of_its_own(parent: Parent) -> None:
    with pytest.raises(SpecError, match="brings its own layers"):
        admit_carried(parent.model.module, {"model": {"n_qubits": 3}}, _table())  # type: ignore[union-attr]
    assert TrainingSpec.from_dict({"fine_tune": {"parent": "a:1", "freeze": ["features"]}}).fine_tune.freeze == (
        "features",
    )
