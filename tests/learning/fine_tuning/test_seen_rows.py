"""Rows that the parent of a fine-tuning had learnt from are counted among its child's test rows, and told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from superpose.datasets import Table, table_from_frame
from superpose.datasets.picture_tables import pictures_of_table
from superpose.explain.model_card import model_card
from superpose.explain.promotion import check_promotion
from superpose.learning import HybridClassifier, ModelFile, TrainingSpec, read_model, run_experiment
from superpose.learning.fine_tuning.parent import Parent, earlier_data
from superpose.learning.fine_tuning.plan import plan_fine_tuning
from superpose.learning.fine_tuning.report import fine_tuning_report
from superpose.learning.fine_tuning.seen_rows import parents_rows
from superpose.learning.recipe import CircuitRecipe
from superpose.learning.rows import ColumnNames
from superpose.learning.splitting import Groups, feature_table, splits_of
from superpose.learning.verdicts import compare, verdict

SPEC: dict[str, Any] = {
    "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
    "training": {"epochs": 2},
    "split": {"kind": "grouped", "column": "patient"},
    "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"},
}


def _table(seed: int) -> Table:
    rng = np.random.default_rng(seed)
    patients = np.arange(30).repeat(rng.integers(1, 6, 30))
    frame = pd.DataFrame(
        {"patient": patients, "a": rng.normal(size=len(patients)), "b": rng.normal(size=len(patients))}
    )
    return table_from_frame(frame.assign(ill=np.where(patients % 2 == 0, "yes", "no")), target="ill", name="patients")


@pytest.fixture(scope="module")
def table() -> Table:
    return _table(0)


@pytest.fixture(scope="module")
def file(table: Table, tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    found = run_experiment(TrainingSpec.from_dict(SPEC), table, tmp_path_factory.mktemp("parent"))
    return read_model(found.model_path)


def _child(file: ModelFile, table: Table, directory: Path, **changes: Any) -> tuple[dict[str, Any], str, list[str]]:
    """Manifest, card and log of a model fine-tuned from a file."""
    spec = TrainingSpec.from_dict({**SPEC, **changes, "fine_tune": {"parent": "m:1"}})
    parent = Parent.from_file(file, "m:1")
    features = feature_table(spec, table)
    columns = ColumnNames(features.feature_names, tuple(column.kind for column in features.columns))
    plan = plan_fine_tuning(spec, parent, columns, table.classes)
    log: list[str] = []
    found = run_experiment(
        spec,
        table,
        directory,
        recipe=CircuitRecipe(spec, fine_tuning=plan),
        on_event=lambda kind, data: log.append(data["message"]) if kind == "log" else None,
    )
    model = read_model(found.model_path)
    return dict(model.manifest), model_card(model.manifest), log


def test_rows_of_the_parent_are_counted_among_those_tested_and_told(
    file: ModelFile, table: Table, tmp_path: Path
) -> None:
    manifest, card, log = _child(file, table, tmp_path, training={"epochs": 2, "seed": 7})
    spec = TrainingSpec.from_dict(SPEC)
    (own, *_), theirs = splits_of(spec, table), splits_of(replace(spec, training=replace(spec.training, seed=7)), table)
    untouched = set(own.test.tolist())
    tested = set(np.concatenate([split.test for split in theirs]).tolist())
    seen = manifest["evaluation"]["fine_tuning"]["seen_by_parent"]
    assert seen == {
        "certain": True,
        "n_cases": len(tested),
        "n_seen": len(tested - untouched),
        "test": [len(set(theirs[0].test.tolist()) - untouched), len(theirs[0].test)],
    }
    assert seen["n_seen"] > 0
    assert seen["test"][0] > 0
    assert f"{seen['n_seen']} test cases are of rows that its parent had seen" in manifest["evaluation"]["verdict"]
    told = f"m:1 had learnt from {seen['n_seen']} of the {seen['n_cases']} rows that are tested here"
    assert any(told in said for said in log)
    assert told in card
    assert f"never saw (but {seen['test'][0]} of them its parent had seen)" in card
    met = {one.name: one.found for one in check_promotion(manifest, {}, {}).requirements}
    assert f"its parent had seen {seen['test'][0]} of the {seen['test'][1]} rows" in str(met["metrics"])


def test_with_the_parents_split_the_models_own_figures_are_of_rows_new_to_both(
    file: ModelFile, table: Table, tmp_path: Path
) -> None:
    manifest, card, log = _child(file, table, tmp_path)
    seen = manifest["evaluation"]["fine_tuning"]["seen_by_parent"]
    assert seen["test"][0] == 0
    assert seen["n_seen"] > 0  # the second split's test rows are others
    assert "rows that it never saw; rows with the same" in card
    assert any("none of the test rows of the first split" in said for said in log)


def test_other_data_say_nothing(file: ModelFile, tmp_path: Path) -> None:
    manifest, card, log = _child(file, _table(1), tmp_path)
    assert manifest["evaluation"]["fine_tuning"]["seen_by_parent"] is None
    assert "its parent had seen" not in card + manifest["evaluation"]["verdict"]
    assert not any("had learnt" in said for said in log)


def test_a_patient_is_seen_as_a_whole_and_all_rows_where_nobody_can_tell(file: ModelFile, table: Table) -> None:
    mixed = {**SPEC, "split": {"kind": "stratified"}}
    parent = replace(Parent.from_file(file, "m:1"), spec=mixed)
    found = parents_rows(parent, table, None)
    assert found is not None
    seen, certain = found
    assert certain
    assert 0 < seen.sum() < table.n_rows
    patients = table.features["patient"].to_numpy().astype(np.int64)
    whole = parents_rows(parent, table, Groups("patient", patients, kept_together=True))
    assert whole is not None
    assert set(np.flatnonzero(whole[0])) == set(np.flatnonzero(np.isin(patients, patients[seen])))
    for unclear in ({"spec": None}, {"spec": {"split": {"kind": "time", "column": "when"}}}):
        found = parents_rows(replace(parent, **unclear), table, None)
        assert found is not None
        assert found[0].all()
        assert not found[1]
    again = parents_rows(replace(parent, earlier_data=("0" * 64, table.digest)), table, None)
    assert again is not None
    assert again[0].all()
    assert not again[1]


def test_pictures_that_a_template_had_are_known_in_the_table_they_came_from(file: ModelFile) -> None:
    size = 60
    pixels = np.random.default_rng(0).integers(0, 256, (size, 64)) / 255
    frame = pd.DataFrame(pixels, columns=[f"grey_{row}_{column}" for row in range(8) for column in range(8)])
    frame["class"] = ["ill", "well"] * (size // 2)
    part = np.repeat(["train", "val", "test"], [36, 12, 12])
    given, drawn = frame.assign(part=part), frame
    for pictures, seen in ((given, part != "test"), (drawn, np.ones(size, dtype=bool))):
        table = table_from_frame(pictures, name="films", target="class")
        parent = replace(Parent.from_file(file, "m:1"), dataset_digest=pictures_of_table(table).digest)
        found = parents_rows(parent, table, None)
        assert found is not None
        assert (found[0].tolist(), found[1]) == (seen.tolist(), False)
        behind = replace(parent, dataset_digest="0" * 64, earlier_data=(str(parent.dataset_digest),))
        again = parents_rows(behind, table, None)
        assert again is not None
        assert again[0].tolist() == seen.tolist()
        assert parents_rows(replace(parent, dataset_digest="0" * 64), table, None) is None


def test_data_of_models_behind_the_parent_are_found_and_told(file: ModelFile, table: Table, tmp_path: Path) -> None:
    other, third = _table(1), _table(2)
    manifest, _, _ = _child(file, other, tmp_path / "second")
    assert manifest["provenance"]["fine_tuned_from"]["earlier_data"] == []
    second = read_model(tmp_path / "second" / "model.superpose")
    manifest, card, log = _child(second, table, tmp_path / "third")  # the first model's data come back
    began = manifest["provenance"]["fine_tuned_from"]
    assert (began["dataset_digest"], began["earlier_data"]) == (other.digest, [table.digest])
    seen = manifest["evaluation"]["fine_tuning"]["seen_by_parent"]
    assert not seen["certain"]
    assert seen["n_seen"] == seen["n_cases"] > 0
    told = f"m:1, or a model behind it, may have learnt from {seen['n_cases']} of the {seen['n_cases']} rows"
    assert any(told in said for said in log)
    assert told in card
    assert table.digest in card
    last = Parent.from_file(read_model(tmp_path / "third" / "model.superpose"), "m:1")
    assert last.earlier_data == (other.digest, table.digest)
    for known in (table, other):
        assert parents_rows(last, known, None) is not None
    assert parents_rows(last, third, None) is None


@pytest.mark.parametrize(
    ("began", "found"),
    [
        (None, ()),
        ("heart:1", ()),
        ({}, ()),
        ({"dataset_digest": None, "earlier_data": None}, ()),
        ({"dataset_digest": "a"}, ("a",)),  # of release 0.1
        ({"dataset_digest": "a", "earlier_data": ["b", 7, "", "a", None]}, ("a", "b")),
        ({"dataset_digest": 3, "earlier_data": 5}, ()),
        ({"dataset_digest": "a", "earlier_data": "bc"}, ("a",)),
    ],
)
def test_what_a_file_says_of_models_behind_it_may_be_anything(began: object, found: tuple[str, ...]) -> None:
    assert earlier_data(began) == found


def test_classifiers_note_what_the_models_behind_them_had_learnt_from() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"a": rng.normal(size=40), "b": rng.normal(size=40)})
    first = HybridClassifier(n_qubits=2, epochs=1).fit(rows, np.where(rows["b"] > 0, "yes", "no"))
    first.fine_tuning_ = {"dataset_digest": "e" * 64, "earlier_data": ["f" * 64]}
    child = first.fine_tune(rows, np.where(rows["a"] > 0, "yes", "no"))
    assert child.fine_tuning_["earlier_data"] == ["e" * 64, "f" * 64]


def test_a_better_figure_on_rows_of_the_parent_does_not_show_that_fine_tuning_helps() -> None:
    better, worse = [0.90, 0.91, 0.92, 0.90, 0.91], [0.70, 0.71, 0.71, 0.70, 0.72]
    rows = compare(
        better, {"from_scratch": worse}, metric="accuracy", test_over_train=0.25, confidence=0.95, margin=0.02
    )
    assert verdict(rows, 5, 0.95).startswith("Fine-tuning helps here")
    assert verdict(rows, 5, 0.95, seen_by_parent=12).startswith("Whether fine-tuning helps is undecided")

    class Plan:
        def to_dict(self) -> dict[str, Any]:
            return {}

    evaluation = {"comparisons": [row.to_dict() for row in rows]}
    assert fine_tuning_report(Plan(), evaluation)["outcome"] == "better"  # type: ignore[arg-type]
    seen = {"certain": True, "n_seen": 12, "n_cases": 90, "test": [0, 18]}
    assert fine_tuning_report(Plan(), evaluation, seen)["outcome"] == "undecided"  # type: ignore[arg-type]
